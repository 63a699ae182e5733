//! `/proxy`: an echo service on every host that the rack knows; nothing leaves this process.

use std::net::IpAddr;

use futures_util::future::LocalBoxFuture;

use super::auth::needs_write;
use super::call::Call;
use super::data::Data;
use super::reply::Failure;
use super::sockets::{Input, Socket};
use super::table::Route;

pub(super) const ROUTES: &[Route] = &[Route::socket("/proxy/{host}/{port}", proxy)];

fn proxy(call: Call, socket: &mut Socket) -> LocalBoxFuture<'_, Result<(), Failure>> {
    Box::pin(async move {
        needs_write(&call, "proxy")?;
        let (host, port) = (call.path("host"), call.path("port"));
        let number: i64 =
            port.parse().map_err(|_| Failure::new(500, format!("strconv.Atoi: parsing \"{port}\": invalid syntax")))?;
        let port = u16::try_from(number).ok().filter(|port| *port > 0);
        let Some(port) = port else {
            return Err(Failure::new(400, "invalid proxy port"));
        };
        if !allowed(host) {
            return Err(Failure::new(400, "invalid proxy host"));
        }
        if !known(&call.rack.data(), host, port) {
            return Err(Failure::new(500, format!("dial tcp: lookup {host}: no such host")));
        }
        while let Input::Data(data) = socket.read().await {
            socket.out.text(&data).await?;
        }
        Ok(())
    })
}

/// Hosts that a rack never connects to, by name or address.
fn allowed(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    if name == "localhost" || name.ends_with(".localhost") || name.is_empty() {
        return false;
    }
    match name.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => {
            !(ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast())
        }
        Ok(IpAddr::V6(ip)) => {
            let mapped = ip.to_ipv4_mapped().is_some();
            let local = ip.is_unique_local() || ip.is_unicast_link_local();
            !(ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || local || mapped)
        }
        // Odd spellings of addresses: decimal, octal, hexadecimal.
        Err(_) => !name.starts_with("0x") && !name.chars().all(|c| c.is_ascii_digit() || c == '.'),
    }
}

fn known(data: &Data, host: &str, port: u16) -> bool {
    let authority = format!("@{host}:{port}/");
    let app_urls = data.apps.values().flat_map(|app| &app.resources).map(|resource| &resource.url);
    let rack_urls = data.resources.iter().map(|resource| &resource.url);
    app_urls.chain(rack_urls).any(|url| url.contains(&authority))
        || (host, port) == ("db.internal", 5432)
        || data.instances.iter().any(|instance| instance.private_ip == host)
}

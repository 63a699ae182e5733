//! `racks` and `switch`: what is saved on this machine.

use std::process::ExitCode;

use serde_json::json;

use super::arguments::Global;
use super::config::{Config, Rack};
use super::error::ClientError;
use super::text::{columns, plain, show_time};
use super::{Done, World};

/// How a rack's session is, in one word for programs.
fn state(rack: &Rack, world: &World<'_>) -> &'static str {
    match &rack.session {
        None => "signed-out",
        Some(session) if session.is_over((world.now)()) => "ended",
        Some(_) => "signed-in",
    }
}

pub(super) fn racks(global: &Global, world: &mut World<'_>) -> Done {
    let config = Config::read(&world.environment)?;
    let racks = config.racks()?;
    let is_current = |rack: &Rack| config.current() == Some(rack.name.as_str());
    if global.json {
        let items = racks.iter().map(|rack| {
            let session = rack.session.as_ref();
            json!({
                "name": rack.name,
                "url": rack.address.to_string(),
                "current": is_current(rack),
                "state": state(rack, world),
                "email": session.map(|session| &session.email),
                "session_id": session.map(|session| &session.id),
                "expires_at": session.map(|session| &session.expires_at),
            })
        });
        writeln!(world.out, "{:#}", json!(items.collect::<Vec<_>>()))?;
        return Ok(ExitCode::SUCCESS);
    }
    if racks.is_empty() {
        writeln!(world.err, "no rack is saved here: sign in with `rack-gateway login NAME https://GATEWAY`")?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = vec![["", "NAME", "GATEWAY", "WHO", "SESSION"].map(str::to_owned).to_vec()];
    rows.extend(racks.iter().map(|rack| {
        let mark = if is_current(rack) { "*" } else { "" };
        let (who, session) = match &rack.session {
            None => (String::new(), "signed out".to_owned()),
            Some(session) => {
                let word = if session.is_over((world.now)()) { "ended" } else { "until" };
                (plain(&session.email), format!("{word} {}", show_time(&session.expires_at)))
            }
        };
        vec![mark.to_owned(), rack.name.clone(), rack.address.to_string(), who, session]
    }));
    columns(world.out, &rows)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn switch(name: &str, global: &Global, world: &mut World<'_>) -> Done {
    let config = Config::read(&world.environment)?;
    let rack = config.rack(name)?.ok_or_else(|| ClientError::UnknownRack(plain(name)))?;
    Config::change(&world.environment, |config| config.set_current(name))?;
    if global.json {
        writeln!(world.out, "{:#}", json!({ "name": rack.name, "url": rack.address.to_string() }))?;
    } else {
        writeln!(world.out, "now using {} ({})", rack.name, rack.address)?;
    }
    Ok(ExitCode::SUCCESS)
}

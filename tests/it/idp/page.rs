//! The provider's pages, and who may reach them.

use std::io::ErrorKind;
use std::net::SocketAddr;

use rack_gateway::dev::idp::{Idp, IdpOptions};

use super::party::http;

fn at(addr: &str) -> std::io::Result<Idp> {
    let options = IdpOptions { redirect_uris: vec!["http://127.0.0.1:9/back".to_owned()], ..IdpOptions::default() };
    Idp::start(addr.parse::<SocketAddr>().unwrap(), options)
}

const ASK: &str = "/authorize?client_id=rack-gateway&redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fback&response_type=code\
    &scope=openid&code_challenge_method=S256&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

#[tokio::test]
async fn it_listens_on_the_loopback_interface_only() {
    for addr in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        assert_eq!(at(addr).unwrap_err().kind(), ErrorKind::InvalidInput, "{addr}");
    }
    let idp = at("127.0.0.1:0").unwrap();
    let taken = at(&idp.addr.to_string()).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    let addr = idp.addr;
    idp.stop().await;
    assert!(tokio::net::TcpStream::connect(addr).await.is_err(), "it has stopped");
}

#[tokio::test]
async fn another_name_for_this_machine_leads_nowhere() {
    let idp = at("127.0.0.1:0").unwrap();
    let port = idp.addr.port();
    for path in ["/", "/.well-known/openid-configuration", "/jwks", ASK] {
        let url = format!("{}{path}", idp.issuer);
        for (host, status) in [(idp.addr.to_string(), 200), (format!("attacker.example:{port}"), 404)] {
            let answer = http().get(&url).header("Host", &host).send().await.unwrap();
            assert_eq!(answer.status(), status, "{host} {path}");
        }
    }
    idp.stop().await;
}

#[tokio::test]
async fn pages_run_nothing_and_are_framed_by_nobody() {
    let idp = at("127.0.0.1:0").unwrap();
    for (path, form_action) in [("/", "'none'"), (ASK, "'self' http://127.0.0.1:9"), ("/authorize", "'none'")] {
        let answer = http().get(format!("{}{path}", idp.issuer)).send().await.unwrap();
        let headers = answer.headers().clone();
        let expected = format!(
            "default-src 'none'; style-src 'self'; form-action {form_action}; base-uri 'none'; frame-ancestors 'none'"
        );
        assert_eq!(headers["content-security-policy"], expected, "{path}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
        let page = answer.text().await.unwrap();
        assert!(page.contains(r#"<html lang="en">"#) && page.contains("color-scheme"), "{page}");
        for inline in ["<script", " style=", " onclick="] {
            assert!(!page.contains(inline), "{path}: {inline}");
        }
    }
    idp.stop().await;
}

//! Whose certificate is accepted, and which configurations are.

use super::*;
use crate::upstream::{PingError, RackConfigError, Roots, ping};

/// Pings a rack that has `identity`.
async fn reached(identity: &Identity, trust: &Trust) -> Result<(), String> {
    let server = RawServer::bind().await;
    let rack = Rack::new(&identity.config(&server, trust, limits()));
    let answers = async {
        if let Ok(secured) = identity.accept(server.accept_tcp().await).await {
            let mut conn = Conn::new(secured);
            let head = conn.head().await;
            assert_eq!((head.first.as_str(), head.get("authorization")), ("GET /check HTTP/1.1", None));
            conn.send(OK).await;
        }
    };
    let (pinged, ()) = tokio::join!(ping(&rack), answers);
    pinged.map_err(|error| error.to_string())
}

#[actix_web::test]
async fn only_the_trusted_rack_is_talked_to() {
    let right = Identity::new("localhost");
    let other = Identity::new("localhost");
    let elsewhere = Identity::new("other.example");
    let trust =
        |ca: &Identity, pins: &[SpkiHash]| Trust { roots: Roots::Pem(ca.ca.clone().into()), pins: pins.to_vec() };
    let cases: [(&str, &Identity, Trust, Option<&str>); 10] = [
        ("its own authority", &right, trust(&right, &[]), None),
        ("another authority", &right, trust(&other, &[]), Some("UnknownIssuer")),
        ("the system's authorities", &right, Trust::system(), Some("")),
        ("another name", &elsewhere, trust(&elsewhere, &[]), Some("not valid for name")),
        ("its own key", &right, Trust::pinned([right.pin]), None),
        ("its own key among others", &right, Trust::pinned([other.pin, right.pin]), None),
        ("its own key, another name", &elsewhere, Trust::pinned([elsewhere.pin]), None),
        ("another key", &right, Trust::pinned([other.pin]), Some("not pinned")),
        ("authority right, key wrong", &right, trust(&right, &[other.pin]), Some("not pinned")),
        ("authority wrong, key right", &right, trust(&other, &[right.pin]), Some("UnknownIssuer")),
    ];
    for (case, identity, trust, refusal) in cases {
        let seen = reached(identity, &trust).await;
        match refusal {
            None => assert_eq!(seen, Ok(()), "{case}"),
            Some(text) => assert!(seen.as_ref().is_err_and(|error| error.contains(text)), "{case}: {seen:?}"),
        }
    }
    let both = reached(&right, &trust(&right, &[right.pin])).await;
    assert_eq!(both, Ok(()), "authority and key");
}

#[actix_web::test]
async fn ping_tells_a_well_rack_from_an_ill_one() {
    for (status, expected) in [(200, None), (401, None), (404, None), (500, Some(500)), (503, Some(503))] {
        let server = RawServer::bind().await;
        let url = format!("http://{}", server.addr());
        let config = RackConfig::new(&url, "convox", &token(), &Trust::system(), limits()).expect("a config");
        let rack = Rack::new(&config);
        let (pinged, ()) = tokio::join!(ping(&rack), async {
            let mut conn = server.accept().await;
            conn.head().await;
            conn.send(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n")).await;
        });
        match (pinged, expected) {
            (Ok(()), None) => {}
            (Err(PingError::Status(seen)), Some(expected)) => assert_eq!(seen, expected),
            (seen, _) => panic!("{status}: {seen:?}"),
        }
    }
}

#[test]
fn a_config_says_what_is_wrong_with_it() {
    let ca = Identity::new("localhost").ca;
    let system = Trust::system();
    let cases: [(&str, &str, &str, Trust, &str); 22] = [
        ("rack.example.com", "convox", "t", system.clone(), "must begin with https://"),
        ("ftp://rack.example.com", "convox", "t", system.clone(), "must begin with https://"),
        ("", "convox", "t", system.clone(), "cannot be parsed"),
        ("https://", "convox", "t", system.clone(), "cannot be parsed"),
        ("https://user:hunter2@rack", "convox", "t", system.clone(), "must not hold a user name"),
        ("https://rack/prefix", "convox", "t", system.clone(), "must not have a path"),
        ("https://rack/?a=1", "convox", "t", system.clone(), "must not have a path"),
        ("https://rack#x", "convox", "t", system.clone(), "must not have a path"),
        ("https://rack:0", "convox", "t", system.clone(), "host and port"),
        ("https://rack:", "convox", "t", system.clone(), "host and port"),
        ("https://ra%63k", "convox", "t", system.clone(), ""),
        ("https://[::1", "convox", "t", system.clone(), "cannot be parsed"),
        ("https://rack", "", "t", system.clone(), "user name"),
        ("https://rack", "a:b", "t", system.clone(), "user name"),
        ("https://rack", "a\nb", "t", system.clone(), "user name"),
        ("https://rack", "convox", "", system.clone(), "token"),
        ("https://rack", "convox", "a\r\nb", system.clone(), "token"),
        ("http://rack", "convox", "t", Trust::authority(ca.as_str()), "use https"),
        ("http://rack", "convox", "t", Trust::pinned([[0; 32]]), "use https"),
        ("https://rack", "convox", "t", Trust::pinned([]), "cannot be verified"),
        ("https://rack", "convox", "t", Trust::authority("no pem"), "cannot be verified"),
        ("https://rack", "convox", "t", Trust::authority("-----BEGIN CERTIFICATE-----\nx"), "cannot be verified"),
    ];
    for (url, username, password, trust, expected) in cases {
        let made = RackConfig::new(url, username, &SecretString::from(password), &trust, limits());
        let error = made.expect_err(url).to_string();
        assert!(error.contains(expected), "{url}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    let none = Limits { exchanges: 0, ..limits() };
    let made = RackConfig::new("http://rack", "convox", &token(), &system, none);
    assert!(matches!(made, Err(RackConfigError::Limit("exchanges"))));
    let none = Limits { head: Duration::ZERO, ..limits() };
    let made = RackConfig::new("http://rack", "convox", &token(), &system, none);
    assert!(matches!(made, Err(RackConfigError::Limit("head"))));
}

#[test]
fn a_config_knows_its_host_and_hides_its_token() {
    let cases = [
        ("http://RACK.Example.com", "rack.example.com", 80, "rack.example.com"),
        ("http://rack:80/", "rack", 80, "rack"),
        ("http://rack:443", "rack", 443, "rack:443"),
        ("http://[::1]:5443", "::1", 5443, "[::1]:5443"),
        ("http://10.0.0.1:5443", "10.0.0.1", 5443, "10.0.0.1:5443"),
    ];
    for (url, host, port, header) in cases {
        let config = RackConfig::new(url, "convox", &token(), &Trust::system(), limits()).expect(url);
        assert_eq!((config.hostname(), config.port), (host, port), "{url}");
        assert_eq!(config.authority.to_str().ok(), Some(header), "{url}");
        let shown = format!("{config:?} {:?}", config.authorization);
        assert!(!shown.contains("Y29udm94") && !shown.contains("rack-token"), "{shown}");
    }
    let pinned = RackConfig::new("https://rack:443", "convox", &token(), &Trust::pinned([[0; 32]]), limits());
    let pinned = pinned.expect("a config");
    assert_eq!((pinned.is_tls(), pinned.authority.to_str().ok()), (true, Some("rack")));
}

//! Trusted devices on both databases: of one person, in one browser, for a while.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use rack_gateway::identity::Token;

use super::{Bench, now};
use crate::harness::Db;

mod each {
    crate::on_both!(a_device_is_trusted_in_its_browser_by_its_person_for_a_while);
}

const DAY: Duration = Duration::from_secs(86_400);

async fn a_device_is_trusted_in_its_browser_by_its_person_for_a_while(db: Db) {
    let bench = Bench::new(&db).await;
    bench.app(&bench.ada).await;
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let desk = bench.desk(now());
    let trust = bench.factors.trust_device(&desk, &bench.ada, "Firefox on Linux", ip, DAY);
    let token = trust.await.unwrap().expose().to_owned();
    let foreign = Token::generate().unwrap().expose().to_owned();
    let cases = [
        (true, &bench.ada, token.as_str(), "Firefox on Linux", 0),
        (true, &bench.ada, token.as_str(), "Firefox on Linux", 86_399),
        (false, &bench.ada, token.as_str(), "Firefox on Linux", 86_400),
        (false, &bench.ada, token.as_str(), "Chrome on Linux", 0),
        (false, &bench.ada, token.as_str(), "", 0),
        (false, &bench.bob, token.as_str(), "Firefox on Linux", 0),
        (false, &bench.ada, foreign.as_str(), "Firefox on Linux", 0),
        (false, &bench.ada, "", "Firefox on Linux", 0),
        (false, &bench.ada, "rgw_", "Firefox on Linux", 0),
    ];
    let device = bench.store.device_list(&bench.ada, now()).await.unwrap().remove(0);
    assert_eq!((device.browser.as_str(), device.source_ip), ("Firefox on Linux", ip));
    for (is_trusted, user, token, browser, seconds) in cases {
        let desk = bench.desk(now() + time::Duration::seconds(seconds));
        let found = bench.factors.trusted(&desk, user, token, browser).await.unwrap();
        assert_eq!(found, is_trusted.then(|| device.id.clone()), "{user} {browser} {seconds}");
    }
    let last = bench.store.device_list(&bench.ada, now()).await.unwrap().remove(0).last_used_at;
    assert_eq!(last, Some(now() + time::Duration::seconds(86_399)));
    bench.store.device_delete(&device.id, &bench.ada).await.unwrap();
    let found = bench.factors.trusted(&bench.desk(now()), &bench.ada, &token, "Firefox on Linux").await.unwrap();
    assert_eq!(found, None, "revoked");
}

//! What an administrator changes on one replica holds for the next request on every other.

use rack_gateway::store::UserChange;
use rack_gateway::upstream::Limits;

use crate::harness::gateway::{issuer, launch, without_step_up};
use crate::harness::{Db, Gateway, basic};
use crate::replay::peer::Wire;
use crate::rows::CountingRack;

async fn status(addr: std::net::SocketAddr, authorization: &str, method: &str, path: &str) -> u16 {
    let mut wire = Wire::connect(addr).await;
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: gateway.example.com\r\nAuthorization: {authorization}\r\n\r\n");
    wire.send(head.as_bytes()).await;
    wire.message(false).await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_on_one_replica_holds_on_the_other() {
    let db = Db::postgres().await;
    let rack = CountingRack::start().await;
    let here = Gateway::start(&db, rack.addr).await;
    let there = launch(&db, rack.addr, without_step_up(), Limits::default()).await;
    let store = &here.running.gate.store;
    let ops = here.basic("ops");
    let restart = |addr| status(addr, &ops, "POST", "/apps/myapp/services/web/restart");
    let user = store.user_find_by_email("ops@example.com").await.unwrap().unwrap();
    // Both replicas have met the caller.
    for addr in [here.addr(), there.addr] {
        assert_eq!(restart(addr).await, 200);
        assert_eq!(restart(addr).await, 200);
    }
    let roles = |role: &str| UserChange { roles: Some(vec![role.to_owned()]), ..UserChange::default() };
    for (role, expected) in [("viewer", 403), ("ops", 200)] {
        store.user_update(&user.id, roles(role), None).await.unwrap();
        assert_eq!(restart(there.addr).await, expected, "{role}");
        assert_eq!(restart(here.addr()).await, expected, "{role}");
    }
    rack.take();
    let issuer = issuer(&here.running);
    assert_eq!(store.user_lock(&user.id, "left", "test", issuer.now).await, Ok(1));
    for addr in [there.addr, here.addr()] {
        assert_eq!(restart(addr).await, 401);
    }
    // A credential that is given out by mistake still proves who it is, and policy refuses them.
    let end = issuer.now + time::Duration::days(1);
    let late = issuer.cli_token("ops@example.com", "late", None, end).await.unwrap();
    let late = basic(late.expose());
    for addr in [there.addr, here.addr()] {
        assert_eq!(status(addr, &late, "POST", "/apps/myapp/services/web/restart").await, 403);
    }
    assert_eq!(rack.take(), 0, "the rack saw something after the change");
    there.stop().await;
    here.stop_and_verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_behind_the_gateways_back_is_noticed() {
    for db in Db::each().await {
        let rack = CountingRack::start().await;
        let gateway = Gateway::start(&db, rack.addr).await;
        let admin = gateway.basic("admin");
        for _ in 0..2 {
            assert_eq!(status(gateway.addr(), &admin, "GET", "/apps").await, 200);
        }
        db.execute("UPDATE users SET roles = '[\"viewer\"]' WHERE email = 'admin@example.com'").await;
        rack.take();
        assert_eq!(status(gateway.addr(), &admin, "DELETE", "/apps/myapp").await, 403);
        assert_eq!(rack.take(), 0);
        gateway.stop_and_verify().await;
    }
}

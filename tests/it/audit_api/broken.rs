//! Exports that do not end well, exports without a second factor, and how much memory a large one takes.

use std::time::Duration;

use super::Stage;
use super::export::EXPORT;
use crate::harness::{Db, until};
use crate::replay::peer::Wire;
use crate::step_up;

/// Records without proofs, as many as that: what they say does not matter here.
async fn flood(db: &Db, count: u32) {
    let canon = format!("{{\"action\":\"a:b\",\"kind\":\"admin\",\"message\":\"{}\"}}", "x".repeat(400));
    let (bytes, numbers) = match db {
        Db::Sqlite(_) => (
            format!("CAST('{canon}' AS BLOB)"),
            format!(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT i FROM n"
            ),
        ),
        Db::Postgres(_) => {
            (format!("convert_to('{canon}', 'UTF8')"), format!("SELECT generate_series(1, {count}) AS i"))
        }
    };
    let zeros = match db {
        Db::Sqlite(_) => "zeroblob(32)".to_owned(),
        Db::Postgres(_) => format!("decode('{}', 'hex')", "00".repeat(32)),
    };
    let sql = format!(
        "INSERT INTO audit_records (seq, canon, leaf, chain, ts, kind, instance) \
         SELECT (SELECT max(seq) FROM audit_records) + i, {bytes}, {zeros}, {zeros}, '2026-01-01', 'admin', 'x' \
         FROM ({numbers}) AS numbers"
    );
    db.execute(&sql).await;
    let head = "UPDATE audit_head SET seq = (SELECT max(seq) FROM audit_records)";
    db.unlock().await;
    db.execute(head).await;
}

/// The client goes away in the middle: the outcome says so, and how much it had.
async fn a_client_that_leaves_is_on_the_record(db: Db) {
    let stage = Stage::new(&db).await;
    flood(&db, 100_000).await;
    let mut wire = Wire::connect(stage.gateway.addr()).await;
    let token = stage.gateway.token("auditor");
    let request = format!(
        "GET {EXPORT}?format=ndjson HTTP/1.1\r\nHost: gateway.example.com\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    wire.send(request.as_bytes()).await;
    let head = wire.head().await.unwrap();
    assert_eq!(head.status(), 200);
    assert!(wire.exactly(1 << 20).await.is_some(), "it is on its way");
    drop(wire);
    let id = head.header("rack-gateway-request-id").unwrap();
    let outcome = until("an outcome", || async {
        let records = stage.gateway.records_of(id).await;
        records.into_iter().find(|record| record["kind"] == "outcome")
    })
    .await;
    assert_eq!(outcome["result"], "client_gone");
    let sent = outcome["bytes_out"].as_u64().unwrap();
    assert!((1 << 20..40 << 20).contains(&sent), "{sent}");
}

/// The database goes away in the middle: the connection breaks, so that nobody takes a part for the whole.
async fn an_export_that_breaks_has_no_end(db: Db) {
    let stage = Stage::new(&db).await;
    flood(&db, 100_000).await;
    let mut wire = Wire::connect(stage.gateway.addr()).await;
    let token = stage.gateway.token("auditor");
    let request =
        format!("GET {EXPORT} HTTP/1.1\r\nHost: gateway.example.com\r\nAuthorization: Bearer {token}\r\n\r\n");
    wire.send(request.as_bytes()).await;
    let head = wire.head().await.unwrap();
    assert_eq!(head.status(), 200);
    db.execute("ALTER TABLE audit_records RENAME TO audit_records_gone").await;
    let whole = tokio::time::timeout(Duration::from_secs(60), async {
        let mut bytes = 0_u64;
        while wire.exactly(1 << 16).await.is_some() {
            bytes += 1 << 16;
        }
        bytes
    })
    .await
    .expect("the connection ends");
    assert!(whole < 40 << 20, "{whole} bytes are not all of it");
    db.execute("ALTER TABLE audit_records_gone RENAME TO audit_records").await;
    let id = head.header("rack-gateway-request-id").unwrap();
    let outcome = until("an outcome", || async {
        let records = stage.gateway.records_of(id).await;
        records.into_iter().find(|record| record["kind"] == "outcome")
    })
    .await;
    assert_eq!(outcome["result"], "abandoned", "{outcome}");
    assert!(outcome["message"].as_str().unwrap().contains("database"), "{outcome}");
}

/// Searching is reading; taking everything out is not.
async fn an_export_needs_a_fresh_second_factor(db: Db) {
    let stage = step_up::Stage::new(&db).await;
    let user = crate::api::person(&stage.gateway, "auditor").await;
    step_up::Person::enrolled(&stage, "auditor").await;
    let old = stage.cli(&user, time::Duration::hours(1)).await;
    let fresh = stage.cli(&user, time::Duration::minutes(5)).await;
    let addr = stage.addr();
    let get = |token: &str, target: &'static str| {
        let send = crate::api::with(token, crate::sign_in::Send::get(target));
        async move { send.to(addr).await }
    };
    assert_eq!(get(&old, "/api/v1/audit/records").await.status(), 200);
    let asked = get(&old, EXPORT).await;
    assert!(step_up::error(&asked).contains("/app/c/"), "{asked:?}");
    assert_eq!(stage.told(&asked, 1).await, [("denial".to_owned(), "challenge".to_owned())]);
    assert_eq!(get(&fresh, EXPORT).await.status(), 200);
    // A machine has none, and needs none.
    let issuer = crate::harness::issuer(&stage.gateway.running);
    let machine = issuer.api_token("archive", &["auditor".to_owned()], issuer.now + time::Duration::days(1)).await;
    assert_eq!(get(machine.unwrap().expose(), EXPORT).await.status(), 200);
}

mod both {
    crate::on_both!(
        a_client_that_leaves_is_on_the_record,
        an_export_that_breaks_has_no_end,
        an_export_needs_a_fresh_second_factor,
    );
}

/// The command in a process of its own: its memory does not grow with the log.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_large_export_takes_no_more_memory_than_a_small_one() {
    use crate::harness::binary::command;
    use tokio::io::AsyncReadExt as _;

    let mut peaks = Vec::new();
    for count in [10_000, 300_000] {
        let db = Db::sqlite().await;
        let stage = Stage::new(&db).await;
        flood(&db, count).await;
        stage.gateway.running.stop().await;
        let url = db.url().await;
        let mut export = command(&["audit", "export", "--out", "-"], &[("RGW_DATABASE_URL", &url)]).spawn().unwrap();
        let mut out = export.stdout.take().unwrap();
        let status = format!("/proc/{}/status", export.id().unwrap());
        let (mut bytes, mut peak, mut chunk) = (0, 0, vec![0; 1 << 20]);
        loop {
            let read = out.read(&mut chunk).await.unwrap();
            if read == 0 {
                break;
            }
            bytes += read;
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kilobytes = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
            peak = peak.max(kilobytes.unwrap_or(0));
        }
        let ended = export.wait_with_output().await.unwrap();
        assert!(ended.status.success(), "{ended:?}");
        assert!(bytes > usize::try_from(count).unwrap() * 400, "{bytes}");
        peaks.push(peak);
    }
    assert!(peaks[0] > 0 && peaks[1] < peaks[0] + 40_000, "kB at most: {peaks:?}");
}

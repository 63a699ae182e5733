//! Nothing that proves anything stands in the database, in records or in what is printed.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use rack_gateway::factor::Answer;
use secrecy::ExposeSecret;
use sqlx::{AssertSqlSafe, Connection as _};

use super::{Bench, ORIGIN, now};
use crate::harness::Db;
use crate::harness::authenticator::{Authenticator, totp};

mod each {
    crate::on_both!(nothing_stands_in_the_database_in_clear);
}

/// Everything that the database holds.
async fn dump(db: &Db) -> Vec<u8> {
    if let Some(file) = db.file() {
        let read = |end: &str| std::fs::read(format!("{}{end}", file.display())).unwrap_or_default();
        return [read(""), read("-wal")].concat();
    }
    let mut connection = sqlx::PgConnection::connect(&db.url().await).await.unwrap();
    let names = "SELECT string_agg(tablename, ',') FROM pg_tables WHERE schemaname = 'public'";
    let names: String = sqlx::query_scalar(names).fetch_one(&mut connection).await.unwrap();
    let mut all = String::new();
    for name in names.split(',') {
        let rows = format!("SELECT coalesce(string_agg(t::text, ' '), '') FROM {name} t");
        all += &sqlx::query_scalar::<_, String>(AssertSqlSafe(rows)).fetch_one(&mut connection).await.unwrap();
        let text = format!("SELECT coalesce(string_agg(convert_from(canon, 'UTF8'), ' '), '') FROM {name}");
        if name == "audit_records" {
            all += &sqlx::query_scalar::<_, String>(AssertSqlSafe(text)).fetch_one(&mut connection).await.unwrap();
        }
    }
    all.into_bytes()
}

async fn nothing_stands_in_the_database_in_clear(db: Db) {
    let bench = Bench::new(&db).await;
    let enrolment = bench.begin_totp(&bench.bob, now()).await;
    let (_, secret) = bench.app(&bench.ada).await;
    let code = totp(&secret, now());
    bench.show(&bench.ada, &code, now()).await.unwrap();
    let mut device = Authenticator::new(ORIGIN);
    let key = bench.passkey(&bench.ada, &mut device).await;
    let codes = bench.factors.backup_codes(&bench.desk(now()), &bench.ada).await.unwrap();
    bench.verify(&bench.ada, Answer::Backup(codes[0].clone()), now()).await.unwrap();
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let desk = bench.desk(now());
    let trust = bench.factors.trust_device(&desk, &bench.ada, "Firefox", ip, Duration::from_secs(60));
    let token = trust.await.unwrap();
    let raw = bench.vault.get("totp", &enrolment.factor_id).await.unwrap().unwrap();

    let stored = dump(&db).await;
    let holds = |part: &[u8]| stored.windows(part.len()).any(|window| window == part);
    assert!(holds(key.id.as_bytes()) && holds(b"factor:verify"), "the search would find it");
    let plain = codes[0].expose_secret();
    for text in [&secret, &code, plain, &plain.replace('-', ""), token.expose(), enrolment.secret.expose_secret()] {
        assert!(!holds(text.as_bytes()), "{text}");
    }
    assert!(!holds(raw.expose_secret()) && !holds(hex::encode(raw.expose_secret()).as_bytes()));

    let answers = [Answer::Totp(code.as_str().into()), Answer::Backup(plain.into()), Answer::Yubico(plain.into())];
    let shown = format!("{enrolment:?} {key:?} {answers:?} {codes:?} {token:?} {:?}", bench.factors);
    for text in [enrolment.secret.expose_secret(), &code, plain, token.expose(), &enrolment.qr_svg] {
        assert!(!shown.contains(text), "{shown}");
    }
}

//! Personal values lie beside the records, which hold commitments to them, and can be erased.

use std::collections::BTreeMap;
use std::time::Duration;

use rack_gateway::audit::erase::{EraseError, Erasure, Whose};
use rack_gateway::audit::{Actor, ERASED, Event, EventKind, Keeper, Writer};
use rack_gateway::proof::canonical;
use rack_gateway::proof::commitment::commit;
use rack_gateway::store::{PrivateRow, Store};

use super::append::{all, assert_whole, json, writer};
use crate::harness::binary::run;
use crate::harness::db::Db;

mod both {
    crate::on_both!(
        commitments,
        many_large_values,
        whose_values_are_erased,
        broken_off_and_made_again,
        more_than_one_record_holds,
        an_erasure_that_does_not_fit,
        the_command
    );
}

async fn values(store: &Store) -> Vec<PrivateRow> {
    store.private_of(1, 1_000_000).await.expect("values")
}

/// Every value matches its record, and none is in it.
#[track_caller]
fn assert_committed(record: &serde_json::Value, row: &PrivateRow) {
    let commitment = &record["private"][row.name.as_str()];
    assert_eq!(commitment, &hex::encode(commit(&row.salt, &row.value)), "{row:?}");
}

async fn commitments(db: Db) {
    let store = db.store().await;
    let writer = writer(&store, "one").await;
    let hostile = ["ada@example.com", "", "a\0b\u{7f}\n", "'; DROP TABLE audit_private; --", "😀\u{202e}\"\\"];
    let mut seen = Vec::new();
    for text in hostile {
        let mut event = Event::new(EventKind::Admin, "r", "user:create");
        event.source_ip = Some([192, 0, 2, 7].into());
        event.tell(
            [("email", text), ("user_name.from", text), ("user", "u1")].map(|(n, v)| (n.to_owned(), v.to_owned())),
        );
        let seq = writer.append(event).await.expect("a record").seq;
        let record = store.record(seq).await.expect("the record");
        let parsed = json(&record);
        let rows = store.private_of(seq, seq).await.expect("values");
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["email", "src_ip", "user_name_from"]);
        rows.iter().for_each(|row| assert_committed(&parsed, row));
        assert_eq!((rows[1].value.as_str(), &parsed["detail"]), ("192.0.2.7", &serde_json::json!({ "user": "u1" })));
        assert_eq!(rows[0].value, text.replace(char::is_control, "\u{fffd}"), "what PostgreSQL can store");
        let canon = String::from_utf8(record.canon).expect("text");
        assert!(!canon.contains("192.0.2.7") && (text.is_empty() || !canon.contains(text)), "{canon}");
        assert!(!format!("{rows:?}").contains("192.0.2.7"), "not in logs either");
        seen.extend(rows.into_iter().map(|row| row.salt));
    }
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), count, "every salt is its own");
    let none = writer.append(Event::new(EventKind::System, "", "gateway:start")).await.expect("a record").seq;
    assert_eq!(store.private_of(none, none).await, Ok(vec![]));
    assert!(json(&store.record(none).await.expect("the record")).get("private").is_none());
    assert_whole(&all(&store).await);
}

async fn many_large_values(db: Db) {
    let store = db.store().await;
    let writer = writer(&store, "one").await;
    let mut event = Event::new(EventKind::Denial, "r", "x:y");
    event.source_ip = Some([0, 0, 0, 0, 0, 0, 0, 1].into());
    for (n, unit) in ["x", "\0", "\"", "é", "😀"].into_iter().cycle().take(60).enumerate() {
        event.private.insert(format!("{n}{}", unit.repeat(90)), unit.repeat(100_000));
    }
    event.detail = event.private.clone();
    event.reasons = vec!["\u{1}".repeat(1_000); 60];
    (event.errors, event.challenges) = (event.reasons.clone(), event.reasons.clone());
    let seq = writer.append(event).await.expect("a record").seq;
    let record = store.record(seq).await.expect("the record");
    assert_eq!(canonical::check(&record.canon), Ok(()));
    let rows = store.private_of(seq, seq).await.expect("values");
    rows.iter().for_each(|row| assert_committed(&json(&record), row));
    assert_eq!(json(&record)["private"].as_object().map(serde_json::Map::len), Some(rows.len()));
    assert!(rows.len() > 4 && rows.iter().any(|row| row.name == "src_ip"), "{rows:?}");
    assert!(rows.iter().all(|row| row.value.len() < 600));
}

fn event(actor: Option<&str>, change: &[(&str, &str)]) -> Event {
    let mut event = Event::new(EventKind::Admin, "r", "user:update");
    event.actor = actor.map(|id| Actor { kind: "User".to_owned(), id: id.to_owned() });
    event.source_ip = Some([192, 0, 2, 7].into());
    event.tell(change.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    event
}

fn operator() -> Actor {
    Actor { kind: "Operator".to_owned(), id: "test".to_owned() }
}

fn erasure(whose: Whose, name: Option<&str>) -> Erasure {
    Erasure::new(whose, name.map(str::to_owned), "asked by letter", "the privacy officer").expect("an erasure")
}

fn person(id: &str) -> Whose {
    Whose::Person(id.to_owned())
}

/// What is still there, as record and name.
async fn left(store: &Store) -> Vec<(u64, String)> {
    values(store).await.into_iter().map(|row| (row.seq, row.name)).collect()
}

fn owned(left: &[(u64, &str)]) -> Vec<(u64, String)> {
    left.iter().map(|(seq, name)| (*seq, (*name).to_owned())).collect()
}

/// What the records of erasures say, together.
async fn recorded(store: &Store) -> Vec<(u64, String)> {
    let mut recorded = Vec::new();
    for record in all(store).await.iter().map(json).filter(|record| record["kind"] == "erasure") {
        assert_eq!(record["detail"]["basis"], "asked by letter");
        assert_eq!(record["detail"]["approver"], "the privacy officer");
        for (name, records) in record["erased"].as_object().expect("lists") {
            let numbers = records.as_array().expect("a list").iter().map(|seq| seq.as_u64().expect("a number"));
            recorded.extend(numbers.map(|seq| (seq, name.clone())));
        }
    }
    recorded.sort_unstable();
    recorded
}

async fn whose_values_are_erased(db: Db) {
    let store = db.store().await;
    let writer = writer(&store, "one").await;
    for made in [
        event(Some("root"), &[("user", "ada"), ("email", "ada@example.com")]), // 2
        event(Some("ada"), &[("user", "bob"), ("email", "bob@example.com")]),  // 3
        event(Some("ada"), &[]),                                               // 4
        event(None, &[("user", "ada"), ("email", "ada@example.com")]),         // 5
        event(Some("root"), &[("user", "ada2"), ("email", "x@example.com")]),  // 6
        event(None, &[]),                                                      // 7
    ] {
        writer.append(made).await.expect("a record");
    }
    let keeper = Keeper::new(store.clone());
    let ada = erasure(person("ada"), None);
    let counts = ada.count(&keeper).await.expect("a count");
    assert_eq!(counts, BTreeMap::from([("email".to_owned(), 2), ("src_ip".to_owned(), 3)]));
    let only = erasure(person("ada"), Some("email"));
    assert_eq!(only.run(&keeper, &writer, &operator()).await.expect("erased"), 2);
    assert_eq!(ada.run(&keeper, &writer, &operator()).await.expect("erased"), 3);
    let others = [(2, "src_ip"), (3, "email"), (6, "email"), (6, "src_ip"), (7, "src_ip")];
    assert_eq!(left(&store).await, owned(&others), "others keep theirs");
    let gone = [(2, "email"), (3, "src_ip"), (4, "src_ip"), (5, "email"), (5, "src_ip")];
    assert_eq!(recorded(&store).await, owned(&gone));
    assert_eq!(ada.run(&keeper, &writer, &operator()).await.expect("nothing to do"), 0);
    let one = erasure(Whose::Record(6), Some("src_ip"));
    assert_eq!(one.run(&keeper, &writer, &operator()).await.expect("erased"), 1);
    assert_eq!(erasure(Whose::Record(99), None).run(&keeper, &writer, &operator()).await.expect("none"), 0);
    assert_eq!(left(&store).await.len(), 4);
    for (basis, approver) in [("", "somebody"), ("   ", "somebody"), ("asked", ""), ("asked", "x"), ("x", "somebody")] {
        let refused = Erasure::new(person("bob"), None, basis, approver);
        assert!(matches!(refused, Err(EraseError::Basis | EraseError::Approver)), "{basis}/{approver}");
    }
    assert!(Erasure::new(person("bob"), None, &"x".repeat(501), "somebody").is_err(), "would be cut in the record");
}

/// Makes every deletion fail, or work again.
async fn lock(db: &Db, shut: bool) {
    let sql = match (db, shut) {
        (Db::Sqlite(_), true) => {
            "CREATE TRIGGER shut BEFORE DELETE ON audit_private BEGIN SELECT RAISE(ABORT, 'shut'); END"
        }
        (Db::Sqlite(_), false) => "DROP TRIGGER shut",
        (Db::Postgres(_), true) => {
            "CREATE TRIGGER shut BEFORE DELETE ON audit_private FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"
        }
        (Db::Postgres(_), false) => "DROP TRIGGER shut ON audit_private",
    };
    db.execute(sql).await;
}

async fn broken_off_and_made_again(db: Db) {
    let store = db.store().await;
    let writer = writer(&store, "one").await;
    writer.append(event(Some("ada"), &[])).await.expect("a record");
    let keeper = Keeper::new(store.clone());
    let ada = erasure(person("ada"), None);
    lock(&db, true).await;
    ada.run(&keeper, &writer, &operator()).await.expect_err("it ends between record and deletion");
    assert_eq!(recorded(&store).await, owned(&[(2, "src_ip")]), "the record is there first");
    assert_eq!(left(&store).await, owned(&[(2, "src_ip")]));
    lock(&db, false).await;
    assert_eq!(ada.run(&keeper, &writer, &operator()).await.expect("erased"), 1);
    assert_eq!(left(&store).await, []);
    assert_eq!(recorded(&store).await, owned(&[(2, "src_ip"), (2, "src_ip")]));
    // Without a record nothing is deleted.
    writer.append(event(Some("ada"), &[])).await.expect("a record");
    assert!(writer.shutdown(Duration::from_secs(5)).await);
    let refused = ada.run(&keeper, &writer, &operator()).await;
    assert!(matches!(refused, Err(EraseError::Unrecorded(_))), "{refused:?}");
    assert_eq!(left(&store).await.len(), 1);
}

async fn append_many(writer: &Writer, count: usize) {
    let tasks: Vec<_> = (0..16)
        .map(|n| {
            let writer = writer.clone();
            tokio::spawn(async move {
                for _ in (n..count).step_by(16) {
                    writer.append(event(Some("ada"), &[])).await.expect("a record");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a task");
    }
}

async fn more_than_one_record_holds(db: Db) {
    const COUNT: usize = 3_100;
    let store = db.store().await;
    let writer = writer(&store, "one").await;
    append_many(&writer, COUNT).await;
    let ada = erasure(person("ada"), None);
    let gone = ada.run(&Keeper::new(store.clone()), &writer, &operator()).await.expect("erased");
    assert_eq!((gone, left(&store).await), (COUNT as u64, vec![]));
    let listed: Vec<u64> = recorded(&store).await.into_iter().map(|(seq, _)| seq).collect();
    assert_eq!(listed, (2..=COUNT as u64 + 1).collect::<Vec<_>>(), "each once");
    let erasures = all(&store).await.iter().filter(|record| json(record)["kind"] == "erasure").count();
    assert_eq!(erasures, 2);
}

async fn an_erasure_that_does_not_fit(db: Db) {
    let store = db.store().await;
    let writer = writer(&store, "one").await;
    let of = |count: u64, more: u64| {
        let mut event = Event::new(EventKind::Erasure, "", "audit:erase");
        event.erased.insert("src_ip".to_owned(), (0..count).map(|n| 9_007_199_254_000_000 + n).collect());
        event.detail = (0..more).map(|n| (format!("k{n}"), "\u{1}".repeat(512))).collect();
        event
    };
    let most = (ERASED as u64 - 13) / 17;
    let seq = writer.append(of(most, 2)).await.expect("as much as there is room for").seq;
    let record = store.record(seq).await.expect("the record");
    assert_eq!(canonical::check(&record.canon), Ok(()), "everything else is cut instead");
    assert_eq!(json(&record)["erased"]["src_ip"].as_array().map(Vec::len), Some(most as usize));
    writer.append(of(most + 1, 0)).await.expect_err("no list is cut in silence");
    writer.append(of(most, 32)).await.expect_err("nor is a record too large");
    writer.append(of(1, 0)).await.expect("and the log goes on");
}

async fn the_command(db: Db) {
    let store = db.store().await;
    let writer = writer(&store, "one").await;
    for made in [event(Some("ada"), &[]), event(Some("bob"), &[("user", "bob"), ("email", "b\u{7}@example.com")])] {
        writer.append(made).await.expect("a record");
    }
    assert!(writer.shutdown(Duration::from_secs(5)).await);
    let url = db.url().await;
    let say = async |arguments: &[&str]| {
        let output = run(arguments, &[("RGW_DATABASE_URL", &url), ("RACK", "acme/dev")]).await;
        let text = String::from_utf8([output.stdout, output.stderr].concat()).expect("text");
        (output.status.code().expect("a code"), text)
    };
    let agreed = ["--basis", "asked by letter", "--approver", "the privacy officer"];
    for (arguments, code, said) in [
        (vec!["--person", "ada"], 2, "--basis"),
        (vec!["--person", "ada", "--basis", "asked by letter"], 2, "--approver"),
        (vec!["--basis", "a letter", "--approver", "somebody"], 2, "--record"),
        (vec!["--record", "2", "--person", "ada", "--basis", "a letter", "--approver", "somebody"], 2, "--person"),
        (vec!["--record", "2", "--basis", " ", "--approver", "somebody"], 1, "say why"),
        ([&["--person", "ada"][..], &agreed].concat(), 1, "nothing was erased"),
        ([&["--person", "nobody@example.com", "--yes"][..], &agreed].concat(), 1, "find the id"),
        ([&["--person", "carol", "--yes"][..], &agreed].concat(), 0, "nothing to erase"),
    ] {
        let (got, text) = say(&[&["audit", "erase"][..], &arguments].concat()).await;
        assert!(got == code && text.contains(said), "{arguments:?}: {got} {text}");
    }
    assert_eq!(left(&store).await.len(), 3);
    let (code, text) = say(&["audit", "show", "3"]).await;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("beside the record: email = b\u{fffd}@example.com"), "{text}");
    let (code, text) = say(&[&["audit", "erase", "--person", "ada", "--yes"][..], &agreed].concat()).await;
    assert!(code == 0 && text.contains("erased 1 values"), "{text}");
    assert_eq!(recorded(&store).await, owned(&[(2, "src_ip")]));
    let (_, text) = say(&["audit", "show", "2"]).await;
    assert!(text.contains("\"src_ip\"") && !text.contains("beside the record"), "{text}");
    let (code, text) =
        say(&[&["audit", "erase", "--record", "3", "--name", "email", "--yes"][..], &agreed].concat()).await;
    assert!(code == 0 && text.contains("erased 1 values"), "{text}");
    assert_eq!(left(&store).await, owned(&[(3, "src_ip")]));
    let (code, text) = say(&["audit", "verify"]).await;
    assert_eq!((code, text.matches("FINDING").count()), (2, 1), "{text}");
    assert!(text.contains("FINDING      unanchored: "), "{text}");
}

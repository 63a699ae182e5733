//! Every row of the rack for every role, from a session whose factor is old: whoever lacks the permit is
//! refused outright, and only the others are asked.

use rack_gateway::routes::{Kind, RACK, Row};
use time::Duration;

use super::{Stage, error};
use crate::harness::{Db, basic};
use crate::replay::peer::{Message, Wire};
use crate::rows::{may, request};

mod both {
    crate::on_both!(nobody_is_asked_for_a_factor_that_cannot_help);
}

const ROLES: &[&str] = &["viewer", "ops", "deployer", "admin", "security", "auditor"];

/// Written by hand, so that the policies are checked against something that is not Cedar: what a factor
/// of an hour ago is too old for.
fn is_sensitive(row: &Row) -> bool {
    let groups = ["operate", "shell", "privileged-shell", "deploy", "rack-admin", "destructive", "secret-read"];
    row.action != "object:create" && row.groups.iter().any(|group| groups.contains(group))
}

async fn nobody_is_asked_for_a_factor_that_cannot_help(db: Db) {
    let stage = Stage::new(&db).await;
    for role in ROLES {
        let user = crate::api::person(&stage.gateway, role).await;
        // Enrolled, or else the answer would be another one.
        super::Person::enrolled(&stage, role).await;
        let token = stage.cli(&user, Duration::hours(1)).await;
        for row in RACK {
            let what = format!("{} {} as {role}", row.kind, row.path);
            stage.rack.take();
            let mut wire = Wire::connect(stage.addr()).await;
            wire.send(&request(row, stage.addr(), Some(&basic(&token)))).await;
            let bodyless = matches!(row.kind, Kind::Head | Kind::Socket);
            let answer = wire.message(bodyless).await.expect(&what);
            let expected = match (may(role, row), is_sensitive(row)) {
                (false, _) => ("deny", false),
                (true, true) => ("challenge", false),
                (true, false) => ("allow", true),
            };
            let id = answer.header("rack-gateway-request-id").expect(&what);
            let record = &stage.gateway.records_until(id, 1).await[0];
            let decision = record["decision"].as_str().unwrap();
            assert_eq!((decision, stage.rack.take() > 0), expected, "{what}: {record}");
            assert_eq!(record["detail"]["challenge"].is_string(), expected.0 == "challenge", "{what}: {record}");
            if !bodyless && !expected.1 {
                assert_eq!(names_a_link(&answer), expected.0 == "challenge", "{what}: {answer:?}");
            }
        }
    }
    stage.gateway.stop_and_verify().await;
}

fn names_a_link(answer: &Message) -> bool {
    error(answer).contains("/app/c/")
}

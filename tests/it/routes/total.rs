//! Every route of a rack and of the CLI's console is a row or a refusal, and nothing else is.

use std::collections::BTreeSet;

use rack_gateway::routes::{CONSOLE, Found, Kind, RACK, Target, find};

use super::oracle::{KINDS, route, routes};

/// A path of the template.
fn sample(template: &str) -> String {
    let mut path = template.to_owned();
    let values = [
        ("{app}", "myapp"),
        ("{build}", "BTWTPUOVZVQ"),
        ("{release}", "RAVUYHNASLL"),
        ("{key...}", "tmp/x.tgz"),
        ("{server...}", "index.docker.io/v1"),
        ("{rest...}", "x/y"),
        ("{host}", "db.internal"),
        ("{port}", "443"),
        ("{challenge}", "0192f0c1-2b3c-7def-8123-456789abcdef"),
    ];
    for (name, value) in values {
        path = path.replace(name, value);
    }
    path.replace(['{', '}'], "")
}

fn kinds(method: &str) -> Vec<Kind> {
    let named: Vec<Kind> = KINDS.into_iter().filter(|kind| kind.as_str() == method).collect();
    if method == "ANY" { KINDS.to_vec() } else { named }
}

#[test]
fn every_listed_route_is_a_row_or_a_refusal() {
    assert!(routes().count() > 120, "the list is cut short");
    for (method, template) in routes() {
        let kinds = kinds(method);
        assert!(!kinds.is_empty(), "{method} {template}");
        for kind in kinds {
            match find(kind, Target::parse(&sample(template)).expect(template)) {
                Found::Row(matched) => assert_eq!(matched.row().path, template, "{method}"),
                Found::Refused(refused) => assert!(!refused.reason.is_empty()),
                other => panic!("{method} {template}: {other:?}"),
            }
        }
    }
}

#[test]
fn every_row_is_a_listed_route() {
    let listed: BTreeSet<_> = routes().collect();
    for row in RACK.iter().chain(CONSOLE) {
        assert!(listed.contains(&(row.kind.as_str(), row.path)), "{} {}", row.kind, row.path);
        let read = route(row.kind.as_str(), &sample(row.path)).expect(row.path);
        assert_eq!(read.template, row.path);
    }
}

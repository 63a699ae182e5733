//! The table against itself: every row is found by its own requests and by no others.

use std::collections::BTreeSet;

use super::super::template::Part;
use super::*;

fn rows() -> impl Iterator<Item = &'static Row> {
    RACK.iter().chain(CONSOLE).chain(API)
}

/// Values that reach for another row: names of literals, and values that look like suffixes.
fn samples(name: &str) -> Vec<&'static str> {
    match Syntax::of(name) {
        Some(Syntax::App) => vec!["myapp", "import", "logs", "generate", "keyroll"],
        Some(Syntax::Id) => vec!["BTWTPUOVZVQ", "logs", "image", "import"],
        Some(Syntax::Name) => vec!["web-1", "logs", "exec", "files", "data", "console", "keyroll", "config"],
        Some(Syntax::Certificate) => vec!["cert-1", "generate", "acm:x"],
        Some(Syntax::Host) => vec!["db.internal", "10.0.0.1", "2001:db8::1"],
        Some(Syntax::Port) => vec!["5432"],
        Some(Syntax::Key) => vec!["tmp/a.tgz", "logs", "a/b/c/d/e/f"],
        Some(Syntax::Server) => vec!["index.docker.io/v1/", "localhost:5000", "quay.io"],
        Some(Syntax::Uuid) => vec!["0192f0c1-2b3c-7def-8123-456789abcdef"],
        Some(Syntax::Code) => vec!["BCDF-GHJK-LMNP"],
        Some(Syntax::Word) => vec!["viewer", "lock", "sessions"],
        Some(Syntax::Number) => vec!["1", "9007199254740991"],
        None => panic!("no syntax for {name}"),
    }
}

/// Concrete paths of a row: every sample of each parameter, others at their first.
fn paths(row: &Row) -> Vec<String> {
    let template = Template::read(row.path);
    let names: Vec<&str> = template.parts().iter().filter_map(|part| part.name()).collect();
    let mut paths = vec![];
    for varied in names.iter().copied().chain(names.is_empty().then_some("")) {
        let count = if varied.is_empty() { 1 } else { samples(varied).len() };
        for index in 0..count {
            let params: Vec<(&'static str, String)> = template
                .parts()
                .iter()
                .filter_map(|part| part.name())
                .map(|name| (name, samples(name)[if name == varied { index } else { 0 }].to_owned()))
                .collect();
            paths.push(template.path(&params));
        }
    }
    paths
}

fn found(kind: Kind, raw: &str) -> Found {
    find(kind, Target::parse(raw).expect(raw))
}

fn matched(kind: Kind, raw: &str) -> Matched {
    match found(kind, raw) {
        Found::Row(matched) => matched,
        other => panic!("{kind} {raw}: {other:?}"),
    }
}

#[test]
fn every_row_is_found_by_its_own_requests_only() {
    for row in rows() {
        for path in paths(row) {
            let matched = matched(row.kind, &path);
            assert_eq!(matched.row().action, row.action, "{} {path}", row.kind);
            assert_eq!(matched.path(), path);
            assert!(!matched.resource_id("rack1").is_empty());
        }
    }
}

#[test]
fn actions_and_requests_are_unique() {
    let actions: BTreeSet<_> = rows().map(|row| row.action).collect();
    assert_eq!(actions.len(), rows().count());
    let shape = |path: &'static str| -> Vec<_> {
        let anonymous = |part: &Part| match *part {
            Part::Literal(literal) => format!("={literal}"),
            Part::Suffixed(_, suffix) => format!("*{suffix}"),
            Part::Param(_) => "*".to_owned(),
            Part::Tail(_) => "**".to_owned(),
        };
        Template::read(path).parts().iter().map(anonymous).collect()
    };
    let requests: BTreeSet<_> = rows().map(|row| (row.kind, shape(row.path))).collect();
    assert_eq!(requests.len(), rows().count());
}

#[test]
fn rows_are_well_formed() {
    for row in rows() {
        let template = Template::read(row.path);
        let names: Vec<&str> = template.parts().iter().filter_map(|part| part.name()).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{}: a name twice", row.path);
        for name in &names {
            assert!(Syntax::of(name).is_some(), "{}: no syntax for {name}", row.path);
        }
        for param in row.resource.params() {
            assert!(names.contains(&param.0), "{}: {} is not in the path", row.path, param.0);
        }
        assert!(!template.first().is_empty(), "{}: starts with a parameter", row.path);
        let tail = template.parts().iter().position(|part| matches!(part, Part::Tail(_)));
        assert!(tail.is_none_or(|at| at + 1 == template.parts().len()), "{}: tail is not last", row.path);
        let verb = row.action.split_once(':').expect("noun:verb");
        assert!(!verb.0.is_empty() && !verb.1.is_empty() && !verb.1.contains(':'), "{}", row.action);
        assert!(!row.groups.is_empty(), "{} has no group", row.action);
        for name in row.contract.headers {
            assert_eq!(*name, name.to_ascii_lowercase(), "{}", row.action);
        }
    }
}

/// A name has one place: an option that the rack would take from form, query or header may come
/// by one of them only.
#[test]
fn names_have_one_place() {
    for row in rows() {
        let keys: &[&str] = match row.contract.body {
            super::super::Body::Form { keys, .. } => keys,
            _ => &[],
        };
        let all: Vec<&str> = row.contract.query.iter().chain(row.contract.headers).chain(keys).copied().collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{}", row.action);
    }
}

#[test]
fn refused_routes_never_pass() {
    for refused in REFUSED {
        let kinds = refused.kind.map_or_else(|| KINDS.to_vec(), |kind| vec![kind]);
        for path in [refused.path.replace("{rest...}", "x/y"), refused.path.replace("/{rest...}", "")] {
            let path = path.replace(['{', '}'], "");
            for kind in &kinds {
                assert!(
                    matches!(found(*kind, &path), Found::Refused(found) if std::ptr::eq(found, refused)),
                    "{kind} {path}"
                );
            }
        }
        assert!(!refused.reason.is_empty() && !refused.reason.contains('%') && !refused.reason.ends_with('.'));
    }
}

const KINDS: [Kind; 7] = [Kind::Get, Kind::Head, Kind::Post, Kind::Put, Kind::Delete, Kind::Options, Kind::Socket];

#[test]
fn precedence_and_methods() {
    let cases = [
        (Kind::Get, "/apps/a/builds/B1.tgz", "build:export"),
        (Kind::Get, "/apps/a/builds/B1", "build:read"),
        (Kind::Get, "/apps/a/builds/import", "build:read"),
        (Kind::Post, "/apps/a/builds/import", "build:import"),
        (Kind::Post, "/certificates/generate", "certificate:generate"),
        (Kind::Post, "/certificates/generate/renew", "certificate:renew"),
        (Kind::Delete, "/instances/keyroll", "instance:terminate"),
        (Kind::Post, "/instances/keyroll", "instance:keyroll"),
        (Kind::Head, "/apps/a/objects/tmp/x.tgz", "object:exists"),
        (Kind::Get, "/apps/a/objects", "object:list"),
        (Kind::Get, "/racks", "console-rack:list"),
        (Kind::Get, "/racks/acme/prod", "console-rack:read"),
    ];
    for (kind, path, action) in cases {
        assert_eq!(matched(kind, path).row().action, action, "{kind} {path}");
    }
    let wrong = [
        (Kind::Head, "/apps"),
        (Kind::Head, "/apps/a/builds/B1"),
        (Kind::Get, "/apps/a/processes/p/exec"),
        (Kind::Socket, "/apps"),
        (Kind::Options, "/apps"),
        (Kind::Post, "/apps/a/builds/B1"),
        (Kind::Put, "/apps/a/builds"),
    ];
    for (kind, path) in wrong {
        assert!(matches!(found(kind, path), Found::WrongMethod), "{kind} {path}");
    }
    for path in ["/", "/nosuch", "/apps/", "/apps/a/", "/apps/a/objects/", "/Apps", "/apps/a/builds/B1/nosuch"] {
        for kind in KINDS {
            assert!(matches!(found(kind, path), Found::Unknown), "{kind} {path}");
        }
    }
}

#[test]
fn parameters_are_typed() {
    let registry = matched(Kind::Delete, "/registries/index.docker.io/v1/");
    assert_eq!(registry.param("server"), Some("index.docker.io/v1/"));
    assert_eq!(registry.resource_id("rack1"), "index.docker.io/v1/");
    assert_eq!(registry.app(), None);

    let exec = matched(Kind::Socket, "/apps/myapp/processes/web-1/exec");
    assert_eq!((exec.app(), exec.param("process")), (Some("myapp"), Some("web-1")));
    assert_eq!(exec.resource_id("rack1"), "myapp/web-1");
    assert_eq!(matched(Kind::Get, "/apps").resource_id("rack1"), "rack1");

    let cases = [
        (Kind::Get, "/apps/MyApp", "app"),
        (Kind::Get, "/apps/%D0%B0pp", "app"),
        (Kind::Get, "/apps/a/builds/.tgz", "build"),
        (Kind::Get, "/apps/a/builds/B1.tgz.tgz", "build"),
        (Kind::Socket, "/proxy/0x7f000001/80", "host"),
        (Kind::Socket, "/proxy/localhost/0", "port"),
        (Kind::Get, "/apps/a/objects/tmp/x/", "key"),
        (Kind::Delete, "/registries/a@b", "server"),
    ];
    for (kind, path, name) in cases {
        match found(kind, path) {
            Found::BadParameter(bad) => {
                assert_eq!(bad.name, name, "{path}");
                assert!(!bad.to_string().contains('%'));
            }
            other => panic!("{path}: {other:?}"),
        }
    }
}

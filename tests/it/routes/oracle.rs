//! A second reader of requests, written apart from the library: what a rack does with a target.
//! Also the check that both readers agree; the fuzz targets run it too.

use std::sync::LazyLock;

use rack_gateway::routes::{Body, Form, Found, Kind, Matched, Outgoing, Target, find, form};

const ROUTES: &str = include_str!("../../fixtures/rack-routes.txt");

/// A route of the rack and the values of its variables, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routed {
    pub template: &'static str,
    pub values: Vec<String>,
}

static LIST: LazyLock<Vec<(&'static str, &'static str)>> = LazyLock::new(|| {
    ROUTES.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' ')).collect()
});

/// Method and template of every listed route, in the rack's order.
pub fn routes() -> impl Iterator<Item = (&'static str, &'static str)> {
    LIST.iter().copied()
}

/// gorilla mux with `SkipClean`: the first route whose pattern is the whole decoded path, where
/// `{x}` is `[^/]+` and `{x...}` is `.*`.
pub fn route(method: &str, path: &str) -> Option<Routed> {
    routes()
        .filter(|(allowed, _)| *allowed == method || *allowed == "ANY")
        .find_map(|(_, template)| values(template, path).map(|values| Routed { template, values }))
}

fn values(template: &str, path: &str) -> Option<Vec<String>> {
    let mut values = Vec::new();
    let mut pieces = path.split('/');
    for part in template.split('/') {
        let name = part.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let piece = pieces.next()?;
        match name {
            None if part == piece => {}
            None => return None,
            Some((name, _)) if name.ends_with("...") => {
                let rest: Vec<&str> = std::iter::once(piece).chain(pieces).collect();
                values.push(rest.join("/"));
                return Some(values);
            }
            Some((_, suffix)) => values.push(piece.strip_suffix(suffix).filter(|v| !v.is_empty())?.to_owned()),
        }
    }
    pieces.next().is_none().then_some(values)
}

/// `url.ParseRequestURI`: the decoded path.
pub fn go_path(target: &str) -> Option<String> {
    let path = target.split('?').next()?;
    path.starts_with('/').then(|| unescape(path, false))?
}

/// `url.unescape`, lossy where Go keeps raw bytes.
fn unescape(text: &str, plus: bool) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let pair = [*high, *low];
                let pair =
                    std::str::from_utf8(&pair).ok().filter(|pair| pair.chars().all(|c| c.is_ascii_hexdigit()))?;
                bytes.push(u8::from_str_radix(pair, 16).ok()?);
                rest = after;
            }
            (b'%', _) => return None,
            (b'+', _) if plus => bytes.push(b' '),
            _ => bytes.push(*first),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// `url.ParseQuery`: pairs in order; none where Go reports an error.
pub fn go_query(raw: &str) -> Option<Vec<(String, String)>> {
    raw.split('&')
        .filter(|piece| !piece.is_empty())
        .map(|piece| {
            let (key, value) = piece.split_once('=').unwrap_or((piece, ""));
            (!piece.contains(';')).then(|| Some((unescape(key, true)?, unescape(value, true)?)))?
        })
        .collect()
}

/// Paths that careless readers between us and the rack could make of this one.
fn misreadings(path: &str) -> Vec<String> {
    let mut out = vec![path.to_owned()];
    out.extend(unescape(path, false));
    out.extend(unescape(path, false).and_then(|once| unescape(&once, false)));
    out.push(path.replace('\\', "/"));
    out.push(path.split(['?', '#']).next().unwrap_or_default().to_owned());
    out.push(path.split('/').map(|part| part.split(';').next().unwrap_or_default()).collect::<Vec<_>>().join("/"));
    out.push(path.chars().filter(|c| !c.is_control() && *c != '\0').collect());
    out.push(path.split('\0').next().unwrap_or_default().to_owned());
    out.extend(out.clone().iter().map(|path| clean(path)));
    out
}

/// `path.Clean`.
fn clean(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(kept.pop()),
            part => kept.push(part),
        }
    }
    let slash = if path.len() > 1 && path.ends_with('/') { "/" } else { "" };
    format!("/{}{slash}", kept.join("/"))
}

fn row(matched: &Matched) -> Routed {
    let template = matched.row().path;
    let names = template.split('{').skip(1).filter_map(|part| part.split('}').next());
    let values = names.map(|name| matched.param(name.trim_end_matches("...")).expect("a parameter").to_owned());
    Routed { template, values: values.collect() }
}

/// Drives one request as the gateway does. None: refused.
pub fn accept(kind: Kind, raw: &str, headers: &[(&str, &[u8])]) -> Option<(Matched, Outgoing)> {
    let target = Target::parse(raw).ok()?;
    assert_eq!(Target::parse(&target.canonical()).as_ref(), Ok(&target), "{raw:?}: another target when read again");
    let Found::Row(matched) = find(kind, target) else { return None };
    let outgoing = matched.request(headers).ok()?;
    Some((matched, outgoing))
}

/// Asserts that nobody reads an accepted target as another route.
pub fn check_target(kind: Kind, raw: &str) {
    let Some((matched, outgoing)) = accept(kind, raw, &[]) else { return };
    let ours = row(&matched);
    let (again, twice) = accept(kind, &outgoing.target, &[]).expect("what is forwarded is accepted");
    assert_eq!((row(&again), &twice), (ours.clone(), &outgoing), "{raw:?}: another request when read again");
    for target in [raw, &outgoing.target] {
        let path = go_path(target).expect("a path for the rack");
        assert_eq!(route(kind.as_str(), &path), Some(ours.clone()), "{kind} {raw:?}: the rack reads another route");
        for path in misreadings(&path) {
            let read = route(kind.as_str(), &path);
            assert!(read.is_none_or(|read| read == ours), "{kind} {raw:?}: somebody reads {path:?}");
        }
    }
    let ours = outgoing.target.split_once('?').map_or("", |(_, query)| query);
    let raws = raw.split_once('?').map_or("", |(_, query)| query);
    assert_eq!(go_query(ours), go_query(raws), "{raw:?}: the rack reads another query");
}

/// Asserts that what passes the contract is listed, once, and clean.
pub fn check_contract(kind: Kind, raw: &str, headers: &[(&str, &[u8])]) {
    const ALWAYS: [&str; 5] = ["accept", "accept-encoding", "content-type", "user-agent", "version"];
    let Some((matched, outgoing)) = accept(kind, raw, headers) else { return };
    let listed = matched.row().contract.headers;
    for (index, (name, value)) in outgoing.headers.iter().enumerate() {
        assert!(ALWAYS.contains(&name.as_str()) || listed.contains(&name.as_str()), "{name} is not listed");
        assert!(!outgoing.headers.iter().take(index).any(|(other, _)| other == name), "{name} is there twice");
        assert!(!value.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')), "{name} has a line break");
        if name == "content-type" {
            assert!(!value.starts_with(b"multipart/"), "the rack would read parameters from it");
        }
    }
    let pairs = go_query(outgoing.target.split_once('?').map_or("", |(_, query)| query)).expect("a query");
    for (index, (key, _)) in pairs.iter().enumerate() {
        assert!(matched.row().contract.query.contains(&key.as_str()), "{key} is not listed");
        assert!(!pairs.iter().take(index).any(|(other, _)| other == key), "{key} is there twice");
    }
}

/// Asserts that an accepted form means the same to the rack, as it came and as it is written anew.
pub fn check_form(keys: &[&str], raw: &[u8]) -> Option<Form> {
    let form = form(keys, raw).ok()?;
    let raw = std::str::from_utf8(raw).expect("an accepted form is text");
    assert_eq!(go_query(raw).as_ref(), Some(&form.pairs));
    assert_eq!(go_query(&form.encode()).as_ref(), Some(&form.pairs));
    for (index, (key, _)) in form.pairs.iter().enumerate() {
        assert!(keys.contains(&key.as_str()) && !form.pairs.iter().take(index).any(|(other, _)| other == key));
    }
    Some(form)
}

/// The form keys of a row.
pub fn form_keys(body: Body) -> &'static [&'static str] {
    match body {
        Body::Form { keys, .. } => keys,
        Body::None | Body::Inspect { .. } | Body::Stream | Body::Json { .. } => &[],
    }
}

/// Every kind of request.
pub const KINDS: [Kind; 7] = [Kind::Get, Kind::Head, Kind::Post, Kind::Put, Kind::Delete, Kind::Options, Kind::Socket];

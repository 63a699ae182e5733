//! The table for people and programs: `routes`, `routes --json`, `docs/routes.md`.

use serde_json::{Value, json};

use super::headers::{Fate, RULES};
use super::param::SYNTAX;
use super::row::{Body, Facts, Kind, Row, Serves};
use super::{API, CONSOLE, PUBLIC, RACK, REFUSED, Refused, SIGN_IN, rows};

/// What the list of rows is, for a reader who sees nothing else.
const INTRODUCTION: &str = "\
# Routes

Generated from the route table by `rack-gateway-api routes --markdown > docs/routes.md`; a test
keeps it current. What is in no table here is denied with 404 and recorded.

`SOCKET` is `GET` with `Upgrade: websocket`. `{x...}` takes the rest of the path, slashes included.
A query key, form key or option header that a row does not list is refused with 400, as is one that
occurs twice; a name has one place, because the rack reads form before query before header. Bodies:
`form` is `application/x-www-form-urlencoded`, read and written anew; `inspect` is read whole before
it is forwarded; `stream` is never held in memory; JSON, for the gateway itself, is read once policy
has decided. Multipart bodies are refused with 415.
";

/// The table of the terminal.
#[must_use]
pub fn text() -> String {
    let rows: Vec<[String; 6]> = rows()
        .map(|row| {
            [
                row.kind.to_string(),
                row.path.to_owned(),
                row.action.to_owned(),
                row.resource.entity_type().to_owned(),
                row.groups.join(","),
                serves(row).to_owned(),
            ]
        })
        .collect();
    let mut out = columns(["METHOD", "PATH", "ACTION", "RESOURCE", "GROUPS", "SERVED BY"], &rows);
    out.push('\n');
    let refused: Vec<[String; 3]> = REFUSED
        .iter()
        .map(|refused| [method(refused).to_owned(), refused.path.to_owned(), refused.reason.to_owned()])
        .collect();
    out + &columns(["METHOD", "PATH", "REFUSED BECAUSE"], &refused)
}

/// The table as JSON: `{"rows": [...], "refused": [...]}`.
#[must_use]
pub fn json() -> String {
    let rows: Vec<Value> = rows().map(row_json).collect();
    let refused: Vec<Value> = REFUSED.iter().map(refused_json).collect();
    format!("{:#}\n", json!({ "rows": rows, "refused": refused }))
}

/// `docs/routes.md`.
#[must_use]
pub fn markdown() -> String {
    let mut out = INTRODUCTION.to_owned();
    section(&mut out, "Answered by the rack", RACK);
    section(&mut out, "Answered by the gateway: the console protocol", CONSOLE);
    section(&mut out, "Answered by the gateway: management and pages", API);
    section(&mut out, "Ways to sign in", SIGN_IN);
    out.push_str("\nPolicy decides on these once the request has proved who asks.\n\n## Public\n\n");
    out.push_str(
        "Answered without knowing who asks. The list may only shrink.\n\n| Method | Path | Why |\n|---|---|---|\n",
    );
    for public in PUBLIC {
        line(&mut out, &[public.kind.to_string(), code(public.path), public.why.to_owned()]);
    }
    out.push_str("\n## Refused\n\nWith 403 and the reason, before any policy.\n\n");
    out.push_str("| Method | Path | Reason |\n|---|---|---|\n");
    for refused in REFUSED {
        line(&mut out, &[method(refused).to_owned(), code(refused.path), refused.reason.to_owned()]);
    }
    out.push_str("\n## Path parameters\n\nAny other value is refused with 400.\n\n| Name | Accepted |\n|---|---|\n");
    for (name, syntax) in SYNTAX {
        line(&mut out, &[code(&format!("{{{name}}}")), syntax.expected().to_owned()]);
    }
    out.push_str("\n## Request headers\n\n");
    out.push_str("Beyond a row's option headers. An option header of another row is refused with 400; what is not\n");
    out.push_str("in the table is not forwarded.\n\n| Header | What is done | Why |\n|---|---|---|\n");
    for rule in RULES {
        line(&mut out, &[code(rule.name), done(&rule.fate), rule.why.to_owned()]);
    }
    out
}

const fn serves(row: &Row) -> &'static str {
    match row.serves {
        Serves::Rack => "rack",
        Serves::Gateway => "gateway",
    }
}

const fn method(refused: &Refused) -> &'static str {
    match refused.kind {
        Some(kind) => kind.as_str(),
        None => "ANY",
    }
}

fn columns<const N: usize>(titles: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = titles.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    let mut out = String::new();
    let titles = titles.map(str::to_owned);
    for row in std::iter::once(&titles).chain(rows) {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

fn refused_json(refused: &Refused) -> Value {
    json!({ "method": refused.kind.map(Kind::as_str), "path": refused.path, "reason": refused.reason })
}

fn row_json(row: &'static Row) -> Value {
    let params: Vec<&str> = row.resource.params().iter().map(|param| param.0).collect();
    let body = match row.contract.body {
        Body::None => json!({ "kind": "none" }),
        Body::Form { keys, max } => json!({ "kind": "form", "keys": keys, "max": max }),
        Body::Inspect { max } => json!({ "kind": "inspect", "max": max }),
        Body::Stream => json!({ "kind": "stream" }),
        Body::Json { max } => json!({ "kind": "json", "max": max }),
    };
    json!({
        "method": row.kind.as_str(),
        "path": row.path,
        "action": row.action,
        "resource": { "type": row.resource.entity_type(), "params": params },
        "groups": row.groups,
        "serves": serves(row),
        "query": row.contract.query,
        "headers": row.contract.headers,
        "body": body,
        "facts": facts(row),
    })
}

const fn facts(row: &Row) -> Option<&'static str> {
    match row.contract.facts {
        Facts::None => None,
        Facts::Exec => Some("exec"),
    }
}

fn section(out: &mut String, title: &str, rows: &'static [Row]) {
    let head = "| Method | Path | Action | Resource | Groups | May carry |\n|---|---|---|---|---|---|\n";
    out.push_str(&format!("\n## {title}\n\n{head}"));
    for row in rows {
        let cells = [
            row.kind.to_string(),
            code(row.path),
            code(row.action),
            row.resource.entity_type().to_owned(),
            row.groups.join(", "),
            carries(row),
        ];
        line(out, &cells);
    }
}

fn carries(row: &Row) -> String {
    let mut parts = Vec::new();
    let list = |names: &[&str]| names.iter().map(|name| code(name)).collect::<Vec<_>>().join(" ");
    if !row.contract.query.is_empty() {
        parts.push(format!("query {}", list(row.contract.query)));
    }
    if !row.contract.headers.is_empty() {
        parts.push(format!("headers {}", list(row.contract.headers)));
    }
    match row.contract.body {
        Body::None => {}
        Body::Form { keys, .. } => parts.push(format!("form {}", list(keys))),
        Body::Inspect { max } => parts.push(format!("inspect, at most {max} bytes")),
        Body::Stream => parts.push("stream".to_owned()),
        Body::Json { max } => parts.push(format!("JSON, at most {max} bytes")),
    }
    if let Some(facts) = facts(row) {
        parts.push(format!("facts {}", code(&format!("context.{facts}"))));
    }
    parts.join("; ")
}

fn done(fate: &Fate) -> String {
    match fate {
        Fate::Forward => "forwarded; refused twice".to_owned(),
        Fate::OneOf(values) => format!("forwarded when {}", values.join(" or ")),
        Fate::ContentType => "checked against the row's body, forwarded in canonical spelling".to_owned(),
        Fate::Only(value, _) => format!("refused unless {value}; not forwarded"),
        Fate::Once => "not forwarded; refused twice".to_owned(),
        Fate::Drop => "not forwarded".to_owned(),
    }
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn line(out: &mut String, cells: &[String]) {
    out.push_str("| ");
    out.push_str(&cells.join(" | "));
    out.push_str(" |\n");
}

#[cfg(test)]
mod tests;

//! The description of the JSON API (OpenAPI 3.1), made of the handlers and of the route table: what the
//! table says of a request (parameters, headers, action) is not said a second time.

use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use super::action::ApiDescribe;
use super::endpoint::Answer;
use super::{
    Call, Content, Problem, Reply, account, app_settings, approvals, audit, challenges, devices, factors, policy,
    public_docs, sessions, settings, tokens, users,
};
use crate::routes::{API, Body, Row, SIGN_IN};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Rack Gateway",
        description = "Management of the gateway and sign-in. Every operation with x-cedar-action is decided by policy \
                       and recorded before it happens.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        account::whoami,
        describe,
        users::list,
        users::create,
        users::read,
        users::update,
        users::delete,
        users::lock,
        users::unlock,
        users::grant,
        users::revoke,
        sessions::list,
        sessions::revoke_all,
        sessions::revoke,
        sessions::create_cli_token,
        tokens::list,
        tokens::create,
        tokens::read,
        tokens::update,
        tokens::revoke,
        tokens::rotate,
        tokens::grant,
        tokens::take,
        challenges::read,
        challenges::begin,
        challenges::answer,
        factors::list,
        factors::create,
        factors::confirm,
        factors::update,
        factors::delete,
        factors::reset,
        factors::prefer,
        factors::backup_codes,
        devices::list,
        devices::revoke,
        approvals::request::list,
        approvals::request::create,
        approvals::request::read,
        approvals::wait::wait,
        approvals::decide::approve,
        approvals::decide::reject,
        approvals::decide::extend,
        approvals::decide::revoke,
        audit::search::search,
        audit::search::read,
        audit::proofs::record,
        audit::proofs::checkpoint,
        audit::proofs::consistency,
        audit::export::export,
        policy::roles,
        policy::read,
        settings::list,
        settings::update,
        settings::reset,
        app_settings::list,
        app_settings::update,
        app_settings::reset,
    )
)]
struct Document;

/// This description.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "account", responses((status = 200, body = Object)))]
pub(super) async fn describe(_: Call<ApiDescribe>) -> Answer {
    let mut text = text().map_err(|_| Problem::new(503, "unanswerable", "the answer cannot be written"))?;
    text.push('\n');
    Ok(Reply { status: 200, content: Content::Json(text), headers: Vec::new() })
}

/// The description as JSON.
///
/// # Errors
/// Never in practice: it is made of words.
pub fn text() -> Result<String, serde_json::Error> {
    let mut document = serde_json::to_value(Document::openapi())?;
    if let Some(components) = document.pointer_mut("/components").and_then(Value::as_object_mut) {
        components.insert("securitySchemes".to_owned(), schemes_of());
    }
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        schemas.insert("Problem".to_owned(), public_docs::problem());
    }
    if let (Some(paths), Value::Object(more)) =
        (document.get_mut("paths").and_then(Value::as_object_mut), public_docs::paths())
    {
        paths.extend(more);
    }
    for row in API {
        if let Some(operation) = operation(&mut document, row) {
            complete(operation, row);
        }
    }
    for row in SIGN_IN {
        if let Some(operation) = operation(&mut document, row) {
            operation.insert("x-cedar-action".to_owned(), json!(row.action));
        }
    }
    serde_json::to_string_pretty(&document)
}

fn operation<'a>(document: &'a mut Value, row: &Row) -> Option<&'a mut Map<String, Value>> {
    let method = row.kind.as_str().to_lowercase();
    document.get_mut("paths")?.get_mut(row.path)?.get_mut(&method)?.as_object_mut()
}

/// How a caller proves who it is.
fn schemes_of() -> Value {
    json!({
        "bearer": { "type": "http", "scheme": "bearer", "description": "A token of a CLI, a machine or a CI run" },
        "basic": { "type": "http", "scheme": "basic", "description": "The same token as password; any user name" },
        "session": { "type": "apiKey", "in": "cookie", "name": crate::identity::SESSION_COOKIE },
        "csrf": {
            "type": "apiKey",
            "in": "header",
            "name": "X-CSRF-Token",
            "description": "Needed with the session's cookie by what is not GET; from a page of this session",
        },
    })
}

/// Adds what the table says.
fn complete(operation: &mut Map<String, Value>, row: &Row) {
    let is_read = row.kind.as_str() == "GET";
    let browser = if is_read { json!({ "session": [] }) } else { json!({ "session": [], "csrf": [] }) };
    operation.insert("x-cedar-action".to_owned(), json!(row.action));
    operation.insert("security".to_owned(), json!([{ "bearer": [] }, { "basic": [] }, browser]));
    operation.insert("operationId".to_owned(), json!(row.action));
    let path = row.path.split('/').filter_map(|part| part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')));
    let mut parameters: Vec<Value> = path.map(|name| parameter("path", name, true)).collect();
    parameters.extend(row.contract.query.iter().map(|name| parameter("query", name, false)));
    parameters.extend(row.contract.headers.iter().map(|name| parameter("header", name, true)));
    operation.insert("parameters".to_owned(), Value::Array(parameters));
    let Some(responses) = operation.entry("responses").or_insert_with(|| json!({})).as_object_mut() else { return };
    let mut statuses = vec!["401", "403", "503"];
    if row.path.contains('{') {
        statuses.push("404");
    }
    if !row.contract.headers.is_empty() {
        statuses.extend(["412", "428"]);
    }
    if matches!(row.contract.body, Body::Json { .. }) {
        statuses.extend(["400", "413", "415", "422"]);
    }
    for status in statuses {
        responses.entry(status).or_insert_with(|| json!({ "description": description(status) }));
    }
    for (status, response) in responses.iter_mut() {
        if status.starts_with(['4', '5']) {
            let content = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Problem" } } });
            response.as_object_mut().map(|response| response.insert("content".to_owned(), content));
        } else if response.get("description").is_none_or(|text| text == "") {
            response.as_object_mut().map(|response| response.insert("description".to_owned(), json!("Done")));
        }
    }
}

fn description(status: &str) -> &'static str {
    match status {
        "400" => "The body is not of the shape that is asked for",
        "401" => "Nobody is known by the credential; or, with `challenge`, a second factor is asked for (RFC 9470)",
        "403" => "Policy does not allow it",
        "404" => "There is no such thing",
        "412" => "It was changed meanwhile: read it again",
        "413" => "The body is too long",
        "415" => "The body is not JSON",
        "422" => "The body asks for something impossible; the text says what is possible",
        "428" => "If-Match is missing",
        _ => "The database or the audit log does not answer; nothing was changed",
    }
}

fn parameter(place: &str, name: &str, is_required: bool) -> Value {
    let schema = if name == "limit" {
        json!({ "type": "integer", "minimum": 1, "maximum": 200, "default": 50 })
    } else {
        json!({ "type": "string" })
    };
    let text = match name {
        "cursor" => "Where the list goes on: `next` of the page before",
        "limit" => "How many items at most",
        "if-match" => "The version that the change was made from: `etag` of what was read",
        "app" => "The app that decisions are asked about",
        "state" => "Only those in this state: pending, approved, deployed, rejected, expired or revoked",
        "commit" => "Only those of this whole commit",
        "timeout" => "How many seconds to wait at most, from 1 to 1200; 60 unless it is given",
        _ => "Its id or name",
    };
    json!({ "in": place, "name": name, "required": is_required, "schema": schema, "description": text })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::routes::PUBLIC;

    /// Ways in which an answer is a redirect, a page or a file.
    const NOT_JSON: &[&str] = &["/api/v1/auth/web/login", "/api/v1/auth/web/callback", "/api/v1/auth/cli/callback"];

    #[test]
    fn it_describes_each_endpoint_of_the_table_and_nothing_else() {
        let document: Value = serde_json::from_str(&text().unwrap()).unwrap();
        let mut described = BTreeSet::new();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let is_it = |row: &&Row| row.path == path && row.kind.as_str().to_lowercase() == *method;
                let own = API.iter().find(is_it);
                let row = own.or_else(|| SIGN_IN.iter().find(is_it));
                assert_eq!(operation["x-cedar-action"].as_str(), row.map(|row| row.action), "{method} {path}");
                if let Some(row) = own {
                    let takes_body = matches!(row.contract.body, Body::Json { .. });
                    assert_eq!(operation.get("requestBody").is_some(), takes_body, "{method} {path}");
                }
                described.insert((method.to_uppercase(), path.clone()));
            }
        }
        let own = API.iter().map(|row| (row.kind, row.path));
        let public = PUBLIC.iter().map(|public| (public.kind, public.path));
        let expected: BTreeSet<_> = own
            .chain(public)
            .filter(|(_, path)| path.starts_with("/api/") && !NOT_JSON.contains(path))
            .map(|(kind, path)| (kind.as_str().to_owned(), path.to_owned()))
            .collect();
        assert_eq!(described, expected);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document: Value = serde_json::from_str(&text().unwrap()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        let text = document.to_string();
        for reference in text.split("\"#/components/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document.pointer(&format!("/components/{reference}")).is_some(), "{reference}");
        }
    }

    #[test]
    fn the_checked_in_document_is_current() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
        let checked_in = std::fs::read_to_string(file).unwrap();
        assert!(checked_in == format!("{}\n", text().unwrap()), "run `make generate` and look at the change");
    }
}

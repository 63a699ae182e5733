//! What the description of the API says of endpoints that sign people and CI runs in and out, of health, and of
//! what goes on to the rack: their answers are not made from types.

use serde_json::{Value, json};

use super::environment;

/// Their paths.
pub(super) fn paths() -> Value {
    json!({
        "/api/v1/apps/{app}/env": { "put": environment::change() },
        "/api/v1/auth/logout": { "post": logout() },
        "/api/v1/auth/cli/confirm": { "post": confirm() },
        "/api/v1/auth/cli/start": { "post": cli_start() },
        "/api/v1/auth/cli/complete": { "post": cli_complete() },
        "/api/v1/auth/token": { "post": token() },
        "/api/v1/health": { "get": health("Whether the process lives", &["200"]) },
        "/api/v1/ready": {
            "get": health("Whether it can serve: database, audit log, policies, rack", &["200", "503"])
        },
    })
}

/// A problem (RFC 9457).
pub(super) fn problem() -> Value {
    let mut schema = object(&[
        ("error", "For people: what happened, and what to do"),
        ("type", "Stable name: `/problems/SLUG`"),
        ("title", "The status in words"),
        ("instance", "Id of the request, which is also in its records"),
    ]);
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("status".to_owned(), json!({ "type": "integer" }));
    }
    schema
}

/// An object of texts, all there.
fn object(fields: &[(&str, &str)]) -> Value {
    let properties = fields.iter().map(|(name, text)| {
        let schema = json!({ "type": "string", "description": text });
        ((*name).to_owned(), schema)
    });
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    json!({ "type": "object", "required": names, "properties": properties.collect::<serde_json::Map<_, _>>() })
}

fn content(schema: &Value) -> Value {
    json!({ "application/json": { "schema": schema } })
}

fn answer(text: &str, schema: &Value) -> Value {
    json!({ "description": text, "content": content(schema) })
}

fn failed(text: &str) -> Value {
    answer(text, &json!({ "$ref": "#/components/schemas/Problem" }))
}

fn too_many() -> Value {
    failed("Too many; wait for Retry-After seconds")
}

fn operation(tag: &str, id: &str, summary: &str, body: Option<Value>, responses: Value) -> Value {
    let mut operation = json!({ "tags": [tag], "operationId": id, "summary": summary });
    if let Some(fields) = operation.as_object_mut() {
        fields.insert("responses".to_owned(), responses);
        body.map(|content| fields.insert("requestBody".to_owned(), json!({ "required": true, "content": content })));
    }
    operation
}

fn logout() -> Value {
    let responses = json!({
        "204": { "description": "Done" },
        "409": failed("What asks is no session: an administrator revokes it"),
    });
    operation("account", "session:end", "End the session that asks, everywhere and at once.", None, responses)
}

fn confirm() -> Value {
    let body = json!({
        "type": "object",
        "required": ["user_code", "approve"],
        "properties": {
            "user_code": { "type": "string", "description": "What the CLI shows" },
            "approve": { "type": "boolean" },
        },
    });
    let responses = json!({
        "204": { "description": "Done" },
        "404": failed("No CLI waits with this code"),
        "429": too_many(),
    });
    let summary = "Confirm or refuse a CLI's sign-in, from a browser's session.";
    operation("account", "cli-login:confirm", summary, Some(content(&body)), responses)
}

fn cli_start() -> Value {
    let body = json!({
        "type": "object",
        "required": ["code_challenge", "code_challenge_method", "device"],
        "properties": {
            "code_challenge": {
                "type": "string",
                "description": "base64url of the SHA-256 of a secret that the CLI keeps (RFC 7636)",
            },
            "code_challenge_method": { "const": "S256" },
            "device": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": { "type": "string" },
                    "os": { "type": "string" },
                    "client_version": { "type": "string" },
                },
            },
        },
    });
    let begun = json!({
        "type": "object",
        "required": ["login_id", "user_code", "verification_url", "expires_in", "interval"],
        "properties": {
            "login_id": { "type": "string" },
            "user_code": { "type": "string", "description": "What the browser must show as well" },
            "verification_url": { "type": "string" },
            "expires_in": { "type": "integer", "description": "Seconds" },
            "interval": { "type": "integer", "description": "Seconds between two questions" },
        },
    });
    let responses = json!({
        "200": answer("A person may confirm it at the browser", &begun),
        "400": failed("The body is not of the shape that is asked for"),
        "429": too_many(),
    });
    operation("sign-in", "cli-login:start", "A CLI begins to sign in.", Some(content(&body)), responses)
}

fn cli_complete() -> Value {
    let body = object(&[("login_id", "As begun"), ("code_verifier", "The secret behind the challenge")]);
    let user = object(&[("id", "UUID"), ("email", "Address"), ("name", "Name")]);
    let session = json!({
        "type": "object",
        "required": ["token", "token_type", "expires_at", "session_id", "user"],
        "properties": {
            "token": { "type": "string" },
            "token_type": { "const": "Bearer" },
            "expires_at": { "type": "string", "format": "date-time" },
            "session_id": { "type": "string" },
            "user": user,
        },
    });
    let responses = json!({
        "200": answer("The session", &session),
        "202": answer("Nobody has confirmed yet: ask again", &object(&[("status", "`pending`")])),
        "403": failed("The person, or policy, refuses it"),
        "404": failed("There is no such sign-in, or the secret is wrong"),
        "410": failed("It is over"),
        "429": too_many(),
    });
    let summary = "A CLI asks for the session that a person has confirmed.";
    operation("sign-in", "cli-session:create", summary, Some(content(&body)), responses)
}

fn token() -> Value {
    let body = object(&[
        ("grant_type", "`urn:ietf:params:oauth:grant-type:token-exchange`"),
        ("subject_token", "The identity token of the CI platform"),
        ("subject_token_type", "`urn:ietf:params:oauth:token-type:jwt` or `…:id_token`"),
    ]);
    let given = json!({
        "type": "object",
        "required": ["access_token", "issued_token_type", "token_type", "expires_in"],
        "properties": {
            "access_token": { "type": "string" },
            "issued_token_type": { "const": "urn:ietf:params:oauth:token-type:access_token" },
            "token_type": { "const": "Bearer" },
            "expires_in": { "type": "integer", "description": "Seconds" },
        },
    });
    let refused = answer("It is not believed (RFC 6749 §5.2)", &object(&[("error", "Stable name")]));
    let responses = json!({ "200": answer("A token (RFC 8693 §2.2.1)", &given), "400": refused, "429": too_many() });
    let summary = "A CI run shows the identity token of its platform and gets a token of the gateway.";
    let form = json!({ "application/x-www-form-urlencoded": { "schema": body } });
    operation("sign-in", "workload-token:create", summary, Some(form), responses)
}

fn health(summary: &str, statuses: &[&str]) -> Value {
    let said = |status: &&str| {
        let text = if *status == "200" { "Yes" } else { "No; the body says why" };
        ((*status).to_owned(), json!({ "description": text }))
    };
    let responses: serde_json::Map<_, _> = statuses.iter().map(said).collect();
    let id = if statuses.len() > 1 { "ready" } else { "health" };
    operation("health", id, summary, None, Value::Object(responses))
}

//! Which fields of the rack's answers carry credentials (convox `pkg/structs`), and what is shown in their place.
//!
//! A field that is not listed is looked through all the same: a secret name, a URL with credentials, a private
//! key or a token is masked wherever it stands.

use super::environment::{Environment, EnvironmentError};
use super::node::Node;
use super::rules::{is_secret_name, is_secret_parameter};
use super::stand_in::MASK;
use super::text::scrub;
use super::url::mask_url;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// A URL with credentials.
    Url,
    /// Nothing but a secret.
    Secret,
    /// Parameters by name.
    Parameters,
    /// Something that is no secret though it may look like one: ids, digests.
    Plain,
    /// An object, or a list of objects, with fields of its own.
    Nested(&'static [(&'static str, Field)]),
}

/// The fields of one kind of answer that need more than a look.
pub type Fields = &'static [(&'static str, Field)];

/// An app.
pub const APP: Fields = &[("parameters", Field::Parameters)];
/// The rack.
pub const SYSTEM: Fields = &[("parameters", Field::Parameters), ("outputs", Field::Parameters)];
/// A build: its repository holds the password of the registry.
pub const BUILD: Fields = &[("repository", Field::Url), ("git-sha", Field::Plain), ("logs", Field::Url)];
/// A configuration file.
pub const CONFIG: Fields = &[("value", Field::Secret)];
/// A resource: of an app, or of the rack with the apps that use it.
pub const RESOURCE: Fields = &[("url", Field::Url), ("parameters", Field::Parameters), ("apps", Field::Nested(APP))];
/// An image registry.
pub const REGISTRY: Fields = &[("password", Field::Secret)];
/// A new key of the instances.
pub const INSTANCE_KEY: Fields = &[("private-key", Field::Secret)];
/// A release of the rack itself: its environment is the rack's.
pub const RACK_RELEASE: Fields = &[("env", Field::Secret)];
/// A release of an app: its environment is masked variable by variable, see [`environment`].
pub const RELEASE: Fields = &[("env", Field::Plain)];
/// What a manifest says of a service: its variables are masked one by one, see [`variables`].
pub const SERVICE_MANIFEST: Fields = &[("environment", Field::Plain)];
/// An answer without a field that always is a secret.
pub const OTHER: Fields = &[];

/// The configuration that lists the variables which the CLI hides: names only (convox `env mask`).
pub const ENV_MASK: &str = "cli-env-mask";

/// Masks the credentials of one object, and says which there were: paths of fields, never values.
pub fn credentials(fields: Fields, item: &mut Node) -> Vec<String> {
    let mut found = Vec::new();
    if fields == CONFIG && item.text("name") == Some(ENV_MASK) {
        return found;
    }
    object(fields, item, "", &mut found);
    found
}

/// The environment of a release.
///
/// # Errors
/// When it cannot be read as the rack reads it, or is no text.
pub fn environment(release: &Node) -> Result<Option<Environment>, EnvironmentError> {
    match release.get("env") {
        None | Some(Node::Null) => Ok(None),
        Some(Node::Text(text)) if text.is_empty() => Ok(None),
        Some(Node::Text(text)) => Environment::parse(text).map(Some),
        Some(_) => Err(EnvironmentError::Long),
    }
}

/// The `NAME=value` entries of a service's manifest.
pub fn variables(service: &mut Node) -> impl Iterator<Item = &mut String> {
    let entries = match service.get_mut("environment") {
        Some(Node::List(entries)) => entries.as_mut_slice(),
        _ => &mut [],
    };
    entries.iter_mut().filter_map(|entry| match entry {
        Node::Text(text) => Some(text),
        _ => None,
    })
}

fn object(fields: Fields, item: &mut Node, at: &str, found: &mut Vec<String>) {
    let Node::Map(entries) = item else {
        return anything("", item, at, found);
    };
    for (name, value) in entries {
        let at = below(at, name);
        match fields.iter().find(|(field, _)| field == name) {
            Some((_, field)) => listed(*field, value, &at, found),
            None => anything(name, value, &at, found),
        }
    }
}

fn listed(field: Field, value: &mut Node, at: &str, found: &mut Vec<String>) {
    match (field, value) {
        (Field::Plain, _) | (_, Node::Null) => {}
        (Field::Url, Node::Text(text)) => {
            let masked = mask_url(text).into_owned();
            put(text, masked, at, found);
        }
        (Field::Secret, Node::Text(text)) => {
            let masked = if text.is_empty() { String::new() } else { MASK.to_owned() };
            put(text, masked, at, found);
        }
        (Field::Parameters, Node::Map(entries)) => {
            for (name, value) in entries {
                parameter(name, value, &below(at, name), found);
            }
        }
        (Field::Nested(fields), value) => {
            for item in value.items() {
                object(fields, item, at, found);
            }
        }
        (_, value) => {
            *value = Node::Text(MASK.to_owned());
            found.push(at.to_owned());
        }
    }
}

fn parameter(name: &str, value: &mut Node, at: &str, found: &mut Vec<String>) {
    match value {
        Node::Text(text) if is_secret_parameter(name, text) => put(text, MASK.to_owned(), at, found),
        Node::Text(text) => put_scrubbed(text, at, found),
        Node::Null | Node::Bool(_) => {}
        Node::Number(number) => {
            if is_secret_parameter(name, &number.to_string()) {
                *value = Node::Text(MASK.to_owned());
                found.push(at.to_owned());
            }
        }
        Node::List(_) | Node::Map(_) => anything(name, value, at, found),
    }
}

/// A field that is not listed.
fn anything(name: &str, value: &mut Node, at: &str, found: &mut Vec<String>) {
    match value {
        Node::Null | Node::Bool(_) | Node::Number(_) => {}
        Node::Text(text) if is_secret_name(name) => {
            let masked = if text.is_empty() { String::new() } else { MASK.to_owned() };
            put(text, masked, at, found);
        }
        Node::Text(text) => put_scrubbed(text, at, found),
        Node::List(items) => items.iter_mut().for_each(|item| anything(name, item, at, found)),
        Node::Map(_) => object(OTHER, value, at, found),
    }
}

fn put_scrubbed(text: &mut String, at: &str, found: &mut Vec<String>) {
    let masked = scrub(text);
    put(text, masked, at, found);
}

fn put(text: &mut String, masked: String, at: &str, found: &mut Vec<String>) {
    if *text != masked {
        *text = masked;
        found.push(at.to_owned());
    }
}

fn below(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(fields: Fields, text: &str) -> (String, Vec<String>) {
        let mut node = Node::parse(text.as_bytes()).unwrap();
        let found = credentials(fields, &mut node);
        (serde_json::to_string(&node).unwrap(), found)
    }

    #[test]
    fn fields_by_what_they_hold() {
        let cases: [(Fields, &str, &str, &[&str]); 14] = [
            (
                REGISTRY,
                r#"{"username":"u","password":"p"}"#,
                r#"{"username":"u","password":"********"}"#,
                &["password"],
            ),
            (REGISTRY, r#"{"password":""}"#, r#"{"password":""}"#, &[]),
            (REGISTRY, r#"{"password":null}"#, r#"{"password":null}"#, &[]),
            (REGISTRY, r#"{"password":{"a":"b"}}"#, r#"{"password":"********"}"#, &["password"]),
            (RESOURCE, r#"{"url":"a://u:p@h:1/d"}"#, r#"{"url":"a://u:********@h:1/d"}"#, &["url"]),
            (RESOURCE, r#"{"url":["a://u:p@h"]}"#, r#"{"url":"********"}"#, &["url"]),
            (
                RESOURCE,
                r#"{"apps":[{"parameters":{"Secret":"s","Size":"1"}}]}"#,
                r#"{"apps":[{"parameters":{"Secret":"********","Size":"1"}}]}"#,
                &["apps.parameters.Secret"],
            ),
            (
                APP,
                r#"{"parameters":{"ApiToken":5}}"#,
                r#"{"parameters":{"ApiToken":"********"}}"#,
                &["parameters.ApiToken"],
            ),
            (APP, r#"{"parameters":"all"}"#, r#"{"parameters":"********"}"#, &["parameters"]),
            (
                BUILD,
                r#"{"git-sha":"3f786850e387550fdab836ed7e6dc881de23001b","logs":"object://a/logs/1"}"#,
                r#"{"git-sha":"3f786850e387550fdab836ed7e6dc881de23001b","logs":"object://a/logs/1"}"#,
                &[],
            ),
            (CONFIG, r#"{"name":"a","value":"x"}"#, r#"{"name":"a","value":"********"}"#, &["value"]),
            (CONFIG, r#"{"name":"cli-env-mask","value":"A,B"}"#, r#"{"name":"cli-env-mask","value":"A,B"}"#, &[]),
            (OTHER, r#"{"command":"x --token y"}"#, r#"{"command":"x --token ********"}"#, &["command"]),
            (OTHER, r#"["a://u:p@h"]"#, r#"["a://u:********@h"]"#, &[""]),
        ];
        for (fields, text, shown, names) in cases {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(masked(fields, text), (shown.to_owned(), names), "{text}");
        }
    }

    #[test]
    fn an_environment_is_text_or_nothing() {
        let read = |text: &str| environment(&Node::parse(text.as_bytes()).unwrap()).map(|env| env.is_some());
        assert_eq!(read(r#"{"env":"A=1"}"#), Ok(true));
        for none in [r#"{}"#, r#"{"env":null}"#, r#"{"env":""}"#, "[]"] {
            assert_eq!(read(none), Ok(false), "{none}");
        }
        assert!(read(r#"{"env":["A=1"]}"#).is_err());
    }
}

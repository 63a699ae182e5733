//! Requests of the recording, and the shapes of their answers. The recording is a sample of what
//! the `convox` CLI 3.24.9 exchanged with a real rack's API server over an in-memory provider.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rack_gateway::dev::rack::RackServer;
use serde_json::Value;

use super::client::{Answer, call, form, get, rack};

const RECORDING: &str = include_str!("exchanges.jsonl");

/// Names that the recorded rack made up, and those that this one made up instead.
#[derive(Default)]
struct Names(HashMap<String, String>);

impl Names {
    fn translate(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    /// Learns from two answers to the same request.
    fn learn(&mut self, recorded: &Value, here: &Value) {
        match (recorded, here) {
            (Value::Array(recorded), Value::Array(here)) => {
                recorded.iter().zip(here).for_each(|(r, h)| self.learn(r, h));
            }
            (Value::Object(recorded), Value::Object(here)) => {
                for key in ["id", "release", "build"] {
                    if let (Some(Value::String(r)), Some(Value::String(h))) = (recorded.get(key), here.get(key))
                        && !r.is_empty()
                    {
                        self.0.insert(r.clone(), h.clone());
                    }
                }
            }
            _ => {}
        }
    }
}

/// Keys and types of a value; of an array, those of its first element.
fn shape(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(items) => format!("[{}]", items.first().map(shape).unwrap_or_default()),
        // What parameters there are is not a matter of shape.
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| match key.as_str() {
                "parameters" => format!("{key}: map"),
                _ => format!("{key}: {}", shape(value)),
            };
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
    }
}

/// An empty array on one side says nothing about elements.
fn same_shape(recorded: &Value, here: &Value) -> bool {
    match (recorded, here) {
        (Value::Array(r), Value::Array(h)) => r.first().zip(h.first()).is_none_or(|(r, h)| same_shape(r, h)),
        (Value::Object(r), Value::Object(h)) => {
            r.keys().eq(h.keys()) && r.iter().all(|(key, r)| key == "parameters" || same_shape(r, &h[key]))
        }
        _ => shape(recorded) == shape(here),
    }
}

/// Order in which keys stand in a rendered object, which the parsed one forgets.
fn first_keys(json: &str) -> Vec<&str> {
    json.lines().filter_map(|l| l.trim().strip_prefix('"')?.split_once("\": ").map(|(key, _)| key)).take(5).collect()
}

fn replay(rack: &RackServer, exchange: &Value, names: &Names) -> Answer {
    let text = |key: &str| names.translate(exchange[key].as_str().unwrap_or_default());
    let headers: Vec<(String, String)> = serde_json::from_value(exchange["headers"].clone()).unwrap();
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let body = match exchange["body_base64"].as_str() {
        Some(encoded) => STANDARD.decode(encoded).unwrap(),
        None => text("body").into_bytes(),
    };
    call(rack, exchange["method"].as_str().unwrap(), &text("target"), &headers, &body)
}

#[test]
fn recorded_requests_get_answers_of_the_recorded_shape() {
    let rack = rack();
    // The recording has an app that was made by an import outside of the sample.
    form(&rack, "POST", "/apps", "name=app2");
    form(&rack, "PUT", "/apps/app2", "lock=true");
    let mut names = Names::default();
    let mut compared = 0;
    for line in RECORDING.lines() {
        let exchange: Value = serde_json::from_str(line).unwrap();
        let answer = replay(&rack, &exchange, &names);
        let what = format!("{} {} {}", exchange["id"], exchange["method"], exchange["target"]);
        assert_eq!(Value::from(answer.status), exchange["status"], "{what}: {}", answer.text());
        assert_eq!(answer.header("content-type"), exchange["content_type"].as_str(), "{what}");
        let recorded = exchange["answer"].as_str().unwrap_or_default();
        match serde_json::from_str::<Value>(recorded) {
            Ok(recorded_json) if answer.status == 200 => {
                let here = answer.json();
                names.learn(&recorded_json, &here);
                assert!(
                    same_shape(&recorded_json, &here),
                    "{what}\nrecorded {}\nhere     {}",
                    shape(&recorded_json),
                    shape(&here)
                );
                assert!(answer.text().ends_with('\n'), "{what}");
            }
            _ if exchange["content_type"] == "text/plain; charset=utf-8" && !recorded.starts_with("--") => {
                assert_eq!(answer.text(), names.translate(recorded), "{what}");
            }
            _ => {}
        }
        compared += 1;
    }
    assert!(compared > 80, "only {compared} exchanges");
}

#[test]
fn typed_answers_keep_the_order_of_the_recording() {
    let rack = rack();
    for (target, expected) in [
        ("/system", ["count", "domain", "name", "parameters", "build_node_type"]),
        ("/apps/myapp", ["generation", "locked", "name", "release", "router"]),
        ("/apps/myapp/processes", ["id", "app", "command", "cpu", "gpu"]),
        ("/apps/myapp/services", ["count", "cpu", "domain", "gpu", "gpu-vendor"]),
        ("/apps/myapp/builds", ["id", "app", "description", "entrypoint", "git-sha"]),
        ("/apps/myapp/releases", ["id", "app", "build", "env", "manifest"]),
        ("/instances", ["agent", "cpu", "cpu-capacity", "cpu-allocatable", "gpu-capacity"]),
    ] {
        let answer = get(&rack, target);
        assert_eq!(first_keys(&answer.text()), expected, "{target}");
    }
}

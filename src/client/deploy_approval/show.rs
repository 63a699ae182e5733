//! `deploy-approval list` and `show`: requests as people read them.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::super::api::Gateway;
use super::super::arguments::Global;
use super::super::error::ClientError;
use super::super::target::Target;
use super::super::text::{columns, plain, show_time};
use super::super::{Done, World};
use super::find::Caller;
use super::{ListArguments, Which};

pub(super) async fn list(arguments: &ListArguments, global: &Global, world: &mut World<'_>) -> Done {
    let target = Target::find(global, world)?;
    let gateway = Gateway::new(&target.address, global, world)?;
    let caller = Caller::new(&gateway, &target, world)?;
    let given = [("app", &arguments.app), ("state", &arguments.state), ("commit", &arguments.git_commit)];
    let filter: Vec<_> = given.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
    let mut found: Vec<Value> = Vec::new();
    let mut next = None;
    while found.len() < arguments.limit {
        let page = caller.page(&filter, arguments.limit - found.len(), next.take()).await?;
        found.extend(page.items);
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    found.truncate(arguments.limit);
    if global.json {
        writeln!(world.out, "{:#}", json!({ "items": found, "more": next.is_some() }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = vec![["ID", "STATE", "APP", "COMMIT", "BRANCH", "ASKED", "MESSAGE"].map(str::to_owned).to_vec()];
    rows.extend(found.iter().map(|item| {
        let commit: String = text(item, "/commit").chars().take(12).collect();
        vec![
            text(item, "/id"),
            text(item, "/state"),
            text(item, "/app"),
            commit,
            text(item, "/branch"),
            show_time(&text(item, "/created_at")),
            text(item, "/message"),
        ]
    }));
    columns(world.out, &rows)?;
    if next.is_some() {
        writeln!(world.err, "there are more; these are the newest")?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn show(which: &Which, global: &Global, world: &mut World<'_>) -> Done {
    let target = Target::find(global, world)?;
    let gateway = Gateway::new(&target.address, global, world)?;
    let caller = Caller::new(&gateway, &target, world)?;
    let (app, id) = caller.find(which).await?;
    let whole = caller.read(&app, &id).await?;
    if global.json {
        writeln!(world.out, "{whole:#}")?;
    } else {
        one(&whole, world)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A part of it as text; `-` for nothing.
fn text(item: &Value, pointer: &str) -> String {
    match item.pointer(pointer) {
        Some(Value::String(text)) if !text.is_empty() => plain(text),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Array(list)) if !list.is_empty() => {
            list.iter().filter_map(Value::as_str).map(plain).collect::<Vec<_>>().join(", ")
        }
        Some(Value::Object(_)) => item.pointer(pointer).map(|value| plain(&value.to_string())).unwrap_or_default(),
        Some(_) | None => "-".to_owned(),
    }
}

fn when(item: &Value, pointer: &str) -> String {
    item.pointer(pointer).and_then(Value::as_str).map_or_else(|| "-".to_owned(), show_time)
}

/// Somebody: kind and id.
fn who(item: &Value, name: &str) -> String {
    match item.get(name) {
        Some(Value::Object(_)) => {
            format!("{} {}", text(item, &format!("/{name}/kind")), text(item, &format!("/{name}/id")))
        }
        Some(_) | None => "-".to_owned(),
    }
}

/// A request in lines.
pub(super) fn one(item: &Value, world: &mut World<'_>) -> Result<(), ClientError> {
    let votes = item.pointer("/approvals").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let votes = votes.iter().map(|vote| {
        let notes = text(vote, "/notes");
        let notes = if notes == "-" { String::new() } else { format!(": {notes}") };
        let counts = if vote.get("counts") == Some(&json!(false)) { " (does not count)" } else { "" };
        vec!["approved by".to_owned(), format!("{} {}{counts}{notes}", text(vote, "/user"), when(vote, "/at"))]
    });
    let mut rows = vec![
        ("id", text(item, "/id")),
        ("state", text(item, "/state")),
        ("app", text(item, "/app")),
        ("commit", text(item, "/commit")),
        ("branch", text(item, "/branch")),
        ("message", text(item, "/message")),
        ("pull request", text(item, "/pr_url")),
        ("ci", text(item, "/ci")),
        ("asked by", who(item, "requester")),
        ("deploys", who(item, "deployer")),
        ("asked", when(item, "/created_at")),
        ("until", when(item, "/expires_at")),
        ("needs", item.get("needed").and_then(Value::as_u64).map_or("-".to_owned(), |n| format!("{n} more"))),
        ("runs now", text(item, "/running_release")),
        ("environment of", text(item, "/parent_release")),
        ("variables changed", text(item, "/env_changes")),
        ("reason", text(item, "/reason")),
    ];
    rows.retain(|(_, value)| value != "-");
    let rows = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]);
    columns(world.out, &rows.chain(votes).collect::<Vec<_>>())?;
    Ok(())
}

//! `audit search`: records at the gateway, newest first.

use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::api::Gateway;
use super::super::arguments::Global;
use super::super::target::Target;
use super::super::text::{columns, plain, show_time};
use super::super::{Done, World};
use super::FilterArguments;

#[derive(Args, Debug)]
pub(in crate::client) struct SearchArguments {
    #[command(flatten)]
    filter: FilterArguments,
    /// Most records.
    #[arg(short = 'n', long, default_value_t = 20, value_name = "COUNT")]
    limit: usize,
}

#[derive(Deserialize)]
struct Found {
    items: Vec<Value>,
    next: Option<String>,
}

/// Records of one answer.
const PAGE: usize = 25;

pub(super) async fn search(arguments: &SearchArguments, global: &Global, world: &mut World<'_>) -> Done {
    let target = Target::find(global, world)?;
    let gateway = Gateway::new(&target.address, global, world)?;
    let token = target.token(world)?.expose();
    let mut found: Vec<Value> = Vec::new();
    let mut next: Option<String> = None;
    while found.len() < arguments.limit {
        let mut query = arguments.filter.query();
        query.push(("limit", (arguments.limit - found.len()).min(PAGE).to_string()));
        query.extend(next.take().map(|cursor| ("cursor", cursor)));
        let answer = gateway.get_with(&["api", "v1", "audit", "records"], &query, token).await?;
        let page: Found = answer.expect_status(200).map_err(|error| target.explain(error))?.json()?;
        found.extend(page.items);
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    if global.json {
        writeln!(world.out, "{:#}", json!({ "items": found, "more": next.is_some() }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = vec![["RECORD", "TIME", "KIND", "WHO", "FROM", "WHAT"].map(str::to_owned).to_vec()];
    rows.extend(found.iter().map(row));
    columns(world.out, &rows)?;
    if next.is_some() {
        writeln!(world.err, "there are more; these are the newest")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A record in one line.
fn row(item: &Value) -> Vec<String> {
    let text = |pointer: &str| match item.pointer(pointer) {
        Some(Value::String(text)) => plain(text),
        Some(Value::Number(number)) => number.to_string(),
        Some(_) | None => "-".to_owned(),
    };
    let what = match text("/record/kind").as_str() {
        "outcome" => format!("of {}: {} {}", text("/record/intent"), text("/record/result"), text("/record/status")),
        _ => {
            let parts = ["action", "resource", "decision", "message"];
            let parts = parts.map(|name| text(&format!("/record/{name}")));
            parts.iter().filter(|part| *part != "-").cloned().collect::<Vec<_>>().join(" ")
        }
    };
    vec![
        text("/seq"),
        show_time(&text("/record/ts")),
        text("/record/kind"),
        text("/record/actor/id"),
        text("/private/src_ip"),
        what,
    ]
}

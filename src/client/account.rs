//! `whoami`, `logout` and `sessions`: what the gateway knows of the caller.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde::Deserialize;
use serde_json::{Value, json};

use super::api::Gateway;
use super::arguments::{Global, LogoutArguments};
use super::config::{Config, Rack};
use super::error::ClientError;
use super::target::{Target, saved_rack};
use super::text::{columns, plain, show_time};
use super::{Done, World};

#[derive(Deserialize)]
struct Whoami {
    principal: Principal,
    email: Option<String>,
    name: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    credential: Credential,
    rack: String,
    #[serde(default)]
    actions: Vec<Action>,
}

#[derive(Deserialize)]
struct Principal {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

#[derive(Deserialize)]
struct Credential {
    kind: String,
    id: String,
    expires_at: Option<String>,
}

#[derive(Deserialize)]
struct Action {
    action: String,
    decision: String,
}

#[derive(Deserialize)]
struct Sessions {
    items: Vec<Listed>,
    next: Option<Value>,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    kind: String,
    name: Option<String>,
    created_at: Option<String>,
    last_used_at: Option<String>,
    expires_at: Option<String>,
    source_ip: Option<String>,
    #[serde(default)]
    current: bool,
}

/// What `GET /api/v1/whoami` says, as it came.
async fn ask_whoami(gateway: &Gateway<'_>, target: &Target, world: &World<'_>) -> Result<Value, ClientError> {
    let answer = gateway.get(&["api", "v1", "whoami"], target.token(world)?.expose()).await?;
    answer.expect_status(200).map_err(|error| target.explain(error))?.json()
}

pub(super) async fn whoami(lists_actions: bool, global: &Global, world: &mut World<'_>) -> Done {
    let target = Target::find(global, world)?;
    let gateway = Gateway::new(&target.address, global, world)?;
    let whole = ask_whoami(&gateway, &target, world).await?;
    if global.json {
        writeln!(world.out, "{whole:#}")?;
        return Ok(ExitCode::SUCCESS);
    }
    let who: Whoami = serde_json::from_value(whole)?;
    let shown = match (&who.email, &who.name) {
        (Some(email), Some(name)) => format!("{email} ({name})"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => format!("{} {}", who.principal.kind, who.principal.id),
    };
    let until = who.credential.expires_at.as_deref().map_or(String::new(), |at| format!(", until {}", show_time(at)));
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for action in &who.actions {
        *counts.entry(plain(&action.decision).to_lowercase()).or_default() += 1;
    }
    let counts: Vec<_> = counts.iter().map(|(decision, count)| format!("{count} {decision}")).collect();
    let list = |names: &[String]| if names.is_empty() { "-".to_owned() } else { plain(&names.join(", ")) };
    let rows = [
        ("who", plain(&shown)),
        ("rack", format!("{} at {}", plain(&who.rack), target.address)),
        ("roles", list(&who.roles)),
        ("groups", list(&who.groups)),
        ("credential", format!("{} {}{until}", plain(&who.credential.kind), plain(&who.credential.id))),
        ("actions", if counts.is_empty() { "-".to_owned() } else { counts.join(", ") }),
    ];
    columns(world.out, &rows.map(|(name, value)| vec![name.to_owned(), value]))?;
    if lists_actions {
        let rows = who.actions.iter().map(|action| vec![plain(&action.decision).to_lowercase(), plain(&action.action)]);
        writeln!(world.out)?;
        columns(world.out, &rows.collect::<Vec<_>>())?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn logout(arguments: &LogoutArguments, global: &Global, world: &mut World<'_>) -> Done {
    // Only a saved session is ended: a token that comes from elsewhere belongs to somebody else.
    let rack = saved_rack(global, &world.environment)?;
    let ended = match &rack.session {
        None => Ok(()),
        Some(session) => Gateway::new(&rack.address, global, world)?.end_session(session.token.expose()).await,
    };
    if let Err(error) = ended {
        if !arguments.forget {
            writeln!(world.err, "the session was not ended and stays saved; --forget removes it from this machine")?;
            return Err(error);
        }
        writeln!(world.err, "the gateway did not end the session, it lives on until its time is over: {error}")?;
    }
    Config::change(&world.environment, |config| {
        if arguments.forget {
            config.remove(&rack.name);
        } else {
            config.put(&Rack { session: None, ..rack.clone() });
        }
    })?;
    if global.json {
        writeln!(world.out, "{:#}", json!({ "rack": rack.name, "forgotten": arguments.forget }))?;
    } else {
        writeln!(world.out, "signed out of {}", rack.name)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Path of the caller's sessions.
async fn own_sessions(gateway: &Gateway<'_>, target: &Target, world: &World<'_>) -> Result<[String; 5], ClientError> {
    let who: Whoami = serde_json::from_value(ask_whoami(gateway, target, world).await?)?;
    Ok(["api", "v1", "users", &who.principal.id, "sessions"].map(str::to_owned))
}

pub(super) async fn list(global: &Global, world: &mut World<'_>) -> Done {
    let target = Target::find(global, world)?;
    let gateway = Gateway::new(&target.address, global, world)?;
    let path = own_sessions(&gateway, &target, world).await?;
    let path: Vec<_> = path.iter().map(String::as_str).collect();
    let answer = gateway.get(&path, target.token(world)?.expose()).await?;
    let whole: Value = answer.expect_status(200).map_err(|error| target.explain(error))?.json()?;
    if global.json {
        writeln!(world.out, "{whole:#}")?;
        return Ok(ExitCode::SUCCESS);
    }
    let sessions: Sessions = serde_json::from_value(whole)?;
    let time = |at: &Option<String>| at.as_deref().map_or("-".to_owned(), show_time);
    let text = |text: &Option<String>| text.as_deref().map_or("-".to_owned(), plain);
    let head = ["", "ID", "KIND", "NAME", "SINCE", "LAST USED", "UNTIL", "FROM"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(sessions.items.iter().map(|session| {
        vec![
            if session.current { "*" } else { "" }.to_owned(),
            plain(&session.id),
            plain(&session.kind),
            text(&session.name),
            time(&session.created_at),
            time(&session.last_used_at),
            time(&session.expires_at),
            text(&session.source_ip),
        ]
    }));
    columns(world.out, &rows)?;
    if sessions.next.is_some_and(|next| !next.is_null()) {
        writeln!(world.err, "there are more; these are the newest")?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn revoke(id: &str, global: &Global, world: &mut World<'_>) -> Done {
    let target = Target::find(global, world)?;
    let gateway = Gateway::new(&target.address, global, world)?;
    let path = own_sessions(&gateway, &target, world).await?;
    let path: Vec<_> = path.iter().map(String::as_str).chain([id]).collect();
    let answer = gateway.delete(&path, target.token(world)?.expose()).await?;
    answer.expect_status(204).map_err(|error| target.explain(error))?;
    let own = target.rack.filter(|rack| rack.session.as_ref().is_some_and(|session| session.id == id));
    if let Some(rack) = own {
        Config::change(&world.environment, |config| config.put(&Rack { session: None, ..rack }))?;
    }
    if global.json {
        writeln!(world.out, "{:#}", json!({ "revoked": id }))?;
    } else {
        writeln!(world.out, "ended the session {}", plain(id))?;
    }
    Ok(ExitCode::SUCCESS)
}

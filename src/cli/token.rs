//! `token`: give tokens out and take them back, from the machine that holds the database.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::runtime::{FLUSH, block_on, open_recorded, open_store};
use super::{Done, Failure, Output};
use crate::audit::{Actor, Writer};
use crate::clock::Clock;
use crate::config::{Env, Process};
use crate::http::PolicySource;
use crate::identity::{Issuer, Token};
use crate::store::{CredentialFilter, CredentialRow, Store};

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token; it is shown once.
    Create(CreateArguments),
    /// List tokens, without their secrets.
    List {
        /// As JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// Take a token back; it stops working with the next request.
    Revoke {
        /// Id, as `token list` shows it.
        id: String,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct For {
    /// A person's e-mail address: the token acts as that person in the `convox` CLI.
    #[arg(long)]
    user: Option<String>,
    /// A machine: the token is a principal of its own, with its own roles.
    #[arg(long)]
    api: bool,
}

#[derive(Debug, Args)]
pub(super) struct CreateArguments {
    #[command(flatten)]
    principal: For,
    /// What the token is for.
    #[arg(long)]
    name: String,
    /// Role; may be repeated. For a person, only when the person is not known yet.
    #[arg(long = "role")]
    roles: Vec<String>,
    /// Days until it expires; 90 for a person, to be said for an API token.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: Option<u16>,
}

pub(super) fn token(command: &TokenCommand, output: &mut Output<'_>) -> Done {
    match command {
        TokenCommand::Create(arguments) => create(arguments, output),
        TokenCommand::List { json } => list(*json, output),
        TokenCommand::Revoke { id } => {
            block_on(async {
                let (store, audit) = open_recorded().await?;
                let revoked = issuer(&store, &audit).revoke(id).await;
                audit.shutdown(FLUSH).await;
                Ok(revoked?)
            })?;
            writeln!(output.out, "revoked {id}")?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// How long a person's token is good unless it is said.
const PERSON: time::Duration = time::Duration::days(90);
/// Rows that are read at a time.
const PAGE: u64 = 500;

fn issuer<'a>(store: &'a Store, audit: &'a Writer) -> Issuer<'a> {
    let actor = Actor { kind: "Operator".to_owned(), id: "command-line".to_owned() };
    Issuer::recording(store, audit, actor, Clock::system().now())
}

fn create(arguments: &CreateArguments, output: &mut Output<'_>) -> Done {
    let now = Clock::system().now();
    let expires_at = arguments.days.map(|days| now + time::Duration::days(days.into()));
    let roles = (!arguments.roles.is_empty()).then_some(arguments.roles.as_slice());
    if arguments.principal.api && (roles.is_none() || expires_at.is_none()) {
        return Err(Failure::new("an API token needs --role and --days"));
    }
    check_roles(&arguments.roles)?;
    let token: Token = block_on(async {
        let (store, audit) = open_recorded().await?;
        if let (Some(email), Some(_)) = (&arguments.principal.user, roles)
            && store.user_find_by_email(email).await?.is_some()
        {
            return Err(Failure::new(format!("{email} is known and keeps the roles it has: leave --role out")));
        }
        let issuer = issuer(&store, &audit);
        let made = match (&arguments.principal.user, expires_at, roles) {
            (Some(email), expires_at, roles) => {
                let expires_at = expires_at.unwrap_or(now + PERSON);
                issuer.cli_token(email, &arguments.name, roles, expires_at).await
            }
            (None, Some(expires_at), Some(roles)) => issuer.api_token(&arguments.name, roles, expires_at).await,
            (None, _, _) => return Err(Failure::new("an API token needs --role and --days")),
        };
        audit.shutdown(FLUSH).await;
        Ok(made?)
    })?;
    writeln!(output.err, "this token is shown once:")?;
    writeln!(output.out, "{}", token.expose())?;
    Ok(ExitCode::SUCCESS)
}

/// A role that no policy knows would give nothing, silently.
fn check_roles(roles: &[String]) -> Result<(), Failure> {
    if roles.is_empty() {
        return Ok(());
    }
    let source = PolicySource {
        dir: Process.get("RGW_POLICY_DIR").map(PathBuf::from),
        rack: Process.get("RACK").unwrap_or_else(|| "unnamed".to_owned()),
    };
    let bundle = source.load().map_err(Failure::new)?;
    let known = bundle.roles();
    match roles.iter().find(|role| !known.contains(role)) {
        Some(role) => Err(Failure::new(format!("there is no role {role}: use one of {}", known.join(", ")))),
        None => Ok(()),
    }
}

fn list(json: bool, output: &mut Output<'_>) -> Done {
    if !json {
        writeln!(output.out, "{:<36}  {:<8}  {:<20}  {:<28}  {:<20}  STATE", "ID", "KIND", "NAME", "FOR", "EXPIRES")?;
    }
    let now = Clock::system().now();
    for row in block_on(rows())? {
        let shown = Shown::of(&row, now);
        if json {
            writeln!(output.out, "{}", serde_json::to_string(&shown)?)?;
        } else {
            writeln!(
                output.out,
                "{:<36}  {:<8}  {:<20}  {:<28}  {:<20}  {}",
                shown.id, shown.kind, shown.name, shown.principal, shown.expires_at, shown.state
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn rows() -> Result<Vec<CredentialRow>, Failure> {
    let store = open_store().await?;
    let mut rows: Vec<CredentialRow> = Vec::new();
    loop {
        let after = rows.last().map(|row| row.id.clone());
        let page =
            store.credential_list(CredentialFilter { after, limit: PAGE, ..CredentialFilter::default() }).await?;
        if page.is_empty() {
            return Ok(rows);
        }
        rows.extend(page);
    }
}

#[derive(serde::Serialize)]
struct Shown<'a> {
    id: &'a str,
    kind: &'static str,
    name: &'a str,
    #[serde(rename = "for")]
    principal: String,
    expires_at: String,
    state: &'static str,
}

impl<'a> Shown<'a> {
    fn of(row: &'a CredentialRow, now: OffsetDateTime) -> Self {
        Self {
            id: &row.id,
            kind: row.kind.word(),
            name: &row.name,
            principal: row.user.as_ref().map_or_else(|| row.roles.join(","), |user| user.email.clone()),
            expires_at: row.expires_at.format(&Rfc3339).unwrap_or_default(),
            state: match (row.revoked_at, row.is_live(now)) {
                (Some(_), _) => "revoked",
                (None, false) => "expired",
                (None, true) => "live",
            },
        }
    }
}

//! `token exchange`: a CI job shows who it is by its platform's identity token, and gets a gateway's token
//! that lives for minutes (RFC 8693).

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::address::{Address, safe_url};
use super::api::{Body, Gateway, Http};
use super::arguments::{ExchangeArguments, Global};
use super::environment::Environment;
use super::error::ClientError;
use super::target::Target;
use super::token::Token;
use super::trust::Roots;
use super::{Done, World};

/// Largest identity token; real ones are a tenth of it.
const LARGEST: u64 = 64 << 10;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

pub(super) async fn exchange(arguments: &ExchangeArguments, global: &Global, world: &mut World<'_>) -> Done {
    let target = Target::find(global, world)?;
    let identity = identity_token(arguments, &target.address, &world.environment).await?;
    let gateway = Gateway::new(&target.address, global, world)?;
    let form = [("grant_type", GRANT), ("subject_token", identity.expose_secret()), ("subject_token_type", JWT)];
    let answer = gateway.post(&["api", "v1", "auth", "token"], None, Body::Form(&form)).await?;
    let mut whole: Value = answer.expect_status(200)?.json()?;
    let token = whole.get("access_token").and_then(Value::as_str).and_then(Token::parse);
    let token = token.ok_or_else(|| gateway.is_none("what it gives is no token"))?;
    if world.environment.get("GITHUB_ACTIONS") == Some("true") {
        // The runner takes this line out of the log, and the token wherever it appears later.
        writeln!(world.err, "::add-mask::{}", token.expose())?;
    }
    let url = target.address.rack_url(token.expose());
    if global.json {
        if let Some(fields) = whole.as_object_mut() {
            fields.insert("rack_url".to_owned(), json!(url));
        }
        writeln!(world.out, "{whole:#}")?;
    } else {
        writeln!(world.out, "RACK_URL={url}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The platform's token: from the file, from the variable, or from GitHub's runner.
async fn identity_token(
    arguments: &ExchangeArguments,
    address: &Address,
    environment: &Environment,
) -> Result<SecretString, ClientError> {
    if let Some(path) = &arguments.oidc_token_file {
        return from_file(path);
    }
    if let Some(token) = environment.get("RACK_GATEWAY_OIDC_TOKEN") {
        return trimmed(token);
    }
    let url = environment.get("ACTIONS_ID_TOKEN_REQUEST_URL");
    match (url, environment.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")) {
        (Some(url), Some(token)) => from_github(url, token, address).await,
        _ if environment.get("GITHUB_ACTIONS").is_some() => {
            Err(missing("give this job `permissions:` with `id-token: write`"))
        }
        _ => Err(missing("use --oidc-token-file, or set RACK_GATEWAY_OIDC_TOKEN")),
    }
}

fn missing(what: &str) -> ClientError {
    ClientError::NoIdentity(what.to_owned())
}

fn trimmed(token: &str) -> Result<SecretString, ClientError> {
    match token.trim() {
        "" => Err(missing("what was given is empty")),
        token if token.contains(|c: char| c.is_whitespace() || c.is_control()) => {
            Err(missing("what was given is more than one word"))
        }
        token => Ok(SecretString::from(token)),
    }
}

fn from_file(path: &Path) -> Result<SecretString, ClientError> {
    let failed = |error: std::io::Error| ClientError::NoIdentity(format!("{}: {error}", path.display()));
    let mut text = String::new();
    std::fs::File::open(path).map_err(failed)?.take(LARGEST).read_to_string(&mut text).map_err(failed)?;
    trimmed(&text)
}

/// What the runner's token service answers.
#[derive(Deserialize)]
struct Issued {
    value: String,
}

/// Asks the runner's token service for a token that is good for this gateway only.
async fn from_github(url: &str, token: &str, address: &Address) -> Result<SecretString, ClientError> {
    let mut url = safe_url(url).map_err(|error| ClientError::AddressVariable("ACTIONS_ID_TOKEN_REQUEST_URL", error))?;
    url.query_pairs_mut().append_pair("audience", &address.to_string());
    let http = Http::new(url.scheme() == "https", Roots::System)?;
    let answer = http.send(Method::GET, url, Some(token), Body::Nothing).await?;
    let status = answer.status;
    let answer =
        answer.expect_status(200).map_err(|_error| missing(&format!("GitHub answers with status {status}")))?;
    trimmed(&answer.json::<Issued>()?.value)
}

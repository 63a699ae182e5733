//! `login`: the browser signs in, this terminal waits for it.
//!
//! The gateway gets the hash of a verifier that only this process knows, and gives the token to whoever has
//! the verifier. So the page's address, which a browser keeps and others may see, is worth nothing alone.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng as _;
use rand::rngs::SysRng;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::address::{Address, safe_url};
use super::api::{Answer, Body, Gateway};
use super::arguments::{Global, LoginArguments};
use super::config::{Config, Rack, Session, is_rack_name};
use super::environment::Environment;
use super::error::ClientError;
use super::text::{plain, show_time};
use super::token::Token;
use super::{Done, World};

/// Answers that are no answers, one after another, before the wait is given up.
const PATIENCE: u32 = 5;

/// A sign-in that has begun.
#[derive(Deserialize)]
struct Started {
    login_id: String,
    user_code: String,
    verification_url: String,
    /// Seconds.
    expires_in: u64,
    /// Seconds between two questions.
    interval: u64,
}

#[derive(Deserialize)]
struct Completed {
    token: String,
    expires_at: String,
    session_id: String,
    user: User,
}

#[derive(Deserialize)]
struct User {
    id: String,
    email: String,
    #[serde(default)]
    name: String,
}

pub(super) async fn login(arguments: &LoginArguments, global: &Global, world: &mut World<'_>) -> Done {
    let sign_in = sign_in(arguments, global, world);
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without a handler the signal ends the process by itself.
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        done = sign_in => return done,
        () = interrupted => {}
    }
    end_line(world)?;
    Err(ClientError::Interrupted)
}

async fn sign_in(arguments: &LoginArguments, global: &Global, world: &mut World<'_>) -> Done {
    if !is_rack_name(&arguments.name) {
        return Err(ClientError::RackName);
    }
    // A file that cannot be used is found out now, not when the browser is done.
    let saved = Config::read(&world.environment)?.rack(&arguments.name)?;
    let address = match (&arguments.url, &saved) {
        (Some(url), _) => Address::parse(url)?,
        (None, Some(rack)) => rack.address.clone(),
        (None, None) => return Err(ClientError::UrlNeeded(arguments.name.clone())),
    };
    let gateway = Gateway::new(&address, global, world)?;
    let verifier = verifier()?;
    let started = start(&gateway, &verifier).await?;
    show(&started, arguments, world)?;
    let completed = wait(&gateway, &started, &verifier, world).await;
    end_line(world)?;
    let completed = completed?;
    save(&arguments.name, &address, &gateway, &completed, world).await?;
    if let Some(session) = saved.filter(|rack| rack.address == address).and_then(|rack| rack.session) {
        // The session that this one takes the place of: nobody has its token any more.
        gateway.end_session(session.token.expose()).await.ok();
    }
    report(&arguments.name, &address, &completed, global, world)
}

/// 32 random bytes (RFC 7636 §4.1).
fn verifier() -> Result<SecretString, ClientError> {
    let mut bytes = [0; 32];
    SysRng.try_fill_bytes(&mut bytes).map_err(|error| ClientError::Randomness(error.to_string()))?;
    Ok(SecretString::from(URL_SAFE_NO_PAD.encode(bytes)))
}

/// The challenge of a verifier (RFC 7636 §4.2, S256).
fn challenge(verifier: &SecretString) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose_secret().as_bytes()))
}

async fn start(gateway: &Gateway<'_>, verifier: &SecretString) -> Result<Started, ClientError> {
    let request = json!({
        "code_challenge": challenge(verifier),
        "code_challenge_method": "S256",
        "device": {
            "name": gethostname::gethostname().to_string_lossy(),
            "os": std::env::consts::OS,
            "client_version": env!("CARGO_PKG_VERSION"),
        },
    });
    let answer = gateway.post(&["api", "v1", "auth", "cli", "start"], None, Body::Json(&request)).await?;
    let mut started: Started = answer.expect_status(200)?.json()?;
    // The page goes to a browser: no other program, no other protocol.
    safe_url(&started.verification_url).map_err(|error| gateway.is_none(format!("its sign-in page: {error}")))?;
    started.user_code = plain(&started.user_code);
    started.interval = started.interval.clamp(1, 60);
    started.expires_in = started.expires_in.clamp(1, 3600);
    Ok(started)
}

fn show(started: &Started, arguments: &LoginArguments, world: &mut World<'_>) -> Result<(), ClientError> {
    let is_plain = !world.is_terminal.err
        || world.environment.get("NO_COLOR").is_some()
        || world.environment.get("TERM") == Some("dumb");
    let (bold, normal) = if is_plain { ("", "") } else { ("\u{1b}[1m", "\u{1b}[0m") };
    let opens = !arguments.no_open && has_display(&world.environment);
    let verb = if opens { "The browser opens this page" } else { "Open this page in a browser" };
    writeln!(world.err, "{verb}:\n\n    {}\n", plain(&started.verification_url))?;
    writeln!(
        world.err,
        "Sign in there, and approve if it shows this code:\n\n    {bold}{}{normal}\n",
        started.user_code
    )?;
    if opens {
        let url = started.verification_url.clone();
        // It may take its time, or fail: the page's address is on the screen.
        std::thread::spawn(move || {
            let mut options = webbrowser::BrowserOptions::new();
            options.with_suppress_output(true);
            webbrowser::open_browser_with_options(webbrowser::Browser::Default, &url, &options).ok();
        });
    }
    Ok(())
}

/// Whether a browser can show anything: on Unix it needs a display, or the user names the browser.
fn has_display(environment: &Environment) -> bool {
    let signs = ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "WSL_DISTRO_NAME"];
    cfg!(any(target_os = "macos", windows)) || signs.iter().any(|name| environment.get(name).is_some())
}

async fn wait(
    gateway: &Gateway<'_>,
    started: &Started,
    verifier: &SecretString,
    world: &mut World<'_>,
) -> Result<Completed, ClientError> {
    let end = Instant::now() + Duration::from_secs(started.expires_in);
    let interval = Duration::from_secs(started.interval);
    let request = json!({ "login_id": started.login_id, "code_verifier": verifier.expose_secret() });
    let mut pause = interval;
    let mut failures = 0;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ClientError::LoginExpired);
        }
        say_waiting(left, world)?;
        tokio::time::sleep(pause.min(left)).await;
        let path = ["api", "v1", "auth", "cli", "complete"];
        let reply = match gateway.post(&path, None, Body::Json(&request)).await {
            Ok(answer) => Reply::of(&answer),
            Err(error @ ClientError::Unreachable { .. }) => Reply::Failed(error),
            Err(error) => return Err(error),
        };
        pause = match reply {
            Reply::Pending(after) => after.unwrap_or(interval).max(interval),
            Reply::Done(done) => return done,
            Reply::Failed(error) if failures >= PATIENCE => return Err(error),
            Reply::Failed(_) => {
                failures += 1;
                continue;
            }
        };
        failures = 0;
    }
}

/// What came of one question.
enum Reply {
    /// Ask again, after this time if it says so.
    Pending(Option<Duration>),
    Done(Result<Completed, ClientError>),
    /// Nobody knows: the network or the gateway has a bad moment.
    Failed(ClientError),
}

impl Reply {
    fn of(answer: &Answer) -> Self {
        match answer.status {
            200 => Self::Done(answer.json()),
            202 => Self::Pending(None),
            429 => Self::Pending(answer.retry_after),
            500..=599 => Self::Failed(answer.problem()),
            _ => Self::Done(Err(refusal(answer.problem()))),
        }
    }
}

fn refusal(error: ClientError) -> ClientError {
    match error {
        ClientError::Refused(problem) => match problem.slug.as_str() {
            "cli-login-denied" => ClientError::LoginDenied(problem),
            "cli-login-expired" => ClientError::LoginExpired,
            "cli-login-unknown" => ClientError::LoginUnknown,
            _ => ClientError::Refused(problem),
        },
        error => error,
    }
}

/// One line that changes, on a terminal only.
fn say_waiting(left: Duration, world: &mut World<'_>) -> Result<(), ClientError> {
    if world.is_terminal.err {
        let (minutes, seconds) = (left.as_secs() / 60, left.as_secs() % 60);
        write!(world.err, "\r\u{1b}[KWaiting for the browser, {minutes}:{seconds:02} left (Ctrl-C ends it)")?;
        world.err.flush()?;
    }
    Ok(())
}

fn end_line(world: &mut World<'_>) -> Result<(), ClientError> {
    if world.is_terminal.err {
        write!(world.err, "\r\u{1b}[K")?;
        world.err.flush()?;
    }
    Ok(())
}

async fn save(
    name: &str,
    address: &Address,
    gateway: &Gateway<'_>,
    completed: &Completed,
    world: &World<'_>,
) -> Result<(), ClientError> {
    let token = Token::parse(&completed.token).ok_or_else(|| gateway.is_none("what it gives is no token"))?;
    let session = Session {
        token,
        id: completed.session_id.clone(),
        expires_at: completed.expires_at.clone(),
        email: completed.user.email.clone(),
    };
    let rack = Rack { name: name.to_owned(), address: address.clone(), session: Some(session) };
    let saved = Config::change(&world.environment, |config| {
        config.put(&rack);
        config.set_current(name);
    });
    if saved.is_err() {
        // A session that nobody can use shall not live for days.
        gateway.end_session(&completed.token).await.ok();
    }
    Ok(saved?)
}

fn report(name: &str, address: &Address, completed: &Completed, global: &Global, world: &mut World<'_>) -> Done {
    let Completed { expires_at, session_id, user, token: _ } = completed;
    if global.json {
        let user = json!({ "id": user.id, "email": user.email, "name": user.name });
        let url = address.to_string();
        let all = json!({
            "rack": name, "url": url, "session_id": session_id, "expires_at": expires_at, "user": user,
        });
        writeln!(world.out, "{all:#}")?;
        return Ok(ExitCode::SUCCESS);
    }
    let who = if user.name.is_empty() { user.email.clone() } else { format!("{} ({})", user.email, user.name) };
    let until = show_time(expires_at);
    writeln!(world.out, "Signed in to {name} ({address}) as {}, until {until}.", plain(&who))?;
    writeln!(world.out, "Next: `rack-gateway run -- convox apps`, or `eval \"$(rack-gateway env)\"` and then convox.")?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_rfc_7636() {
        // RFC 7636, appendix B.
        let verifier = SecretString::from("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn verifiers_differ_and_have_the_length_of_32_bytes() {
        let (one, other) = (verifier().unwrap(), verifier().unwrap());
        assert_eq!(one.expose_secret().len(), 43);
        assert_ne!(one.expose_secret(), other.expose_secret());
    }

    #[test]
    fn a_browser_needs_something_to_show_itself_on() {
        let environment = |pairs: &[(&str, &str)]| pairs.iter().copied().collect::<Environment>();
        assert_eq!(has_display(&environment(&[])), cfg!(any(target_os = "macos", windows)));
        for name in ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER"] {
            assert!(has_display(&environment(&[(name, "x")])), "{name}");
        }
    }
}

//! The pages, what browsers may do with answers, and what they are told when they are refused.

mod browser;
mod headers;
mod refusals;
mod views;

use rack_gateway::http::Running;
use rack_gateway::identity::Token;
use rack_gateway::store::{CredentialKind, NewCredential, NewUser};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::harness::Db;
use crate::harness::gateway::launch_with;
use crate::replay::peer::Message;
use crate::sign_in::Send;

/// A gateway that reaches no rack.
async fn gateway(db: &Db) -> Running {
    launch_with(db, "127.0.0.1:9".parse().unwrap(), |launch| launch).await
}

/// Somebody with a browser.
struct Reader {
    user: String,
    token: Token,
}

impl Reader {
    /// Signs a new person in.
    async fn new(running: &Running, name: &str, roles: &[&str]) -> Self {
        let id = Uuid::now_v7().to_string();
        let user = NewUser {
            id: id.clone(),
            email: format!("{}@example.com", name.split(' ').next().unwrap().to_ascii_lowercase()),
            name: name.to_owned(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            ..NewUser::default()
        };
        running.gate.store.user_create(user, running.gate.clock.now()).await.unwrap();
        let token = Token::generate().unwrap();
        session(running, &id, CredentialKind::Web, "", &token).await;
        Self { user: id, token }
    }

    fn cookie(&self) -> String {
        format!("__Host-rgw_session={}", self.token.expose())
    }

    async fn get(&self, running: &Running, target: &str) -> Message {
        Send::get(target).header("Cookie", self.cookie()).header("Accept", HTML).to(running.addr).await
    }
}

/// Adds a session; gives its id.
async fn session(running: &Running, user: &str, kind: CredentialKind, name: &str, token: &Token) -> String {
    let now = OffsetDateTime::now_utc();
    let id = Uuid::now_v7().to_string();
    let new = NewCredential {
        user_id: Some(user.to_owned()),
        name: name.to_owned(),
        source_ip: Some("192.0.2.7".parse().unwrap()),
        user_agent: Some(FIREFOX.to_owned()),
        ..NewCredential::new(id.clone(), kind, token.hash().0, now + time::Duration::hours(8))
    };
    running.gate.store.credential_create(new, now).await.unwrap();
    id
}

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
/// What browsers accept when somebody goes somewhere.
const HTML: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// The text of an answer.
fn text(answer: &Message) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

/// The addresses of a page's style sheet and script.
fn assets(page: &str) -> Vec<String> {
    let ends = page.split("/app/assets/").skip(1).map(|rest| rest.split('"').next().unwrap());
    ends.map(|name| format!("/app/assets/{name}")).collect()
}

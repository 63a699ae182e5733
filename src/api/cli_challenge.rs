//! The handshake with which the stock `convox` command shows a second factor: it fetches what its
//! browser page is to be told, the page gives it a proof, and it shows the proof here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;
use subtle::ConstantTimeEq as _;

use super::action::{Action, CliChallengeBegin, CliChallengeComplete};
use super::challenges::{State, opened, own, proof_hash};
use super::endpoint::Answer;
use super::{Call, Content, Problem, Reply, limit};
use crate::store::{ChallengeRow, Way};

/// Longest token of the page, in characters; what is made here is a third of it.
const LONGEST: usize = 1024;

/// What the command hands to its page, as it came: the form is the command's own.
#[derive(Serialize, Deserialize)]
struct Ticket {
    #[serde(rename = "publicKey")]
    public_key: PublicKey,
    /// Id of the challenge.
    id: String,
}

/// What a security key at the command's own machine would be asked; the page does that here.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PublicKey {
    challenge: String,
    timeout: u32,
    rp_id: String,
    allow_credentials: Vec<String>,
    user_verification: String,
}

/// Id of the challenge that a page's `token` names.
pub(super) fn ticket(token: &str) -> Option<String> {
    let bytes = STANDARD.decode(token).ok().filter(|_| token.len() <= LONGEST)?;
    serde_json::from_slice::<Ticket>(&bytes).ok().map(|ticket| ticket.id)
}

/// Where the command listens: on the same machine as the browser, at a port, and nowhere else.
pub(super) fn callback(url: &str) -> Option<&str> {
    let address = url.strip_prefix("http://")?;
    let host_and_port = address.strip_suffix('/').unwrap_or(address);
    let port = host_and_port.strip_prefix("localhost:").or_else(|| host_and_port.strip_prefix("127.0.0.1:"))?;
    let number = port.parse::<u16>().ok().filter(|number| *number > 0)?;
    (number.to_string() == port).then(|| url.strip_suffix('/').unwrap_or(url))
}

/// The challenge of the path, if this very session was asked and the handshake is its way.
async fn asked<A: Action>(call: &Call<A>) -> Result<ChallengeRow, Problem> {
    let row = own(call).await?;
    let is_asked = row.credential_id == call.identity()?.credential.id && row.way == Way::Console;
    if is_asked { Ok(row) } else { Err(Problem::not_found("challenge")) }
}

/// What the command shows to its person.
fn rejected() -> Problem {
    Problem::new(403, "proof-rejected", "security token rejected")
}

/// `GET /session/{challenge}`: what the page is to be told.
pub(super) async fn begin(call: Call<CliChallengeBegin>) -> Answer {
    let row = asked(&call).await?;
    if State::of(&row, call.now()) != State::Open {
        return Err(Problem::new(403, "challenge-over", "security token expired: run the command again"));
    }
    let domain = call.gate().site.domain();
    let ticket = Ticket {
        public_key: PublicKey {
            challenge: STANDARD.encode(&row.id),
            timeout: 60_000,
            rp_id: domain.split(':').next().unwrap_or(domain).to_owned(),
            allow_credentials: Vec::new(),
            user_verification: "required".to_owned(),
        },
        id: row.id.clone(),
    };
    // In one line: the command puts it into an address.
    let text = serde_json::to_string(&ticket).map_err(|_| rejected())?;
    Ok(Reply { status: 200, content: Content::Json(text), headers: vec![("challenge", row.id)] })
}

/// `POST /session/{challenge}`: the proof that the page gave; the session may go on.
pub(super) async fn complete(call: Call<CliChallengeComplete>) -> Answer {
    let row = asked(&call).await?;
    limit::PROOF.spare(call.store(), &row.id, call.now()).await?;
    let proof = std::str::from_utf8(call.body()).map_err(|_| rejected())?;
    let hash = proof_hash(proof.trim());
    let is_named = call.granted().header("challenge") == Some(row.id.as_str());
    let is_right = row.proof_hash.is_some_and(|known| bool::from(known.ct_eq(&hash)));
    let (Some(answered_at), Some(method)) = (row.answered_at, &row.method) else { return Err(rejected()) };
    if !is_named || !is_right || State::of(&row, call.now()) != State::Answered {
        return Err(rejected());
    }
    call.record_change(&[("challenge", &row.id), ("credential", &row.credential_id), ("method", method)]).await?;
    if !call.store().challenge_complete(&row.id, &hash, call.now()).await? {
        return Err(rejected());
    }
    if !opened(&call, &row, answered_at, method, row.answered_strong).await? {
        return Err(rejected());
    }
    Reply::json(&json!({ "id": row.id }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_listens_on_this_machine_alone() {
        for (url, kept) in [
            ("http://localhost:1", "http://localhost:1"),
            ("http://localhost:8080/", "http://localhost:8080"),
            ("http://127.0.0.1:65535", "http://127.0.0.1:65535"),
        ] {
            assert_eq!(callback(url), Some(kept), "{url}");
        }
        for hostile in [
            "",
            "http://localhost",
            "http://localhost/",
            "http://localhost:",
            "http://localhost:0",
            "http://localhost:65536",
            "http://localhost:+80",
            "http://localhost:080",
            "http://localhost:80a",
            "http://localhost:80//",
            "http://localhost:80/x",
            "http://localhost:80?x",
            "http://localhost:80#x",
            "http://localhost:80@evil.example",
            "http://localhost:80:80",
            "http://localhost:80 ",
            " http://localhost:80",
            "http://localhost.:80",
            "http://localhost.evil.example:80",
            "http://LOCALHOST:80",
            "https://localhost:80",
            "HTTP://localhost:80",
            "//localhost:80",
            "http:/localhost:80",
            "http:\\\\localhost:80",
            "http://user@localhost:80",
            "http://127.0.0.2:80",
            "http://127.1:80",
            "http://[::1]:80",
            "http://0.0.0.0:80",
            "http://evil.example:80",
            "http://localhost:٨٠",
            "http://localhost:80\r\nx: y",
            "javascript:alert(1)//localhost:80",
            "data:,localhost:80",
        ] {
            assert_eq!(callback(hostile), None, "{hostile:?}");
        }
    }

    #[test]
    fn a_ticket_is_what_was_made_here() {
        let encode = |text: &str| STANDARD.encode(text);
        let key = r#""publicKey":{"challenge":"eA==","timeout":60000,"rpId":"gw","allowCredentials":[],"#;
        let key = format!("{key}\"userVerification\":\"required\"}}");
        assert_eq!(ticket(&encode(&format!("{{{key},\"id\":\"one\"}}"))), Some("one".to_owned()));
        let long = encode(&format!("{{{key},\"id\":\"{}\"}}", "x".repeat(LONGEST)));
        for wrong in ["", "x", "{}", &encode("{}"), &encode("[]"), &encode(&format!("{{{key}}}")), &long, "////", "é"]
        {
            assert_eq!(ticket(wrong), None, "{wrong:?}");
        }
    }
}

//! Token exchange (RFC 8693): a CI run shows the identity token of its platform and gets a token of the
//! gateway for minutes.

use serde_json::json;
use url::form_urlencoded;

use super::{answer, or_stop, parameter, refusal, rules, unreadable};
use crate::api::public::{Outcome, Visit, Visited};
use crate::api::{Reply, limit};
use crate::identity::{Arrival, Origin, WorkloadClaims};
use crate::pep::Refusal;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// A token is remembered for as long as a clock that is slow might take it for good.
const LEEWAY: time::Duration = time::Duration::minutes(5);

/// `POST /api/v1/auth/token`.
pub(in crate::api) async fn exchange(visit: Visit) -> Outcome {
    let claims = or_stop!(visit.accepted, proven(&visit).await);
    let rules = or_stop!(visit.accepted, rules(&visit).await);
    let Visit { accepted, services, .. } = visit;
    let (gate, now) = (&services.gate, accepted.trace().at);
    let arrival = Arrival::workload(&rules, &claims);
    let who = async || Ok(arrival.run(now));
    let permit = accepted.admit(gate, "workload-token:create", who).await?;
    let (granted, intent) = permit.into_parts();
    let origin = Origin { source_ip: granted.trace().source_ip, user_agent: granted.header("user-agent") };
    let seconds = rules.workload_max.as_secs();
    let reply = match arrival.admit(&gate.store, None, origin, now).await {
        Ok(token) => answer(&json!({
            "access_token": token.expose(),
            "issued_token_type": ACCESS_TOKEN,
            "token_type": "Bearer",
            "expires_in": seconds,
        })),
        Err(error) => {
            tracing::error!(%error, "the token of a CI run could not be made");
            Reply::done().status(503)
        }
    };
    Ok(Visited::Admitted(reply, intent))
}

/// The run for which a trusted platform vouches; each identity token is taken once.
async fn proven(visit: &Visit) -> Result<WorkloadClaims, Refusal> {
    let (gate, trace) = (&visit.services.gate, visit.accepted.trace());
    let now = trace.at;
    limit::EXCHANGE.check(&gate.store, &trace.source_ip.to_string(), now).await?;
    let pairs: Vec<(String, String)> = form_urlencoded::parse(&visit.body).into_owned().collect();
    let twice = |name: &str| pairs.iter().filter(|(known, _)| known == name).count() > 1;
    let invalid = |what: &str| refusal(400, "invalid-request", what, &[]);
    if pairs.iter().any(|(name, _)| twice(name)) {
        return Err(invalid("a parameter is there twice"));
    }
    if parameter(&pairs, "grant_type") != Some(GRANT) {
        return Err(refusal(400, "unsupported-grant-type", "grant_type must be that of RFC 8693", &[]));
    }
    if !matches!(parameter(&pairs, "subject_token_type"), Some(JWT | ID_TOKEN)) {
        return Err(invalid("subject_token_type must be a JWT or an ID token"));
    }
    let wanted = parameter(&pairs, "requested_token_type");
    if wanted.is_some_and(|wanted| wanted != ACCESS_TOKEN) || parameter(&pairs, "actor_token").is_some() {
        return Err(invalid("only an access token for the subject itself is given out"));
    }
    let token = parameter(&pairs, "subject_token").ok_or_else(|| invalid("subject_token is missing"))?;
    let claims = visit.services.workloads.verify(token, now).await;
    let claims = claims.map_err(|error| refusal(400, "invalid-grant", error.to_string(), &[]))?;
    let account = format!("{} {}", claims.issuer, claims.repository);
    limit::REPOSITORY.check(&gate.store, &account, now).await?;
    let first = gate.store.workload_token_seen(&claims.issuer, &claims.token_id, claims.expires_at + LEEWAY).await;
    if first.map_err(unreadable)? {
        return Ok(claims);
    }
    Err(refusal(400, "invalid-grant", "this identity token was exchanged before: ask the platform for another", &[]))
}

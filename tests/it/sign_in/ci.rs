//! A CI run trades the token of its platform for one of the gateway.

use rack_gateway::config::{ProviderHttp, WorkloadIssuer, WorkloadSettings};
use rack_gateway::http::Running;
use serde_json::{Value, json};

use super::{Send, believing, json as body};
use crate::harness::Db;
use crate::harness::provider::Provider;
use crate::replay::peer::Message;

mod both {
    crate::on_both!(a_run_gets_a_token_once_for_each_of_its_own);
}

fn trusting(provider: &Provider) -> WorkloadSettings {
    let entry = json!([{
        "name": "platform",
        "issuer": provider.issuer(),
        "audience": super::ORIGIN,
        "require": { "repository_owner": "acme" },
        "claims": {
            "repository": "repository",
            "ref": "ref",
            "ref_protected": "ref_protected",
            "sha": "sha",
            "run": "run_id",
        },
    }]);
    let issuers = WorkloadIssuer::parse_list(&entry.to_string()).unwrap();
    WorkloadSettings { issuers, http: ProviderHttp::default() }
}

fn claims(provider: &Provider, running: &Running, jti: &str) -> Value {
    let now = running.gate.clock.now().unix_timestamp();
    json!({
        "iss": provider.issuer(), "aud": super::ORIGIN, "sub": "repo:acme/shop:ref:refs/heads/main", "jti": jti,
        "iat": now, "exp": now + 300, "repository": "acme/shop", "repository_owner": "acme",
        "ref": "refs/heads/main", "ref_protected": "true", "sha": "8d6ecd8c", "run_id": "1234",
    })
}

async fn exchange(running: &Running, token: &str) -> Message {
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
        .append_pair("subject_token_type", "urn:ietf:params:oauth:token-type:jwt")
        .append_pair("subject_token", token)
        .finish();
    let headers = vec![("Content-Type", "application/x-www-form-urlencoded".to_owned())];
    Send { method: "POST", target: "/api/v1/auth/token", headers, body: form }.to(running.addr).await
}

async fn a_run_gets_a_token_once_for_each_of_its_own(db: Db) {
    let provider = Provider::start();
    let running = believing(&db, trusting(&provider)).await;
    let token = provider.mint(&claims(&provider, &running, "one"));
    let answer = exchange(&running, &token).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    let granted = body(&answer);
    assert_eq!((&granted["token_type"], &granted["expires_in"]), (&json!("Bearer"), &json!(900)));
    let bearer = format!("Bearer {}", granted["access_token"].as_str().unwrap());
    let me = body(&Send::get("/api/v1/whoami").header("Authorization", &bearer).to(running.addr).await);
    assert_eq!(me["principal"]["type"], "Workload");
    assert_eq!(me["credential"]["kind"], "workload-token");
    // It does nothing that no policy gives it.
    assert_eq!(Send::get("/apps").header("Authorization", &bearer).to(running.addr).await.status(), 403);

    let replay = exchange(&running, &token).await;
    assert_eq!((replay.status(), body(&replay)["error"].clone()), (400, json!("invalid_grant")));
    for (name, change) in [
        ("another owner", json!({ "repository_owner": "mallory" })),
        ("another audience", json!({ "aud": "https://other.example" })),
        ("another issuer", json!({ "iss": "https://evil.example" })),
        ("expired", json!({ "exp": 1_000_000_000 })),
    ] {
        let mut changed = claims(&provider, &running, name);
        changed.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = exchange(&running, &provider.mint(&changed)).await;
        assert_eq!((answer.status(), body(&answer)["error"].clone()), (400, json!("invalid_grant")), "{name}");
    }
    let answer = exchange(&running, "no.such.token").await;
    assert_eq!(answer.status(), 400);
    running.stop().await;
}

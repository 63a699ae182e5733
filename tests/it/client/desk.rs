//! The part of the fake gateway that keeps requests to deploy.

use std::collections::{BTreeMap, VecDeque};

use actix_web::HttpResponse;
use serde_json::{Value, json};

use super::fake::{broken, problem};

pub const COMMIT: &str = "8d6ecd8c2b0a0f7ce0a2b0d6c8f9a2c0f1e2d3c4";
/// The page of its challenges.
pub const PAGE: &str = "https://gateway.example.com/app/c/BCDF-GHJK";
/// A code that is good.
pub const CODE: &str = "123456";

/// What it says to who waits.
#[derive(Clone, Copy, Debug)]
pub enum Now {
    /// The request is in this state.
    Is(&'static str),
    /// A bad moment of a load balancer.
    Down,
    /// An answer that ends before it says anything.
    Cut,
}

/// Requests to deploy.
#[derive(Default)]
pub struct Desk {
    pub approvals: Vec<Value>,
    /// To questions of those who wait, the last one for ever.
    pub waits: VecDeque<Now>,
    /// Whether a second factor is asked for.
    pub challenges: bool,
    /// Questions after which the page was answered, and how it ended.
    pub polls: VecDeque<&'static str>,
    confirmed: bool,
}

/// A request, as the API shows it.
pub fn approval(id: &str, app: &str, commit: &str, state: &str) -> Value {
    json!({
        "id": id, "app": app, "commit": commit, "branch": "main", "message": "Ship\u{1b}[2J it", "pr_url": null,
        "ci": null, "state": state, "reason": null, "requester": { "kind": "ApiToken", "id": "t-1" },
        "deployer": { "kind": "ApiToken", "id": "t-1" }, "behind": ["u-1"], "created_at": "2026-01-02T03:04:05Z",
        "expires_at": "2026-01-03T03:04:05Z", "approved_at": null, "ended_at": null, "ended_by": null,
        "extensions": 0, "approvals": [], "running_release": "RAAA", "parent_release": "RBBB",
        "env_changes": ["PORT", "HOST"], "needed": 1,
    })
}

impl Desk {
    pub fn is_for(path: &[&str]) -> bool {
        matches!(
            path,
            ["api", "v1", "deploy-approvals"]
                | ["api", "v1", "apps", _, "deploy-approvals", ..]
                | ["api", "v1", "challenges", _]
        )
    }

    pub fn answer(
        &mut self,
        (method, path): (&str, &[&str]),
        query: &BTreeMap<String, String>,
        factor: Option<&str>,
        body: &str,
    ) -> HttpResponse {
        match (method, path) {
            ("GET", ["api", "v1", "deploy-approvals"]) => self.list(query),
            ("GET", ["api", "v1", "challenges", "ch-1"]) => self.challenge(),
            ("POST", ["api", "v1", "apps", app, "deploy-approvals"]) => self.create(app, body),
            ("GET", ["api", "v1", "apps", app, _, id]) => match self.find(app, id) {
                Some(found) => HttpResponse::Ok().json(found),
                None => problem(404, "not-found", "there is no such deploy approval"),
            },
            ("GET", ["api", "v1", "apps", app, _, id, "wait"]) => self.wait(app, id, query),
            ("POST", ["api", "v1", "apps", app, _, id, verb @ ("approve" | "reject")]) => {
                self.decide((app, id, verb), factor, body)
            }
            _ => problem(404, "unknown-route", "there is no such route"),
        }
    }

    fn find(&mut self, app: &str, id: &str) -> Option<&mut Value> {
        self.approvals.iter_mut().find(|approval| approval["app"] == app && approval["id"] == id)
    }

    fn list(&self, query: &BTreeMap<String, String>) -> HttpResponse {
        let fits = |approval: &&Value| {
            let names = ["app", "state", "commit"];
            names.iter().all(|name| query.get(*name).is_none_or(|value| approval[name] == *value))
        };
        let all: Vec<&Value> = self.approvals.iter().filter(fits).collect();
        let from = query.get("cursor").map_or(0, |cursor| cursor.parse().unwrap());
        let limit: usize = query["limit"].parse().unwrap();
        // Pages are shorter than what is asked for: a client must go on.
        let page: Vec<&&Value> = all.iter().skip(from).take(limit.min(2)).collect();
        let next = (from + page.len() < all.len()).then(|| (from + page.len()).to_string());
        HttpResponse::Ok().json(json!({ "items": page, "next": next }))
    }

    fn create(&mut self, app: &str, body: &str) -> HttpResponse {
        let Ok(asked) = serde_json::from_str::<Value>(body) else { return broken("no JSON") };
        let known = ["commit", "message", "branch", "pr_url", "ci", "deployer"];
        if asked
            .as_object()
            .is_none_or(|fields| fields.iter().any(|(name, value)| !known.contains(&name.as_str()) || value.is_null()))
        {
            return broken("other fields");
        }
        let (Some(commit), Some(_)) = (asked["commit"].as_str(), asked["message"].as_str()) else {
            return broken("no commit, or no message");
        };
        let commit = commit.to_lowercase();
        if let Some(there) = self.approvals.iter().find(|one| one["app"] == app && one["commit"] == commit) {
            return HttpResponse::Ok().json(there);
        }
        let mut new = approval(&format!("a-{}", self.approvals.len() + 1), app, &commit, "pending");
        for name in ["branch", "message", "pr_url", "ci"] {
            new[name] = asked[name].clone();
        }
        self.approvals.push(new.clone());
        HttpResponse::Created().json(new)
    }

    fn wait(&mut self, app: &str, id: &str, query: &BTreeMap<String, String>) -> HttpResponse {
        let seconds: u64 = query["timeout"].parse().unwrap();
        assert!((1..=1200).contains(&seconds));
        let now = if self.waits.len() > 1 { self.waits.pop_front() } else { self.waits.front().copied() };
        let state = match now.expect("what to say") {
            Now::Down => return HttpResponse::BadGateway().body("<html>bad gateway</html>"),
            Now::Cut => return HttpResponse::Ok().content_type("application/json").body("\n\n"),
            Now::Is(state) => state,
        };
        let Some(found) = self.find(app, id) else {
            return problem(404, "not-found", "there is no such deploy approval");
        };
        found["state"] = json!(state);
        if state == "rejected" {
            found["reason"] = json!("not\u{1b}[2J today");
        }
        HttpResponse::Ok().content_type("application/json").body(format!("\n\n{found:#}\n"))
    }

    fn decide(&mut self, (app, id, verb): (&str, &str, &str), factor: Option<&str>, body: &str) -> HttpResponse {
        let Ok(asked) = serde_json::from_str::<Value>(body) else { return broken("no JSON") };
        let fields: Vec<&str> = asked.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        let is_good = match verb {
            "approve" => fields.is_empty() || fields == ["notes"],
            _ => fields == ["reason"],
        };
        if !is_good {
            return broken("other fields");
        }
        let is_shown = match factor {
            None => std::mem::take(&mut self.confirmed),
            Some(factor) => factor == format!("totp={CODE}"),
        };
        if self.challenges && !is_shown {
            return HttpResponse::Unauthorized().json(json!({
                "error": format!("deploy-approval:{verb} refused; confirm it at {PAGE}"), "type": "/problems/challenge",
                "title": "Unauthorized", "status": 401, "instance": super::fake::REQUEST_ID,
                "challenge": { "id": "ch-1", "needs": "mfa_bound", "strong": false, "url": PAGE,
                    "expires_at": "2999-12-31T10:20:30Z" },
            }));
        }
        let Some(found) = self.find(app, id) else {
            return problem(404, "not-found", "there is no such deploy approval");
        };
        if found["state"] != "pending" {
            return problem(409, "conflict", "it was decided on before");
        }
        let needed = found["needed"].as_u64().unwrap();
        if verb == "approve" && needed > 1 {
            found["needed"] = json!(needed - 1);
        } else {
            found["state"] = json!(if verb == "approve" { "approved" } else { "rejected" });
            found["needed"] = Value::Null;
        }
        HttpResponse::Ok().json(found)
    }

    fn challenge(&mut self) -> HttpResponse {
        let state = if self.polls.len() > 1 { self.polls.pop_front() } else { self.polls.front().copied() };
        match state.expect("what to say") {
            "down" => HttpResponse::BadGateway().body("<html>bad gateway</html>"),
            state => {
                self.confirmed = state == "answered";
                HttpResponse::Ok().json(json!({ "id": "ch-1", "state": state }))
            }
        }
    }
}

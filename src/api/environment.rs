//! The variables of an app: what the newest release, or another, gives its processes.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::action::EnvironmentRead;
use super::endpoint::Answer;
use super::{Call, Problem, Reply};
use crate::mask::{Environment, Mask, Rules};
use crate::pdp::{EnvVar, Verdict};
use crate::pep::{EnvironmentUnknown, ErrandError, Releases, app_rules, env_var};
use crate::routes::{DERIVED, Row};

/// The variables of a release.
#[derive(Serialize, ToSchema)]
pub(super) struct EnvironmentView {
    app: String,
    /// The release; null when the app has none.
    release: Option<String>,
    variables: Vec<VariableView>,
}

/// A variable.
#[derive(Serialize, ToSchema)]
struct VariableView {
    name: String,
    /// The value, or the mask that stands for it. A mask that is sent back keeps the value.
    value: String,
    /// Whether the value is a mask.
    masked: bool,
    /// Whether it is a secret: shown by `secrets=true` to those who may.
    secret: bool,
    /// Whether nobody sees or changes it through the gateway.
    protected: bool,
}

impl From<EnvironmentUnknown> for Problem {
    fn from(error: EnvironmentUnknown) -> Self {
        match error {
            EnvironmentUnknown::Rack(ErrandError::Missing) => Self::not_found("app or release"),
            EnvironmentUnknown::Rack(error) => {
                tracing::warn!(%error, "the rack cannot be asked");
                Self::new(502, "rack-unreadable", "the rack does not say; try again")
            }
            EnvironmentUnknown::Settings => {
                Self::new(503, "database-unavailable", "the settings of the app cannot be read; try again")
            }
            EnvironmentUnknown::Unclear(slug, text) => Self::new(400, slug, text),
        }
    }
}

/// The variables of an app, masked where policy says so.
///
/// `release` names another release than the newest, `key` one variable. `secrets=true` asks for secrets in clear:
/// policy is asked for each, and the record names them.
#[utoipa::path(get, path = "/api/v1/apps/{app}/env", tag = "environments", responses(
    (status = 200, body = EnvironmentView),
    (status = 502, description = "The rack does not say"),
))]
pub(super) async fn read(call: Call<EnvironmentRead>) -> Answer {
    let granted = call.granted();
    let app = call.param("app")?;
    let look = granted.look().ok_or_else(|| Problem::not_found("app"))?;
    let mut releases = Releases::new(&look, app);
    let query = granted.query();
    // The release whose secrets were asked for, so that no other is shown.
    let release = match (granted.trace().facts.get("release"), query.get("release")) {
        (Some(release), _) => Some(release.clone()),
        (None, Some(release)) => Some(release.to_owned()),
        (None, None) => releases.newest().await?,
    };
    let (environment, rules) = match &release {
        Some(release) => (releases.environment(release).await?, app_rules(call.gate(), &look, app).await?),
        None => (Environment::default(), Rules::default()),
    };
    let view = Viewer { call: &call, app, mask: Mask::of_release(release.as_deref().unwrap_or_default()), rules };
    let wanted = environment.iter().filter(|(name, _)| query.get("key").is_none_or(|key| key == *name));
    let variables: Vec<VariableView> = wanted.map(|(name, value)| view.of(name, value)).collect();
    if let (Some(key), true) = (query.get("key"), variables.is_empty()) {
        return Err(Problem::not_found(&format!("variable: {}", crate::mask::label(key))));
    }
    Reply::json(&EnvironmentView { app: app.to_owned(), release, variables })
}

struct Viewer<'a> {
    call: &'a Call<EnvironmentRead>,
    app: &'a str,
    mask: Mask,
    rules: Rules,
}

impl Viewer<'_> {
    fn of(&self, name: &str, value: &str) -> VariableView {
        let facts = EnvVar { secret: self.rules.is_secret(name, value), protected: self.rules.is_protected(name) };
        let is_shown = self.is_shown(name, facts);
        VariableView {
            name: name.to_owned(),
            value: if is_shown { value.to_owned() } else { self.mask.to_string() },
            masked: !is_shown,
            secret: facts.secret,
            protected: facts.protected,
        }
    }

    /// A secret is shown only if it was asked for and is on the record; everything else if policy allows it now.
    fn is_shown(&self, name: &str, facts: EnvVar) -> bool {
        let granted = self.call.granted();
        let resource = env_var(self.app, name, facts);
        if facts.secret || facts.protected {
            return granted.has_asked("secret:read", &resource.id);
        }
        let row: Option<&Row> = DERIVED.iter().find(|row| row.action == "env:read");
        row.and_then(|row| granted.would(self.call.gate(), row, &resource)) == Some(Verdict::Allow)
    }
}

/// What the description of the API says of the change, which is sent on to the rack as a new release.
pub(super) fn change() -> Value {
    let names = |text: &str| json!({ "type": "array", "items": { "type": "string" }, "description": text });
    let values = json!({
        "type": "object",
        "additionalProperties": { "type": "string" },
        "description": "Names and their values; a mask keeps the value that it stands for",
    });
    let wanted = json!({ "type": "object", "properties": { "set": values, "remove": names("Names") } });
    let made = json!({
        "type": "object",
        "required": ["release", "set", "removed"],
        "properties": {
            "release": { "type": "string", "description": "Id of the release; it is not promoted" },
            "set": names("Variables that are new or have another value"),
            "removed": names("Variables that are no longer there"),
        },
    });
    json!({
        "tags": ["environments"],
        "summary": "Change variables of an app: makes a release of the newest one, which is not promoted.",
        "description": "Policy is asked for the release and for each variable; what is not named stays.",
        "requestBody": { "required": true, "content": { "application/json": { "schema": wanted } } },
        "responses": {
            "200": { "description": "The release", "content": { "application/json": { "schema": made } } },
            "502": { "description": "The rack does not say" },
        },
    })
}

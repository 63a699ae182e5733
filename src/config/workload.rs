//! Which CI platforms vouch for their runs, and which runs are ours: `WORKLOAD_ISSUERS`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{Env, ProviderHttp, SignInSettings, provider_url};

/// Workload identity: the platforms, and how they are reached.
#[derive(Clone, Debug, Default)]
pub struct WorkloadSettings {
    /// Each platform once. Empty: CI runs cannot sign in with tokens of their platform.
    pub issuers: Vec<WorkloadIssuer>,
    /// How their keys are fetched.
    pub http: ProviderHttp,
}

/// A platform that gives its runs tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadIssuer {
    /// What it is called in records and policy.
    pub name: String,
    /// The `iss` claim, exactly.
    pub issuer: String,
    /// The `aud` claim, exactly.
    pub audience: String,
    /// Where its keys are; None: where its discovery document says.
    pub jwks_uri: Option<String>,
    /// Claims that a run of ours has: for each, any of these.
    pub require: BTreeMap<String, Vec<Pattern>>,
    /// Which claims our facts are read from.
    pub claims: FactClaims,
    /// Longest time since the token was made, in seconds; at most an hour.
    pub max_age_seconds: u32,
}

/// What a claim must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// This value.
    Exact(String),
    /// Anything that begins so.
    Prefix(String),
}

impl Pattern {
    /// Whether a value meets it.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::Exact(exact) => value == exact,
            Self::Prefix(prefix) => value.starts_with(prefix),
        }
    }

    fn parse(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(prefix) => Self::Prefix(prefix.to_owned()),
            None => Self::Exact(text.to_owned()),
        }
    }
}

/// Names of the claims that hold our facts. None: the platform does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactClaims {
    /// The repository, such as `acme/shop`.
    pub repository: Option<String>,
    /// The git ref, such as `refs/heads/main`.
    #[serde(rename = "ref")]
    pub git_ref: Option<String>,
    /// What kind of ref it is (`branch`, `tag`), where the ref is written without `refs/…/`.
    pub ref_type: Option<String>,
    /// Whether the ref is protected.
    pub ref_protected: Option<String>,
    /// The commit.
    pub sha: Option<String>,
    /// The deployment environment.
    pub environment: Option<String>,
    /// The run.
    pub run: Option<String>,
}

impl FactClaims {
    fn or(self, preset: Self) -> Self {
        Self {
            repository: self.repository.or(preset.repository),
            // The kind belongs to the preset's own ref.
            ref_type: self.ref_type.or(preset.ref_type.filter(|_| self.git_ref.is_none())),
            git_ref: self.git_ref.or(preset.git_ref),
            ref_protected: self.ref_protected.or(preset.ref_protected),
            sha: self.sha.or(preset.sha),
            environment: self.environment.or(preset.environment),
            run: self.run.or(preset.run),
        }
    }
}

/// Tokens of runs live for an hour at most, whatever the platform says.
const HOUR: u32 = 3600;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Preset {
    Github,
    Gitlab,
    Circleci,
}

impl Preset {
    const fn name(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Circleci => "circleci",
        }
    }

    const fn issuer(self) -> Option<&'static str> {
        match self {
            Self::Github => Some("https://token.actions.githubusercontent.com"),
            Self::Gitlab => Some("https://gitlab.com"),
            Self::Circleci => None,
        }
    }

    /// The platform whose public issuer this is, also when nobody names it.
    fn of(issuer: &str) -> Option<Self> {
        [Self::Github, Self::Gitlab].into_iter().find(|preset| preset.issuer() == Some(issuer))
    }

    /// Claims of which one must be required: the issuer serves the whole world.
    const fn ownership(self) -> &'static [&'static str] {
        match self {
            Self::Github => &["repository_owner", "repository", "repository_owner_id", "repository_id"],
            Self::Gitlab => &["namespace_path", "project_path", "namespace_id", "project_id"],
            Self::Circleci => &[],
        }
    }

    fn claims(self) -> FactClaims {
        let named = |name: &str| Some(name.to_owned());
        match self {
            Self::Github => FactClaims {
                repository: named("repository"),
                git_ref: named("ref"),
                ref_type: None,
                ref_protected: named("ref_protected"),
                sha: named("sha"),
                environment: named("environment"),
                run: named("run_id"),
            },
            Self::Gitlab => FactClaims {
                repository: named("project_path"),
                git_ref: named("ref"),
                ref_type: named("ref_type"),
                ref_protected: named("ref_protected"),
                sha: named("sha"),
                environment: named("environment"),
                run: named("job_id"),
            },
            Self::Circleci => FactClaims {
                repository: named("oidc.circleci.com/vcs-origin"),
                git_ref: named("oidc.circleci.com/vcs-ref"),
                run: named("oidc.circleci.com/job-id"),
                ..FactClaims::default()
            },
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// One entry of the list, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    preset: Option<Preset>,
    issuer: Option<String>,
    audience: Option<String>,
    jwks_uri: Option<String>,
    name: Option<String>,
    #[serde(default)]
    require: BTreeMap<String, OneOrMany>,
    #[serde(default)]
    claims: FactClaims,
    max_age_seconds: Option<u32>,
}

impl WorkloadSettings {
    /// Reads the settings; adds what is wrong to `problems`.
    pub(super) fn read(
        env: &dyn Env,
        http: &ProviderHttp,
        people: Option<&SignInSettings>,
        problems: &mut Vec<String>,
    ) -> Self {
        let mut settings = Self { issuers: Vec::new(), http: http.clone() };
        let Some(value) = env.get("WORKLOAD_ISSUERS") else { return settings };
        let text = match value.strip_prefix('@') {
            None => value,
            Some(path) => match std::fs::read_to_string(path) {
                Ok(text) => text,
                Err(error) => {
                    problems.push(format!("WORKLOAD_ISSUERS: {path} cannot be read: {error}"));
                    return settings;
                }
            },
        };
        match WorkloadIssuer::parse_list(&text) {
            Ok(issuers) => settings.issuers = issuers,
            Err(found) => {
                problems.extend(found.into_iter().map(|problem| format!("WORKLOAD_ISSUERS: {problem}")));
            }
        }
        // Otherwise a person's identity token would be one of a run.
        let is_same = |one: &WorkloadIssuer| {
            people.is_some_and(|people| people.issuer == one.issuer && people.client_id == one.audience)
        };
        if let Some(same) = settings.issuers.iter().find(|one| is_same(one)) {
            problems.push(format!("WORKLOAD_ISSUERS: {}: its `audience` is the client id of people", same.name));
        }
        settings
    }
}

impl WorkloadIssuer {
    /// Reads a JSON list of platforms.
    ///
    /// # Errors
    /// Everything that is wrong with it, with what to do.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, Vec<String>> {
        let entries: Vec<Entry> = serde_json::from_str(text)
            .map_err(|error| vec![format!("it is not the JSON list it should be: {error}")])?;
        let (mut issuers, mut problems) = (Vec::new(), Vec::new());
        for (index, entry) in entries.into_iter().enumerate() {
            let label = entry.name.clone().unwrap_or_else(|| format!("entry {}", index + 1));
            match Self::from_entry(entry) {
                Ok(issuer) => issuers.push(issuer),
                Err(found) => problems.extend(found.into_iter().map(|problem| format!("{label}: {problem}"))),
            }
        }
        for (what, values) in [
            ("issuer", issuers.iter().map(|one| one.issuer.clone()).collect::<Vec<_>>()),
            ("name", issuers.iter().map(|one| one.name.clone()).collect()),
        ] {
            let mut seen = BTreeSet::new();
            let twice = values.iter().filter(|value| !seen.insert(*value));
            problems.extend(twice.map(|value| format!("the {what} {value} is there twice: write one entry for it")));
        }
        if problems.is_empty() { Ok(issuers) } else { Err(problems) }
    }

    fn from_entry(entry: Entry) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let issuer = entry.issuer.or_else(|| entry.preset.and_then(Preset::issuer).map(str::to_owned));
        let issuer = issuer.unwrap_or_else(|| {
            problems.push("`issuer` is missing".to_owned());
            String::new()
        });
        if !issuer.is_empty() {
            problems.extend(provider_url(&issuer).err().map(|problem| format!("`issuer` {problem}")));
        }
        if let Some(Err(problem)) = entry.jwks_uri.as_deref().map(provider_url) {
            problems.push(format!("`jwks_uri` {problem}"));
        }
        let organization = issuer.split_once("/org/").map(|(_, id)| id).filter(|id| !id.is_empty());
        let is_circleci = entry.preset == Some(Preset::Circleci);
        if is_circleci && !issuer.is_empty() && organization.is_none_or(|id| id.contains('/')) {
            problems.push("`issuer` of CircleCI is https://oidc.circleci.com/org/<organization id>".to_owned());
        }
        // CircleCI's tokens are for the organization itself unless a job asks for another audience.
        let default = organization.filter(|_| is_circleci).map(str::to_owned);
        let audience = entry.audience.or(default).filter(|text| !text.is_empty()).unwrap_or_else(|| {
            problems.push("`audience` is missing: the value that jobs ask their token for".to_owned());
            String::new()
        });
        let max_age_seconds = entry.max_age_seconds.unwrap_or(HOUR);
        if !(1..=HOUR).contains(&max_age_seconds) {
            problems.push(format!("`max_age_seconds` must be from 1 to {HOUR}"));
        }
        let platform = entry.preset.or_else(|| Preset::of(&issuer));
        let require = required(entry.require, platform, &mut problems);
        let preset = entry.preset.map(Preset::claims).unwrap_or_default();
        let name = entry.name.or_else(|| entry.preset.map(|preset| preset.name().to_owned()));
        let name = name.unwrap_or_else(|| issuer.clone());
        if !problems.is_empty() {
            return Err(problems);
        }
        let claims = entry.claims.or(preset);
        Ok(Self { name, issuer, audience, jwks_uri: entry.jwks_uri, require, claims, max_age_seconds })
    }
}

fn required(
    written: BTreeMap<String, OneOrMany>,
    preset: Option<Preset>,
    problems: &mut Vec<String>,
) -> BTreeMap<String, Vec<Pattern>> {
    let ownership = preset.map_or(&[][..], Preset::ownership);
    let mut require = BTreeMap::new();
    for (claim, values) in written {
        let values = match values {
            OneOrMany::One(value) => vec![value],
            OneOrMany::Many(values) => values,
        };
        problems.extend(values.iter().filter_map(|value| pattern_problem(&claim, value, ownership)));
        if values.is_empty() {
            problems.push(format!("`require.{claim}` names no value"));
        }
        require.insert(claim, values.iter().map(|value| Pattern::parse(value)).collect());
    }
    if preset.is_none() && require.is_empty() {
        problems
            .push("`require` is missing: say which tokens of this issuer are yours, by `sub` for example".to_owned());
    }
    if !ownership.is_empty() && !ownership.iter().any(|claim| require.contains_key(*claim)) {
        problems.push(format!(
            "`require` must name one of {}: the platform gives tokens to everybody in the world",
            ownership.join(", ")
        ));
    }
    require
}

/// What is wrong with a required value. Who owns a repository is known up to a slash or not at all:
/// `acme*` is `acme-of-somebody-else/x` too.
fn pattern_problem(claim: &str, value: &str, ownership: &[&str]) -> Option<String> {
    let prefix = value.strip_suffix('*');
    if value.is_empty() || prefix == Some("") {
        return Some(format!("`require.{claim}` is met by anything: name a value"));
    }
    if prefix.unwrap_or(value).contains('*') {
        return Some(format!("`require.{claim}` is `{value}`: only the last character may be `*`"));
    }
    let is_owner = ownership.contains(&claim);
    let open = prefix.is_some_and(|prefix| !prefix.trim_start_matches('/').contains('/'));
    let names_an_id = claim.ends_with("_id") || claim == "repository_owner";
    if is_owner && prefix.is_some() && (open || names_an_id) {
        return Some(format!("`require.{claim}` is `{value}`: strangers can choose such a name; end it at a slash"));
    }
    None
}

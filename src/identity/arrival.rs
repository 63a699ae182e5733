//! Somebody who has just been proven, and the credential that they will get if policy lets them in.
//!
//! The credential has its id before anything is decided, so that the decision's record names it.

use std::net::IpAddr;
use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

use super::{Assurance, CredentialRef, Identity, IssueError, PrincipalType, Rules, Token, Workload, WorkloadClaims};
use crate::store::{CredentialKind, NewCredential, Store, UserRow};

/// Somebody at the door.
#[derive(Clone, Debug)]
pub struct Arrival {
    kind: CredentialKind,
    id: String,
    name: String,
    max: Duration,
    idle: Option<Duration>,
    workload: Option<Workload>,
    factor: Option<(OffsetDateTime, String, bool)>,
    device: Option<String>,
}

/// Where somebody came from, as far as that is known.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The address.
    pub source_ip: IpAddr,
    /// What the program calls itself.
    pub user_agent: Option<&'a str>,
}

impl Arrival {
    /// A person at the browser.
    #[must_use]
    pub fn web(rules: &Rules) -> Self {
        Self::new(CredentialKind::Web, "browser".to_owned(), rules.web_max, Some(rules.web_idle))
    }

    /// A person at a CLI, on a device of this name.
    #[must_use]
    pub fn cli(rules: &Rules, device: String) -> Self {
        Self::new(CredentialKind::Cli, device, rules.cli_max, Some(rules.cli_idle))
    }

    /// A CI run.
    #[must_use]
    pub fn workload(rules: &Rules, claims: &WorkloadClaims) -> Self {
        let workload = Workload {
            issuer: claims.issuer.clone(),
            subject: claims.subject.clone(),
            repository: claims.repository.clone(),
            git_ref: claims.git_ref.clone(),
            ref_protected: claims.ref_protected,
            sha: claims.sha.clone(),
            environment: claims.environment.clone(),
            run: claims.run.clone(),
        };
        let name = format!("{} {} run {}", claims.issuer_name, claims.repository, claims.run);
        let arrival = Self::new(CredentialKind::Workload, name, rules.workload_max, None);
        Self { workload: Some(workload), ..arrival }
    }

    fn new(kind: CredentialKind, name: String, max: Duration, idle: Option<Duration>) -> Self {
        Self { kind, id: Uuid::now_v7().to_string(), name, max, idle, workload: None, factor: None, device: None }
    }

    /// The same, ending after `max` if the rules do not end it earlier.
    #[must_use]
    pub fn within(self, max: Duration) -> Self {
        Self { max: self.max.min(max), ..self }
    }

    /// The same, in a session that has shown this factor elsewhere: when, by which method, and whether that
    /// resists phishing.
    #[must_use]
    pub fn with_factor(self, factor: Option<(OffsetDateTime, String, bool)>) -> Self {
        Self { factor, ..self }
    }

    /// The same, on this trusted device.
    #[must_use]
    pub fn on_device(self, id: Option<String>) -> Self {
        Self { device: id, ..self }
    }

    /// Id of the credential.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When the credential ends, used or not.
    #[must_use]
    pub fn expires_at(&self, now: OffsetDateTime) -> OffsetDateTime {
        now + self.max
    }

    /// The person as policy will see them, with the groups that the identity provider names now.
    #[must_use]
    pub fn person(&self, user: UserRow, groups: Vec<String>, now: OffsetDateTime) -> Identity {
        Identity {
            principal: PrincipalType::User,
            locked: user.is_locked(),
            label: user.email.clone(),
            groups,
            version: user.version,
            assurance: Assurance { enrolled: user.enrolled_at.is_some(), ..Assurance::none(now) },
            id: user.id,
            email: user.email,
            name: user.name,
            roles: user.roles,
            ..self.nobody(now)
        }
    }

    /// The CI run as policy will see it.
    #[must_use]
    pub fn run(&self, now: OffsetDateTime) -> Identity {
        Identity { label: format!("workload:{}", self.name), ..self.nobody(now) }
    }

    fn nobody(&self, now: OffsetDateTime) -> Identity {
        Identity {
            principal: PrincipalType::Workload,
            id: self.id.clone(),
            label: String::new(),
            email: String::new(),
            name: self.name.clone(),
            roles: Vec::new(),
            groups: Vec::new(),
            locked: false,
            version: 0,
            credential: CredentialRef { kind: self.kind, id: self.id.clone() },
            expires_at: self.expires_at(now),
            idle: self.idle,
            last_used_at: now,
            network: None,
            apps: Vec::new(),
            workload: self.workload.clone(),
            assurance: Assurance::none(now),
        }
    }

    /// Makes the credential. Policy has let them in, and that is on the record.
    ///
    /// # Errors
    /// When there is no randomness, or the database refuses.
    pub async fn admit(
        self,
        store: &Store,
        user_id: Option<String>,
        origin: Origin<'_>,
        now: OffsetDateTime,
    ) -> Result<Token, IssueError> {
        let token = Token::generate()?;
        let workload = self.workload.as_ref().map(Workload::to_text).transpose()?;
        let factor_strong = self.factor.as_ref().is_some_and(|(_, _, strong)| *strong);
        let (factor_at, factor_method) = self.factor.as_ref().map(|(at, method, _)| (*at, method.clone())).unzip();
        let new = NewCredential {
            expires_at: self.expires_at(now),
            id: self.id,
            kind: self.kind,
            name: self.name,
            created_by: user_id.clone(),
            user_id,
            roles: Vec::new(),
            secret_hash: token.hash().0,
            idle: self.idle,
            source_ip: Some(origin.source_ip),
            user_agent: origin.user_agent.map(str::to_owned),
            network: None,
            apps: Vec::new(),
            workload,
            factor_at,
            factor_method,
            factor_strong,
            device_id: self.device,
        };
        store.credential_create(new, now).await?;
        Ok(token)
    }
}

//! Credentials: sessions of people, tokens of machines and of CI runs. Only hashes of secrets are stored.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{ConnectionTrait, ExprTrait as _, QueryOrder as _, QuerySelect as _, Select};
use time::OffsetDateTime;

use super::append::{loaded, stored};
use super::device::is_trusted;
use super::user::{self, UserRow};
use super::user_change::hold;
use super::value::{begin, list_from, list_text, parsed, second};
use super::{Store, StoreError};

pub(super) mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "credentials")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub kind: String,
        pub name: String,
        pub user_id: Option<String>,
        pub created_by: Option<String>,
        pub roles: String,
        pub secret_hash: Vec<u8>,
        pub previous_hash: Option<Vec<u8>>,
        pub previous_until: Option<TimeDateTimeWithTimeZone>,
        pub created_at: TimeDateTimeWithTimeZone,
        pub expires_at: TimeDateTimeWithTimeZone,
        pub idle_seconds: Option<i64>,
        pub last_used_at: TimeDateTimeWithTimeZone,
        pub revoked_at: Option<TimeDateTimeWithTimeZone>,
        pub revoked_reason: Option<String>,
        pub source_ip: Option<String>,
        pub user_agent: Option<String>,
        pub network: Option<String>,
        pub apps: String,
        pub workload: Option<String>,
        pub version: i64,
        pub factor_at: Option<TimeDateTimeWithTimeZone>,
        pub factor_method: Option<String>,
        pub factor_strong: bool,
        pub device_id: Option<String>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {
        #[sea_orm(
            belongs_to = "crate::store::user::entity::Entity",
            from = "Column::UserId",
            to = "crate::store::user::entity::Column::Id"
        )]
        User,
    }

    impl Related<crate::store::user::entity::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::User.def()
        }
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Most characters of a `User-Agent` that are kept.
const USER_AGENT: usize = 512;

/// What a credential is, and so whose rights it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// A person's browser session; only ever in its cookie.
    Web,
    /// A person's session of a command-line client; only ever in a header.
    Cli,
    /// A token of a machine, with rights of its own.
    Api,
    /// A run in CI, for minutes, with rights of its own.
    Workload,
}

impl CredentialKind {
    /// Name in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Web => "web-session",
            Self::Cli => "cli-session",
            Self::Api => "api-token",
            Self::Workload => "workload-token",
        }
    }

    /// The short word, as it is stored.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Cli => "cli",
            Self::Api => "api",
            Self::Workload => "workload",
        }
    }

    /// The kind of that short word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Web, Self::Cli, Self::Api, Self::Workload].into_iter().find(|kind| kind.word() == word)
    }
}

/// A credential, as stored. The hashes of its secrets stay in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRow {
    /// Its id, a UUID of version 7.
    pub id: String,
    /// What it is.
    pub kind: CredentialKind,
    /// Name for people.
    pub name: String,
    /// Whom it acts as, for sessions.
    pub user: Option<UserRow>,
    /// Who made it, where that is known.
    pub created_by: Option<String>,
    /// Its own roles; a session has its person's.
    pub roles: Vec<String>,
    /// Until when the secret before the last rotation is good as well.
    pub previous_until: Option<OffsetDateTime>,
    /// Whether it was found by that secret; it is then good for nothing after `previous_until`.
    pub is_previous: bool,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// From when on it is refused, used or not.
    pub expires_at: OffsetDateTime,
    /// It is refused as well when it was not used for so long.
    pub idle: Option<Duration>,
    /// When it was last used, roughly; at first, when it was made.
    pub last_used_at: OffsetDateTime,
    /// Since when it is refused.
    pub revoked_at: Option<OffsetDateTime>,
    /// Why.
    pub revoked_reason: Option<String>,
    /// Where it was asked for from.
    pub source_ip: Option<IpAddr>,
    /// What asked for it.
    pub user_agent: Option<String>,
    /// The only network it is good from.
    pub network: Option<IpNet>,
    /// The only apps it is good for; empty for all.
    pub apps: Vec<String>,
    /// Verified claims about a run in CI, as JSON.
    pub workload: Option<String>,
    /// Grows with every change but use.
    pub version: u64,
    /// When its person last showed a factor in it.
    pub factor_at: Option<OffsetDateTime>,
    /// By which method.
    pub factor_method: Option<String>,
    /// Whether that resists phishing.
    pub factor_strong: bool,
    /// The trusted device on which it began; nothing once that is not trusted any more.
    pub device_id: Option<String>,
}

impl CredentialRow {
    /// Whether it is good at this time: not revoked, not at its end, not idle for too long.
    #[must_use]
    pub fn is_live(&self, now: OffsetDateTime) -> bool {
        let is_idle = self.idle.is_some_and(|idle| now - self.last_used_at >= idle);
        self.revoked_at.is_none() && self.expires_at > now && !is_idle
    }
}

/// A credential to add.
#[derive(Clone)]
pub struct NewCredential {
    /// Its id, a UUID of version 7: lists are in the order of ids.
    pub id: String,
    /// What it is.
    pub kind: CredentialKind,
    /// Name for people.
    pub name: String,
    /// Whom it acts as; needed for sessions, and for them only.
    pub user_id: Option<String>,
    /// Who makes it.
    pub created_by: Option<String>,
    /// Its own roles; none for sessions.
    pub roles: Vec<String>,
    /// SHA-256 of the secret.
    pub secret_hash: [u8; 32],
    /// From when on it is refused, used or not.
    pub expires_at: OffsetDateTime,
    /// It is refused as well when it was not used for so long; kept in whole seconds.
    pub idle: Option<Duration>,
    /// Where it is asked for from.
    pub source_ip: Option<IpAddr>,
    /// What asks for it; the first 512 characters are kept.
    pub user_agent: Option<String>,
    /// The only network it is good from.
    pub network: Option<IpNet>,
    /// The only apps it is good for; empty for all.
    pub apps: Vec<String>,
    /// Verified claims about a run in CI, as JSON; needed for [`CredentialKind::Workload`], and for it only.
    pub workload: Option<String>,
    /// When its person last showed a factor; for sessions only.
    pub factor_at: Option<OffsetDateTime>,
    /// By which method; goes with the time.
    pub factor_method: Option<String>,
    /// Whether that resists phishing.
    pub factor_strong: bool,
    /// The trusted device on which it begins; for sessions only.
    pub device_id: Option<String>,
}

impl NewCredential {
    /// One with no limits but its end, for `name` to be given the rest.
    #[must_use]
    pub fn new(id: String, kind: CredentialKind, secret_hash: [u8; 32], expires_at: OffsetDateTime) -> Self {
        Self {
            id,
            kind,
            name: String::new(),
            user_id: None,
            created_by: None,
            roles: Vec::new(),
            secret_hash,
            expires_at,
            idle: None,
            source_ip: None,
            user_agent: None,
            network: None,
            apps: Vec::new(),
            workload: None,
            factor_at: None,
            factor_method: None,
            factor_strong: false,
            device_id: None,
        }
    }

    fn into_model(self, now: OffsetDateTime) -> Result<entity::ActiveModel, StoreError> {
        let now = second(now);
        Ok(entity::ActiveModel {
            id: Set(self.id),
            kind: Set(self.kind.word().to_owned()),
            name: Set(self.name),
            user_id: Set(self.user_id),
            created_by: Set(self.created_by),
            roles: Set(list_text(&self.roles)),
            secret_hash: Set(self.secret_hash.to_vec()),
            previous_hash: Set(None),
            previous_until: Set(None),
            created_at: Set(now),
            expires_at: Set(second(self.expires_at)),
            idle_seconds: Set(self.idle.map(|idle| stored(idle.as_secs())).transpose()?),
            last_used_at: Set(now),
            revoked_at: Set(None),
            revoked_reason: Set(None),
            source_ip: Set(self.source_ip.map(|ip| ip.to_string())),
            user_agent: Set(self.user_agent.map(|agent| agent.chars().take(USER_AGENT).collect())),
            network: Set(self.network.map(|network| network.to_string())),
            apps: Set(list_text(&self.apps)),
            workload: Set(self.workload),
            version: Set(stored(1)?),
            factor_at: Set(self.factor_at.map(second)),
            factor_method: Set(self.factor_method),
            factor_strong: Set(self.factor_strong),
            device_id: Set(self.device_id),
        })
    }
}

impl fmt::Debug for NewCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewCredential").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl fmt::Debug for entity::Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Which credentials to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialFilter {
    /// Only this person's.
    pub user: Option<String>,
    /// Only these kinds; empty for all.
    pub kinds: Vec<CredentialKind>,
    /// Only those that are not revoked and not at their end by then. One that was idle for too long is
    /// listed: see [`CredentialRow::is_live`].
    pub live_at: Option<OffsetDateTime>,
    /// Only those of this name.
    pub name: Option<String>,
    /// Only those made before this one, by id.
    pub after: Option<String>,
    /// At most so many.
    pub limit: u64,
}

impl Default for CredentialFilter {
    fn default() -> Self {
        Self { user: None, kinds: Vec::new(), live_at: None, name: None, after: None, limit: 100 }
    }
}

impl CredentialFilter {
    fn select(self) -> Select<entity::Entity> {
        let mut select = entity::Entity::find().order_by_desc(entity::Column::Id).limit(self.limit);
        if let Some(user) = self.user {
            select = select.filter(entity::Column::UserId.eq(user));
        }
        if !self.kinds.is_empty() {
            select = select.filter(entity::Column::Kind.is_in(self.kinds.into_iter().map(CredentialKind::word)));
        }
        if let Some(now) = self.live_at {
            select =
                select.filter(entity::Column::RevokedAt.is_null()).filter(entity::Column::ExpiresAt.gt(second(now)));
        }
        if let Some(name) = self.name {
            select = select.filter(entity::Column::Name.eq(name));
        }
        if let Some(after) = self.after {
            select = select.filter(entity::Column::Id.lt(after));
        }
        select
    }
}

pub(super) fn row_from(found: (entity::Model, Option<user::entity::Model>)) -> Result<CredentialRow, StoreError> {
    let (row, user) = found;
    let kind = CredentialKind::from_word(&row.kind)
        .ok_or_else(|| StoreError::Corrupt("a credential is of no known kind".to_owned()))?;
    Ok(CredentialRow {
        kind,
        roles: list_from(&row.roles)?,
        apps: list_from(&row.apps)?,
        source_ip: parsed(row.source_ip.as_deref(), "an address")?,
        network: parsed(row.network.as_deref(), "a network")?,
        idle: row.idle_seconds.map(|idle| loaded(idle).map(Duration::from_secs)).transpose()?,
        version: loaded(row.version)?,
        user: user.map(UserRow::try_from).transpose()?,
        is_previous: false,
        id: row.id,
        name: row.name,
        created_by: row.created_by,
        previous_until: row.previous_until,
        created_at: row.created_at,
        expires_at: row.expires_at,
        last_used_at: row.last_used_at,
        revoked_at: row.revoked_at,
        revoked_reason: row.revoked_reason,
        user_agent: row.user_agent,
        workload: row.workload,
        factor_at: row.factor_at,
        factor_method: row.factor_method,
        factor_strong: row.factor_strong,
        device_id: row.device_id,
    })
}

/// Reads one by id.
pub(super) async fn by_id(db: &impl ConnectionTrait, id: &str) -> Result<Option<CredentialRow>, StoreError> {
    let select = entity::Entity::find_by_id(id).find_also_related(user::entity::Entity);
    select.one(db).await?.map(row_from).transpose()
}

impl Store {
    /// Adds a credential.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the id or the hash exists or the person does not, or when they do not trust
    /// the device; [`StoreError::NotFound`] when there is a device and no such person;
    /// [`StoreError::Corrupt`] when the kind does not go with the rest; [`StoreError::Unavailable`].
    pub async fn credential_create(&self, new: NewCredential, now: OffsetDateTime) -> Result<(), StoreError> {
        let place = new.device_id.clone().zip(new.user_id.clone());
        let insert = entity::Entity::insert(new.into_model(now)?);
        let db = self.inner.write.clone();
        self.run(async move {
            let Some((device, user)) = place else { return Ok(insert.exec_without_returning(&db).await.map(|_| ())?) };
            let tx = begin(&db).await?;
            hold(&tx, &user).await?;
            if !is_trusted(&tx, &device, &user).await? {
                return Err(StoreError::Conflict("the device is not trusted any more: sign in again".to_owned()));
            }
            insert.exec_without_returning(&tx).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    /// Finds a credential and its person by the SHA-256 of its secret, or of the one before the last
    /// rotation, whether or not it is still good.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn credential_find(&self, secret_hash: &[u8; 32]) -> Result<Option<CredentialRow>, StoreError> {
        let hash = secret_hash.to_vec();
        let is_it = entity::Column::SecretHash.eq(hash.clone()).or(entity::Column::PreviousHash.eq(hash.clone()));
        let select = entity::Entity::find().filter(is_it).find_also_related(user::entity::Entity);
        let db = self.inner.read.clone();
        self.run(async move {
            let Some((row, user)) = select.one(&db).await? else { return Ok(None) };
            let is_previous = row.secret_hash != hash;
            Ok(Some(CredentialRow { is_previous, ..row_from((row, user))? }))
        })
        .await
    }

    /// Finds a credential by id.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn credential_get(&self, id: &str) -> Result<Option<CredentialRow>, StoreError> {
        let (db, id) = (self.inner.read.clone(), id.to_owned());
        self.run(async move { by_id(&db, &id).await }).await
    }

    /// Credentials, newest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn credential_list(&self, filter: CredentialFilter) -> Result<Vec<CredentialRow>, StoreError> {
        let select = filter.select().find_also_related(user::entity::Entity);
        let db = self.inner.read.clone();
        self.run(async move { select.all(&db).await?.into_iter().map(row_from).collect() }).await
    }

    /// The identity epoch: changes whenever a credential, a person or a setting does.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; [`StoreError::Corrupt`] when the schema is missing.
    pub async fn identity_epoch(&self) -> Result<u64, StoreError> {
        let rows = self.select("SELECT epoch FROM identity_epoch WHERE id = 1", vec![]).await?;
        let row = rows.first().ok_or(StoreError::NotFound)?;
        loaded(row.try_get_by_index(0)?)
    }
}

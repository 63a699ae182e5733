//! Questions for a second factor: each is about one intent of one credential, and is answered and spent once.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{DatabaseTransaction, ExprTrait as _, QueryOrder as _, UpdateMany};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::append::{hash, loaded, stored};
use super::challenge_kind::{Needs, Way};
use super::user_change::hold;
use super::value::{begin, parsed, second};
use super::{Store, StoreError};

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "challenges")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub code: String,
        pub user_id: String,
        pub credential_id: String,
        pub action: String,
        pub resource: String,
        pub reasons: String,
        pub needs: String,
        pub strong: bool,
        pub way: String,
        pub intent_digest: Vec<u8>,
        pub return_to: Option<String>,
        pub source_ip: String,
        pub created_at: TimeDateTimeWithTimeZone,
        pub expires_at: TimeDateTimeWithTimeZone,
        pub attempts: i64,
        pub webauthn_state: Option<String>,
        pub answered_at: Option<TimeDateTimeWithTimeZone>,
        pub method: Option<String>,
        pub answered_strong: bool,
        pub proof_hash: Option<Vec<u8>>,
        pub completed_at: Option<TimeDateTimeWithTimeZone>,
        pub spent_at: Option<TimeDateTimeWithTimeZone>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use entity::{Column, Entity};

impl fmt::Debug for entity::Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenge").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A policy that asks, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeReason {
    /// The policy.
    pub id: String,
    /// Its reason, for people.
    pub why: String,
}

/// A challenge, as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct ChallengeRow {
    /// Its id, a UUID of version 7.
    pub id: String,
    /// What is in the link.
    pub code: String,
    /// Who is asked.
    pub user_id: String,
    /// The session that made the request.
    pub credential_id: String,
    /// The action that they want.
    pub action: String,
    /// On what.
    pub resource: String,
    /// Which policies ask.
    pub reasons: Vec<ChallengeReason>,
    /// What an answer is good for.
    pub needs: Needs,
    /// Whether only a method that resists phishing will do.
    pub strong: bool,
    /// How the person comes to it.
    pub way: Way,
    /// SHA-256 of the request.
    pub intent_digest: [u8; 32],
    /// Where the browser goes afterwards.
    pub return_to: Option<String>,
    /// Where the request came from.
    pub source_ip: IpAddr,
    /// When it was posed.
    pub created_at: OffsetDateTime,
    /// From when on it is over, answered or not.
    pub expires_at: OffsetDateTime,
    /// How often somebody tried to answer.
    pub attempts: u64,
    /// What the next assertion of a passkey must fit.
    pub webauthn_state: Option<String>,
    /// When it was answered.
    pub answered_at: Option<OffsetDateTime>,
    /// By what.
    pub method: Option<String>,
    /// Whether that resists phishing.
    pub answered_strong: bool,
    /// SHA-256 of what the CLI must hand in.
    pub proof_hash: Option<[u8; 32]>,
    /// When the CLI handed it in.
    pub completed_at: Option<OffsetDateTime>,
    /// When the answer was used up.
    pub spent_at: Option<OffsetDateTime>,
}

impl fmt::Debug for ChallengeRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChallengeRow").field("id", &self.id).field("needs", &self.needs).finish_non_exhaustive()
    }
}

fn known<T>(found: Option<T>) -> Result<T, StoreError> {
    found.ok_or_else(|| StoreError::Corrupt("a challenge has a word that is not known".to_owned()))
}

impl TryFrom<entity::Model> for ChallengeRow {
    type Error = StoreError;

    fn try_from(row: entity::Model) -> Result<Self, StoreError> {
        let reasons = serde_json::from_str(&row.reasons)
            .map_err(|_| StoreError::Corrupt("the reasons of a challenge are not JSON".to_owned()))?;
        let source_ip = parsed(Some(&row.source_ip), "an address")?;
        Ok(Self {
            reasons,
            source_ip: source_ip.ok_or(StoreError::NotFound)?,
            needs: known(Needs::from_word(&row.needs))?,
            way: known(Way::from_word(&row.way))?,
            intent_digest: hash(&row.intent_digest)?,
            proof_hash: row.proof_hash.as_deref().map(hash).transpose()?,
            attempts: loaded(row.attempts)?,
            id: row.id,
            code: row.code,
            user_id: row.user_id,
            credential_id: row.credential_id,
            action: row.action,
            resource: row.resource,
            strong: row.strong,
            return_to: row.return_to,
            created_at: row.created_at,
            expires_at: row.expires_at,
            webauthn_state: row.webauthn_state,
            answered_at: row.answered_at,
            method: row.method,
            answered_strong: row.answered_strong,
            completed_at: row.completed_at,
            spent_at: row.spent_at,
        })
    }
}

/// A challenge to pose: nothing has become of it.
pub type NewChallenge = ChallengeRow;

impl ChallengeRow {
    /// One that asks for nothing of nobody, to be filled in.
    #[must_use]
    pub const fn blank(now: OffsetDateTime) -> Self {
        Self {
            id: String::new(),
            code: String::new(),
            user_id: String::new(),
            credential_id: String::new(),
            action: String::new(),
            resource: String::new(),
            reasons: Vec::new(),
            needs: Needs::Mfa,
            strong: false,
            way: Way::Link,
            intent_digest: [0; 32],
            return_to: None,
            source_ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            created_at: now,
            expires_at: now,
            attempts: 0,
            webauthn_state: None,
            answered_at: None,
            method: None,
            answered_strong: false,
            proof_hash: None,
            completed_at: None,
            spent_at: None,
        }
    }

    fn into_model(self, now: OffsetDateTime) -> Result<entity::ActiveModel, StoreError> {
        let reasons = serde_json::to_string(&self.reasons)
            .map_err(|_| StoreError::Invalid("the reasons of a challenge cannot be written".to_owned()))?;
        Ok(entity::ActiveModel {
            id: Set(self.id),
            code: Set(self.code),
            user_id: Set(self.user_id),
            credential_id: Set(self.credential_id),
            action: Set(self.action),
            resource: Set(self.resource),
            reasons: Set(reasons),
            needs: Set(self.needs.as_str().to_owned()),
            strong: Set(self.strong),
            way: Set(self.way.as_str().to_owned()),
            intent_digest: Set(self.intent_digest.to_vec()),
            return_to: Set(self.return_to),
            source_ip: Set(self.source_ip.to_string()),
            created_at: Set(second(now)),
            expires_at: Set(second(self.expires_at)),
            attempts: Set(stored(0)?),
            webauthn_state: Set(None),
            answered_at: Set(None),
            method: Set(None),
            answered_strong: Set(false),
            proof_hash: Set(None),
            completed_at: Set(None),
            spent_at: Set(None),
        })
    }

    /// Whether an open one is the same question.
    fn is_same(&self, now: OffsetDateTime) -> SimpleExpr {
        is_open(now)
            .and(Column::CredentialId.eq(&self.credential_id))
            .and(Column::UserId.eq(&self.user_id))
            .and(Column::IntentDigest.eq(self.intent_digest.to_vec()))
            .and(Column::Needs.eq(self.needs.as_str()))
            .and(Column::Strong.eq(self.strong))
            .and(Column::Way.eq(self.way.as_str()))
    }
}

/// Not answered, and not over.
fn is_open(now: OffsetDateTime) -> SimpleExpr {
    Column::AnsweredAt.is_null().and(Column::ExpiresAt.gt(second(now)))
}

/// Answered, handed in where that is the way, not used up, and not over.
fn is_good(now: OffsetDateTime) -> SimpleExpr {
    Column::AnsweredAt
        .is_not_null()
        .and(Column::SpentAt.is_null())
        .and(Column::ExpiresAt.gt(second(now)))
        .and(Column::Way.ne(Way::Console.as_str()).or(Column::CompletedAt.is_not_null()))
}

fn change(id: &str) -> UpdateMany<Entity> {
    Entity::update_many().filter(Column::Id.eq(id))
}

/// Deletes what a person was asked. The caller holds the person.
pub(super) async fn delete_all(tx: &DatabaseTransaction, user: &str) -> Result<(), StoreError> {
    Ok(Entity::delete_many().filter(Column::UserId.eq(user)).exec(tx).await.map(|_| ())?)
}

impl Store {
    /// Poses a challenge. While the same one is open (same credential, request, need, strength and way), gives
    /// that back: whoever asks again gets no fresh attempts and no second link.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such person; [`StoreError::Conflict`] when there is no such
    /// credential, or the id or the code exists: draw others; [`StoreError::Unavailable`].
    pub async fn challenge_pose(&self, new: NewChallenge, now: OffsetDateTime) -> Result<ChallengeRow, StoreError> {
        let same = Entity::find().filter(new.is_same(now)).order_by_desc(Column::Id);
        let user = new.user_id.clone();
        let insert = new.into_model(now)?;
        let db = self.inner.write.clone();
        self.run(async move {
            let tx = begin(&db).await?;
            hold(&tx, &user).await?;
            if let Some(row) = same.one(&tx).await? {
                return row.try_into();
            }
            let row = Entity::insert(insert).exec_with_returning(&tx).await?;
            tx.commit().await?;
            row.try_into()
        })
        .await
    }

    /// Finds a challenge by id, whatever became of it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn challenge_find(&self, id: &str) -> Result<Option<ChallengeRow>, StoreError> {
        self.challenge_newest(Column::Id.eq(id)).await
    }

    /// Finds a challenge by what is in its link, whatever became of it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn challenge_find_by_code(&self, code: &str) -> Result<Option<ChallengeRow>, StoreError> {
        self.challenge_newest(Column::Code.eq(code)).await
    }

    /// The newest challenge of this credential about this request whose answer is good: not over, not spent,
    /// and in the way `console` handed in by the CLI.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn challenge_for(
        &self,
        credential_id: &str,
        intent_digest: &[u8; 32],
        now: OffsetDateTime,
    ) -> Result<Option<ChallengeRow>, StoreError> {
        let is_it = Column::CredentialId.eq(credential_id).and(Column::IntentDigest.eq(intent_digest.to_vec()));
        self.challenge_newest(is_it.and(is_good(now))).await
    }

    /// The newest open challenge of this credential about one of these actions that was posed by a link.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn challenge_linked(
        &self,
        credential_id: &str,
        actions: &[&str],
        now: OffsetDateTime,
    ) -> Result<Option<ChallengeRow>, StoreError> {
        let is_it = Column::CredentialId.eq(credential_id).and(Column::Way.eq(Way::Link.as_str()));
        let is_it = is_it.and(Column::Action.is_in(actions.iter().copied()));
        self.challenge_newest(is_it.and(is_open(now))).await
    }

    async fn challenge_newest(&self, filter: SimpleExpr) -> Result<Option<ChallengeRow>, StoreError> {
        let select = Entity::find().filter(filter).order_by_desc(Column::CreatedAt).order_by_desc(Column::Id);
        let db = self.inner.read.clone();
        self.run(async move { select.one(&db).await?.map(ChallengeRow::try_from).transpose() }).await
    }

    /// Counts an attempt to answer; whether there may be one. No when there were `most` already, or the
    /// challenge is not open.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn challenge_try(&self, id: &str, most: u64, now: OffsetDateTime) -> Result<bool, StoreError> {
        let update = change(id)
            .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
            .filter(is_open(now).and(Column::Attempts.lt(stored(most)?)));
        self.challenge_changed(update).await
    }

    /// Notes what the next assertion of a passkey must fit, while nobody has answered.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn challenge_set_webauthn(&self, id: &str, state: Option<String>) -> Result<(), StoreError> {
        let update =
            change(id).col_expr(Column::WebauthnState, Expr::value(state)).filter(Column::AnsweredAt.is_null());
        self.challenge_changed(update).await.map(|_| ())
    }

    /// Takes that out, for good: of several callers one gets it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn challenge_take_webauthn(&self, id: &str) -> Result<Option<String>, StoreError> {
        let Some(state) = self.challenge_find(id).await?.and_then(|row| row.webauthn_state) else { return Ok(None) };
        let update = change(id)
            .col_expr(Column::WebauthnState, Expr::value(None::<String>))
            .filter(Column::WebauthnState.eq(&state));
        Ok(self.challenge_changed(update).await?.then_some(state))
    }

    /// Notes that an open challenge was answered, by what, and until when that is good; whether it counts.
    /// Once, and never by a weak method where a strong one is needed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn challenge_answer(
        &self,
        id: &str,
        method: &str,
        strong: bool,
        proof_hash: Option<[u8; 32]>,
        expires_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let mut update = change(id)
            .col_expr(Column::AnsweredAt, Expr::value(Some(second(now))))
            .col_expr(Column::Method, Expr::value(method))
            .col_expr(Column::AnsweredStrong, Expr::value(strong))
            .col_expr(Column::ProofHash, Expr::value(proof_hash.map(|hash| hash.to_vec())))
            .col_expr(Column::ExpiresAt, Expr::value(second(expires_at)))
            .col_expr(Column::WebauthnState, Expr::value(None::<String>))
            .filter(is_open(now));
        if !strong {
            update = update.filter(Column::Strong.eq(false));
        }
        self.challenge_changed(update).await
    }

    /// Notes that the CLI handed in the proof of an answer; whether it was the right one, in time, and the
    /// first time.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn challenge_complete(
        &self,
        id: &str,
        proof_hash: &[u8; 32],
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let now = second(now);
        let update = change(id)
            .col_expr(Column::CompletedAt, Expr::value(Some(now)))
            .filter(Column::ProofHash.eq(proof_hash.to_vec()))
            .filter(Column::CompletedAt.is_null())
            .filter(Column::ExpiresAt.gt(now));
        self.challenge_changed(update).await
    }

    /// Takes back a question that is still open; of several callers one does.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn challenge_withdraw(&self, id: &str, now: OffsetDateTime) -> Result<bool, StoreError> {
        let update = change(id).col_expr(Column::ExpiresAt, Expr::value(second(now))).filter(is_open(now));
        self.challenge_changed(update).await
    }

    /// Uses up a good answer, once; whether it was there.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn challenge_spend(&self, id: &str, now: OffsetDateTime) -> Result<bool, StoreError> {
        let update = change(id).col_expr(Column::SpentAt, Expr::value(Some(second(now)))).filter(is_good(now));
        self.challenge_changed(update).await
    }

    async fn challenge_changed(&self, update: UpdateMany<Entity>) -> Result<bool, StoreError> {
        let db = self.inner.write.clone();
        self.run(async move { Ok(update.exec(&db).await?.rows_affected > 0) }).await
    }
}

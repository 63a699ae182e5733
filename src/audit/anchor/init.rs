//! Looking at bucket and key before anything is anchored: are they what the proof rests on?

use aws_sdk_kms::Client as Kms;
use aws_sdk_s3::types::{BucketVersioningStatus, ObjectLockEnabled, ObjectLockRetentionMode, ObjectOwnership};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::aws::{Aws, trouble};
use super::objects::Objects;
use super::s3::{S3, WHAT};
use super::session::Session;
use super::signer::KMS;
use super::{AnchorError, Signer};
use crate::config::{AnchorKey, AnchorSettings};
use crate::proof::trust::{Trust, TrustedKey};

/// How one thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckResult {
    /// As it must be.
    Good,
    /// It works, and is weaker than it should be.
    Weak,
    /// Anchors would prove nothing.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// How it is.
    pub result: CheckResult,
    /// In words.
    pub detail: String,
}

/// What was found, and what an auditor is given.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Everything that was looked at.
    pub checks: Vec<Check>,
    /// The trust file.
    pub trust: Trust,
    /// Names of the keys: ARN, or path of a file.
    pub keys: Vec<String>,
}

impl Inspection {
    /// Whether anchors would prove something.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.checks.iter().all(|check| check.result != CheckResult::Bad)
    }
}

/// Looks at the configured bucket and keys.
///
/// # Errors
/// See [`AnchorError`].
pub async fn inspect(settings: &AnchorSettings, aws: &Aws, origin: &str) -> Result<Inspection, AnchorError> {
    let session = Session::open(settings, aws).await?;
    let mut checks = Vec::new();
    match &session.objects {
        Objects::S3(s3) => inspect_bucket(s3, settings.retention_days, &mut checks).await?,
        Objects::Folder(_) => add(
            &mut checks,
            "place",
            CheckResult::Weak,
            "a folder, where anything can be changed: a development anchor proves nothing to others",
        ),
    }
    let signers = [Some((&settings.key, &session.key)), settings.next_key.as_ref().zip(session.next.as_ref())];
    for (key, signer) in signers.into_iter().flatten() {
        inspect_key(key, signer, aws, &mut checks).await?;
    }
    let keys = [Some(&session.key), session.next.as_ref()].into_iter().flatten().map(|key| key.name().to_owned());
    Ok(Inspection { checks, keys: keys.collect(), trust: trust_of(&session, origin) })
}

/// The trust file of the configured bucket and keys.
///
/// # Errors
/// See [`AnchorError`].
pub async fn trust(settings: &AnchorSettings, aws: &Aws, origin: &str) -> Result<Trust, AnchorError> {
    Ok(trust_of(&Session::open(settings, aws).await?, origin))
}

pub(super) fn trust_of(session: &Session, origin: &str) -> Trust {
    let trusted = |signer: &Signer| TrustedKey {
        public_key: STANDARD.encode(signer.public().spki()),
        name: signer.name().to_owned(),
    };
    Trust {
        v: 1,
        origin: origin.to_owned(),
        keys: [Some(&session.key), session.next.as_ref()].into_iter().flatten().map(trusted).collect(),
        store: session.objects.store(),
        development: session.is_development(),
        breaks: Vec::new(),
    }
}

fn add(checks: &mut Vec<Check>, name: &'static str, result: CheckResult, detail: impl Into<String>) {
    checks.push(Check { name, result, detail: detail.into() });
}

async fn inspect_bucket(s3: &S3, retention_days: u32, checks: &mut Vec<Check>) -> Result<(), AnchorError> {
    let (owner, result) = match &s3.account {
        Some(account) => (format!("account {account}"), CheckResult::Good),
        None => ("not checked: set AUDIT_ANCHOR_BUCKET_OWNER".to_owned(), CheckResult::Weak),
    };
    add(checks, "owner", result, owner);
    add(checks, "region", CheckResult::Good, s3.region.clone());
    inspect_versioning(s3, checks).await?;
    inspect_lock(s3, retention_days, checks).await?;
    inspect_ownership(s3, checks).await
}

async fn inspect_versioning(s3: &S3, checks: &mut Vec<Check>) -> Result<(), AnchorError> {
    let asked = s3.client.get_bucket_versioning().bucket(&s3.bucket).set_expected_bucket_owner(s3.account.clone());
    let told = asked.send().await.map_err(|error| trouble(WHAT, &error))?;
    let enabled = told.status() == Some(&BucketVersioningStatus::Enabled);
    let (result, detail) = if enabled { (CheckResult::Good, "enabled") } else { (CheckResult::Bad, "not enabled") };
    add(checks, "versioning", result, detail);
    Ok(())
}

async fn inspect_lock(s3: &S3, retention_days: u32, checks: &mut Vec<Check>) -> Result<(), AnchorError> {
    let asked = s3.client.get_object_lock_configuration().bucket(&s3.bucket);
    let told = match asked.set_expected_bucket_owner(s3.account.clone()).send().await {
        Ok(told) => told.object_lock_configuration().cloned(),
        Err(error) if super::aws::status(&error) == Some(404) => None,
        Err(error) => return Err(trouble(WHAT, &error)),
    };
    let enabled = |lock: &&aws_sdk_s3::types::ObjectLockConfiguration| {
        lock.object_lock_enabled() == Some(&ObjectLockEnabled::Enabled)
    };
    let Some(lock) = told.as_ref().filter(enabled) else {
        let detail = "not enabled: anchors could be deleted. Make a bucket with Object Lock";
        add(checks, "object lock", CheckResult::Bad, detail);
        return Ok(());
    };
    add(checks, "object lock", CheckResult::Good, "enabled");
    let default = lock.rule().and_then(|rule| rule.default_retention());
    let days = default.map(|default| {
        let years = default.years().unwrap_or_default().saturating_mul(365);
        default.days().unwrap_or_default().saturating_add(years)
    });
    let days = days.and_then(|days| u32::try_from(days).ok()).unwrap_or_default();
    let compliance = default.and_then(|default| default.mode()) == Some(&ObjectLockRetentionMode::Compliance);
    let (result, detail) = if compliance && days >= retention_days {
        (CheckResult::Good, format!("COMPLIANCE, {days} days"))
    } else {
        (CheckResult::Weak, format!("not COMPLIANCE for at least {retention_days} days: set it as printed below"))
    };
    add(checks, "default retention", result, detail);
    Ok(())
}

async fn inspect_ownership(s3: &S3, checks: &mut Vec<Check>) -> Result<(), AnchorError> {
    let asked = s3.client.get_bucket_ownership_controls().bucket(&s3.bucket);
    let told = match asked.set_expected_bucket_owner(s3.account.clone()).send().await {
        Ok(told) => told.ownership_controls().and_then(|controls| controls.rules().first().cloned()),
        Err(error) if super::aws::status(&error) == Some(404) => None,
        Err(error) => return Err(trouble(WHAT, &error)),
    };
    let enforced = told.is_some_and(|rule| rule.object_ownership() == &ObjectOwnership::BucketOwnerEnforced);
    let (result, detail) = if enforced {
        (CheckResult::Good, "the bucket's owner owns every object")
    } else {
        (CheckResult::Weak, "not BucketOwnerEnforced: access lists may give objects away")
    };
    add(checks, "object ownership", result, detail);
    Ok(())
}

/// Spec and usage were checked when it was opened.
async fn inspect_key(key: &AnchorKey, signer: &Signer, aws: &Aws, checks: &mut Vec<Check>) -> Result<(), AnchorError> {
    let fingerprint = hex::encode(signer.public().fingerprint());
    let AnchorKey::Kms(id) = key else {
        let detail = format!("{}, a file: development ({fingerprint})", signer.name());
        add(checks, "key", CheckResult::Weak, detail);
        return Ok(());
    };
    let told = Kms::new(&aws.load().await).describe_key().key_id(id).send().await;
    let told = told.map_err(|error| trouble(KMS, &error))?;
    let (result, detail) = if told.key_metadata().is_some_and(aws_sdk_kms::types::KeyMetadata::enabled) {
        (CheckResult::Good, format!("{}, ECC_NIST_P256, SIGN_VERIFY, enabled ({fingerprint})", signer.name()))
    } else {
        (CheckResult::Bad, format!("{} is not enabled", signer.name()))
    };
    add(checks, "key", result, detail);
    Ok(())
}

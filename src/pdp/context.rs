//! The context of a question as Cedar values.

use super::decision::ChallengeKind;
use super::question::{Approval, Audit, Context, Exec, Mfa, NEVER_S, Settings};
use cedar_policy::RestrictedExpression as Value;
use moka::sync::Cache;
use std::net::IpAddr;
use time::{OffsetDateTime, UtcOffset};

/// Approvals that are assumed when a challenge for approval is assumed to be met: more than any
/// policy asks for.
const ENOUGH_APPROVALS: i64 = 1000;

/// The parts of the context that the policies of a slice read. The schema requires all parts; one
/// that nobody reads is a constant, made once, since Cedar takes longer to make values than to
/// decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Reads(u16);

impl Reads {
    /// Nothing.
    pub(super) const NONE: Self = Self(0);
    /// Everything: the answer for what cannot be looked into.
    pub(super) const ALL: Self = Self(u16::MAX);

    /// The part of this name; everything for a name that is not known.
    pub(super) fn part(name: &str) -> Self {
        match name {
            "now" => Self(1),
            "source_ip" => Self(1 << 1),
            "mfa" => Self(1 << 2),
            "approval" => Self(1 << 3),
            "break_glass" => Self(1 << 4),
            "exec" => Self(1 << 5),
            "credential" => Self(1 << 6),
            "credential_age_s" => Self(1 << 7),
            "audit" => Self(1 << 8),
            "settings" => Self(1 << 9),
            _ => Self::ALL,
        }
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn has(self, name: &str) -> bool {
        self.0 & Self::part(name).0 != 0
    }
}

/// Makes contexts. Belongs to one bundle.
#[derive(Debug)]
pub(super) struct Contexts {
    /// Values of parts that nobody reads.
    unread: [(&'static str, Value); 9],
    unread_exec: Value,
    /// Contexts of which nothing is read, without and with `exec`.
    constant: [cedar_policy::Context; 2],
    /// Values that take Cedar longest to make, by what they were made of.
    addresses: Cache<IpAddr, Value>,
    seconds: Cache<i64, Value>,
}

/// Addresses that are kept.
const ADDRESSES: u64 = 4096;
/// Seconds that are kept: requests of different workers overlap.
const SECONDS: u64 = 16;

impl Contexts {
    /// # Errors
    /// Cedar refuses a constant.
    pub(super) fn new() -> Result<Self, String> {
        let unread = [
            ("now", Value::new_datetime("1970-01-01")),
            ("source_ip", Value::new_ip("0.0.0.0")),
            ("credential", Value::new_string(String::new())),
            ("credential_age_s", Value::new_long(0)),
            ("mfa", mfa(&Mfa::never())?),
            ("approval", approval(&Approval::none())?),
            ("break_glass", Value::new_string(String::new())),
            ("audit", audit(&Audit::anchored())?),
            ("settings", settings(Settings::default())?),
        ];
        let unread_exec = exec(&Exec::default())?;
        let pairs = || unread.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let with_exec = pairs().chain([("exec".to_owned(), unread_exec.clone())]);
        let constant = [made(pairs())?, made(with_exec)?];
        let (addresses, seconds) = (Cache::new(ADDRESSES), Cache::new(SECONDS));
        Ok(Self { unread, unread_exec, constant, addresses, seconds })
    }

    /// The context of questions whose policies read nothing of it.
    pub(super) const fn constant(&self, exec: bool) -> &cedar_policy::Context {
        let [without_exec, with_exec] = &self.constant;
        if exec { with_exec } else { without_exec }
    }

    /// The context for Cedar.
    ///
    /// # Errors
    /// A value that Cedar cannot hold.
    pub(super) fn make(&self, context: &Context, reads: Reads) -> Result<cedar_policy::Context, String> {
        let mut pairs = Vec::with_capacity(10);
        for (name, unread) in &self.unread {
            let value = if reads.has(name) { self.part(context, name)? } else { unread.clone() };
            pairs.push(((*name).to_owned(), value));
        }
        if let Some(facts) = &context.exec {
            let value = if reads.has("exec") { exec(facts)? } else { self.unread_exec.clone() };
            pairs.push(("exec".to_owned(), value));
        }
        made(pairs)
    }

    fn part(&self, context: &Context, name: &str) -> Result<Value, String> {
        match name {
            "now" => {
                Ok(kept(&self.seconds, context.now.unix_timestamp(), || Value::new_datetime(datetime(context.now))))
            }
            "source_ip" => {
                // An IPv4 address that arrived on an IPv6 socket is the IPv4 address.
                let address = context.source_ip.to_canonical();
                Ok(kept(&self.addresses, address, || Value::new_ip(address.to_string())))
            }
            "credential" => Ok(Value::new_string(context.credential.clone())),
            "credential_age_s" => Ok(Value::new_long(context.credential_age_s)),
            "mfa" => mfa(&context.mfa),
            "approval" => approval(&context.approval),
            "break_glass" => Ok(Value::new_string(context.break_glass.clone())),
            "audit" => audit(&context.audit),
            "settings" => settings(context.settings),
            _ => Err(format!("the context has no part {name}")),
        }
    }
}

fn kept<K>(cache: &Cache<K, Value>, key: K, make: impl FnOnce() -> Value) -> Value
where
    K: Copy + Eq + std::hash::Hash + Send + Sync + 'static,
{
    cache.get(&key).unwrap_or_else(|| {
        let value = make();
        cache.insert(key, value.clone());
        value
    })
}

fn made(pairs: impl IntoIterator<Item = (String, Value)>) -> Result<cedar_policy::Context, String> {
    cedar_policy::Context::from_pairs(pairs).map_err(|error| error.to_string())
}

/// The circumstances as they would be with these challenges met, and otherwise unchanged. Factors
/// are met by one that cannot be phished (`strong`), or by one that can.
pub(super) fn assuming(context: &Context, met: &[ChallengeKind], strong: bool) -> Context {
    let mut assumed = context.clone();
    for challenge in met {
        match challenge {
            ChallengeKind::Approval => {
                let images_allowed = context.approval.images_allowed;
                let id = "assumed".to_owned();
                let (count, left_s) = (ENOUGH_APPROVALS, NEVER_S);
                assumed.approval = Approval { id, count, age_s: 0, left_s, images_allowed, ..Approval::none() };
            }
            ChallengeKind::Mfa | ChallengeKind::MfaBound => {
                assumed.mfa.age_s = 0;
                assumed.mfa.phishing_resistant = strong;
                assumed.mfa.bound_to_request = *challenge == ChallengeKind::MfaBound;
            }
        }
    }
    assumed
}

fn text(name: &str, value: &str) -> (String, Value) {
    (name.to_owned(), Value::new_string(value.to_owned()))
}

fn flag(name: &str, value: bool) -> (String, Value) {
    (name.to_owned(), Value::new_bool(value))
}

fn number(name: &str, value: i64) -> (String, Value) {
    (name.to_owned(), Value::new_long(value))
}

fn record<const N: usize>(pairs: [(String, Value); N]) -> Result<Value, String> {
    Value::new_record(pairs).map_err(|error| error.to_string())
}

fn mfa(mfa: &Mfa) -> Result<Value, String> {
    record([
        number("age_s", mfa.age_s),
        flag("phishing_resistant", mfa.phishing_resistant),
        flag("bound_to_request", mfa.bound_to_request),
        text("method", &mfa.method),
        flag("trusted_device", mfa.trusted_device),
        flag("required", mfa.required),
    ])
}

fn approval(approval: &Approval) -> Result<Value, String> {
    record([
        text("id", &approval.id),
        number("count", approval.count),
        number("age_s", approval.age_s),
        number("left_s", approval.left_s),
        text("drift", &approval.drift),
        flag("images_allowed", approval.images_allowed),
    ])
}

fn audit(audit: &Audit) -> Result<Value, String> {
    record([text("state", &audit.state), number("unanchored_s", audit.unanchored_s)])
}

fn settings(settings: Settings) -> Result<Value, String> {
    record([flag("allow_destructive_actions", settings.allow_destructive_actions)])
}

fn exec(exec: &Exec) -> Result<Value, String> {
    record([
        text("command", &exec.command),
        flag("entrypoint", exec.entrypoint),
        text("image", &exec.image),
        flag("volumes", exec.volumes),
        flag("environment", exec.environment),
        text("release", &exec.release),
        flag("privileged", exec.privileged),
        text("node_labels", &exec.node_labels),
        flag("deploy_command", exec.deploy_command),
    ])
}

/// To the second: policies speak of hours and days.
fn datetime(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    let (hour, minute, second) = at.time().as_hms();
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

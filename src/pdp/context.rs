//! The context of a question as Cedar values.

use super::decision::ChallengeKind;
use super::question::{Approval, Context, Exec, Mfa};
use cedar_policy::RestrictedExpression as Value;
use std::net::IpAddr;
use time::{OffsetDateTime, UtcOffset};

/// Approvals that are assumed when a challenge for approval is assumed to be met: more than any
/// policy asks for.
const ENOUGH_APPROVALS: i64 = 1000;

/// What the policies of a slice read of the costly parts of the context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Reads {
    pub now: bool,
    pub source_ip: bool,
}

/// The context for Cedar.
///
/// # Errors
/// A value that Cedar cannot hold.
pub(super) fn build(context: &Context, reads: Reads) -> Result<cedar_policy::Context, String> {
    let now = if reads.now { Value::new_datetime(datetime(context.now)) } else { Value::new_datetime("1970-01-01") };
    let source_ip = if reads.source_ip { Value::new_ip(ip(context.source_ip)) } else { Value::new_ip("0.0.0.0") };
    let mut pairs = vec![
        ("now".to_owned(), now),
        ("source_ip".to_owned(), source_ip),
        ("mfa".to_owned(), mfa(&context.mfa)?),
        ("approval".to_owned(), approval(&context.approval)?),
        text("break_glass", &context.break_glass),
    ];
    if let Some(facts) = &context.exec {
        pairs.push(("exec".to_owned(), exec(facts)?));
    }
    cedar_policy::Context::from_pairs(pairs).map_err(|error| error.to_string())
}

/// The circumstances as they would be with these challenges met, and otherwise unchanged.
pub(super) fn assuming(context: &Context, met: &[ChallengeKind]) -> Context {
    let mut assumed = context.clone();
    for challenge in met {
        match challenge {
            ChallengeKind::Approval => assumed.approval = Approval { count: ENOUGH_APPROVALS, age_s: 0 },
            ChallengeKind::Mfa => assumed.mfa.age_s = 0,
            ChallengeKind::MfaBound => {
                assumed.mfa.age_s = 0;
                assumed.mfa.phishing_resistant = true;
                assumed.mfa.bound_to_request = true;
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
    ])
}

fn approval(approval: &Approval) -> Result<Value, String> {
    record([number("count", approval.count), number("age_s", approval.age_s)])
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
    ])
}

fn datetime(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    let (hour, minute, second, milli) = at.time().as_hms_milli();
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// An IPv4 address that arrived on an IPv6 socket is the IPv4 address.
fn ip(address: IpAddr) -> String {
    address.to_canonical().to_string()
}

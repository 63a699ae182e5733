//! What to look for in the log, as people and programs say it: names and texts, checked.

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime, UtcOffset};

use super::record::timestamp;
use crate::proof::canonical::MAX_INTEGER;
use crate::store::RecordFilter;

/// Why something cannot be looked for. What was asked is not repeated: it may be anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// A value that no record can have.
    #[error("{name} must be {expected}")]
    Value {
        /// Which one.
        name: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// A range that ends before it begins.
    #[error("{to} must not be before {from}")]
    Backwards {
        /// Where it begins.
        from: &'static str,
        /// Where it ends.
        to: &'static str,
    },
}

/// Words of `kind`.
const KINDS: &[&str] = &["intent", "outcome", "denial", "admin", "system", "erasure", "epoch"];
/// Words of `decision`.
const DECISIONS: &[&str] = &["allow", "deny", "challenge"];
/// Most bytes of what a record can hold in a column.
const TEXT: usize = 600;
/// Most bytes of words to look for.
const WORDS: usize = 200;

const LINE: &str = "one line of 1 to 600 bytes";
const NUMBER: &str = "a number from 1 to 9007199254740991";
const TIME: &str = "a time such as 2026-11-21T10:00:00Z, or a day such as 2026-11-21, which begins at midnight UTC";

/// Reads what is given under the names `actor`, `action`, `resource`, `decision`, `kind`, `policy`, `request`,
/// `from`, `to`, `first`, `last` and `q`. Nothing given finds everything.
///
/// # Errors
/// [`FilterError`]: a value that cannot be.
pub fn filter<'a>(get: impl Fn(&'static str) -> Option<&'a str>) -> Result<RecordFilter, FilterError> {
    let text = |name, most, expected, fits: &dyn Fn(&str) -> bool| {
        let Some(value) = get(name) else { return Ok(None) };
        let is_good = !value.is_empty() && value.len() <= most && !value.contains(char::is_control) && fits(value);
        if is_good { Ok(Some(value.to_owned())) } else { Err(FilterError::Value { name, expected }) }
    };
    let any = |_: &str| true;
    let plain =
        |marks: &'static str| move |value: &str| value.chars().all(|c| c.is_ascii_alphanumeric() || marks.contains(c));
    let moment = |name| get(name).map(|value| time_of(name, value)).transpose();
    let number = |name| get(name).map(|value| number_of(name, value)).transpose();
    let filter = RecordFilter {
        actor: text("actor", TEXT, LINE, &any)?,
        action: text("action", TEXT, "an action such as app:delete", &plain(":-_"))?,
        resource: text("resource", TEXT, LINE, &any)?,
        decision: text("decision", TEXT, "allow, deny or challenge", &|value| DECISIONS.contains(&value))?,
        kind: text("kind", TEXT, "intent, outcome, denial, admin, system, erasure or epoch", &|value| {
            KINDS.contains(&value)
        })?,
        policy: text("policy", TEXT, "the id of a policy, such as roles.viewer-looks", &plain(".-_"))?,
        request: text("request", TEXT, "the id of a request", &plain("-_"))?,
        text: text("q", WORDS, "one line of words, at most 200 bytes", &any)?,
        from: moment("from")?,
        to: moment("to")?,
        first: number("first")?,
        last: number("last")?,
    };
    if filter.from.as_ref().zip(filter.to.as_ref()).is_some_and(|(from, to)| to < from) {
        return Err(FilterError::Backwards { from: "from", to: "to" });
    }
    if filter.first.zip(filter.last).is_some_and(|(first, last)| last < first) {
        return Err(FilterError::Backwards { from: "first", to: "last" });
    }
    Ok(filter)
}

/// A time as records spell it.
fn time_of(name: &'static str, value: &str) -> Result<String, FilterError> {
    let day = Date::parse(value, format_description!("[year]-[month]-[day]"));
    let moment = match day {
        Ok(day) => Some(day.midnight().assume_utc()),
        Err(_) => OffsetDateTime::parse(value, &Rfc3339).ok(),
    };
    let moment = moment.and_then(|moment| moment.checked_to_offset(UtcOffset::UTC));
    let moment = moment.filter(|moment| (0..=9999).contains(&moment.year()));
    moment.map(timestamp).ok_or(FilterError::Value { name, expected: TIME })
}

fn number_of(name: &'static str, value: &str) -> Result<u64, FilterError> {
    let number = value.parse().ok().filter(|number| (1..=MAX_INTEGER).contains(number));
    number.filter(|number| number.to_string() == value).ok_or(FilterError::Value { name, expected: NUMBER })
}

/// Whether it chooses by more than the place of records in the log.
#[must_use]
pub fn is_selective(filter: &RecordFilter) -> bool {
    let texts = [
        &filter.actor,
        &filter.action,
        &filter.resource,
        &filter.decision,
        &filter.kind,
        &filter.policy,
        &filter.request,
        &filter.text,
    ];
    texts.iter().any(|text| text.is_some())
}

/// What was asked for, by name, for the record.
#[must_use]
pub fn spelled(filter: &RecordFilter) -> Vec<(&'static str, String)> {
    let numbers = [("first", filter.first), ("last", filter.last)];
    let numbers = numbers.map(|(name, number)| (name, number.map(|number| number.to_string())));
    let texts = [
        ("actor", filter.actor.clone()),
        ("action", filter.action.clone()),
        ("resource", filter.resource.clone()),
        ("decision", filter.decision.clone()),
        ("kind", filter.kind.clone()),
        ("policy", filter.policy.clone()),
        ("request", filter.request.clone()),
        ("from", filter.from.clone()),
        ("to", filter.to.clone()),
        ("q", filter.text.clone()),
    ];
    texts.into_iter().chain(numbers).filter_map(|(name, value)| Some((name, value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::{FilterError, RecordFilter, filter, is_selective, spelled};

    fn of(pairs: &[(&str, &str)]) -> Result<RecordFilter, FilterError> {
        filter(|name| pairs.iter().find(|(given, _)| *given == name).map(|(_, value)| *value))
    }

    #[test]
    fn times_are_spelled_as_in_records() {
        let cases = [
            ("2026-11-21", "2026-11-21T00:00:00.000000Z"),
            ("2026-11-21T10:00:00Z", "2026-11-21T10:00:00.000000Z"),
            ("2026-11-21T10:00:00.1234567Z", "2026-11-21T10:00:00.123456Z"),
            ("2026-11-21T10:00:00+02:00", "2026-11-21T08:00:00.000000Z"),
        ];
        for (given, wanted) in cases {
            assert_eq!(of(&[("from", given)]).unwrap().from.as_deref(), Some(wanted), "{given}");
        }
    }

    #[test]
    fn what_no_record_can_have() {
        let long = "a".repeat(601);
        let cases = [
            ("actor", ""),
            ("actor", "a\nb"),
            ("actor", &long),
            ("action", "app:delete; DROP TABLE"),
            ("decision", "Allow"),
            ("kind", "intents"),
            ("policy", "a b"),
            ("request", "x'y"),
            ("from", "yesterday"),
            ("from", "2026-02-30"),
            ("from", "9999-12-31T23:59:59-23:59"),
            ("to", "2026-11-21T10:00:00"),
            ("first", "0"),
            ("first", "+1"),
            ("last", "9007199254740992"),
            ("q", "\u{0}"),
        ];
        for (name, value) in cases {
            let refused = of(&[(name, value)]).unwrap_err();
            assert!(matches!(refused, FilterError::Value { name: named, .. } if named == name), "{name} {value:?}");
        }
        for pairs in [[("from", "2026-11-22"), ("to", "2026-11-21")], [("first", "2"), ("last", "1")]] {
            assert!(matches!(of(&pairs), Err(FilterError::Backwards { .. })), "{pairs:?}");
        }
    }

    #[test]
    fn what_was_asked_for_is_spelled_out() {
        let range = of(&[("first", "3"), ("to", "2026-11-21")]).unwrap();
        assert!(!is_selective(&range));
        let to = ("to", "2026-11-21T00:00:00.000000Z".to_owned());
        assert_eq!(spelled(&range), [to, ("first", "3".to_owned())]);
        let chosen = of(&[("q", "x\" OR 1=1 --"), ("kind", "denial")]).unwrap();
        assert!(is_selective(&chosen));
        assert_eq!(spelled(&chosen).len(), 2);
        assert_eq!(of(&[]).unwrap(), RecordFilter::default());
    }
}

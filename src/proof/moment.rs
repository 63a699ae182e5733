//! Times as records and anchors write them: `2026-11-21T10:00:00.123456Z`. Always UTC and six digits,
//! so that the order of texts is the order of times.

use std::fmt;

use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

/// A time, as its text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment([u8; 27]);

impl Moment {
    /// Reads a time; None when the text is not exactly one, of a year from 1 on.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let moment = Self(text.as_bytes().try_into().ok()?);
        moment.time().map(|_| moment)
    }

    /// The moment of that time. Years before 1 are brought to it.
    #[must_use]
    pub fn of(at: OffsetDateTime) -> Self {
        let at = at.to_offset(UtcOffset::UTC);
        let (date, time) = (at.date(), at.time());
        let (year, month, day) = (date.year().clamp(1, 9999), u8::from(date.month()), date.day());
        let (hour, minute, second, micro) = time.as_hms_micro();
        let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micro:06}Z");
        Self(text.into_bytes().try_into().unwrap_or([b'0'; 27]))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The time that it says; None for none.
    #[must_use]
    pub fn time(&self) -> Option<OffsetDateTime> {
        let [a, b, c, d, b'-', e, f, b'-', g, h, b'T', i, j, b':', k, l, b':', m, n, b'.', o, p, q, r, s, t, b'Z'] =
            self.0
        else {
            return None;
        };
        let two = |tens, ones| number(&[tens, ones]).and_then(|n| u8::try_from(n).ok());
        let year = i32::try_from(number(&[a, b, c, d])?).ok().filter(|year| *year > 0)?;
        let date = Date::from_calendar_date(year, Month::try_from(two(e, f)?).ok()?, two(g, h)?).ok()?;
        let micro = number(&[o, p, q, r, s, t])?;
        let time = Time::from_hms_micro(two(i, j)?, two(k, l)?, two(m, n)?, micro).ok()?;
        Some(OffsetDateTime::new_utc(date, time))
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |n, digit| digit.is_ascii_digit().then(|| n * 10 + u32::from(digit - b'0')))
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Moment;

    #[test]
    fn reads_what_it_writes() {
        for text in ["2026-11-21T10:00:00.123456Z", "2024-02-29T23:59:59.999999Z", "0001-01-01T00:00:00.000000Z"] {
            let moment = Moment::parse(text).unwrap();
            assert_eq!(Moment::of(moment.time().unwrap()), moment);
            assert_eq!(moment.to_string(), text);
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            "2026-11-21T10:00:00Z",
            "2026-11-21T10:00:00.123456+",
            "2026-11-21t10:00:00.123456Z",
            "2026-11-21 10:00:00.123456Z",
            "2026-02-29T10:00:00.123456Z",
            "2026-13-01T10:00:00.123456Z",
            "2026-11-21T24:00:00.123456Z",
            "2026-11-21T10:00:60.123456Z",
            "0000-11-21T10:00:00.123456Z",
            "２026-11-21T10:00:00.1234Z",
            "+026-11-21T10:00:00.123456Z",
        ] {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }
}

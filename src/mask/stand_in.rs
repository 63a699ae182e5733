//! The text that stands for a value that is not shown, and that means "keep it" when it is sent back.

use std::fmt;

/// The mask of what belongs to no release: credentials in answers, parameters. Sent back as the value of a
/// variable, it stands for the value in the parent release.
pub const MASK: &str = "********";

/// Fewest asterisks that are a mask and no value.
const STARS: usize = 8;

/// Longest release id.
const ID: usize = 64;

/// A mask. It says which release it stands for, because a value that is read from one release may be sent
/// back into another: `releases rollback`, `apps import`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    release: Option<String>,
}

impl Mask {
    /// The mask of a value of this release; one without a release if the id is none that a mask can name.
    #[must_use]
    pub fn of_release(release: &str) -> Self {
        Self { release: is_id(release).then(|| release.to_owned()) }
    }

    /// Reads a value that was sent: a mask, if it is nothing but one.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let rest = text.trim_start_matches('*');
        if text.len().saturating_sub(rest.len()) < STARS {
            return None;
        }
        match rest.strip_prefix('@') {
            None if rest.is_empty() => Some(Self { release: None }),
            Some(release) if is_id(release) => Some(Self { release: Some(release.to_owned()) }),
            _ => None,
        }
    }

    /// Whether a value holds as many asterisks as a mask, and so may be one that was cut, joined or changed. What
    /// does and is none is doubtful: it must not be stored as a value.
    #[must_use]
    pub fn is_within(text: &str) -> bool {
        text.contains(MASK)
    }

    /// The release that the value is to be taken from; none means the parent release.
    #[must_use]
    pub fn release(&self) -> Option<&str> {
        self.release.as_deref()
    }
}

impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)?;
        self.release.as_ref().map_or(Ok(()), |release| write!(f, "@{release}"))
    }
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= ID && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_read_back_as_it_was_written() {
        for release in ["RABCDEFGHI", "r1", "release-1"] {
            let mask = Mask::of_release(release);
            assert_eq!(mask.to_string(), format!("********@{release}"));
            assert_eq!(Mask::of(&mask.to_string()), Some(mask.clone()));
            assert_eq!(mask.release(), Some(release));
        }
        for odd in ["", "a b", "a@b", "R\n", "a*"] {
            assert_eq!(Mask::of_release(odd).to_string(), MASK, "{odd:?}");
        }
    }

    #[test]
    fn only_a_mask_is_one() {
        for plain in ["********", "*********", "********************"] {
            assert_eq!(Mask::of(plain), Some(Mask { release: None }), "{plain}");
        }
        assert_eq!(Mask::of("*********@R1").and_then(|mask| mask.release), Some("R1".to_owned()));
        let none = ["", "*******", "value", "********x", "x********", " ********", "********@", "********@R 1", "*@R1"];
        for value in none.into_iter().chain(["********@R1@R2", "********\n", "********@é", "***** ***"]) {
            assert_eq!(Mask::of(value), None, "{value:?}");
        }
    }

    #[test]
    fn what_holds_a_mask_is_noticed() {
        for value in ["x********", "********@", "a=********@R1 b", "********"] {
            assert!(Mask::is_within(value), "{value}");
        }
        for value in ["", "*******", "**** ****"] {
            assert!(!Mask::is_within(value), "{value}");
        }
    }
}

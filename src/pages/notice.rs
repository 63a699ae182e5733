//! What has happened to an account, for its person to know. What is new is shown, the rest on demand.

use time::OffsetDateTime;

/// Something that has happened.
#[derive(Clone, Copy, Debug)]
pub struct Notice<'a> {
    /// A sentence.
    pub text: &'a str,
    /// When it happened.
    pub created_at: OffsetDateTime,
    /// Whether it is shown for the first time.
    pub is_new: bool,
}

/// Those that are shown for the first time.
pub(super) fn fresh<'a>(notices: &[Notice<'a>]) -> Vec<Notice<'a>> {
    notices.iter().copied().filter(|notice| notice.is_new).collect()
}

/// The others.
pub(super) fn earlier<'a>(notices: &[Notice<'a>]) -> Vec<Notice<'a>> {
    notices.iter().copied().filter(|notice| !notice.is_new).collect()
}

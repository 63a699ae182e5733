//! Files that pages name. Each name holds a hash of the contents, so that a browser may keep them for
//! good and asks for new ones when they change.

use sha2::{Digest as _, Sha256};

/// Where they are.
const PLACE: &str = "/app/assets/";
/// Bytes of the hash in a name.
const HASH: usize = 8;

/// A file that pages name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asset {
    stem: &'static str,
    ending: &'static str,
    /// `Content-Type`.
    pub media: &'static str,
    /// Its contents.
    pub text: &'static str,
}

/// How pages look.
pub(super) const STYLE: Asset = Asset {
    stem: "style",
    ending: "css",
    media: "text/css; charset=utf-8",
    text: include_str!("../../web/pages/style.css"),
};

/// What their buttons do.
pub(super) const SCRIPT: Asset = Asset {
    stem: "pages",
    ending: "js",
    media: "text/javascript; charset=utf-8",
    text: include_str!("../../web/pages/pages.js"),
};

/// All of them.
pub const ASSETS: [Asset; 2] = [STYLE, SCRIPT];

impl Asset {
    /// Its name: `style.0123456789abcdef.css`.
    #[must_use]
    pub fn name(&self) -> String {
        let digest = Sha256::digest(self.text.as_bytes());
        let hash: String = digest.iter().take(HASH).map(|byte| format!("{byte:02x}")).collect();
        format!("{}.{hash}.{}", self.stem, self.ending)
    }

    /// Where it is: `/app/assets/style.0123456789abcdef.css`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{PLACE}{}", self.name())
    }

    /// The one at this path.
    #[must_use]
    pub fn at(path: &str) -> Option<Self> {
        let name = path.strip_prefix(PLACE)?;
        ASSETS.into_iter().find(|asset| asset.name() == name)
    }
}

//! Files that pages name. Each name holds a hash of the contents, so that a browser may keep them for
//! good and asks for new ones when they change.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

/// Where they are.
const PLACE: &str = "/app/assets/";
/// Bytes of the hash in a name.
const HASH: usize = 8;

/// A file of `web/pages/`.
struct Source {
    stem: &'static str,
    ending: &'static str,
    text: &'static str,
}

/// All of them; a script after those that it imports.
const SOURCES: [Source; 8] = [
    style("style", include_str!("../../web/pages/style.css")),
    script("call", include_str!("../../web/pages/call.js")),
    script("passkey", include_str!("../../web/pages/passkey.js")),
    script("prove", include_str!("../../web/pages/prove.js")),
    script("step-up", include_str!("../../web/pages/step-up.js")),
    script("challenge", include_str!("../../web/pages/challenge.js")),
    script("factors", include_str!("../../web/pages/factors.js")),
    script("pages", include_str!("../../web/pages/pages.js")),
];

/// The same as they are served.
static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let mut made: Vec<Asset> = Vec::new();
    for source in SOURCES {
        let next = Asset::new(&source, &made);
        made.push(next);
    }
    made
});

const fn style(stem: &'static str, text: &'static str) -> Source {
    Source { stem, ending: "css", text }
}

const fn script(stem: &'static str, text: &'static str) -> Source {
    Source { stem, ending: "js", text }
}

/// A file that pages name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    stem: &'static str,
    /// Its name: `style.0123456789abcdef.css`.
    pub name: String,
    /// `Content-Type`.
    pub media: &'static str,
    /// Its contents.
    pub text: String,
}

impl Asset {
    /// What it imports of `others`, it imports by their names.
    fn new(source: &Source, others: &[Self]) -> Self {
        let mut text = source.text.to_owned();
        for other in others {
            text = text.replace(&format!("'./{}.js'", other.stem), &format!("'./{}'", other.name));
        }
        let digest = Sha256::digest(text.as_bytes());
        let hash: String = digest.iter().take(HASH).map(|byte| format!("{byte:02x}")).collect();
        let name = format!("{}.{hash}.{}", source.stem, source.ending);
        let media = if source.ending == "css" { "text/css; charset=utf-8" } else { "text/javascript; charset=utf-8" };
        Self { stem: source.stem, name, media, text }
    }

    /// The one at this path.
    #[must_use]
    pub fn at(path: &str) -> Option<&'static Self> {
        let name = path.strip_prefix(PLACE)?;
        ASSETS.iter().find(|asset| asset.name == name)
    }

    /// Where the one of this stem is: `/app/assets/style.0123456789abcdef.css`.
    pub(super) fn url(stem: &str) -> String {
        let name = ASSETS.iter().find(|asset| asset.stem == stem).map_or("", |asset| asset.name.as_str());
        format!("{PLACE}{name}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_import_leads_to_an_asset() {
        let mut reached = HashSet::new();
        let mut next = vec![Asset::url("pages")];
        while let Some(url) = next.pop() {
            let asset = Asset::at(&url).unwrap_or_else(|| panic!("{url}: nothing is there"));
            if reached.insert(asset.stem) {
                let names = asset.text.split(" from './").skip(1).map(|rest| rest.split('\'').next().unwrap());
                next.extend(names.map(|name| format!("{PLACE}{name}")));
            }
        }
        let scripts: HashSet<_> = SOURCES.iter().filter(|one| one.ending == "js").map(|one| one.stem).collect();
        assert_eq!(reached, scripts);
        assert_ne!(Asset::at(&Asset::url("style")), None);
    }

    #[test]
    fn a_name_changes_with_what_is_imported() {
        let made = |text| Asset::new(&script("one", text), &[]);
        let name = |of: Asset| Asset::new(&script("two", "import { a } from './one.js';"), &[of]).name;
        assert_ne!(name(made("1")), name(made("2")));
        assert_eq!(name(made("1")), name(made("1")));
    }
}

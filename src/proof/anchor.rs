//! What an anchor consists of: a checkpoint (C2SP tlog-checkpoint) and its metadata, two signed notes
//! under numbered keys. `docs/audit-format.md` specifies both.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::canonical::{self, MAX_INTEGER, Scalar, Value, push_value};
use super::chain::Hash;
use super::tile::TileId;

/// Version of the metadata.
pub const VERSION: u64 = 1;

/// The name of an epoch of the log: that of the first is the log's own.
#[must_use]
pub fn epoch_origin(origin: &str, epoch: u64) -> String {
    if epoch <= 1 { origin.to_owned() } else { format!("{origin}/epoch-{epoch}") }
}

/// Whether a log may have that name: it becomes part of object keys and of lines of notes.
#[must_use]
pub fn is_origin(origin: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let part = |part: &str| !part.is_empty() && !part.starts_with('.');
    origin.len() <= 256 && origin.chars().all(is_plain) && origin.split('/').all(part)
}

/// What an object beside the database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKey {
    /// The checkpoint of that number.
    Checkpoint(u64),
    /// The metadata of the anchor of that number.
    Meta(u64),
    /// A tile.
    Tile(TileId),
}

impl ObjectKey {
    /// The key under which it lies, for the epoch's origin. Numbers have twelve digits, so that keys
    /// list in order.
    #[must_use]
    pub fn path(self, origin: &str) -> String {
        match self {
            Self::Checkpoint(number) => format!("v1/{origin}/checkpoint/{number:012}"),
            Self::Meta(number) => format!("v1/{origin}/meta/{number:012}"),
            Self::Tile(tile) => format!("v1/{origin}/{tile}"),
        }
    }

    /// What lies under `path`, which begins with `v1/<origin>/`. None when that is none of ours.
    #[must_use]
    pub fn parse(origin: &str, path: &str) -> Option<Self> {
        let rest = path.strip_prefix("v1/")?.strip_prefix(origin)?.strip_prefix('/')?;
        let number = |digits: &str| {
            let number = digits.parse().ok().filter(|number| *number > 0)?;
            (digits.len() == 12 && digits.bytes().all(|b| b.is_ascii_digit())).then_some(number)
        };
        match rest.split_once('/')? {
            ("checkpoint", digits) => number(digits).map(Self::Checkpoint),
            ("meta", digits) => number(digits).map(Self::Meta),
            _ => TileId::parse(rest).map(Self::Tile),
        }
    }
}

/// The state of the log that is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The epoch's name.
    pub origin: String,
    /// Records in the tree.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

impl Checkpoint {
    /// The text of its note.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// Reads the text of a note; None unless it is exactly that of a checkpoint without extensions.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split('\n');
        let (origin, size, root, end) = (lines.next()?, lines.next()?, lines.next()?, lines.next()?);
        let root = STANDARD.decode(root).ok()?.try_into().ok()?;
        let checkpoint = Self { origin: origin.to_owned(), size: size.parse().ok()?, root };
        (end.is_empty() && lines.next().is_none() && checkpoint.text() == text).then_some(checkpoint)
    }
}

/// Why an anchor was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnchorReason {
    /// The gateway started.
    Start,
    /// It was time; also when nothing had been added.
    Interval,
    /// Enough records had been added.
    Count,
    /// The gateway was told to stop.
    Stop,
}

impl AnchorReason {
    const ALL: [Self; 4] = [Self::Start, Self::Interval, Self::Count, Self::Stop];

    /// The word in the metadata.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Interval => "interval",
            Self::Count => "count",
            Self::Stop => "stop",
        }
    }

    /// The reason of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

/// The metadata of an anchor. Its note's text is [`Meta::text`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// The account that owns the bucket, where it was named.
    pub account: Option<String>,
    /// Number of the anchor in its epoch, from 1 without gaps.
    pub anchor: u64,
    /// The bucket, or the folder of development anchors.
    pub bucket: String,
    /// Digest of the policy bundle in force, when known.
    pub bundle: Option<String>,
    /// Chain value after record `size`.
    pub chain: Hash,
    /// Whether a software key or a folder stood in for KMS and S3.
    pub development: bool,
    /// Number of the epoch, from 1.
    pub epoch: u64,
    /// Time of the last record, as it is written there; none while the log is empty.
    pub last_ts: Option<String>,
    /// When it was made, as times in records.
    pub made_at: String,
    /// Until when the next one is promised.
    pub next_due: String,
    /// The public key that this anchor hands over to: its SubjectPublicKeyInfo. Set when the key
    /// changed; the notes are then signed by both.
    pub next_key: Option<Vec<u8>>,
    /// The epoch's name.
    pub origin: String,
    /// SHA-256 of the bytes of the checkpoint before; none for number 1.
    pub prev_checkpoint: Option<Hash>,
    /// SHA-256 of the bytes of the metadata before; none for number 1.
    pub prev_meta: Option<Hash>,
    /// Why it was made.
    pub reason: AnchorReason,
    /// The bucket's region; none for a folder.
    pub region: Option<String>,
    /// The root of the tree.
    pub root: Hash,
    /// Fingerprint of the key that signs.
    pub signer: Hash,
    /// Records in the tree.
    pub size: u64,
    /// Version of the gateway that made it.
    pub version: String,
}

impl Meta {
    /// The text of its note: one line of canonical JSON.
    #[must_use]
    pub fn text(&self) -> String {
        let mut map = BTreeMap::new();
        let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
        let number = |number: u64| Value::Integer(i64::try_from(number.min(MAX_INTEGER)).unwrap_or(i64::MAX));
        let hash = |hash: &Hash| Value::Text(hex::encode(hash));
        put("anchor", number(self.anchor));
        put("bucket", self.bucket.as_str().into());
        put("chain", hash(&self.chain));
        put("development", self.development.into());
        put("epoch", number(self.epoch));
        put("kind", "anchor".into());
        put("made_at", self.made_at.as_str().into());
        put("next_due", self.next_due.as_str().into());
        put("origin", self.origin.as_str().into());
        put("reason", self.reason.as_str().into());
        put("root", hash(&self.root));
        put("signer", hash(&self.signer));
        put("size", number(self.size));
        put("v", number(VERSION));
        put("version", self.version.as_str().into());
        let optional = [
            ("account", self.account.clone()),
            ("bundle", self.bundle.clone()),
            ("last_ts", self.last_ts.clone()),
            ("next_key", self.next_key.as_ref().map(|spki| STANDARD.encode(spki))),
            ("prev_checkpoint", self.prev_checkpoint.map(hex::encode)),
            ("prev_meta", self.prev_meta.map(hex::encode)),
            ("region", self.region.clone()),
        ];
        for (key, value) in optional {
            value.map(|value| put(key, value.into()));
        }
        let mut out = Vec::new();
        push_value(&mut out, &Value::Map(map));
        out.push(b'\n');
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Reads the text of a note; None unless it is exactly the metadata of an anchor of this version.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut texts = BTreeMap::new();
        let mut numbers = BTreeMap::new();
        let line = text.strip_suffix('\n')?;
        canonical::read(line.as_bytes(), |outer, key, scalar| match scalar {
            Scalar::Text(raw) if outer.is_empty() => {
                texts.insert(key, raw.text().into_owned());
            }
            Scalar::Integer(number) if outer.is_empty() => {
                numbers.insert(key, number);
            }
            Scalar::Text(_) | Scalar::Integer(_) | Scalar::Flag | Scalar::Listed(_) => {}
        })
        .ok()?;
        let number = |key: &str| u64::try_from(*numbers.get(key)?).ok();
        let mut text_of = |key: &str| texts.remove(key);
        let digest = |text: String| hex::decode(text).ok()?.try_into().ok();
        if number("v")? != VERSION || text_of("kind")? != "anchor" {
            return None;
        }
        let meta = Self {
            account: text_of("account"),
            anchor: number("anchor")?,
            bucket: text_of("bucket")?,
            bundle: text_of("bundle"),
            chain: digest(text_of("chain")?)?,
            development: line.contains("\"development\":true,"),
            epoch: number("epoch")?,
            last_ts: text_of("last_ts"),
            made_at: text_of("made_at")?,
            next_due: text_of("next_due")?,
            next_key: text_of("next_key").map(|key| STANDARD.decode(key)).transpose().ok()?,
            origin: text_of("origin")?,
            prev_checkpoint: text_of("prev_checkpoint").and_then(digest),
            prev_meta: text_of("prev_meta").and_then(digest),
            reason: AnchorReason::parse(&text_of("reason")?)?,
            region: text_of("region"),
            root: digest(text_of("root")?)?,
            signer: digest(text_of("signer")?)?,
            size: number("size")?,
            version: text_of("version")?,
        };
        // Whatever was not understood shows here: the one spelling must come out again.
        (meta.text() == text).then_some(meta)
    }

    /// The checkpoint that it describes.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { origin: self.origin.clone(), size: self.size, root: self.root }
    }
}

#[cfg(test)]
mod tests {
    use super::{AnchorReason, Checkpoint, Meta, ObjectKey, TileId, epoch_origin, is_origin};

    fn meta() -> Meta {
        Meta {
            account: Some("123456789012".to_owned()),
            anchor: 7,
            bucket: "acme-\"anchors\"".to_owned(),
            bundle: None,
            chain: [1; 32],
            development: false,
            epoch: 1,
            last_ts: Some("2026-11-21T10:00:00.123456Z".to_owned()),
            made_at: "2026-11-21T10:00:01.000000Z".to_owned(),
            next_due: "2026-11-21T10:02:01.000000Z".to_owned(),
            next_key: None,
            origin: "log/a".to_owned(),
            prev_checkpoint: Some([2; 32]),
            prev_meta: Some([3; 32]),
            reason: AnchorReason::Count,
            region: None,
            root: [4; 32],
            signer: [5; 32],
            size: 4711,
            version: "0.1.0".to_owned(),
        }
    }

    #[test]
    fn metadata_reads_what_it_writes() {
        for development in [false, true] {
            let meta = Meta { development, next_key: development.then(|| vec![1, 2, 3]), ..meta() };
            assert_eq!(Meta::parse(&meta.text()), Some(meta));
        }
    }

    #[test]
    fn metadata_in_any_other_spelling() {
        let good = meta().text();
        let cases = [
            good.replace("\"v\":1", "\"v\":2"),
            good.replace("\"kind\":\"anchor\"", "\"kind\":\"export\""),
            good.replace("\"size\":4711", "\"size\":-4711"),
            good.replace("{\"account\"", "{\"a\":1,\"account\""),
            good.replace("0101", "010"),
            good.replace("0404", "04G4"),
            good.trim_end().to_owned(),
            format!("{good}\n"),
        ];
        for text in cases {
            assert_eq!(Meta::parse(&text), None, "{text}");
        }
    }

    #[test]
    fn checkpoints() {
        let checkpoint = Checkpoint { origin: "log/a".to_owned(), size: 3, root: [0; 32] };
        let text = checkpoint.text();
        assert_eq!(text, "log/a\n3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n");
        assert_eq!(Checkpoint::parse(&text), Some(checkpoint));
        for wrong in [text.replace('3', "03"), text.replace('3', "+3"), format!("{text}x\n"), text.replace("=", "")] {
            assert_eq!(Checkpoint::parse(&wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn keys() {
        let tile = ObjectKey::Tile(TileId { level: 0, index: 1, width: 2 });
        for key in [ObjectKey::Checkpoint(1), ObjectKey::Meta(118_001), tile] {
            assert_eq!(ObjectKey::parse("log/a", &key.path("log/a")), Some(key));
        }
        assert_eq!(ObjectKey::Meta(7).path("log/a"), "v1/log/a/meta/000000000007");
        for wrong in ["v1/log/a/meta/7", "v1/log/a/meta/000000000000", "v1/log/b/meta/000000000007", "v1/log/a/x/1"] {
            assert_eq!(ObjectKey::parse("log/a", wrong), None, "{wrong}");
        }
    }

    #[test]
    fn names_of_logs() {
        assert_eq!(epoch_origin("log/a", 1), "log/a");
        assert_eq!(epoch_origin("log/a", 2), "log/a/epoch-2");
        assert!(is_origin("rack-gateway/acme/prod"));
        for wrong in ["", "/a", "a//b", "a b", "a+b", "../a", "a/..", "a\nb", "\u{2014}"] {
            assert!(!is_origin(wrong), "{wrong:?}");
        }
    }
}

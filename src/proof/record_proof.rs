//! The proof of one record as one file (C2SP tlog-proof): the record, its path to the root, and the
//! signed checkpoint. Whoever has the trust file needs nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::anchor::{Checkpoint, epoch_origin};
use super::canonical::{self, Scalar};
use super::chain::{self, Hash};
use super::key::PublicKey;
use super::note::Note;
use super::tree::is_included;
use super::trust::{Trust, TrustError};

/// First line of a proof.
const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// Longest path: of a tree of 2^63 leaves.
const LONGEST: usize = 63;

/// The proof of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordProof {
    /// The bytes of the record.
    pub record: Vec<u8>,
    /// Its number.
    pub seq: u64,
    /// The path from its leaf to the root.
    pub path: Vec<Hash>,
    /// The note of the checkpoint.
    pub checkpoint: String,
}

/// What a good proof shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The number of the record.
    pub seq: u64,
    /// The signed state of the log.
    pub checkpoint: Checkpoint,
    /// The key that signed it.
    pub key: PublicKey,
}

/// Why a proof shows nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProofFault {
    /// Not the text of a proof.
    #[error("this is no proof of a record, or it was changed")]
    Form,
    /// Bytes that are no record.
    #[error("what it holds is no record: {0}")]
    Record(String),
    /// The record has another number.
    #[error("the record has another number than the proof says")]
    Number,
    /// The checkpoint is no note of one.
    #[error("its checkpoint is none")]
    Checkpoint,
    /// The checkpoint is of another log.
    #[error("it is about the log {0:?}, not about the trusted one")]
    Origin(String),
    /// Nobody who is trusted signed the checkpoint.
    #[error("no key of the trust file signed its checkpoint")]
    Signature,
    /// The path does not lead to the root.
    #[error("the record is not in the log that was signed")]
    Path,
    /// The trust file.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl RecordProof {
    /// The text of the file.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = format!("{HEADER}\nextra {}\nindex {}\n", STANDARD.encode(&self.record), self.seq - 1);
        for hash in &self.path {
            text.push_str(&STANDARD.encode(hash));
            text.push('\n');
        }
        format!("{text}\n{}", self.checkpoint)
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`ProofFault::Form`] when it is not exactly one.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofFault> {
        let parse = || {
            let text = std::str::from_utf8(bytes).ok()?;
            let (head, checkpoint) = text.split_once("\n\n")?;
            let mut lines = head.split('\n').skip(1);
            let record = STANDARD.decode(lines.next()?.strip_prefix("extra ")?).ok()?;
            let index: u64 = lines.next()?.strip_prefix("index ")?.parse().ok()?;
            let hash = |line: &str| STANDARD.decode(line).ok()?.try_into().ok();
            let path: Vec<Hash> = lines.map(hash).collect::<Option<_>>()?;
            let proof = Self { record, seq: index.checked_add(1)?, path, checkpoint: checkpoint.to_owned() };
            // The one spelling must come out again.
            (proof.path.len() <= LONGEST && proof.encode() == text).then_some(proof)
        };
        parse().ok_or(ProofFault::Form)
    }

    /// Checks it against what is trusted.
    ///
    /// # Errors
    /// Why it shows nothing.
    pub fn check(&self, trust: &Trust) -> Result<Proven, ProofFault> {
        let mut seq = None;
        let mut version = None;
        let read = canonical::read(&self.record, |outer, key, scalar| match (outer, key, scalar) {
            ("", "seq", Scalar::Integer(number)) => seq = u64::try_from(number).ok(),
            ("", "v", Scalar::Integer(number)) => version = Some(number),
            _ => {}
        });
        read.map_err(|error| ProofFault::Record(error.to_string()))?;
        if version != Some(1) {
            return Err(ProofFault::Record("a version that this program does not know".to_owned()));
        }
        if seq != Some(self.seq) {
            return Err(ProofFault::Number);
        }
        let note = Note::parse(self.checkpoint.as_bytes()).map_err(|_| ProofFault::Checkpoint)?;
        let checkpoint = Checkpoint::parse(&note.text).ok_or(ProofFault::Checkpoint)?;
        if !is_epoch_of(&trust.origin, &checkpoint.origin) {
            return Err(ProofFault::Origin(checkpoint.origin));
        }
        let keys = trust.public_keys()?;
        let signed = keys.into_iter().find(|key| note.is_signed_by(&checkpoint.origin, key));
        let key = signed.ok_or(ProofFault::Signature)?;
        let place = (self.seq - 1, checkpoint.size);
        if !is_included(&chain::leaf(&self.record), place, &self.path, &checkpoint.root) {
            return Err(ProofFault::Path);
        }
        Ok(Proven { seq: self.seq, checkpoint, key })
    }
}

/// Whether `name` is the origin of an epoch of that log.
fn is_epoch_of(origin: &str, name: &str) -> bool {
    let number = name.strip_prefix(origin).and_then(|rest| rest.strip_prefix("/epoch-"));
    let epoch = number.and_then(|digits| digits.parse().ok()).filter(|epoch| *epoch > 1);
    name == origin || epoch.is_some_and(|epoch| epoch_origin(origin, epoch) == name)
}

#[cfg(test)]
mod tests {
    use super::{ProofFault, RecordProof, is_epoch_of};

    fn proof() -> RecordProof {
        RecordProof { record: b"{\"seq\":3}".to_vec(), seq: 3, path: vec![[1; 32], [2; 32]], checkpoint: "x\n".into() }
    }

    #[test]
    fn reads_what_it_writes_and_nothing_else() {
        let text = proof().encode();
        assert!(text.starts_with("c2sp.org/tlog-proof@v1\nextra eyJzZXEiOjN9\nindex 2\nAQEB"), "{text}");
        assert_eq!(RecordProof::parse(text.as_bytes()).unwrap(), proof());
        for wrong in [
            text.replace("v1\n", "v2\n"),
            text.replace("index 2", "index 02"),
            text.replace("index 2", "index -2"),
            text.replace("index 2\n", ""),
            text.replace("eyJzZXEiOjN9", "eyJzZXEiOjN"),
            text.replace("AQEB", "AQE"),
            text.replace("\n\n", "\n"),
            format!(" {text}"),
        ] {
            assert!(matches!(RecordProof::parse(wrong.as_bytes()), Err(ProofFault::Form)), "{wrong}");
        }
        let path = vec![[0; 32]; 64];
        let long = RecordProof { path, ..proof() }.encode();
        assert!(matches!(RecordProof::parse(long.as_bytes()), Err(ProofFault::Form)));
    }

    #[test]
    fn epochs_of_a_log() {
        for good in ["log/a", "log/a/epoch-2", "log/a/epoch-10"] {
            assert!(is_epoch_of("log/a", good), "{good}");
        }
        for wrong in ["log/b", "log/a/epoch-1", "log/a/epoch-02", "log/a/epoch-", "log/a/epoch-2/epoch-3", "log/a/x"] {
            assert!(!is_epoch_of("log/a", wrong), "{wrong}");
        }
    }
}

//! Signed notes (C2SP signed-note): a text, an empty line, and signature lines. Read strictly: there
//! is one spelling, so nothing can be appended, and nothing signed can be dressed differently.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::chain::Hash;
use super::key::PublicKey;

/// Most bytes of a note.
pub const MAX_BYTES: usize = 65_536;
/// Most signature lines.
const MAX_SIGNATURES: usize = 16;
/// What a signature line begins with: an em dash and a space.
const DASH: &str = "\u{2014} ";

/// Why bytes are no signed note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Larger than 64 KiB, or not UTF-8.
    #[error("not a text of at most 64 KiB in UTF-8")]
    Text,
    /// Control characters other than newline.
    #[error("control characters")]
    Control,
    /// No empty line before the signatures.
    #[error("no signatures")]
    Unsigned,
    /// A signature line that is not in its only spelling.
    #[error("a malformed signature line")]
    Line,
}

/// A signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Name of the key.
    pub name: String,
    /// First four bytes of the key's fingerprint.
    pub key_id: [u8; 4],
    /// The signature, DER.
    pub bytes: Vec<u8>,
}

/// A text with signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What is signed; ends in a newline.
    pub text: String,
    /// Signatures, of keys known and unknown.
    pub signatures: Vec<Signature>,
}

impl Note {
    /// Reads a note. Nothing is verified yet.
    ///
    /// # Errors
    /// When the bytes are not exactly a note.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        let note = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_BYTES).ok_or(NoteError::Text)?;
        if note.chars().any(|c| c.is_control() && c != '\n') {
            return Err(NoteError::Control);
        }
        // The text may hold empty lines; signature lines are not empty, so the last one separates.
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::Unsigned)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Line)?;
        let signatures = lines.split('\n').map(line).collect::<Option<Vec<_>>>().ok_or(NoteError::Line)?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(NoteError::Line);
        }
        Ok(Self { text: format!("{text}\n"), signatures })
    }

    /// The bytes of the note.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut note = format!("{}\n", self.text);
        for Signature { name, key_id, bytes } in &self.signatures {
            let signature = STANDARD.encode([key_id, bytes.as_slice()].concat());
            note.push_str(&format!("{DASH}{name} {signature}\n"));
        }
        note
    }

    /// Adds a signature of `key`.
    pub fn sign(&mut self, name: &str, key: &PublicKey, signature: Vec<u8>) {
        self.signatures.push(Signature { name: name.to_owned(), key_id: key.id(), bytes: signature });
    }

    /// Whether it holds a good signature of `key` under that name, and no bad one.
    #[must_use]
    pub fn is_signed_by(&self, name: &str, key: &PublicKey) -> bool {
        let mut own = self.signatures.iter().filter(|line| line.name == name && line.key_id == key.id()).peekable();
        own.peek().is_some() && own.all(|line| key.verify(self.text.as_bytes(), &line.bytes))
    }

    /// SHA-256 of the bytes of the note: what the next anchor names.
    #[must_use]
    pub fn digest(bytes: &[u8]) -> Hash {
        use sha2::{Digest as _, Sha256};
        Sha256::digest(bytes).into()
    }
}

fn line(line: &str) -> Option<Signature> {
    let (name, encoded) = line.strip_prefix(DASH)?.split_once(' ')?;
    if name.is_empty() || name.contains('+') || name.chars().any(char::is_whitespace) {
        return None;
    }
    let bytes = STANDARD.decode(encoded).ok()?;
    let (key_id, signature) = bytes.split_first_chunk::<4>()?;
    (!signature.is_empty()).then(|| Signature { name: name.to_owned(), key_id: *key_id, bytes: signature.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::{Note, NoteError, Signature};

    fn note() -> Note {
        let signature = Signature { name: "log/a".to_owned(), key_id: [1, 2, 3, 4], bytes: vec![5, 6] };
        Note { text: "log/a\n1\nAAAA\n".to_owned(), signatures: vec![signature] }
    }

    #[test]
    fn reads_what_it_writes() {
        let text = note().encode();
        assert_eq!(text, "log/a\n1\nAAAA\n\n\u{2014} log/a AQIDBAUG\n");
        assert_eq!(Note::parse(text.as_bytes()), Ok(note()));
    }

    #[test]
    fn refuses_everything_else() {
        let good = note().encode();
        let cases = [
            (format!("{good} "), NoteError::Line),
            (format!("{good}\n"), NoteError::Line),
            (good.trim_end().to_owned(), NoteError::Line),
            (good.replace("\n\n", "\n"), NoteError::Unsigned),
            (good.replace("AQIDBAUG", "AQIDBAUG="), NoteError::Line),
            (good.replace("AQIDBAUG", "AQIDBAUH "), NoteError::Line),
            (good.replace("AQIDBAUG", "AQID"), NoteError::Line),
            (good.replace('\u{2014}', "-"), NoteError::Line),
            (good.replace("log/a AQ", "log+a AQ"), NoteError::Line),
            (good.replace('1', "1\r"), NoteError::Control),
        ];
        for (text, error) in cases {
            assert_eq!(Note::parse(text.as_bytes()), Err(error), "{text:?}");
        }
        assert_eq!(Note::parse(&[0xff]), Err(NoteError::Text));
    }
}

//! Names that a rack makes up. They come from a fixed sequence, so that runs repeat.

/// The sequence.
#[derive(Clone, Debug)]
pub(super) struct Ids {
    state: u64,
    processes: u64,
}

impl Ids {
    pub(super) fn new() -> Self {
        Self { state: 0x9e37_79b9_7f4a_7c15, processes: 0 }
    }

    fn next(&mut self) -> u64 {
        // xorshift64*; nothing here is a secret.
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8
    }

    fn letters(&mut self, count: usize, alphabet: &[u8]) -> String {
        let size = u64::try_from(alphabet.len()).unwrap_or(1).max(1);
        (0..count)
            .filter_map(|_| alphabet.get(usize::try_from(self.next() % size).unwrap_or_default()).copied())
            .map(char::from)
            .collect()
    }

    /// `B` or `R` and ten capitals.
    pub(super) fn noun(&mut self, prefix: char) -> String {
        format!("{prefix}{}", self.letters(10, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    }

    /// `web-aehai-2`.
    pub(super) fn process(&mut self, service: &str) -> String {
        self.processes += 1;
        format!("{service}-{}-{}", self.letters(5, b"abcdefghijklmnopqrstuvwxyz"), self.processes)
    }

    /// `cert-zxmoprrs`.
    pub(super) fn certificate(&mut self) -> String {
        format!("cert-{}", self.letters(8, b"abcdefghijklmnopqrstuvwxyz"))
    }

    /// Twelve hexadecimal digits.
    pub(super) fn request(&mut self) -> String {
        self.letters(12, b"0123456789abcdef")
    }

    /// Something that looks like a signed token.
    pub(super) fn token(&mut self) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let (body, signature) = (self.letters(86, ALPHABET), self.letters(43, ALPHABET));
        format!("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.{body}.{signature}")
    }
}

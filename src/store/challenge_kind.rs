//! What a challenge asks for, and how it reaches its person.

/// What an answer is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Needs {
    /// A fresh factor: the session has shown one from then on.
    Mfa,
    /// A factor for this very request, and for nothing else.
    Bound,
}

impl Needs {
    /// The word that is stored; policy's name of the challenge.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mfa => "mfa",
            Self::Bound => "mfa_bound",
        }
    }

    /// The one of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Mfa, Self::Bound].into_iter().find(|needs| needs.as_str() == word)
    }
}

/// How the person comes to the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// In the page that asks.
    Web,
    /// By the handshake of the `convox` CLI, which opens a browser and hands in a proof.
    Console,
    /// By a link in a refusal or in a terminal that waits, which they open themselves.
    Link,
    /// Before the next socket, in place of one that was refused; or by a link.
    Socket,
}

impl Way {
    /// The word that is stored and shown to programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Console => "console",
            Self::Link => "link",
            Self::Socket => "socket",
        }
    }

    /// The way of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Web, Self::Console, Self::Link, Self::Socket].into_iter().find(|way| way.as_str() == word)
    }
}

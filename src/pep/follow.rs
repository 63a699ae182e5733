//! What is left to do between the rack's answer and the client: to mask what the caller may not read, to
//! note what came of an approved step.

use std::fmt;

use actix_web::web::Bytes;
use futures_util::future::LocalBoxFuture;

/// The rack's answer, read whole, and what was sent to get it.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Status.
    pub status: u16,
    /// Body; what a follower changes is what the client gets.
    pub body: Bytes,
    /// SHA-256 of the body that was sent, where it was streamed.
    pub sent: Option<[u8; 32]>,
    /// Its length in bytes.
    pub sent_bytes: u64,
}

/// Why the answer cannot be passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfollowed {
    /// HTTP status for the client.
    pub status: u16,
    /// What happened and what to do, for the client and the record. No percent sign, and nothing of the answer.
    pub message: String,
}

/// Something to do before the client gets the answer. It runs to its end even if the client goes away.
pub trait Follow: fmt::Debug {
    /// Most bytes of an answer that it reads; a longer one is not passed on.
    fn max(&self) -> usize;

    /// The rack has answered, with any status. What comes out goes to the next follower, then to the client.
    fn answered(self: Box<Self>, answer: Answered) -> LocalBoxFuture<'static, Result<Answered, Unfollowed>>;

    /// No answer came, or an earlier follower failed: it is not known whether the rack did it.
    fn unanswered(self: Box<Self>) -> LocalBoxFuture<'static, ()>;
}

/// All of a request, in their order.
pub type Followers = Vec<Box<dyn Follow>>;

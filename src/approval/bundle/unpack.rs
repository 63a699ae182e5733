//! One gzip stream (RFC 1952), counted and digested on the way.

use std::io::{self, BufRead, BufReader, Read};

use bytes::{Buf as _, Bytes};
use flate2::bufread::GzDecoder;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::archive;
use super::{BundleError, Found, Limits};

/// What is read at a time.
const BLOCK: usize = 64 << 10;

/// The bytes that come over a channel, on a thread that may wait.
#[derive(Debug)]
pub(super) struct Fed {
    receiver: mpsc::Receiver<Option<Bytes>>,
    rest: Bytes,
    ended: bool,
}

impl Fed {
    pub(super) const fn new(receiver: mpsc::Receiver<Option<Bytes>>) -> Self {
        Self { receiver, rest: Bytes::new(), ended: false }
    }
}

impl Read for Fed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() && !self.ended {
            match self.receiver.blocking_recv() {
                Some(Some(bytes)) => self.rest = bytes,
                Some(None) => self.ended = true,
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let length = self.rest.len().min(buffer.len());
        if let Some(place) = buffer.get_mut(..length) {
            self.rest.copy_to_slice(place);
        }
        Ok(length)
    }
}

/// Counts and digests what passes. Too much is an error that is told apart by `over`.
struct Counted<R> {
    inner: R,
    digest: Sha256,
    bytes: u64,
    max: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        let read = buffer.get(..length).unwrap_or_default();
        self.digest.update(read);
        self.bytes = self.bytes.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        if self.bytes > self.max { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(length) }
    }
}

/// Reads an upload to its end.
///
/// # Errors
/// [`BundleError`].
pub(super) fn read(input: impl Read, wanted: &[u8], limits: Limits) -> Result<Found, BundleError> {
    let counted = Counted { inner: input, digest: Sha256::new(), bytes: 0, max: limits.packed };
    let mut unpacked = GzDecoder::new(BufReader::with_capacity(BLOCK, counted));
    let read = archive::read(&mut unpacked, wanted, limits);
    let mut packed = unpacked.into_inner();
    let manifest = match read {
        Ok(manifest) => manifest,
        Err(error) => return Err(told(&packed, limits, error)),
    };
    // Go goes on with a second stream where the first ends; nobody else does.
    let more = match packed.fill_buf() {
        Ok(rest) => !rest.is_empty(),
        Err(_) => return Err(told(&packed, limits, BundleError::Broken)),
    };
    if more {
        return Err(BundleError::Form("something follows the gzip stream"));
    }
    let counted = packed.into_inner();
    Ok(Found { manifest, sha256: counted.digest.finalize().into(), bytes: counted.bytes })
}

/// What is too long looks broken to the decoder.
fn told<R>(packed: &BufReader<Counted<R>>, limits: Limits, error: BundleError) -> BundleError
where
    R: Read,
{
    if packed.get_ref().bytes > limits.packed { BundleError::Packed(limits.packed) } else { error }
}

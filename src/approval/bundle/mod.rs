//! What an upload holds: the gzipped tarball that `convox build` sends is read in a stream, with limits, to
//! find the manifest in it. The rack unpacks it by its own rules (convox `pkg/common/tarball.go`, Go's
//! `archive/tar` and `compress/gzip`); whatever the two could read in different ways is refused here.

mod archive;
mod header;
mod images;
mod manifest;
mod names;
mod unpack;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

pub use images::{ImageProblem, Rules, check};
pub use manifest::{Manifest, ManifestError, interpolate};
pub use names::wanted;

/// Chunks that wait for the reader: what comes faster waits on the network.
const WAITING: usize = 8;

/// How much of an upload is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes as they come.
    pub packed: u64,
    /// Bytes once unpacked, headers included.
    pub unpacked: u64,
    /// Files, folders and links, folders that are only named in a path included.
    pub entries: usize,
    /// Bytes of the manifest.
    pub manifest: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { packed: 500 << 20, unpacked: 100 << 20, entries: 10_000, manifest: 1 << 20 }
    }
}

/// What was found.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    /// The manifest, as it stands in the tarball.
    pub manifest: Vec<u8>,
    /// SHA-256 of everything that came.
    pub sha256: [u8; 32],
    /// Its length in bytes.
    pub bytes: u64,
}

impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Found").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// Why an upload is not believed. The text begins with "the upload", and has nothing of it but numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Too long as it comes.
    #[error("the upload is longer than {0} bytes")]
    Packed(u64),
    /// Too long once unpacked.
    #[error("the upload holds more than {0} bytes")]
    Unpacked(u64),
    /// Too many files.
    #[error("the upload holds more than {0} files and folders")]
    Entries(usize),
    /// The manifest is too long.
    #[error("the upload holds a manifest of more than {0} bytes")]
    Manifest(u64),
    /// There is no such file in it.
    #[error("the upload does not hold the manifest that the build names")]
    Missing,
    /// A file twice, or as a file and as a folder.
    #[error("the upload holds the same name twice")]
    Twice,
    /// A name that leads out of the tree, or that is none.
    #[error("the upload holds a name that is empty, absolute or leads out of it")]
    Name,
    /// A link that leads out of the tree.
    #[error("the upload holds a link that leads out of it")]
    Link,
    /// Not what the `convox` command makes.
    #[error("the upload is no gzipped tarball as the convox command makes it: {0}")]
    Form(&'static str),
    /// It broke off.
    #[error("the upload could not be read to its end")]
    Broken,
}

/// Where the bytes of an upload go.
#[derive(Debug)]
pub struct Feed(mpsc::Sender<Option<Bytes>>);

impl Feed {
    /// Hands over the next bytes, in their order; false when nobody reads any more, because what came so far is
    /// refused already.
    pub async fn send(&self, bytes: Bytes) -> bool {
        self.0.send(Some(bytes)).await.is_ok()
    }

    /// That was all. A feed that is dropped without this has broken off.
    pub async fn end(self) {
        // Nobody reads any more once the upload is refused, and that is known by other means.
        let _gone = self.0.send(None).await;
    }
}

/// An upload that is being read, on a thread of its own.
#[derive(Debug)]
pub struct Reading(JoinHandle<Result<Found, BundleError>>);

impl Reading {
    /// What came of it.
    ///
    /// # Errors
    /// [`BundleError`].
    pub async fn outcome(self) -> Result<Found, BundleError> {
        self.0.await.unwrap_or(Err(BundleError::Broken))
    }
}

/// Begins to read an upload, to find the file `manifest` in it (see [`wanted`]). Memory is bounded whatever comes.
#[must_use]
pub fn open(manifest: Vec<u8>, limits: Limits) -> (Feed, Reading) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let reading = spawn_blocking(move || unpack::read(unpack::Fed::new(receiver), &manifest, limits));
    (Feed(sender), Reading(reading))
}

#[cfg(test)]
mod tests;

//! The store of the anchors: objects that are written once and never changed.

use bytes::Bytes;
use time::OffsetDateTime;

use super::AnchorError;
use super::aws::Aws;
use super::folder::Folder;
use super::s3::S3;
use crate::config::{AnchorPlace, AnchorSettings};
use crate::proof::trust::AnchorStore;

/// Whether an object was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It was.
    Done,
    /// There is one of that key already; nothing was written.
    Exists,
}

/// A version of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectVersion {
    /// Key of the object.
    pub key: String,
    /// Id of the version.
    pub version: String,
    /// Whether it marks the object as deleted.
    pub is_marker: bool,
    /// Whether it is what a reader gets.
    pub is_latest: bool,
    /// When it was written, by the store's own clock.
    pub last_modified: Option<OffsetDateTime>,
}

/// Where anchors are.
#[derive(Clone, Debug)]
pub enum Objects {
    /// A bucket with Object Lock.
    S3(S3),
    /// A folder: development.
    Folder(Folder),
}

impl Objects {
    /// Opens the store that is configured. For a bucket, asks where it is.
    ///
    /// # Errors
    /// [`AnchorError::Unavailable`], [`AnchorError::Refused`], [`AnchorError::Unusable`].
    pub async fn open(settings: &AnchorSettings, aws: &Aws) -> Result<Self, AnchorError> {
        match &settings.place {
            AnchorPlace::S3 { bucket, account } => {
                S3::open(bucket, account.as_deref(), settings.retention_days, aws).await.map(Self::S3)
            }
            AnchorPlace::Folder(path) => Ok(Self::Folder(Folder::new(path))),
        }
    }

    /// Writes an object unless there is one of that key; a bucket locks it from `now` on.
    ///
    /// # Errors
    /// As [`Objects::open`]. It may have been written all the same.
    pub async fn put_new(&self, key: &str, bytes: Bytes, now: OffsetDateTime) -> Result<Put, AnchorError> {
        match self {
            Self::S3(s3) => s3.put_new(key, bytes, now).await,
            Self::Folder(folder) => folder.put_new(key, bytes).await,
        }
    }

    /// The bytes of an object, None when there is none.
    ///
    /// # Errors
    /// As [`Objects::open`]; also when it is far larger than any of ours.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, AnchorError> {
        match self {
            Self::S3(s3) => s3.get(key).await,
            Self::Folder(folder) => folder.get(key).await,
        }
    }

    /// All keys that begin with `prefix` and sort after `start_after`, in order.
    ///
    /// # Errors
    /// As [`Objects::open`].
    pub async fn list(&self, prefix: &str, start_after: Option<&str>) -> Result<Vec<String>, AnchorError> {
        match self {
            Self::S3(s3) => s3.list(prefix, start_after).await,
            Self::Folder(folder) => folder.list(prefix, start_after).await,
        }
    }

    /// All versions of all objects whose keys begin with `prefix`. A folder has one of each.
    ///
    /// # Errors
    /// As [`Objects::open`].
    pub async fn versions(&self, prefix: &str) -> Result<Vec<ObjectVersion>, AnchorError> {
        match self {
            Self::S3(s3) => s3.versions(prefix).await,
            Self::Folder(folder) => folder.versions(prefix).await,
        }
    }

    /// How the store is named in metadata and trust files.
    #[must_use]
    pub fn store(&self) -> AnchorStore {
        match self {
            Self::S3(s3) => s3.store(),
            Self::Folder(folder) => folder.store(),
        }
    }

    /// What time it is now by the clock of the store, as its last answer told. None for a folder.
    #[must_use]
    pub fn time(&self) -> Option<OffsetDateTime> {
        match self {
            Self::S3(s3) => s3.time(),
            Self::Folder(_) => None,
        }
    }
}

//! All that a verifier wants from the store of the anchors.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::AnchorError;
use super::objects::{ObjectVersion, Objects};
use crate::proof::anchor::{ObjectKey, epoch_origin};

/// Objects that are read at the same time.
const AT_ONCE: usize = 16;

/// Checkpoints and metadata of all epochs by their keys, and what versions there are.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// Their bytes.
    pub objects: BTreeMap<String, Bytes>,
    /// All versions of all objects of the log, tiles too: each should have one, and no marker.
    pub versions: Vec<ObjectVersion>,
}

/// Reads the anchors of a log, of all its epochs.
///
/// # Errors
/// [`AnchorError::Unavailable`], [`AnchorError::Refused`], [`AnchorError::Unusable`].
pub async fn load(objects: &Objects, origin: &str) -> Result<Loaded, AnchorError> {
    let prefix = format!("v1/{origin}/");
    let (keys, versions) = (objects.list(&prefix, None).await?, objects.versions(&prefix).await?);
    let wanted = keys.into_iter().filter(|key| is_note(origin, key));
    let read = stream::iter(wanted).map(async |key| {
        let bytes = objects.get(&key).await?;
        Ok::<_, AnchorError>(bytes.map(|bytes| (key, bytes)))
    });
    let found: Vec<_> = read.buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(Loaded { objects: found.into_iter().flatten().collect(), versions })
}

/// Whether that is the key of a checkpoint or of metadata, in whatever epoch.
fn is_note(origin: &str, key: &str) -> bool {
    let epoch = key.strip_prefix(&format!("v1/{origin}/epoch-")).and_then(|rest| rest.split('/').next()?.parse().ok());
    let parsed = ObjectKey::parse(&epoch_origin(origin, epoch.unwrap_or(1)), key);
    matches!(parsed, Some(ObjectKey::Checkpoint(_) | ObjectKey::Meta(_)))
}

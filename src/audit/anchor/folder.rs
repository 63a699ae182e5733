//! A folder that stands in for a bucket in development. An object appears whole or not at all, and is
//! never written over; but nothing keeps the owner of the machine from changing it.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use time::OffsetDateTime;
use uuid::Uuid;

use super::AnchorError;
use super::objects::{ObjectVersion, Put};
use crate::proof::trust::AnchorStore;

/// What files begin with while they are written.
const UNFINISHED: &str = ".unfinished-";

/// A folder of objects.
#[derive(Clone, Debug)]
pub struct Folder {
    root: Arc<Path>,
}

impl Folder {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: Arc::from(root) }
    }

    pub(super) fn store(&self) -> AnchorStore {
        AnchorStore::File { path: self.root.display().to_string() }
    }

    pub(super) async fn put_new(&self, key: &str, bytes: Bytes) -> Result<Put, AnchorError> {
        let path = self.root.join(key);
        self.work(move |root| put_new(root, &path, &bytes)).await
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Bytes>, AnchorError> {
        let path = self.root.join(key);
        self.work(move |_| match fs::read(&path) {
            Ok(bytes) => Ok(Some(Bytes::from(bytes))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    pub(super) async fn list(&self, prefix: &str, start_after: Option<&str>) -> Result<Vec<String>, AnchorError> {
        let (prefix, after) = (prefix.to_owned(), start_after.unwrap_or_default().to_owned());
        self.work(move |root| {
            let mut keys = Vec::new();
            // A prefix ends anywhere; what has it is below the folder of its last slash.
            let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
            walk(root, folder, &mut keys)?;
            keys.retain(|key| key.starts_with(&prefix) && *key > after);
            keys.sort();
            Ok(keys)
        })
        .await
    }

    pub(super) async fn versions(&self, prefix: &str) -> Result<Vec<ObjectVersion>, AnchorError> {
        let keys = self.list(prefix, None).await?;
        self.work(move |root| {
            let version = |key: String| {
                let modified = fs::metadata(root.join(&key))?.modified()?;
                let last_modified = Some(OffsetDateTime::from(modified));
                Ok(ObjectVersion { key, version: String::new(), is_marker: false, is_latest: true, last_modified })
            };
            keys.into_iter().map(version).collect()
        })
        .await
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, AnchorError> {
        let root = Arc::clone(&self.root);
        let unavailable = |cause: String| AnchorError::Unavailable { what: "the folder of the anchors", cause };
        let done = tokio::task::spawn_blocking(move || work(&root)).await;
        done.map_err(|error| unavailable(error.to_string()))?.map_err(|error| unavailable(error.to_string()))
    }
}

/// Writes beside, then gives it its name: a link is made only where there is none.
fn put_new(root: &Path, path: &Path, bytes: &[u8]) -> io::Result<Put> {
    let folder = path.parent().unwrap_or(root);
    make_folders(root, folder)?;
    let unfinished = folder.join(format!("{UNFINISHED}{}", Uuid::now_v7()));
    let linked = write(&unfinished, bytes).and_then(|()| fs::hard_link(&unfinished, path));
    fs::remove_file(&unfinished)?;
    match linked {
        Ok(()) => sync(folder).map(|()| Put::Done),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Put::Exists),
        Err(error) => Err(error),
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::options().create_new(true).write(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the folders that are missing, each durable in its parent.
fn make_folders(root: &Path, folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if folder != root
        && let Some(parent) = folder.parent()
    {
        make_folders(root, parent)?;
    }
    match if folder == root { fs::create_dir_all(folder) } else { fs::create_dir(folder) } {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    folder.parent().map_or(Ok(()), sync)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Adds the keys of all files below `folder`.
fn walk(root: &Path, folder: &str, keys: &mut Vec<String>) -> io::Result<()> {
    let entries = match fs::read_dir(root.join(folder)) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let key = PathBuf::from(folder).join(&name).display().to_string();
        if entry.file_type()?.is_dir() {
            walk(root, &key, keys)?;
        } else if !name.starts_with(UNFINISHED) {
            keys.push(key);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bytes::Bytes;

    use super::{Folder, Put, UNFINISHED};

    #[tokio::test]
    async fn an_object_is_written_once() {
        let dir = std::env::temp_dir().join(format!("rgw-folder-{}", uuid::Uuid::now_v7()));
        let folder = Folder::new(&dir);
        assert_eq!(folder.list("v1/", None).await.unwrap(), Vec::<String>::new(), "not even the folder is there");
        for (key, put) in [("v1/a/1", Put::Done), ("v1/a/1", Put::Exists), ("v1/a/10", Put::Done), ("v1/b", Put::Done)]
        {
            assert_eq!(folder.put_new(key, Bytes::from(key)).await.unwrap(), put, "{key}");
        }
        assert_eq!(folder.get("v1/a/1").await.unwrap(), Some(Bytes::from("v1/a/1")));
        assert_eq!(folder.get("v1/a/2").await.unwrap(), None);
        fs::write(dir.join("v1/a").join(format!("{UNFINISHED}x")), b"half").unwrap();
        assert_eq!(folder.list("v1/", None).await.unwrap(), ["v1/a/1", "v1/a/10", "v1/b"]);
        assert_eq!(folder.list("v1/a/", Some("v1/a/1")).await.unwrap(), ["v1/a/10"]);
        assert_eq!(folder.versions("v1/a/").await.unwrap().len(), 2);
        fs::remove_dir_all(dir).unwrap();
    }
}

//! The two databases, each fresh for a test.

use rack_gateway::store::{Options, Store};
use tempfile::TempDir;

use super::postgres;

/// A database with the schema of this version.
pub struct Db {
    pub url: String,
    _dir: Option<TempDir>,
}

impl Db {
    pub fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { url: format!("sqlite://{}", dir.path().join("gateway.sqlite").display()), _dir: Some(dir) }
    }

    pub async fn postgres() -> Self {
        Self { url: postgres::database().await, _dir: None }
    }

    /// Both, for tests that hold on both.
    pub async fn each() -> [Self; 2] {
        [Self::sqlite(), Self::postgres().await]
    }

    pub async fn open(&self) -> Store {
        let store = Store::connect(&self.url, Options::default()).await.unwrap();
        store.migrate(None).await.unwrap();
        store
    }
}

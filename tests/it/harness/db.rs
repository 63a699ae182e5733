//! The same test on both databases.

use std::path::PathBuf;

use rack_gateway::store::{Options, Store};
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};
use tempfile::TempDir;

use super::postgres;

/// An empty, migrated database, and the means to do to it what its administrator could.
pub enum Db {
    Sqlite(TempDir),
    Postgres(String),
}

impl Db {
    pub async fn sqlite() -> Self {
        let db = Self::Sqlite(tempfile::tempdir().expect("a temporary directory"));
        let store = db.store().await;
        store.migrate(None).await.expect("migrate");
        store.close().await;
        db
    }

    pub async fn postgres() -> Self {
        Self::Postgres(postgres::database().await)
    }

    /// Both, for tests that hold on both.
    pub async fn each() -> [Self; 2] {
        [Self::sqlite().await, Self::postgres().await]
    }

    pub async fn url(&self) -> String {
        match self {
            Self::Sqlite(_) => format!("sqlite://{}", self.file().expect("a file").display()),
            Self::Postgres(name) => postgres::shared().await.url(name),
        }
    }

    /// The database file, for SQLite.
    pub fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Sqlite(dir) => Some(dir.path().join("gateway.sqlite")),
            Self::Postgres(_) => None,
        }
    }

    /// A new store on it.
    pub async fn store(&self) -> Store {
        self.store_with(Options::default()).await
    }

    pub async fn store_with(&self, options: Options) -> Store {
        Store::connect(&self.url().await, options).await.expect("connect a store")
    }

    /// Runs statements as the administrator, on a connection of its own.
    pub async fn execute(&self, sql: &str) {
        self.try_execute(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    pub async fn try_execute(&self, sql: &str) -> Result<(), sqlx::Error> {
        let url = self.url().await;
        match self {
            Self::Sqlite(_) => {
                let mut connection = SqliteConnection::connect(&url).await?;
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
                connection.close().await
            }
            Self::Postgres(_) => {
                let mut connection = sqlx::PgConnection::connect(&url).await?;
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
                connection.close().await
            }
        }
    }
}

/// Makes one test per database of each function, which takes the database.
#[macro_export]
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[tokio::test]
            async fn sqlite() {
                super::super::$name($crate::harness::db::Db::sqlite().await).await;
            }

            #[tokio::test]
            async fn postgres() {
                super::super::$name($crate::harness::db::Db::postgres().await).await;
            }
        }
    )+};
}

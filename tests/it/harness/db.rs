//! The same test on both databases.

use std::path::PathBuf;

use rack_gateway::store::{Options, Store};
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};
use tempfile::TempDir;

use super::postgres;

/// The triggers that keep the log as it is, on SQLite.
const GUARDS: &[&str] = &[
    "audit_records_no_update",
    "audit_records_no_delete",
    "audit_records_no_replace",
    "audit_head_forward",
    "audit_head_no_delete",
    "audit_head_no_replace",
    "audit_nodes_no_update",
    "audit_nodes_no_delete",
    "audit_nodes_no_replace",
    "audit_anchors_no_update",
    "audit_anchors_no_delete",
    "audit_anchors_no_replace",
    "audit_epochs_no_update",
    "audit_epochs_no_delete",
    "audit_epochs_no_replace",
    "audit_private_no_update",
    "audit_private_no_replace",
];
/// The tables that triggers keep as they are.
const GUARDED: &[&str] =
    &["audit_records", "audit_head", "audit_nodes", "audit_anchors", "audit_epochs", "audit_private"];

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

    /// Another empty one of the same kind.
    pub async fn sibling(&self) -> Self {
        match self {
            Self::Sqlite(_) => Self::sqlite().await,
            Self::Postgres(_) => Self::postgres().await,
        }
    }

    /// The same data in a database of its own, as a restored backup would be.
    pub async fn copy(&self) -> Self {
        match self {
            Self::Sqlite(_) => {
                let copy = tempfile::tempdir().expect("a temporary directory");
                self.execute(&format!("VACUUM INTO '{}'", copy.path().join("gateway.sqlite").display())).await;
                Self::Sqlite(copy)
            }
            Self::Postgres(name) => Self::Postgres(postgres::copy(name).await),
        }
    }

    /// Takes away what protects the log, as an administrator could.
    pub async fn unlock(&self) {
        let sql: String = match self {
            Self::Sqlite(_) => GUARDS.iter().map(|name| format!("DROP TRIGGER {name};\n")).collect(),
            Self::Postgres(_) => {
                GUARDED.iter().map(|table| format!("ALTER TABLE {table} DISABLE TRIGGER USER;\n")).collect()
            }
        };
        self.execute(&sql).await;
    }

    /// A statement that changes the bytes of one record, and nothing else.
    pub fn edit_canon(&self, seq: u64, from: &str, to: &str) -> String {
        let edited = match self {
            Self::Sqlite(_) => format!("CAST(replace(CAST(canon AS TEXT), '{from}', '{to}') AS BLOB)"),
            Self::Postgres(_) => format!("convert_to(replace(convert_from(canon, 'UTF8'), '{from}', '{to}'), 'UTF8')"),
        };
        format!("UPDATE audit_records SET canon = {edited} WHERE seq = {seq}")
    }

    /// A statement that sets a column to bytes given in hex.
    pub fn set_blob(&self, table: &str, column: &str, hex: &str, at: &str) -> String {
        format!("UPDATE {table} SET {column} = {} WHERE {at}", self.blob(hex))
    }

    /// Bytes given in hex, as they are written in a statement.
    pub fn blob(&self, hex: &str) -> String {
        match self {
            Self::Sqlite(_) => format!("x'{hex}'"),
            Self::Postgres(_) => format!("decode('{hex}', 'hex')"),
        }
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

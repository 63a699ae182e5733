//! What the tests share: databases, a gateway in process, people with tokens.

mod db;
mod gateway;
pub mod postgres;

pub use db::Db;
pub use gateway::{Gateway, basic};

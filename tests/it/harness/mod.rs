//! What the tests stand on: databases, a gateway in process, the real binary, people with tokens.

pub mod binary;
pub mod cut;
pub mod db;
mod gateway;
pub mod postgres;

pub use db::Db;
pub use gateway::{Gateway, basic, issuer, parse_record};

//! What the tests stand on.

pub mod cut;
pub mod db;
pub mod postgres;

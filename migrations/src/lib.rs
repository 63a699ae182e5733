//! Schema migrations of the gateway's database.

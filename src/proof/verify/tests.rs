//! The engine, finding by finding.

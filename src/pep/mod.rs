//! The policy enforcement point.

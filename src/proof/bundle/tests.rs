//! Exports, honest and hostile.

//! Two verifiers over one corpus of evidence, honest and damaged in every way: the client's and
//! `docs/verify.py`, which share no code, must say the same, and what is expected.

mod anchors;
mod corpus;
mod files;
mod logs;
mod records;
mod script;
mod vectors;

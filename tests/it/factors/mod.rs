//! Second factors: proofs that are believed, and those that are not.

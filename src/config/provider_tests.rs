//! Settings of sign-in and workload identity: what is taken, what is refused.

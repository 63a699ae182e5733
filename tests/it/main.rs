//! Integration tests.

<<<<<<< HEAD
mod compile_fail;
mod tidy;
=======
mod audit;
mod harness;
>>>>>>> audit

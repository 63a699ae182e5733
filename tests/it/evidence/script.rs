//! What `docs/verify.py` promises to who reads it.

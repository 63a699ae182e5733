//! Who is calling, and how sure we are.

//! The rack: HTTP, sockets, TLS.

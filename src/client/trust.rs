//! Whose certificates are believed. Verification cannot be turned off.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::error::ClientError;

/// Where the certificate authorities come from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Roots<'a> {
    /// The operating system.
    System,
    /// This PEM file, and no others.
    File(&'a Path),
    /// Nowhere: the connection is not encrypted.
    Nobody,
}

/// The TLS configuration. The crypto provider is named, never the process default.
pub(super) fn client_config(roots: Roots<'_>) -> Result<ClientConfig, ClientError> {
    let store = match roots {
        Roots::System => system()?,
        Roots::File(path) => file(path)?,
        Roots::Nobody => RootCertStore::empty(),
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| ClientError::Tls(error.to_string()))?;
    Ok(builder.with_root_certificates(store).with_no_client_auth())
}

fn system() -> Result<RootCertStore, ClientError> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    // One odd certificate among the system's hundred must not keep people out.
    let (added, _ignored) = store.add_parsable_certificates(found.certs);
    if added > 0 { Ok(store) } else { Err(ClientError::NoSystemRoots) }
}

fn file(path: &Path) -> Result<RootCertStore, ClientError> {
    let broken = |cause: String| ClientError::CaFile { path: path.to_owned(), cause };
    let pem = std::fs::read(path).map_err(|error| broken(error.to_string()))?;
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| broken(error.to_string()))?;
        store.add(certificate).map_err(|error| broken(error.to_string()))?;
    }
    if store.is_empty() { Err(broken("it holds no certificate".to_owned())) } else { Ok(store) }
}

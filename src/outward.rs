//! The way out to services that are not the rack: one kind of HTTP client, with narrow limits. It follows
//! no redirect, uses no proxy, and believes only certificates of known authorities.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;

use crate::config::ProviderHttp;

/// Why no client can be made.
#[derive(Debug, Error)]
pub enum OutwardError {
    /// The extra authorities cannot be read.
    #[error("OIDC_CA_FILE is not PEM with certificates: {0}")]
    Authorities(String),
    /// Neither the system nor the settings name an authority.
    #[error("no certificate authorities were found on this system: install them, or set OIDC_CA_FILE")]
    NoAuthorities,
    /// The TLS library or the HTTP client refuses.
    #[error("no client for other services can be made: {0}")]
    Client(String),
}

/// Makes the client. Whom it may speak to without TLS is the caller's to say.
///
/// # Errors
/// [`OutwardError`].
pub(crate) fn client(settings: &ProviderHttp) -> Result<reqwest::Client, OutwardError> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls(settings.ca.as_deref())?)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .http1_only()
        // Connections are rare, and each belongs to the thread that opened it.
        .pool_max_idle_per_host(0)
        .connect_timeout(settings.connect_timeout)
        .timeout(settings.timeout)
        .user_agent(concat!("rack-gateway/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| OutwardError::Client(reason(&error)))
}

/// The crypto provider is named, never the process default.
fn tls(extra: Option<&[u8]>) -> Result<ClientConfig, OutwardError> {
    let mut roots = RootCertStore::empty();
    // One odd certificate among the system's hundred must not keep everybody out.
    let (_added, _ignored) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(pem) = extra {
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| OutwardError::Authorities(error.to_string()))?;
            roots.add(certificate).map_err(|error| OutwardError::Authorities(error.to_string()))?;
        }
        if roots.len() == before {
            return Err(OutwardError::Authorities("it holds none".to_owned()));
        }
    }
    if roots.is_empty() {
        return Err(OutwardError::NoAuthorities);
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| OutwardError::Client(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The innermost cause: the outer ones repeat the address.
pub(crate) fn reason(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

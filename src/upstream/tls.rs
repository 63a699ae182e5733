//! Whom we talk to: the certificate authorities and pins that the rack's certificate must meet.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// SHA-256 of a certificate's `SubjectPublicKeyInfo` (RFC 7469 §2.4).
pub type SpkiHash = [u8; 32];

/// Which certificate authorities vouch for the rack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// Those of the operating system.
    #[default]
    System,
    /// Those in this PEM text, and no others.
    Pem(Vec<u8>),
    /// None: the pins alone decide, and the name in the certificate does not matter.
    Nobody,
}

/// What the rack's certificate must meet: every part that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Whose signature it must bear, for the rack's host name.
    pub roots: Roots,
    /// If not empty, one of these keys must be its own.
    pub pins: Vec<SpkiHash>,
}

impl Trust {
    /// Verification by the operating system's authorities.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// Verification by these PEM certificates only.
    #[must_use]
    pub fn authority(pem: impl Into<Vec<u8>>) -> Self {
        Self { roots: Roots::Pem(pem.into()), pins: Vec::new() }
    }

    /// Verification by key alone.
    #[must_use]
    pub fn pinned(pins: impl Into<Vec<SpkiHash>>) -> Self {
        Self { roots: Roots::Nobody, pins: pins.into() }
    }

    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Why no verifier can be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The operating system has no usable certificates.
    #[error("no certificate authorities were found on this system ({0}); set a file of them")]
    NoSystemRoots(String),
    /// The PEM text is broken.
    #[error("the certificate authority file is not PEM: {0}")]
    Pem(String),
    /// The PEM text has no certificate in it.
    #[error("the certificate authority file holds no certificate")]
    NoCertificate,
    /// Neither roots nor pins: anybody would be trusted.
    #[error("neither a certificate authority nor a pin is set")]
    Nobody,
    /// rustls refused.
    #[error("{0}")]
    Rustls(#[from] rustls::Error),
    /// rustls refused the roots.
    #[error("{0}")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}

/// A client configuration with HTTP/1.1 only: h2 has no websocket upgrade.
///
/// The crypto provider is named, never the process default: whether one is installed must not
/// decide whether the rack can be reached.
pub(super) fn client_config(trust: &Trust) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = RackVerifier::new(trust, &provider)?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn roots(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        store.add(certificate.map_err(|error| TlsError::Pem(error.to_string()))?)?;
    }
    if store.is_empty() { Err(TlsError::NoCertificate) } else { Ok(store) }
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    // One odd certificate among the system's hundred must not take the rack away.
    let (added, _ignored) = store.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(store);
    }
    let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
    Err(TlsError::NoSystemRoots(errors.join(", ")))
}

/// Certificate authority, then pin. Signatures of the handshake are always checked: a pin without
/// them would accept anybody who has a copy of the certificate.
#[derive(Debug)]
struct RackVerifier {
    authority: Option<Arc<WebPkiServerVerifier>>,
    pins: Vec<SpkiHash>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl RackVerifier {
    fn new(trust: &Trust, provider: &Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let store = match &trust.roots {
            Roots::System => Some(system_roots()?),
            Roots::Pem(pem) => Some(roots(pem)?),
            Roots::Nobody if trust.pins.is_empty() => return Err(TlsError::Nobody),
            Roots::Nobody => None,
        };
        let authority = store
            .map(|store| WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider)).build());
        Ok(Self {
            authority: authority.transpose()?,
            pins: trust.pins.clone(),
            algorithms: provider.signature_verification_algorithms,
        })
    }

    fn check_pin(&self, certificate: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        if self.pins.is_empty() {
            return Ok(());
        }
        let (_, parsed) = X509Certificate::from_der(certificate)
            .map_err(|_error| rustls::Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let found: SpkiHash = Sha256::digest(parsed.tbs_certificate.subject_pki.raw).into();
        if self.pins.contains(&found) {
            return Ok(());
        }
        let found = hex::encode(found);
        Err(rustls::Error::General(format!("the rack's certificate has the key sha256 {found}, which is not pinned")))
    }
}

impl ServerCertVerifier for RackVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(authority) = &self.authority {
            authority.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        }
        self.check_pin(end_entity)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

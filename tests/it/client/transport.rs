//! The wire: certificates, redirects, hosts that are down, servers that are no gateway.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::fake::{API_TOKEN, Fake, Say};
use super::{Machine, approving};

/// An authority of this test.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its certificate in a file of this machine.
    fn file(&self, machine: &Machine, name: &str) -> String {
        let path = machine.home.path().join(name);
        std::fs::write(&path, self.0.pem()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A server that shows a certificate for this name.
    fn server(&self, name: &str) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        builder.with_single_cert(chain, key).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_verified_against_the_system_or_the_file() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let machine = Machine::new();
    let (own, other) = (ours.file(&machine, "ours.pem"), theirs.file(&machine, "theirs.pem"));
    let gateway = Fake::start_tls(&[Say::Approve], ours.server("localhost"), "https://localhost");
    let login = ["login", "prod", gateway.url.as_str(), "--no-open"];
    // The system's authorities are those of a file, as on a machine of a company.
    let mut machine = machine.with("SSL_CERT_FILE", &other);
    machine.run(&login).await.failed(3, &["certificate of localhost:", "not trusted", "--ca-file"]);
    machine.run(&[&login[..], &["--ca-file", &other]].concat()).await.failed(3, &["not trusted"]);
    assert_eq!(gateway.seen().len(), 0, "something was sent before the certificate was verified");
    machine.run(&[&login[..], &["--ca-file", &own]].concat()).await.ok();
    machine.run(&["whoami"]).await.failed(3, &["not trusted"]);
    machine.set("RACK_GATEWAY_CA_FILE", &own);
    machine.run(&["whoami"]).await.ok();
    // The flag goes first.
    machine.run(&["whoami", "--ca-file", &other]).await.failed(3, &["not trusted"]);
    machine.env.remove("RACK_GATEWAY_CA_FILE");
    machine.set("SSL_CERT_FILE", &own);
    machine.run(&["whoami"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_another_name_is_refused() {
    let ours = Authority::new();
    let machine = Machine::new();
    let own = ours.file(&machine, "ours.pem");
    let gateway = Fake::start_tls(&[Say::Approve], ours.server("gateway.example.com"), "https://localhost");
    let arguments = ["login", "prod", &gateway.url, "--no-open", "--ca-file", &own];
    machine.run(&arguments).await.failed(3, &["not trusted", "localhost"]);
    assert_eq!(gateway.seen().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn authorities_that_cannot_be_read_are_an_error() {
    let machine =
        Machine::new().with("RACK_GATEWAY_URL", "https://localhost:1").with("RACK_GATEWAY_API_TOKEN", API_TOKEN);
    let empty = machine.home.path().join("empty.pem");
    std::fs::write(&empty, "nothing").unwrap();
    for file in ["/nonexistent.pem", empty.to_str().unwrap()] {
        machine.run(&["whoami", "--ca-file", file]).await.failed(3, &[file, "cannot be used"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let (gateway, elsewhere) = (approving(), approving());
    let machine = Machine::signed_in("prod", &gateway).await;
    for status in [301, 302, 303, 307, 308] {
        let to: &'static str = String::leak(format!("{}/api/v1/whoami", elsewhere.url));
        gateway.always(status, to, "");
        machine.run(&["whoami"]).await.failed(3, &["redirect", to]);
        machine.run(&["login", "prod", "--no-open"]).await.failed(3, &["redirect", to]);
    }
    assert_eq!(elsewhere.seen().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_gateway_is_called_so() {
    let gateway = approving();
    let machine = Machine::signed_in("prod", &gateway).await;
    let host = gateway.url.strip_prefix("http://").unwrap();
    for (status, body) in [(200, "<html>"), (200, "{}"), (404, "<html>"), (502, "bad gateway"), (204, "")] {
        gateway.always(status, "", body);
        for arguments in [&["login", "prod", "--no-open"][..], &["sessions", "list"]] {
            let ran = machine.run(arguments).await;
            assert_eq!(ran.code, 3, "{status} {body}: {ran:?}");
        }
        machine.run(&["login", "prod", "--no-open"]).await.failed(3, &[host, "does not answer as a gateway does"]);
    }
    let long: &'static str = String::leak("x".repeat((8 << 20) + 1));
    gateway.always(200, "", long);
    machine.run(&["whoami"]).await.failed(3, &["without end"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_does_not_answer_is_named() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = closed.local_addr().unwrap().to_string();
    drop(closed);
    let machine = Machine::new();
    machine
        .run(&["login", "prod", &format!("http://{host}"), "--no-open"])
        .await
        .failed(3, &[&host, "cannot be reached"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_on_this_machine_passes_no_proxy() {
    let (gateway, proxy) = (approving(), approving());
    let mut machine = Machine::signed_in("prod", &gateway).await;
    for name in ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy", "https_proxy"] {
        machine.set(name, &proxy.url);
    }
    machine.run(&["whoami"]).await.ok();
    assert_eq!(proxy.seen().len(), 0);
}

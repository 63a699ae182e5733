//! Who checks the one-time passwords of YubiKeys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretSlice;
use url::Url;

use super::env::required;
use super::{Env, ProviderHttp, provider_url};

/// Yubico's own service.
const SERVICE: &str = "https://api.yubico.com/wsapi/2.0/verify";
const NAMES: &[&str] = &["YUBICO_CLIENT_ID", "YUBICO_SECRET_KEY", "YUBICO_URL"];

/// A registration at a validation service (Yubico's, or one's own of the same protocol).
#[derive(Clone, Debug)]
pub struct YubicoSettings {
    /// The number that it gave out: `YUBICO_CLIENT_ID`.
    pub client_id: String,
    /// What questions and answers are signed with: `YUBICO_SECRET_KEY`, in base64.
    pub secret: SecretSlice<u8>,
    /// Where it answers, asked in turn: `YUBICO_URL`.
    pub urls: Vec<Url>,
    /// How it is reached.
    pub http: ProviderHttp,
}

impl YubicoSettings {
    /// Reads the settings; adds what is wrong to `problems`. None when nothing is set: then there are
    /// no YubiKeys with one-time passwords.
    pub(super) fn read(env: &dyn Env, http: &ProviderHttp, problems: &mut Vec<String>) -> Option<Self> {
        if NAMES.iter().all(|name| env.get(name).is_none()) {
            return None;
        }
        let before = problems.len();
        let mut required = |name: &str, what: &str| required(env, name, what, problems).unwrap_or_default();
        let client_id = required("YUBICO_CLIENT_ID", "the client id that Yubico gave out");
        let secret = required("YUBICO_SECRET_KEY", "the secret key that goes with it");
        if !client_id.bytes().all(|byte| byte.is_ascii_digit()) {
            problems.push("YUBICO_CLIENT_ID must be a number".to_owned());
        }
        let secret = STANDARD.decode(secret).unwrap_or_else(|_| {
            problems.push("YUBICO_SECRET_KEY is not base64".to_owned());
            Vec::new()
        });
        let listed = env.get("YUBICO_URL").unwrap_or_else(|| SERVICE.to_owned());
        let mut urls = Vec::new();
        for part in listed.split(',').map(str::trim) {
            match provider_url(part) {
                Ok(url) => urls.push(url),
                Err(problem) => problems.push(format!("YUBICO_URL {problem}")),
            }
        }
        let secret = SecretSlice::from(secret);
        (problems.len() == before).then(|| Self { client_id, secret, urls, http: http.clone() })
    }
}

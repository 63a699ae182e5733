//! Cookies. All are `__Host-` ones: only for this very host, only over a connection that the browser
//! holds to be safe, never for scripts (RFC 6265bis §4.1.3.2).

use crate::identity::SESSION_COOKIE;
use crate::pep::Accepted;

/// What ties a sign-in under way to the browser that began it.
pub(super) const LOGIN_COOKIE: &str = "__Host-rgw_login";
/// What makes a browser one that its person trusts.
pub(super) const DEVICE_COOKIE: &str = "__Host-rgw_device";

const ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Lax";

/// Sets a cookie; for good for so many seconds, else until the browser closes.
pub(super) fn set(name: &str, value: &str, seconds: Option<u32>) -> String {
    match seconds {
        Some(seconds) => format!("{name}={value}; {ATTRIBUTES}; Max-Age={seconds}"),
        None => format!("{name}={value}; {ATTRIBUTES}"),
    }
}

/// Takes a cookie away.
pub(super) fn clear(name: &str) -> String {
    set(name, "", Some(0))
}

/// Takes the session's cookie away.
pub(super) fn clear_session() -> String {
    clear(SESSION_COOKIE)
}

/// The value of a cookie that is there once.
pub(super) fn get(accepted: &Accepted, name: &str) -> Option<String> {
    let headers = accepted.request().headers().get_all("cookie").filter_map(|value| value.to_str().ok());
    find(headers.flat_map(|text| text.split(';')), name)
}

/// The same among the pairs of `Cookie` headers.
pub(super) fn find<'a>(pairs: impl Iterator<Item = &'a str>, name: &str) -> Option<String> {
    let pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(known, _)| *known == name).map(|(_, value)| value.to_owned());
    values.next().filter(|_| values.next().is_none())
}

//! Cookies. All are `__Host-` ones: only for this very host, only over a connection that the browser
//! holds to be safe, never for scripts (RFC 6265bis §4.1.3.2).

use crate::identity::SESSION_COOKIE;
use crate::pep::Accepted;

/// What ties a sign-in under way to the browser that began it.
pub(super) const LOGIN_COOKIE: &str = "__Host-rgw_login";

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
    let pairs = headers.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(known, _)| *known == name).map(|(_, value)| value.to_owned());
    values.next().filter(|_| values.next().is_none())
}

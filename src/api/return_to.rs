//! Where a browser goes once somebody has signed in.

/// Longest address that is kept, in bytes.
const LONGEST: usize = 1024;

/// The page that everybody has.
pub const HOME: &str = "/app";
/// The page to which the `convox` command leads; its address is the command's own.
pub const CLI_CHALLENGE: &str = "/login/u2f";

/// `wanted`, when it is the address of one of our own pages and nothing else in any browser's eyes;
/// [`HOME`] otherwise. Whoever makes a link chooses it, so nothing is repaired.
#[must_use]
pub fn return_to(wanted: &str) -> &str {
    if is_page(wanted) { wanted } else { HOME }
}

fn is_page(wanted: &str) -> bool {
    let path = wanted.split('?').next().unwrap_or_default();
    let is_under_home = path.strip_prefix(HOME).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    wanted.len() <= LONGEST
        && (is_under_home || path == CLI_CHALLENGE)
        // Browsers read a backslash as a slash, drop tabs and line breaks, and resolve dot segments (URL §4.4).
        && wanted.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#'))
        && !wanted.contains("//")
        && !path.split('/').any(is_dots)
        // The page with the button leads here; coming back to it would look like a failure.
        && path != "/app/login"
}

/// A dot segment, with any of its dots escaped.
fn is_dots(segment: &str) -> bool {
    matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLI: &str = "/login/u2f?callback_url=http%3A%2F%2Flocalhost%3A43123&token=e30%3D";

    #[test]
    fn our_own_pages_are_kept() {
        for good in ["/app", "/app/", "/app?x=1", "/app/cli?code=BCDF-GHJK", "/app/cli-token", "/app/a%20b?c=%2F", CLI]
        {
            assert_eq!(return_to(good), good);
        }
    }

    #[test]
    fn anything_else_is_home() {
        let long = format!("/app/{}", "a".repeat(LONGEST));
        let hostile = [
            "",
            "/",
            "app",
            "/apple",
            "/app.evil.example",
            "/app@evil.example",
            "/APP",
            " /app",
            "/app ",
            "//evil.example",
            "//evil.example/app",
            "/app//evil.example",
            "/app/?next=//evil.example",
            "/\\evil.example",
            "/app\\evil",
            "/app/\\evil",
            "https://evil.example/app",
            "https:/app",
            "javascript:alert(1)",
            "javascript:/app",
            "data:text/html,x",
            "/app/..",
            "/app/../api/v1/auth/web/login",
            "/app/.",
            "/app/%2e%2e/api",
            "/app/.%2E/api",
            "/app/%2E/x",
            "/app/\r\nset-cookie: a=b",
            "/app/\tx",
            "/app/\0",
            "/app/\u{7f}",
            "/app/\u{202e}x",
            "/app/é",
            "/app#x",
            "/app/login",
            "/app/login?return_to=/app",
            "/login",
            "/login/u2f/",
            "/login/u2f/../app",
            "/login/u2fx",
            "/login/u2f#x",
            "/login/u2f?callback_url=http://localhost:1",
            "//login/u2f",
            "/api/v1/auth/logout",
            &long,
        ];
        for hostile in hostile {
            assert_eq!(return_to(hostile), HOME, "{hostile:?}");
        }
    }
}

//! Where the browser goes after sign-in.

/// The start page.
pub const HOME: &str = "/app";

/// A page of this gateway, or the start page for everything else: an address that somebody else chose
/// must not lead out of here.
#[must_use]
pub fn return_to(wanted: &str) -> &str {
    let below = wanted.strip_prefix(HOME).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    let plain = wanted.len() <= 512
        && !wanted.contains("//")
        && !wanted.contains("..")
        && wanted.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/?=&-_.~%+".contains(&byte));
    if below && plain { wanted } else { HOME }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_gateway_are_gone_to() {
        for good in ["/app", "/app/cli?code=BCDF-GHJK", "/app/cli-token", "/app?x=1"] {
            assert_eq!(return_to(good), good);
        }
        let hostile = [
            "",
            "/",
            "//evil.example",
            "/app//evil.example",
            "https://evil.example",
            "/apps",
            "/app/../apps",
            "/app\r\nSet-Cookie: x=1",
            "/app/#x",
            "\\\\evil.example",
            "/app@evil.example",
            "javascript:alert(1)",
        ];
        for bad in hostile {
            assert_eq!(return_to(bad), HOME, "{bad}");
        }
    }
}

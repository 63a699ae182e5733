//! Every view with hostile words.

use super::*;

/// Words that would do harm if a page believed them.
const HOSTILE: &str = "<script>alert(1)</script>\"' onmouseover='x\u{202e}&amp;";

fn assert_harmless(page: Page) {
    let (html, nonce) = page.into_parts();
    assert!(!html.contains("<script>") && !html.contains("\"' on") && !html.contains("' onmouse"), "{html}");
    assert_eq!(html.matches("nonce=").count(), 2, "{html}");
    assert_eq!(html.matches(&format!("nonce=\"{nonce}\"")).count(), 2, "{html}");
    for inline in [" style=", "<style", "javascript:", " onclick=", " onload="] {
        assert!(!html.contains(inline), "{inline}: {html}");
    }
    assert!(html.contains("<main id=\"main\"") && html.matches("<h1").count() == 1, "{html}");
}

#[test]
fn words_of_others_are_shown_and_not_obeyed() {
    let error = SignInError {
        status: 400,
        title: HOSTILE,
        what: HOSTILE,
        check: &[HOSTILE.to_owned()],
        request_id: HOSTILE,
        domain: HOSTILE,
    };
    assert_harmless(error.render().unwrap());
}

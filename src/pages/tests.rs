//! Every view with hostile words, and what the pages about second factors show.

use time::macros::datetime;

use super::*;

/// Words that would do harm if a page believed them.
const HOSTILE: &str = "<script>alert(1)</script>\"' onmouseover='x\u{202e}&amp;";
const AT: time::OffsetDateTime = datetime!(2026-11-02 08:30 UTC);
const ALL: [&str; 4] = ["webauthn", "totp", "yubico", "backup"];

fn html(page: Result<Page, PageError>) -> String {
    page.unwrap().into_parts().0
}

fn assert_harmless(page: Result<Page, PageError>) {
    let (html, nonce) = page.unwrap().into_parts();
    assert!(!html.contains("<script>") && !html.contains("\"' on") && !html.contains("' onmouse"), "{html}");
    assert_eq!(html.matches("nonce=").count(), 2, "{html}");
    assert_eq!(html.matches(&format!("nonce=\"{nonce}\"")).count(), 2, "{html}");
    for inline in [" style=", "<style", "javascript:", " onclick=", " onload="] {
        assert!(!html.contains(inline), "{inline}: {html}");
    }
    assert!(html.contains("<main id=\"main\""), "{html}");
    let shown = html.matches("<h1").count() - html.matches("hidden>\n<h1").count();
    assert_eq!(shown, 1, "one heading is shown: {html}");
}

fn session<'a>(words: &'a str, is_current: bool) -> Session<'a> {
    Session {
        id: "session-1",
        is_web: is_current,
        name: words,
        user_agent: words,
        source_ip: "192.0.2.7",
        created_at: AT,
        last_used_at: AT,
        expires_at: AT,
        is_current,
    }
}

fn notice(text: &str, is_new: bool) -> Notice<'_> {
    Notice { text, created_at: AT, is_new }
}

fn factor<'a>(kind: &'a str, name: &'a str) -> Factor<'a> {
    Factor { id: "factor-1", kind, name, created_at: AT, last_used_at: None }
}

fn factors<'a>(factors: Vec<Factor<'a>>, words: &'a str) -> Factors<'a> {
    let device = Device {
        id: "device-1",
        browser: words,
        source_ip: "192.0.2.7",
        created_at: AT,
        last_used_at: Some(AT),
        expires_at: AT,
        is_current: true,
    };
    Factors {
        id: "user-1",
        email: words,
        factors,
        backup_codes: BackupCodes { unused: 7, total: 10 },
        preferred: None,
        devices: vec![device],
        notices: vec![notice(words, true)],
        has_yubico: true,
        user_agent: words,
        return_to: "/app",
        csrf: Some("token"),
    }
}

fn asked<'a>(stage: Stage<'a>, way: Way<'a>, words: &'a str) -> Asked<'a> {
    Asked {
        stage,
        id: "challenge-1",
        code: "CODE",
        action: words,
        resource: words,
        reasons: vec![Reason { id: words, why: words }],
        is_bound: true,
        is_strong: false,
        way,
        session: Some(session(words, false)),
        source_ip: "192.0.2.9",
        created_at: AT,
        expires_at: AT,
    }
}

fn challenge<'a>(asked: impl Into<Option<Asked<'a>>>, words: &'a str) -> Challenge<'a> {
    Challenge { asked: asked.into(), id: "user-1", email: words, source_ip: "192.0.2.7", csrf: Some("token") }
}

const WAYS: Ways<'static> = Ways { methods: &ALL, preferred: None, trust_days: 30 };

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
    assert_harmless(error.render());
    let account = Account {
        id: "user-1",
        name: HOSTILE,
        email: HOSTILE,
        roles: &[HOSTILE.to_owned()],
        groups: &[HOSTILE.to_owned()],
        rack: HOSTILE,
        origin: HOSTILE,
        csrf: Some(HOSTILE),
        sessions: vec![session(HOSTILE, false)],
        notices: vec![notice(HOSTILE, true), notice(HOSTILE, false)],
        second: SecondFactors::default(),
    };
    assert_harmless(account.render());
    assert_harmless(factors(Vec::new(), HOSTILE).render());
    assert_harmless(factors(vec![factor("webauthn", HOSTILE), factor(HOSTILE, HOSTILE)], HOSTILE).render());
    assert_harmless(challenge(None, HOSTILE).render());
    for stage in [Stage::Open(WAYS), Stage::NotEnrolled, Stage::Answered, Stage::Over] {
        for way in [Way::Web, Way::Console(None), Way::Console(Some(HOSTILE)), Way::Link, Way::Socket] {
            assert_harmless(challenge(asked(stage, way, HOSTILE), HOSTILE).render());
        }
    }
}

#[test]
fn words_that_turn_text_around_are_marked() {
    for page in [
        factors(vec![factor("webauthn", HOSTILE)], HOSTILE).render(),
        challenge(None, HOSTILE).render(),
        challenge(asked(Stage::Open(WAYS), Way::Link, HOSTILE), HOSTILE).render(),
    ] {
        let page = html(page);
        assert!(!page.contains('\u{202e}') && page.contains('\u{fffd}'), "{page}");
    }
}

/// What the page, rather than the dialog, offers.
fn offered(page: &str) -> Vec<&'static str> {
    let main = page.split("<dialog").next().unwrap();
    let shown = |method: &&str| {
        let part = main.split(&format!("data-method=\"{method}\"")).nth(1);
        let outer = main.split(&format!("data-part=\"{method}\"")).nth(1);
        [part, outer].into_iter().flatten().all(|rest| !rest.split('>').next().unwrap().contains("hidden"))
            && part.is_some()
    };
    ALL.into_iter().filter(shown).collect()
}

#[test]
fn a_challenge_offers_what_its_person_has() {
    for methods in [&ALL[..], &["totp", "backup"], &["webauthn"], &["yubico", "backup"]] {
        let ways = Ways { methods, ..Ways::default() };
        let page = html(challenge(asked(Stage::Open(ways), Way::Link, "x"), "ada@example.com").render());
        assert_eq!(offered(&page), methods, "{page}");
        let dialog = page.split("<dialog").nth(1).unwrap();
        assert!(!dialog.contains("data-first"), "{dialog}");
        assert_eq!(page.matches(" data-first").count(), 1, "one way to begin with: {page}");
    }
    let none = html(challenge(asked(Stage::Open(Ways::default()), Way::Link, "x"), "x").render());
    assert!(offered(&none).is_empty() && none.contains("href=\"/app/factors?return_to=/app/c/CODE\""), "{none}");
}

#[test]
fn the_preferred_way_comes_first_when_there_is_such_a_way() {
    for (methods, preferred, first) in [
        (&ALL[..], None, Some("webauthn")),
        (&ALL[..], Some("totp"), Some("totp")),
        (&["totp", "backup"], Some("webauthn"), Some("totp")),
        (&["backup"], None, Some("backup")),
        (&[], Some("totp"), None),
    ] {
        let ways = Ways { methods, preferred, trust_days: 0 };
        assert_eq!(ALL.into_iter().find(|method| ways.is_first(method)), first, "{methods:?} {preferred:?}");
    }
}

#[test]
fn a_browser_is_trusted_only_where_it_may_be() {
    for (trust_days, says) in [(30, Some("for 30 days:")), (1, Some("for 1 day:")), (0, None)] {
        let ways = Ways { trust_days, ..WAYS };
        let page = html(challenge(asked(Stage::Open(ways), Way::Web, "x"), "x").render());
        let main = page.split("<dialog").next().unwrap();
        assert_eq!(main.contains("data-part=\"trust\" hidden"), says.is_none(), "{main}");
        assert!(says.is_none_or(|says| main.contains(says)), "{main}");
    }
}

#[test]
fn an_answer_says_how_it_goes_on() {
    let said = |stage, way| html(challenge(asked(stage, way, "x"), "x").render());
    for (way, text) in [
        (Way::Web, "Go back to what you were doing"),
        (Way::Link, "run the command again"),
        (Way::Console(Some("http://localhost:4000")), "goes on by itself"),
        (Way::Socket, "goes on by itself"),
    ] {
        let page = said(Stage::Answered, way);
        assert!(page.contains("<div id=\"answered\">") && page.contains(text), "{way:?}: {page}");
        assert!(offered(&page).is_empty(), "{way:?}: {page}");
        assert!(said(Stage::Over, way).contains("<div id=\"over\">"), "{way:?}");
    }
    let console = said(Stage::Open(WAYS), Way::Console(Some("http://localhost:4000")));
    assert!(console.contains("data-callback=\"http://localhost:4000\""), "{console}");
    let lost = said(Stage::Open(WAYS), Way::Console(None));
    assert!(offered(&lost).is_empty() && lost.contains("longer link"), "{lost}");
}

#[test]
fn another_address_is_pointed_out_when_a_terminal_asks() {
    let page = |way, source_ip| {
        let asked = Asked { source_ip, ..asked(Stage::Open(WAYS), way, "x") };
        html(challenge(asked, "x").render())
    };
    const WARNING: &str = "This request came from <code>192.0.2.9</code>, and you are at <code>192.0.2.7</code>";
    for (way, source_ip, warns) in [
        (Way::Link, "192.0.2.9", true),
        (Way::Socket, "192.0.2.9", true),
        (Way::Link, "192.0.2.7", false),
        (Way::Web, "192.0.2.9", false),
    ] {
        assert_eq!(page(way, source_ip).contains(WARNING), warns, "{way:?} {source_ip}");
    }
}

#[test]
fn what_a_terminal_asks_is_seen_before_the_answer() {
    for (way, first) in [(Way::Link, "<dl class=\"facts\">"), (Way::Web, "class=\"ways\"")] {
        let page = html(challenge(asked(Stage::Open(WAYS), way, "x"), "x").render());
        let found = ["<dl class=\"facts\">", "class=\"ways\""].map(|part| page.find(part).unwrap());
        assert_eq!(page.find(first), found.into_iter().min(), "{way:?}: {page}");
        assert_eq!(page.matches("<dl class=\"facts\">").count(), 1, "{way:?}: {page}");
    }
}

#[test]
fn the_session_that_asked_can_be_ended_unless_it_is_the_readers() {
    let path = "data-do=\"end-asker\" data-path=\"/api/v1/users/user-1/sessions/session-1\"";
    for (session, ends) in [(Some(session("x", false)), true), (Some(session("", true)), false), (None, false)] {
        let asked = Asked { session, ..asked(Stage::Open(WAYS), Way::Link, "x") };
        assert_eq!(html(challenge(asked, "x").render()).contains(path), ends, "{session:?}");
    }
}

#[test]
fn the_first_factor_is_led_to() {
    let first = html(Factors { return_to: "/app/cli?code=BCDF-GHJK", ..factors(Vec::new(), "x") }.render());
    assert!(first.contains("Set up a second factor to go on") && first.contains("data-first-of="), "{first}");
    assert!(first.contains("href=\"/app/cli?code=BCDF-GHJK\">I keep them: go on"), "{first}");
    for absent in ["Trusted browsers", "data-do=\"make-codes\"", "data-do=\"remove-factor\""] {
        assert!(!first.contains(absent), "{absent}: {first}");
    }
    let later = html(factors(vec![factor("totp", "Phone")], "x").render());
    for present in ["Phone", "Trusted browsers", "7 of 10", "data-do=\"remove-factor\"", "data-do=\"remove-device\""] {
        assert!(later.contains(present), "{present}: {later}");
    }
    assert!(!later.contains("data-first-of") && !later.contains("data-do=\"prefer\""), "{later}");
}

#[test]
fn a_preference_is_a_choice_of_what_there_is() {
    let both = vec![factor("totp", "Phone"), factor("webauthn", "Key"), factor("totp", "Tablet")];
    let page = html(Factors { preferred: Some("totp"), ..factors(both, "x") }.render());
    let options = ["<option value=\"webauthn\">Passkey", "<option value=\"totp\" selected>Authenticator app"];
    assert!(options.iter().all(|option| page.matches(option).count() == 1), "{page}");
    assert!(!page.contains("<option value=\"yubico\""), "{page}");
}

#[test]
fn few_backup_codes_are_a_reason_for_new_ones() {
    for (unused, total, says) in [
        (10, 10, None),
        (3, 10, None),
        (2, 10, Some("Make new ones now")),
        (0, 10, Some("Make new ones now")),
        (0, 0, Some("Make some now")),
    ] {
        let view = factors(vec![factor("totp", "Phone")], "x");
        let page = html(Factors { backup_codes: BackupCodes { unused, total }, ..view }.render());
        assert_eq!(page.contains("now, and keep them"), says.is_some(), "{unused} of {total}: {page}");
        assert!(says.is_none_or(|says| page.contains(says)), "{unused} of {total}: {page}");
    }
}

#[test]
fn new_notices_are_marked() {
    let view = factors(vec![factor("totp", "Phone")], "x");
    let page = html(Factors { notices: vec![notice("a", true), notice("b", false)], ..view }.render());
    assert_eq!(page.matches("<li class=\"fresh\">").count(), 1, "{page}");
    let none = html(Factors { notices: Vec::new(), ..factors(Vec::new(), "x") }.render());
    assert!(!none.contains("class=\"notices\""), "{none}");
}

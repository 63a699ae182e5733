//! The provider's HTML: accessible, without scripts, in the reader's colours.

use std::error::Error;

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_SECURITY_POLICY;
use askama::Template;
use url::Url;

use super::accounts::{Account, MEMBERS, OUTSIDERS};

/// The style sheet of all pages.
pub(super) const STYLE: &str = include_str!("style.css");

/// One list of people.
#[derive(Debug)]
struct Group {
    title: &'static str,
    accounts: &'static [Account],
}

#[derive(Debug, Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Sign in · development identity provider</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<main>
<p class="kind">Development identity provider</p>
<h1>Who do you want to be?</h1>
<p><strong>{{ client }}</strong> asks you to sign in, and gets the answer at
<code>{{ redirect }}</code>. These people are made up and have no password.</p>
<form method="post" action="/choose">
<input type="hidden" name="request" value="{{ request }}">
{% for group in groups %}<h2 id="group-{{ loop.index }}">{{ group.title }}</h2>
<ul aria-labelledby="group-{{ loop.index }}">
{% for account in group.accounts %}<li><button name="person" value="{{ account.key }}">
<span class="name">{{ account.name }}</span> <span class="email">{{ account.email }}</span>
{% if !account.groups.is_empty() %}<span class="tag">{{ account.groups.join(", ") }}</span>
{% endif %}{% if !account.note.is_empty() %}<span class="tag note">{{ account.note }}</span>
{% endif %}</button></li>
{% endfor %}</ul>
{% endfor %}<button class="cancel">Cancel: sign in as nobody</button>
</form>
</main>
</body>
</html>
"#
)]
struct Choose<'a> {
    client: &'a str,
    redirect: &'a str,
    request: &'a str,
    groups: [Group; 2],
}

#[derive(Debug, Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{ title }} · development identity provider</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<main>
<p class="kind">Development identity provider</p>
<h1>{{ title }}</h1>
<p>{{ text }}</p>
{% for line in lines %}<p><code>{{ line }}</code></p>
{% endfor %}</main>
</body>
</html>
"#
)]
struct Note<'a> {
    title: &'a str,
    text: &'a str,
    lines: &'a [String],
}

/// Who do you want to be? The answer goes to `redirect`.
pub(super) fn choose(client: &str, redirect: &Url, request: &str) -> HttpResponse {
    let groups = [
        Group { title: "People of example.com", accounts: MEMBERS },
        Group { title: "People to be turned away", accounts: OUTSIDERS },
    ];
    let origin = redirect.origin().ascii_serialization();
    let mut shown = redirect.clone();
    shown.set_query(None);
    let page = Choose { client, redirect: shown.as_str(), request, groups };
    // The browser applies form-action to where the answer of a form sends it, too.
    html(StatusCode::OK, &page, &format!("'self' {origin}"))
}

/// What is here.
pub(super) fn home(issuer: &str, ci_issuer: &str) -> HttpResponse {
    let lines = [
        format!("{issuer}/.well-known/openid-configuration"),
        format!("{ci_issuer}/.well-known/openid-configuration"),
        format!("curl -d '{{\"ref\":\"refs/heads/main\"}}' {issuer}/ci-token"),
    ];
    let text = "It works. Sign-in begins at the gateway, which sends you here. \
        Discovery for people, discovery for CI runs, and a token of a CI run:";
    html(StatusCode::OK, &Note { title: "Nothing to do here", text, lines: &lines }, "'none'")
}

/// The request cannot be answered, and it is not known whom to tell.
pub(super) fn problem(text: &str) -> HttpResponse {
    html(StatusCode::BAD_REQUEST, &Note { title: "This is not a valid request", text, lines: &[] }, "'none'")
}

/// The provider cannot answer.
pub(super) fn broken(error: &dyn Error) -> HttpResponse {
    tracing::error!(%error, "the development identity provider cannot answer");
    HttpResponse::with_body(StatusCode::INTERNAL_SERVER_ERROR, BoxBody::new(error.to_string()))
}

fn html(status: StatusCode, page: &impl Template, form_action: &str) -> HttpResponse {
    let policy = format!(
        "default-src 'none'; style-src 'self'; form-action {form_action}; base-uri 'none'; frame-ancestors 'none'"
    );
    match page.render() {
        Ok(text) => HttpResponse::build(status)
            .content_type("text/html; charset=utf-8")
            .insert_header((CONTENT_SECURITY_POLICY, policy))
            .body(text),
        Err(error) => broken(&error),
    }
}

//! Who may do what, as one table that reviewers read in every change of policy.

use super::bundle::Bundle;
use super::canary;
use super::decision::Verdict;
use super::question::{Context, Mfa, Principal, PrincipalKind, Question, Settings};
use super::table;
use crate::routes::{Resource, Row};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The command that writes the table.
pub const MATRIX_COMMAND: &str = "rack-gateway-api policy matrix > policies/tests/matrix.txt";

const HEAD: &str = "\
Who may do what: one row per action, one column per role, for a person who holds that role alone and
has a second factor, on an app that policies/apps.json does not list (production, protected), from a
browser, while the setting allow_destructive_actions is on. The letter says what is needed beside the role:
A nothing more
S that a second factor was shown in this session, however long ago
W that one was shown just now (within the window)
B that one is shown for this very request
P the same, with one that cannot be phished
C something else, such as an approval
D denied, whatever is shown
Other letters are the answers one by one: without a second factor, with an old one, just now, for
the request, for the request with one that cannot be phished.
";

const WIDTH: usize = 30;
/// Seconds since a factor that is old, and yet was shown.
const DAY_S: i64 = 86_400;

/// The table, with lines at the end for what people may do with their own account, and for each
/// cell that differs for machines.
#[must_use]
pub fn matrix(bundle: &Bundle) -> String {
    let roles = bundle.roles();
    let mut table = format!("{HEAD}\nWritten by: {MATRIX_COMMAND}\n\n{:WIDTH$}", "action");
    for role in roles {
        push(&mut table, format_args!(" {role}"));
    }
    table.push('\n');
    let (mut own, mut machines) = (String::new(), String::new());
    for row in table::actions() {
        line(&mut table, bundle, row, Whose::Others);
        if row.resource == Resource::User {
            line(&mut own, bundle, row, Whose::Own);
        }
        for (letter, roles) in of_machines(bundle, row) {
            push(&mut machines, format_args!("{:WIDTH$} {letter}: {}\n", row.action, roles.join(" ")));
        }
    }
    push(&mut table, format_args!("\nWhere the account is their own:\n{own}"));
    table.push_str("\nAPI tokens, where they differ from people:\n");
    table.push_str(if machines.is_empty() { "nowhere\n" } else { &machines });
    table
}

/// What tokens of these roles may do, where they differ from people. Machines show no second factor,
/// so what counts is where people get to with theirs.
fn of_machines<'a>(bundle: &'a Bundle, row: &Row) -> BTreeMap<String, Vec<&'a str>> {
    let mut found: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for role in bundle.roles() {
        let person = answers(bundle, PrincipalKind::User, role, row, Whose::Others);
        let token = answers(bundle, PrincipalKind::ApiToken, role, row, Whose::Others);
        if token.last() != person.last() {
            found.entry(cell(token)).or_default().push(role);
        }
    }
    found
}

/// Whose account a row about accounts is asked about.
#[derive(Clone, Copy)]
enum Whose {
    Own,
    Others,
}

/// One line of the table.
fn line(table: &mut String, bundle: &Bundle, row: &Row, whose: Whose) {
    push(table, format_args!("{:WIDTH$}", row.action));
    for role in bundle.roles() {
        let person = cell(answers(bundle, PrincipalKind::User, role, row, whose));
        push(table, format_args!(" {person:<width$}", width = role.len()));
    }
    let end = table.trim_end_matches(' ').len();
    table.truncate(end);
    table.push('\n');
}

/// Writing to a string cannot fail.
fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).unwrap_or_default();
}

/// A person at the browser; a machine with its token.
fn credential(kind: PrincipalKind) -> String {
    match kind {
        PrincipalKind::User => "web-session",
        PrincipalKind::ApiToken => "api-token",
        PrincipalKind::Workload => "workload-token",
    }
    .to_owned()
}

/// What a principal has shown, from nothing to the best.
fn shown() -> [Mfa; 5] {
    let proof = |age_s, bound, strong| Mfa {
        age_s,
        bound_to_request: bound,
        phishing_resistant: strong,
        method: if strong { "webauthn" } else { "totp" }.to_owned(),
        ..Mfa::never()
    };
    [Mfa::never(), proof(DAY_S, false, false), proof(0, false, false), proof(0, true, false), proof(0, true, true)]
}

/// The answers to what is shown.
fn answers(bundle: &Bundle, kind: PrincipalKind, role: &str, row: &Row, whose: Whose) -> [char; 5] {
    let id = format!("only-{role}");
    let resource = match whose {
        Whose::Own => canary::sample(bundle.rack(), row.resource, &id),
        Whose::Others => canary::sample(bundle.rack(), row.resource, "unlisted"),
    };
    let enrolled = kind == PrincipalKind::User;
    let principal = Principal { roles: vec![role.to_owned()], enrolled, ..Principal::nobody(kind, id) };
    shown().map(|mfa| {
        let settings = Settings { allow_destructive_actions: true };
        let context = Context { mfa, credential: credential(kind), settings, ..canary::context(row) };
        let question = Question { principal: &principal, action: row.action, resource: &resource, context: &context };
        match bundle.decide(&question).verdict() {
            Verdict::Allow => 'A',
            Verdict::Deny => 'D',
            Verdict::Challenge => 'C',
        }
    })
}

/// One letter for answers that begin with challenges and end with being allowed.
fn cell(answers: [char; 5]) -> String {
    let all: String = answers.iter().collect();
    let letter = match all.as_str() {
        "AAAAA" => "A",
        "CAAAA" => "S",
        "CCAAA" => "W",
        "CCCAA" => "B",
        "CCCCA" => "P",
        "CCCCC" => "C",
        "DDDDD" => "D",
        _ => return all,
    };
    letter.to_owned()
}

//! Who may do what, as one table that reviewers read in every change of policy.

use super::bundle::Bundle;
use super::canary;
use super::decision::Verdict;
use super::question::{Context, Mfa, Principal, PrincipalKind, Question};
use super::table;
use crate::routes::Row;
use std::fmt::Write as _;

/// The command that writes the table.
pub const MATRIX_COMMAND: &str = "rack-gateway-api policy matrix > policies/tests/matrix.txt";

const HEAD: &str = "\
Who may do what: one row per action, one column per role, for a person who holds that role alone,
on an app that policies/apps.json does not list (production, protected), from a browser.
A allowed, D denied, C denied but for a challenge (step-up or approval).
Three letters: without a second factor, with one, with one that cannot be phished and is bound to
the request. One letter where all three are the same.
";

const WIDTH: usize = 30;

/// The table, with a line at the end for each cell that differs for machines.
#[must_use]
pub fn matrix(bundle: &Bundle) -> String {
    let roles = bundle.roles();
    let mut table = format!("{HEAD}\nWritten by: {MATRIX_COMMAND}\n\n{:WIDTH$}", "action");
    for role in roles {
        push(&mut table, format_args!(" {role}"));
    }
    table.push('\n');
    let mut machines = String::new();
    for row in table::rows() {
        push(&mut table, format_args!("{:WIDTH$}", row.action));
        for role in roles {
            let person = cell(bundle, PrincipalKind::User, role, row);
            push(&mut table, format_args!(" {person:<width$}", width = role.len()));
            let token = cell(bundle, PrincipalKind::ApiToken, role, row);
            if token != person {
                push(&mut machines, format_args!("{:WIDTH$} {role} {token}\n", row.action));
            }
        }
        let end = table.trim_end_matches(' ').len();
        table.truncate(end);
        table.push('\n');
    }
    table.push_str("\nAPI tokens, where they differ from people:\n");
    table.push_str(if machines.is_empty() { "nowhere\n" } else { &machines });
    table
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

fn cell(bundle: &Bundle, kind: PrincipalKind, role: &str, row: &Row) -> String {
    let principal = Principal { roles: vec![role.to_owned()], ..Principal::nobody(kind, format!("only-{role}")) };
    let resource = canary::sample(bundle.rack(), row.resource, "unlisted");
    let fresh = |strong| Mfa {
        age_s: 0,
        phishing_resistant: strong,
        bound_to_request: strong,
        method: if strong { "webauthn" } else { "totp" }.to_owned(),
        ..Mfa::never()
    };
    let letters = [Mfa::never(), fresh(false), fresh(true)].map(|mfa| {
        let context = Context { mfa, credential: credential(kind), ..canary::context(row) };
        let question = Question { principal: &principal, action: row.action, resource: &resource, context: &context };
        match bundle.decide(&question).verdict() {
            Verdict::Allow => 'A',
            Verdict::Deny => 'D',
            Verdict::Challenge => 'C',
        }
    });
    let [first, second, third] = letters;
    if first == second && second == third { first.to_string() } else { letters.iter().collect() }
}

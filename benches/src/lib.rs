//! What both benchmarks measure: a bundle of realistic size, and the question that is asked most.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use rack_gateway::audit::{Actor, Event, EventKind, Via};
use rack_gateway::pdp::{
    Approval, Audit, Bundle, Context, Mfa, Principal, PrincipalKind, Question, ResourceRef, Settings, SourceFile,
};
use rack_gateway::pdp::{BundleErrors, Sources};
use rack_gateway::routes;
use time::OffsetDateTime;

/// Action groups that the added policies speak of, in turns: most do not concern one request.
const GROUPS: &[&str] =
    &["read", "build-read", "log-read", "operate", "shell", "deploy", "rack-admin", "destructive", "secret-read"];

/// The default bundle with policies added until there are `count`.
///
/// # Errors
/// When a generated policy does not fit the schema.
pub fn bundle(count: usize) -> Result<Bundle, BundleErrors> {
    let mut sources = Sources::embedded("acme/dev");
    let present: usize = sources.policies.iter().map(|file| file.text.matches("@id(").count()).sum();
    let mut text = String::from("// Generated.\n");
    for n in present..count {
        let group = GROUPS[n % GROUPS.len()];
        let scope = |principal| format!("{principal}, action in Action::\"{group}\", resource");
        let rule = match n % 3 {
            0 => format!("forbid ({}) when {{ context.mfa.age_s < -{n} }};", scope("principal")),
            1 => format!("permit ({}) when {{ context.approval.count > {n} }};", scope("principal in Role::\"admin\"")),
            _ => format!("forbid ({}) when {{ principal.locked }};", scope("principal in Role::\"cicd\"")),
        };
        // Writing to a String cannot fail.
        writeln!(text, "@id(\"bench.n{n}\")\n@why(\"policy number {n}\")\n{rule}\n").unwrap_or_default();
    }
    sources.policies.push(SourceFile::new("policies/bench.cedar", text));
    Bundle::load(&sources)
}

/// A deployer.
#[must_use]
pub fn principal(n: u64) -> Principal {
    Principal {
        roles: vec!["deployer".to_owned()],
        groups: Vec::new(),
        email: format!("user-{n}@example.com"),
        enrolled: true,
        locked: false,
        version: 1,
        ..Principal::nobody(PrincipalKind::User, format!("user-{n}"))
    }
}

/// The processes of an app: what `convox ps` asks for.
#[must_use]
pub fn resource() -> ResourceRef {
    ResourceRef::new(routes::Resource::App, "myapp".to_owned(), Some("myapp".to_owned()))
}

/// Circumstances of an ordinary request, in a session that has shown a second factor.
#[must_use]
pub fn context() -> Context {
    Context {
        now: OffsetDateTime::UNIX_EPOCH,
        source_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        mfa: Mfa { age_s: 3600, method: "totp".to_owned(), ..Mfa::never() },
        approval: Approval::none(),
        credential: "cli-session".to_owned(),
        credential_age_s: 60,
        break_glass: String::new(),
        audit: Audit::anchored(),
        settings: Settings::default(),
        exec: None,
    }
}

/// Whether the bundle lets this principal list processes.
#[must_use]
pub fn ask<'a>(principal: &'a Principal, resource: &'a ResourceRef, context: &'a Context) -> Question<'a> {
    Question { principal, action: "process:list", resource, context }
}

/// The intent record of such a request, with what a real one has.
#[must_use]
pub fn event(request: u64) -> Event {
    Event {
        actor: Some(Actor { kind: "User".to_owned(), id: "user-1".to_owned() }),
        via: Some(Via {
            credential_kind: "cli".to_owned(),
            credential_id: "0199aaaa-0000-7000-8000-00000000".to_owned(),
        }),
        source_ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        method: Some("GET".into()),
        route: Some("/apps/{app}/processes".into()),
        path: Some("/apps/myapp/processes".to_owned()),
        resource: Some("App::myapp".to_owned()),
        decision: Some("allow".into()),
        reasons: vec!["roles.viewer-looks".to_owned()],
        bundle: Some("3c".repeat(32)),
        ..Event::new(EventKind::Intent, format!("request-{request}"), "process:list")
    }
}

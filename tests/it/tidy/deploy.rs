//! The image and its deployment: what can be known of them without building one.

use std::collections::BTreeSet;

use super::{docs, none, read};

/// Instructions of a Dockerfile, continuation lines joined: `(NAME, arguments)`.
fn instructions(text: &str) -> Vec<(String, String)> {
    let joined = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n");
    let joined = joined.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim).filter(|line| !line.is_empty());
    let parts = lines.map(|line| line.split_once(' ').unwrap_or((line, "")));
    parts.map(|(name, rest)| (name.to_uppercase(), rest.split_whitespace().collect::<Vec<_>>().join(" "))).collect()
}

/// What is wrong with the image, one line each.
fn image_problems(text: &str, toolchain: &str) -> Vec<String> {
    let all = instructions(text);
    let last = all.iter().rposition(|(name, _)| name == "FROM").unwrap_or(0);
    let (build, runtime) = all.split_at(last);
    let one = |part: &[(String, String)], name: &str| {
        part.iter().rev().find(|(n, _)| n == name).map(|(_, rest)| rest.clone()).unwrap_or_default()
    };
    let compile = build.iter().filter(|(name, rest)| name == "RUN" && rest.contains("cargo build"));
    let compile: Vec<_> = compile.map(|(_, rest)| rest.as_str()).collect();
    let user = one(runtime, "USER");
    let uid = user.split(':').next().and_then(|uid| uid.parse::<u32>().ok());
    let checks = [
        (
            build.iter().any(|(n, r)| n == "FROM" && r.contains(&format!("rust:{toolchain}-"))),
            "builder is not our toolchain",
        ),
        (!compile.is_empty(), "nothing is compiled"),
        (compile.iter().all(|run| run.contains("--locked")), "the build is not --locked"),
        (
            compile.iter().all(|run| run.contains("--no-default-features --features server ")),
            "the image contains more than the server",
        ),
        (compile.iter().all(|run| run.contains("--release")), "the image is a debug build"),
        (!all.iter().any(|(n, r)| n == "FROM" && r.contains(":latest")), "a base image floats"),
        (!all.iter().any(|(n, _)| n == "ADD"), "ADD fetches; use COPY"),
        (uid.is_some_and(|uid| uid > 0), "the image does not run as a numeric, unprivileged user"),
        (
            one(runtime, "HEALTHCHECK").contains("\"rack-gateway-api\", \"health\""),
            "no HEALTHCHECK by the binary itself",
        ),
        (one(runtime, "EXPOSE") == "8447", "EXPOSE is not 8447"),
        (one(runtime, "VOLUME").contains("/data"), "/data is not a volume: a read-only root could not write"),
        (one(runtime, "ENTRYPOINT").starts_with('['), "ENTRYPOINT is a shell: signals would not arrive"),
        (!text.contains("RACK_TOKEN=") && !text.contains("APP_SECRET_KEY="), "a secret is in the image"),
    ];
    checks.iter().filter(|(good, _)| !good).map(|(_, problem)| format!("Dockerfile: {problem}")).collect()
}

/// The version that `rust-toolchain.toml` names.
fn toolchain() -> String {
    let text = read("rust-toolchain.toml");
    let line = text.lines().find_map(|line| line.strip_prefix("channel = ")).expect("a channel");
    line.trim_matches('"').to_owned()
}

#[test]
fn the_image_is_what_deploy_md_promises() {
    none(&image_problems(&read("Dockerfile"), &toolchain()));
    assert!(read("docs/deploy.md").contains("--read-only"), "docs/deploy.md: say how to run with a read-only root");
}

#[test]
fn continuous_integration_runs_the_same_toolchain_and_nothing_of_its_own() {
    let workflow = read(".github/workflows/ci.yml");
    assert!(workflow.contains(&format!("container: rust:{}-", toolchain())), "ci.yml: another toolchain");
    assert!(workflow.contains("run: .ci/run"), "ci.yml: it does not run .ci/run");
    assert!(workflow.contains("\npermissions: {}\n"), "ci.yml: begin without any permission");
    let actions = workflow.lines().filter(|line| line.trim_start().trim_start_matches("- ").starts_with("uses:"));
    let floating = actions.filter(|line| {
        let revision = line.rsplit('@').next().and_then(|rest| rest.split_whitespace().next()).unwrap_or("");
        revision.len() != 40 || !revision.chars().all(|c| c.is_ascii_hexdigit())
    });
    none(&floating.map(|line| format!("ci.yml: {line}: pin it by its full hash")).collect::<Vec<_>>());
}

#[test]
fn each_fault_of_an_image_is_found() {
    let good = read("Dockerfile");
    let faults = [
        ("--locked", ""),
        ("--no-default-features", ""),
        ("--features server", "--features server,dev"),
        ("--release", ""),
        ("USER ", "USER 0\n# "),
        ("USER ", "USER gateway\n# "),
        ("HEALTHCHECK", "#"),
        ("EXPOSE 8447", "EXPOSE 80"),
        ("ENTRYPOINT [", "ENTRYPOINT sh ["),
        ("VOLUME", "#"),
        ("COPY --from", "ADD --from"),
    ];
    for (from, to) in faults {
        assert!(good.contains(from), "{from}");
        assert_ne!(image_problems(&good.replace(from, to), &toolchain()), Vec::<String>::new(), "{from} -> {to}");
    }
}

#[test]
fn the_image_gets_only_what_it_is_built_from() {
    let ignored = read(".dockerignore");
    assert_eq!(ignored.lines().find(|line| !line.starts_with('#')), Some("*"), "begin by ignoring everything");
    let kept: BTreeSet<_> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    for (name, rest) in instructions(&read("Dockerfile")) {
        if name != "COPY" || rest.contains("--from") {
            continue;
        }
        let mut parts: Vec<_> = rest.split_whitespace().collect();
        parts.pop();
        for part in parts {
            assert!(kept.contains(part), ".dockerignore: !{part} is missing");
        }
    }
}

/// Scalars of a YAML file of nested maps and plain lists, as `a.b.c = value` lines.
fn flat(text: &str) -> Vec<(String, String)> {
    let mut stack: Vec<(usize, String)> = Vec::new();
    let mut found = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')) {
        let depth = line.len() - line.trim_start().len();
        stack.retain(|(at, _)| *at < depth);
        let line = line.trim();
        let above = stack.iter().map(|(_, key)| key.as_str()).collect::<Vec<_>>().join(".");
        if let Some(item) = line.strip_prefix("- ") {
            found.push((above, item.trim().to_owned()));
        } else {
            let (key, value) =
                line.split_once(':').unwrap_or_else(|| panic!("convox.yml: {line:?} is no YAML of ours"));
            if value.trim().is_empty() {
                stack.push((depth, key.to_owned()));
            } else {
                found.push((format!("{above}.{key}").trim_start_matches('.').to_owned(), value.trim().to_owned()));
            }
        }
    }
    found
}

#[test]
fn convox_yml_matches_the_image_and_the_settings() {
    let flat = flat(&read("convox.yml"));
    let all = |key: &str| flat.iter().filter(|(k, _)| k == key).map(|(_, v)| v.as_str()).collect::<Vec<_>>();
    assert_eq!(all("services.gateway.port"), ["8447"]);
    assert_eq!(all("services.gateway.health.path"), ["/api/v1/ready"]);
    assert_eq!(all("services.gateway.liveness.path"), ["/api/v1/health"]);
    assert_eq!(all("resources.database.type"), ["postgres"]);
    assert_eq!(all("services.gateway.resources"), ["database"]);
    let documented = docs::documented();
    let named = [all("environment"), all("services.gateway.environment")].concat();
    assert!(!named.is_empty(), "convox.yml: no environment");
    let unknown =
        named.iter().map(|line| line.split('=').next().unwrap_or(line)).filter(|name| !documented.contains(*name));
    none(&unknown.map(|name| format!("convox.yml: {name} is not a setting")).collect::<Vec<_>>());
    let preset = |line: &&&str| line.split_once('=').is_some_and(|(_, preset)| !preset.is_empty());
    let secret = named.iter().filter(preset).filter(|line| line.contains("TOKEN") || line.contains("KEY"));
    none(&secret.map(|line| format!("convox.yml: {line}: a secret has no default")).collect::<Vec<_>>());
}

//! What is saved: the file and its permissions, several racks, which of them is used, and as whom.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::fake::API_TOKEN;
use super::{Machine, approving};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_may_read_the_file() {
    let gateway = approving();
    let machine = Machine::signed_in("prod", &gateway).await;
    let path = machine.config_path();
    let folder = path.parent().unwrap();
    assert_eq!((mode(&path), mode(folder)), (0o600, 0o700));
    for exposed in [0o640, 0o604, 0o620, 0o644] {
        set_mode(&path, exposed);
        for arguments in [&["env"][..], &["racks"], &["whoami"], &["switch", "prod"], &["logout"]] {
            let ran = machine.run(arguments).await;
            assert!(!ran.out.contains("rgw_"), "{ran:?}");
            ran.failed(3, &["chmod 600", &format!("mode {exposed:04o}"), path.to_str().unwrap()]);
        }
    }
    set_mode(&path, 0o600);
    // A folder that others may enter is closed with the next change.
    set_mode(folder, 0o755);
    machine.run(&["switch", "prod"]).await.ok();
    assert_eq!((mode(&path), mode(folder)), (0o600, 0o700));
    let left: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_folder_of_xdg_is_honoured_when_it_is_absolute() {
    let gateway = approving();
    let elsewhere = tempfile::tempdir().unwrap();
    let machine = Machine::new().with("XDG_CONFIG_HOME", elsewhere.path().to_str().unwrap());
    machine.run(&["login", "prod", &gateway.url, "--no-open"]).await.ok();
    assert!(elsewhere.path().join("rack-gateway/config.json").exists() && !machine.config_path().exists());
    let machine = Machine::new().with("XDG_CONFIG_HOME", "relative");
    machine.run(&["login", "prod", &gateway.url, "--no-open"]).await.ok();
    assert!(machine.config_path().exists());
    let mut nowhere = Machine::new();
    nowhere.env.remove("HOME");
    nowhere.run(&["racks"]).await.failed(3, &["HOME"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_version_wrote_is_kept() {
    let gateway = approving();
    let machine = Machine::signed_in("prod", &gateway).await;
    let mut config = machine.config();
    config["future"] = json!({ "a": [1] });
    config["racks"]["prod"]["colour"] = json!("red");
    fs::write(machine.config_path(), config.to_string()).unwrap();
    for arguments in [&["login", "other", &gateway.url, "--no-open"][..], &["switch", "prod"], &["logout"]] {
        machine.run(arguments).await.ok();
    }
    let after = machine.config();
    assert_eq!((&after["future"], &after["racks"]["prod"]["colour"]), (&json!({ "a": [1] }), &json!("red")));
    assert_eq!(after["racks"]["prod"], json!({ "colour": "red", "url": gateway.url }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_is_refused_and_not_shown() {
    let machine = Machine::new();
    fs::create_dir_all(machine.config_path().parent().unwrap()).unwrap();
    let entry = |entry: Value| json!({ "current": "prod", "racks": { "prod": entry } }).to_string();
    let cases = [
        "{".to_owned(),
        "[\"rgw_hidden\"]".to_owned(),
        "{\"racks\": rgw_hidden}".to_owned(),
        entry(json!({ "url": "http://gateway.example.com", "token": "rgw_hidden" })),
        entry(json!({ "url": "https://hidden@gateway.example.com" })),
        entry(json!({ "url": "https://gateway.example.com", "token": "hidden'; rm -rf" })),
        entry(json!({})),
    ];
    for text in cases {
        fs::write(machine.config_path(), &text).unwrap();
        set_mode(&machine.config_path(), 0o600);
        for arguments in [&["env"][..], &["racks"]] {
            let ran = machine.run(arguments).await;
            assert!(!format!("{ran:?}").contains("hidden"), "{text}: {ran:?}");
            ran.failed(3, &["is not a configuration"]);
        }
        assert_eq!(fs::read_to_string(machine.config_path()).unwrap(), text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_lose_nothing() {
    let gateway = approving();
    let machine = Machine::new();
    let names: Vec<_> = (0..8).map(|at| format!("rack-{at}")).collect();
    let logins = names.iter().map(|name| async {
        machine.run(&["login", name, &gateway.url, "--no-open"]).await.ok();
    });
    futures_util::future::join_all(logins).await;
    let racks = machine.run(&["racks", "--json"]).await.json();
    let saved: Vec<_> = racks.as_array().unwrap().iter().map(|rack| rack["name"].as_str().unwrap()).collect();
    assert_eq!(saved, names);
}

#[tokio::test(flavor = "multi_thread")]
async fn racks_are_listed_and_switched() {
    let (prod, staging) = (approving(), approving());
    let machine = Machine::new();
    machine.run(&["racks"]).await.failed(0, &["rack-gateway login"]);
    assert_eq!(machine.run(&["racks", "--json"]).await.json(), json!([]));
    machine.run(&["env"]).await.failed(2, &["rack-gateway login NAME"]);
    machine.run(&["login", "prod", &prod.url, "--no-open"]).await.ok();
    machine.run(&["login", "staging", &staging.url, "--no-open"]).await.ok();
    let current = async || {
        let racks = machine.run(&["racks", "--json"]).await.json();
        let current = racks.as_array().unwrap().iter().filter(|rack| rack["current"] == true);
        current.map(|rack| rack["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(current().await, ["staging"]);
    assert!(machine.run(&["switch", "prod"]).await.ok().contains(&prod.url));
    assert_eq!(current().await, ["prod"]);
    machine.run(&["switch", "nowhere"]).await.failed(2, &["nowhere", "rack-gateway racks"]);
    assert_eq!(current().await, ["prod"]);
    machine.run(&["logout", "--rack", "staging"]).await.ok();
    let text = machine.run(&["racks"]).await.ok();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[1].starts_with("*  prod     ") && lines[1].contains("until 2999-12-31 10:20 UTC"), "{text}");
    assert!(lines[2].starts_with("   staging  ") && lines[2].ends_with("signed out"), "{text}");
    assert!(!text.contains("rgw_"), "{text}");
}

/// Where `env` leads: the address and the token.
async fn leads(machine: &Machine, arguments: &[&str]) -> (String, String) {
    let printed = machine.run(&[&["env", "--json"], arguments].concat()).await.json();
    let url = printed["RACK_URL"].as_str().unwrap();
    let (user, host) = url.strip_prefix("http://convox:").unwrap().split_once('@').unwrap();
    (format!("http://{host}"), user.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_go_before_the_environment_and_that_before_the_file() {
    let (prod, staging) = (approving(), approving());
    let mut machine = Machine::signed_in("prod", &prod).await;
    machine.run(&["login", "staging", &staging.url, "--no-open"]).await.ok();
    let (at_prod, at_staging) = (prod.tokens().pop().unwrap(), staging.tokens().pop().unwrap());
    let own_prod = (prod.url.clone(), at_prod);
    let own_staging = (staging.url.clone(), at_staging);
    assert_eq!(leads(&machine, &[]).await, own_staging);
    assert_eq!(leads(&machine, &["--rack", "prod"]).await, own_prod);
    machine.set("RACK_GATEWAY_RACK", "prod");
    assert_eq!(leads(&machine, &[]).await, own_prod);
    assert_eq!(leads(&machine, &["--rack", "staging"]).await, own_staging);
    machine.set("RACK_GATEWAY_API_TOKEN", "rgw_from-environment");
    assert_eq!(leads(&machine, &[]).await, (prod.url.clone(), "rgw_from-environment".to_owned()));
    let flag = leads(&machine, &["--api-token", API_TOKEN]).await;
    assert_eq!(flag, (prod.url.clone(), API_TOKEN.to_owned()));
    // Two ways to say where: nobody guesses.
    machine.set("RACK_GATEWAY_URL", &staging.url);
    machine.run(&["env"]).await.failed(2, &["RACK_GATEWAY_URL", "RACK_GATEWAY_RACK"]);
    assert_eq!(leads(&machine, &["--rack", "prod"]).await.0, prod.url);
    machine.env.remove("RACK_GATEWAY_RACK");
    assert_eq!(leads(&machine, &[]).await, (staging.url.clone(), "rgw_from-environment".to_owned()));
    // A saved token goes to the address that it was saved with, and to no other.
    machine.env.remove("RACK_GATEWAY_API_TOKEN");
    machine.set("RACK_GATEWAY_URL", &prod.url);
    assert_eq!(leads(&machine, &[]).await, own_prod);
    machine.set("RACK_GATEWAY_URL", "https://gateway.example.com");
    machine.run(&["env"]).await.failed(2, &["RACK_GATEWAY_API_TOKEN", "https://gateway.example.com"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_a_home_needs_an_address_and_a_token() {
    let mut machine = Machine::new().with("RACK_GATEWAY_URL", "https://gateway.example.com:8443");
    machine.env.remove("HOME");
    machine.set("RACK_GATEWAY_API_TOKEN", "rgw_abc");
    let printed = machine.run(&["env"]).await.ok();
    assert_eq!(printed, "export RACK_URL=https://convox:rgw_abc@gateway.example.com:8443\n");
    for (name, value, said) in [
        ("RACK_GATEWAY_API_TOKEN", "hidden' ; rm", "RACK_GATEWAY_API_TOKEN"),
        ("RACK_GATEWAY_API_TOKEN", "hidden", "rgw_"),
        ("RACK_GATEWAY_URL", "http://hidden@gateway.example.com", "https"),
        ("RACK_GATEWAY_URL", "https://gateway.example.com/hidden", "RACK_GATEWAY_URL"),
    ] {
        let mut machine = Machine { env: machine.env.clone(), home: tempfile::tempdir().unwrap() };
        machine.set(name, value);
        let ran = machine.run(&["env"]).await;
        assert!(!format!("{ran:?}").contains("hidden"), "{ran:?}");
        ran.failed(2, &[said]);
    }
}

//! What one request changes, the next one shows.

use serde_json::{Value, json};

use super::client::{Socket, call, form, get, rack};

#[test]
fn apps_are_made_locked_and_deleted() {
    let rack = rack();
    assert_eq!(form(&rack, "POST", "/apps", "name=shop").json()["status"], "running");
    assert_eq!(form(&rack, "POST", "/apps", "name=shop").text(), "app already exists: shop\n");
    assert_eq!(form(&rack, "POST", "/apps", "name=Shop").status, 500);
    form(&rack, "PUT", "/apps/shop", "lock=true&parameters=BuildCpu%3D600%26X%3D1");
    let app = get(&rack, "/apps/shop").json();
    assert_eq!((&app["locked"], &app["parameters"]["BuildCpu"]), (&Value::Bool(true), &json!("600")));
    assert_eq!(app["parameters"]["BuildMem"], "1024");
    let answer = call(&rack, "DELETE", "/apps/shop", &[], b"");
    assert_eq!((answer.status, answer.text().as_str()), (409, "app is locked: shop\n"));
    form(&rack, "PUT", "/apps/shop", "lock=false");
    assert_eq!(call(&rack, "POST", "/apps/shop/cancel", &[], b"").text(), "app is not updating\n");
    assert_eq!(call(&rack, "DELETE", "/apps/shop", &[], b"").text(), "ok\n");
    assert_eq!(get(&rack, "/apps/shop").text(), "app not found: shop\n");
}

#[test]
fn a_release_takes_from_its_parent_what_it_is_not_given() {
    let rack = rack();
    let seeded = get(&rack, "/apps/myapp/releases").json()[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(rack.state.release_of("myapp"), Some(seeded.clone()));
    let first = form(&rack, "POST", "/apps/myapp/releases", "env=A%3D1").json();
    assert_eq!((&first["env"], &first["description"]), (&json!("A=1"), &json!("env update")));
    assert!(first["manifest"].as_str().unwrap().contains("worker"));
    let second = form(&rack, "POST", "/apps/myapp/releases", "description=again").json();
    assert_eq!((&second["env"], &second["description"]), (&json!("A=1"), &json!("again")));
    let third = form(&rack, "POST", "/apps/myapp/releases", &format!("parent-release={seeded}")).json();
    assert_eq!(third["env"], "GREETING=hello\nSECRET_KEY=made-up-s3cr3t");
    assert_eq!(form(&rack, "POST", "/apps/myapp/releases", "parent-release=RX").text(), "release not found: RX\n");
    let listed = get(&rack, "/apps/myapp/releases?limit=2").json();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!((&listed[0]["id"], &listed[0]["env"], &listed[0]["manifest"]), (&third["id"], &json!(""), &json!("")));

    let promote = |id: &Value| {
        let path = format!("/apps/myapp/releases/{}/promote", id.as_str().unwrap());
        form(&rack, "POST", &path, "force=false").text()
    };
    assert_eq!(promote(&second["id"]), "ok\n");
    assert_eq!(get(&rack, "/apps/myapp").json()["release"], second["id"]);
    assert_eq!(promote(&json!(seeded)), "can not promote an older release, try rollback\n");
    let running = get(&rack, "/apps/myapp/processes").json();
    assert!(running.as_array().unwrap().iter().all(|process| process["release"] == second["id"]), "{running}");
}

#[test]
fn a_new_app_runs_what_is_built_and_promoted() {
    let rack = rack();
    form(&rack, "POST", "/apps", "name=shop");
    assert_eq!(get(&rack, "/apps/shop/services").text(), "[]\n");
    call(&rack, "POST", "/apps/shop/objects/tmp/x.tgz", &[], b"source");
    let build = form(&rack, "POST", "/apps/shop/builds", "url=object%3A%2F%2Fshop%2Ftmp%2Fx.tgz").json();
    let build = get(&rack, &format!("/apps/shop/builds/{}", build["id"].as_str().unwrap())).json();
    let release = build["release"].as_str().unwrap();
    assert_eq!(call(&rack, "POST", &format!("/apps/shop/releases/{release}/promote"), &[], b"").text(), "ok\n");
    assert_eq!(get(&rack, "/apps/shop/services").json()[0]["name"], "web");
    assert_eq!(get(&rack, "/apps/shop/processes").json()[0]["release"], release);
    let url = get(&rack, "/apps/shop/resources/database").json()["url"].as_str().unwrap().to_owned();
    assert!(url.contains("resource-database.dev-shop.svc.cluster.local"), "{url}");
    let empty = form(&rack, "POST", "/apps", "name=empty").json();
    let release = form(&rack, "POST", "/apps/empty/releases", "env=A%3D1").json();
    let path = format!("/apps/empty/releases/{}/promote", release["id"].as_str().unwrap());
    assert_eq!(call(&rack, "POST", &path, &[], b"").text(), "can not promote a release with an empty manifest\n");
    assert_eq!(empty["release"], "");
}

#[test]
fn processes_start_and_stop() {
    let rack = rack();
    let count = || get(&rack, "/apps/myapp/processes?service=web").json().as_array().unwrap().len();
    let one = call(&rack, "POST", "/apps/myapp/services/web/processes", &[("Command", "sleep 3600")], b"").json();
    assert_eq!((&one["command"], count()), (&json!("sleep 3600"), 3));
    let path = format!("/apps/myapp/processes/{}", one["id"].as_str().unwrap());
    assert_eq!(get(&rack, &path).json(), one);
    assert_eq!(call(&rack, "DELETE", &path, &[], b"").text(), "ok\n");
    assert_eq!((get(&rack, &path).status, count()), (404, 2));
    // A service keeps its count.
    let old = get(&rack, "/apps/myapp/processes?service=worker").json()[0]["id"].as_str().unwrap().to_owned();
    call(&rack, "DELETE", &format!("/apps/myapp/processes/{old}"), &[], b"");
    let new = get(&rack, "/apps/myapp/processes?service=worker").json();
    assert!(new.as_array().unwrap().len() == 1 && new[0]["id"] != old);
    for (form_body, expected) in [("count=4", 4), ("count=1", 1), ("cpu=512&memory=1024", 1)] {
        assert_eq!(form(&rack, "PUT", "/apps/myapp/services/web", form_body).text(), "ok\n");
        assert_eq!(count(), expected);
    }
    let web = &get(&rack, "/apps/myapp/services").json()[0];
    assert_eq!((&web["cpu"], &web["memory"], &web["count"]), (&json!(512), &json!(1024), &json!(1)));
    let before = get(&rack, "/apps/myapp/processes?service=web").json()[0]["id"].clone();
    call(&rack, "POST", "/apps/myapp/services/web/restart", &[], b"");
    assert_ne!(get(&rack, "/apps/myapp/processes?service=web").json()[0]["id"], before);
    assert_eq!(form(&rack, "PUT", "/apps/myapp/services/web", "count=x").status, 500);
}

#[test]
fn files_are_copied_in_and_out() {
    let rack = rack();
    let id = get(&rack, "/apps/myapp/processes?service=web").json()[0]["id"].as_str().unwrap().to_owned();
    let files = format!("/apps/myapp/processes/{id}/files");
    let archive = get(&rack, &format!("{files}?file=%2Ftmp%2Fhello.txt"));
    assert_eq!(archive.header("content-type"), Some("application/octet-stream"));
    assert_eq!(archive.body.len(), 2048);
    assert!(archive.body.starts_with(b"tmp/hello.txt\0"));
    assert_eq!(&archive.body[512..523], b"hello file\n");
    // The same archive under another name, in; the checksum is not looked at.
    let mut other = archive.body.clone();
    other[..13].copy_from_slice(b"srv/other.txt");
    assert_eq!(call(&rack, "POST", &files, &[], &other).text(), "ok\n");
    let cat = |file: &str| {
        let path = format!("/apps/myapp/processes/{id}/exec");
        let command = format!("cat {file}");
        Socket::open(&rack, &path, &[("Command", &command), ("Tty", "false")]).rest().remove(0)
    };
    assert_eq!(cat("/srv/other.txt"), "hello file\n");
    assert_eq!(get(&rack, &format!("{files}?file=/srv")).body.len(), 2048);
    assert_eq!(call(&rack, "DELETE", &format!("{files}?files=/srv,/tmp/hello.txt"), &[], b"").text(), "ok\n");
    assert_eq!(cat("/tmp/hello.txt"), "cat: /tmp/hello.txt: No such file or directory\n");
    assert_eq!(get(&rack, &format!("{files}?file=/srv")).status, 500);
    assert_eq!(call(&rack, "POST", &files, &[], b"not a tar").status, 200, "shorter than a block: empty");
    assert_eq!(call(&rack, "POST", &files, &[], &[1; 512]).status, 500);
}

#[test]
fn what_apps_share_changes_too() {
    let rack = rack();
    form(&rack, "PUT", "/system", "count=3&parameters=idle_timeout%3D120&version=3.24.10&type=t3.large");
    let system = get(&rack, "/system").json();
    assert_eq!((&system["count"], &system["version"]), (&json!(3), &json!("3.24.10")));
    assert_eq!(system["parameters"]["idle_timeout"], "120");
    assert_eq!(system["name"], "dev");

    form(&rack, "POST", "/registries", "server=index.docker.io%2Fv1%2F&username=u&password=p%26w");
    assert_eq!(get(&rack, "/registries").json()[1]["password"], "p&w");
    assert_eq!(call(&rack, "DELETE", "/registries/index.docker.io/v1/", &[], b"").text(), "ok\n");
    assert_eq!(call(&rack, "DELETE", "/registries/index.docker.io/v1/", &[], b"").status, 404);

    let resource = form(&rack, "POST", "/resources", "kind=postgres&name=pg1&parameters=Class%3Dsmall").json();
    assert_eq!((&resource["parameters"]["Class"], &resource["apps"]), (&json!("small"), &Value::Null));
    assert_eq!(form(&rack, "POST", "/resources/pg1/links", "app=myapp").json()["apps"][0]["name"], "myapp");
    assert_eq!(call(&rack, "DELETE", "/resources/pg1/links/myapp", &[], b"").json()["apps"], Value::Null);
    assert_eq!(call(&rack, "DELETE", "/resources/pg1", &[], b"").text(), "ok\n");
    assert_eq!(get(&rack, "/resources/pg1").text(), "no such resource: pg1\n");

    let certificate = form(&rack, "POST", "/certificates/generate", "domains=a.test,b.test").json();
    let id = certificate["id"].as_str().unwrap();
    form(&rack, "PUT", "/apps/myapp/ssl/web/443", &format!("id={id}"));
    assert_eq!(get(&rack, "/apps/myapp/services").json()[0]["ports"][0]["certificate"], id);
    assert_eq!(call(&rack, "DELETE", &format!("/certificates/{id}"), &[], b"").text(), "ok\n");

    let config = r#"{"role":"r","solvers":[{"id":1}]}"#;
    call(&rack, "PUT", "/letsencrypt/config", &[], config.as_bytes());
    assert_eq!(get(&rack, "/letsencrypt/config").json()["solvers"][0]["id"], 1);
    assert_eq!(call(&rack, "PUT", "/letsencrypt/config", &[], b"{").status, 500);

    form(&rack, "PUT", "/apps/myapp/configs/c", "value=Y29uZmlnIGJvZHkK");
    assert_eq!(get(&rack, "/apps/myapp/configs/c").json()["value"], "config body\n");
    assert_eq!(get(&rack, "/apps/myapp/configs/d").text(), "app config not found: d\n");

    let budget = form(&rack, "POST", "/apps/myapp/budget", "ack_by=cli&monthly-cap-usd=100");
    assert_eq!(budget.header("deprecation"), Some("true"));
    assert_eq!(get(&rack, "/apps/myapp/budget").json()["config"]["monthly-cap-usd"], "100");
    assert_eq!(form(&rack, "DELETE", "/apps/myapp/budget", "ack_by=cli").header("deprecation"), Some("true"));
    assert_eq!(get(&rack, "/apps/myapp/budget").json()["config"], Value::Null);

    assert_eq!(call(&rack, "PUT", "/apps/myapp/resources/database/data", &[], b"-- dump").text(), "ok\n");
    assert_eq!(get(&rack, "/apps/myapp/resources/database/data").text(), "-- dump");
    let build = call(&rack, "POST", "/apps/myapp/builds/import", &[], b"\x1f\x8b\x08archive").json();
    let export = get(&rack, &format!("/apps/myapp/builds/{}.tgz", build["id"].as_str().unwrap()));
    assert_eq!(export.body, b"\x1f\x8b\x08archive");
    assert_eq!(export.header("content-type"), Some("application/x-gzip"));

    assert_eq!(call(&rack, "DELETE", "/instances/ip-10-0-0-2", &[], b"").text(), "ok\n");
    assert_eq!(get(&rack, "/instances").json().as_array().unwrap().len(), 1);
    assert_eq!(form(&rack, "POST", "/events", "action=app:create").text(), "ok\n");
    assert_eq!(form(&rack, "POST", "/events", "").status, 500);
}

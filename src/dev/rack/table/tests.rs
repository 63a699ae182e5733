//! Every row that the gateway forwards is answered here, and paths match as gorilla matches them.

use super::{Found, Run, find};
use crate::routes::Kind;
use crate::routes::RACK;

fn found(method: &str, path: &str, upgrade: bool) -> String {
    match find(method, path, upgrade) {
        Found::Route(route, params) => {
            let params: Vec<_> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("{route:?} {}", params.join(" ")).trim_end().to_owned()
        }
        Found::WrongMethod => "405".to_owned(),
        Found::Nothing => "404".to_owned(),
    }
}

#[test]
fn every_row_of_the_gateway_has_a_route() {
    for row in RACK {
        let path: String = row.path.replace("...", "").chars().filter(|c| !matches!(c, '{' | '}')).collect();
        let socket = row.kind == Kind::Socket;
        let route = match find(row.kind.method(), &path, socket) {
            Found::Route(route, _) => route,
            Found::WrongMethod | Found::Nothing => panic!("{} {} is not served", row.kind, row.path),
        };
        assert_eq!(matches!(route.run, Run::Socket(_)), socket, "{} {} is served by {route:?}", row.kind, row.path);
    }
}

#[test]
fn paths_match_uncleaned_and_the_first_route_wins() {
    for (method, path, upgrade, expected) in [
        ("GET", "/apps", false, "GET /apps"),
        ("GET", "/apps/", false, "404"),
        ("GET", "//apps", false, "404"),
        ("GET", "/apps/../system", false, "404"),
        ("GET", "/apps/..", false, "GET /apps/{app} app=.."),
        ("GET", "/apps/myapp/", false, "404"),
        ("PATCH", "/apps/myapp", false, "405"),
        ("GET", "/apps/a/builds/B.tgz", false, "GET /apps/{app}/builds/{id}.tgz app=a id=B"),
        ("GET", "/apps/a/builds/.tgz", false, "GET /apps/{app}/builds/{id} app=a id=.tgz"),
        ("GET", "/apps/a/objects/", false, "GET /apps/{app}/objects/{key...} app=a key="),
        ("GET", "/apps/a/objects/x/../y//z", false, "GET /apps/{app}/objects/{key...} app=a key=x/../y//z"),
        (
            "DELETE",
            "/registries/index.docker.io/v1/",
            false,
            "DELETE /registries/{server...} server=index.docker.io/v1/",
        ),
        ("GET", "/apps/a/logs", true, "GET /apps/{app}/logs app=a"),
        ("GET", "/apps/a/logs", false, "404"),
        ("PUT", "/apps/a/logs", false, "404"),
        ("PUT", "/apps/a/logs", true, "405"),
        ("GET", "/apps", true, "GET /apps"),
    ] {
        assert_eq!(found(method, path, upgrade), expected, "{method} {path} upgrade {upgrade}");
    }
}

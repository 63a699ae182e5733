//! Routes that exist on a rack, or in the console that the CLI knows, and that never pass.

use super::row::Kind;

/// A route that never passes, with the reason that the caller and the record get.
#[derive(Clone, Copy, Debug)]
pub struct Refused {
    /// Method, or none for every method and for sockets.
    pub kind: Option<Kind>,
    /// Path template, as in [`super::Row::path`].
    pub path: &'static str,
    /// One sentence for people.
    pub reason: &'static str,
}

const fn any(path: &'static str, reason: &'static str) -> Refused {
    Refused { kind: None, path, reason }
}

const fn only(kind: Kind, path: &'static str, reason: &'static str) -> Refused {
    Refused { kind: Some(kind), path, reason }
}

const JWT: &str = "rack tokens would let their holder go around the gateway; use a gateway token instead";
const KUBERNETES: &str = "cluster credentials would let their holder go around the gateway";
const REGISTRY: &str = "registry traffic does not go through the gateway";
const CUSTOM_PROXY: &str = "this route reaches any host of the cluster; open a tunnel instead";
const ONE_RACK: &str = "this gateway serves one rack, which is managed where it was installed";
const WORKFLOWS: &str = "workflows belong to the hosted console; this gateway has none";
const MACHINES: &str = "cloud machines belong to the hosted console; this gateway has none";
const LEGACY: &str = "this route is of racks older than 20180708; the gateway serves modern racks";

/// Every route that is refused by name.
pub static REFUSED: &[Refused] = &[
    any("/system/jwt/{rest...}", JWT),
    any("/kubernetes/{rest...}", KUBERNETES),
    any("/v2/{rest...}", REGISTRY),
    any("/custom/http/proxy/{rest...}", CUSTOM_PROXY),
    only(Kind::Post, "/racks", ONE_RACK),
    only(Kind::Post, "/racks/{rack}/install", ONE_RACK),
    only(Kind::Delete, "/racks/{rack}", ONE_RACK),
    only(Kind::Put, "/racks/{organization}/{rack}", ONE_RACK),
    only(Kind::Post, "/racks/{organization}/{rack}/sync", ONE_RACK),
    any("/racks/{organization}/{rack}/runtimes", WORKFLOWS),
    any("/racks/{organization}/{rack}/workflows", WORKFLOWS),
    any("/racks/{organization}/{rack}/workflows/{workflow}/run", WORKFLOWS),
    any("/racks/{organization}/{rack}/host", ONE_RACK),
    any("/organizations/{rest...}", WORKFLOWS),
    any("/machines/{machine}/{rest...}", MACHINES),
    any("/apps/{app}/environment", LEGACY),
    any("/apps/{app}/environment/{key}", LEGACY),
    any("/apps/{app}/formation", LEGACY),
    any("/apps/{app}/formation/{process}", LEGACY),
    any("/apps/{app}/parameters", LEGACY),
    only(Kind::Socket, "/apps/{app}/processes/{process}/run", LEGACY),
    only(Kind::Post, "/apps/{app}/processes/{process}/run", LEGACY),
    any("/instances/{instance}/ssh", LEGACY),
];

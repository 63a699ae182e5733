//! Any query, headers and form of a row: what passes is listed, once, and means the same to the rack.
#![no_main]

#[path = "../../tests/it/routes/oracle.rs"]
mod oracle;

use libfuzzer_sys::fuzz_target;
use rack_gateway::routes::RACK;

/// Headers that are decided on, beside the option headers of all rows.
const NAMES: [&str; 14] = [
    "accept",
    "accept-encoding",
    "content-type",
    "content-length",
    "transfer-encoding",
    "content-encoding",
    "expect",
    "user-agent",
    "version",
    "host",
    "authorization",
    "convox-actor",
    "x_convox_actor",
    "x-anything",
];

/// A path of the row.
fn path(template: &str) -> String {
    let path = template.replace("{key...}", "tmp/x.tgz").replace("{server...}", "index.docker.io/v1/");
    path.replace("{port}", "443").replace(['{', '}'], "")
}

fuzz_target!(|input: (u8, &str, Vec<(u8, Vec<u8>)>, Vec<u8>)| {
    let (index, query, headers, body) = input;
    let row = &RACK[usize::from(index) % RACK.len()];
    let options = RACK.iter().flat_map(|row| row.contract.headers.iter().copied());
    let names: Vec<&str> = NAMES.into_iter().chain(options).collect();
    let headers: Vec<(&str, &[u8])> =
        headers.iter().map(|(name, value)| (names[usize::from(*name) % names.len()], value.as_slice())).collect();
    let raw = format!("{}?{query}", path(row.path));
    oracle::check_target(row.kind, &raw);
    oracle::check_contract(row.kind, &raw, &headers);
    oracle::check_form(oracle::form_keys(row.contract.body), &body);
});

//! Rows that the gateway answers itself at its root: what the stock `convox` CLI asks a console
//! for, around every command. They are decided and recorded like any other row.

use super::row::{Kind, Resource as R, Row};

const GROUP: &[&str] = &["console"];
const BEFORE: &[&str] = &["before-factor"];
/// Most bytes of a proof.
const PROOF_MAX: usize = 4 << 10;

/// The console protocol: login, racks, and the handshake with which the CLI shows a second factor.
pub static CONSOLE: &[Row] = &[
    Row::new(Kind::Get, "/auth", "console:login", R::Rack, GROUP).by_gateway(),
    Row::new(Kind::Get, "/racks", "console-rack:list", R::Rack, GROUP).by_gateway(),
    Row::new(Kind::Get, "/racks/{organization}/{rack}", "console-rack:read", R::Rack, GROUP).by_gateway(),
    Row::new(Kind::Get, "/machines", "console-machine:list", R::Rack, GROUP).by_gateway(),
    Row::new(Kind::Get, "/login/u2f", "page:cli-challenge", R::Rack, BEFORE)
        .by_gateway()
        .query(&["callback_url", "token"]),
    Row::new(Kind::Get, "/session/{challenge}", "cli-challenge:begin", R::Rack, BEFORE).by_gateway(),
    Row::new(Kind::Post, "/session/{challenge}", "cli-challenge:complete", R::Rack, BEFORE)
        .by_gateway()
        .inspect(PROOF_MAX),
];

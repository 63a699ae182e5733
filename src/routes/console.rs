//! Rows that the gateway answers itself at its root: what the stock `convox` CLI asks a console
//! for, around every command. They are decided and recorded like any other row.

use super::row::{Kind, Resource as R, Row};

const GROUP: &[&str] = &["console"];

/// The console protocol, without the step-up handshake.
pub static CONSOLE: &[Row] = &[
    Row::new(Kind::Get, "/auth", "console:login", R::Rack, GROUP).by_gateway(),
    Row::new(Kind::Get, "/racks", "console-rack:list", R::Rack, GROUP).by_gateway(),
    Row::new(Kind::Get, "/racks/{organization}/{rack}", "console-rack:read", R::Rack, GROUP).by_gateway(),
    Row::new(Kind::Get, "/machines", "console-machine:list", R::Rack, GROUP).by_gateway(),
];

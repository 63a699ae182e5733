//! The default schema and the route table say the same.

use super::super::{Bundle, Sources};

#[test]
fn the_defaults_load() {
    if let Err(errors) = Bundle::load(&Sources::embedded("dev")) {
        panic!("{errors}");
    }
}

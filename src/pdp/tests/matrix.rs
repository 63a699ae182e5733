//! The reviewed matrix is the one that the policies yield.

use super::super::{Bundle, MATRIX_COMMAND, Sources, matrix};

#[test]
fn the_reviewed_matrix_is_current() {
    let bundle = Bundle::load(&Sources::embedded("dev")).unwrap();
    let reviewed = include_str!("../../../policies/tests/matrix.txt");
    assert!(matrix(&bundle) == reviewed, "policies changed who may do what; review it after: {MATRIX_COMMAND}");
}

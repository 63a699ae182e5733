//! What is emitted says everything, and the checked-in copy is what is emitted.

use super::*;

#[test]
fn docs_are_current() {
    let stored = include_str!("../../../docs/routes.md");
    assert!(
        stored == markdown(),
        "docs/routes.md is not what the table says: run `rack-gateway-api routes --markdown > docs/routes.md`"
    );
}

#[test]
fn every_row_and_refusal_is_named_everywhere() {
    let (text, markdown) = (text(), markdown());
    let json: Value = serde_json::from_str(&json()).expect("JSON");
    let listed = |list: &str| json[list].as_array().expect("a list").clone();
    assert_eq!(listed("rows").len(), rows().count());
    assert_eq!(listed("refused").len(), REFUSED.len());
    for (row, value) in rows().zip(listed("rows")) {
        let start = format!("{:7}  {} ", row.kind.as_str(), row.path);
        let found = text.lines().filter(|line| line.starts_with(&start) && line.contains(row.action)).count();
        assert_eq!(found, 1, "{start}");
        assert!(markdown.contains(&format!("| {} | `{}` | `{}` |", row.kind, row.path, row.action)));
        assert_eq!((value["action"].as_str(), value["path"].as_str()), (Some(row.action), Some(row.path)));
    }
    for refused in REFUSED {
        assert!(text.contains(refused.reason) && markdown.contains(refused.reason));
    }
}

#[test]
fn the_terminal_table_has_no_trailing_space() {
    for line in text().lines() {
        assert_eq!(line, line.trim_end());
    }
}

//! The table of the documentation names the tests that there are: no row without its test, no test without its row.
#![allow(clippy::expect_used)]

use std::collections::BTreeSet;
use std::path::Path;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// `file::name` of every test among the peers, this one's file left out.
fn tests() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut found = BTreeSet::new();
    for file in std::fs::read_dir(folder).expect("the tests").flatten() {
        let path = file.path();
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name in text").to_owned();
        let text = std::fs::read_to_string(&path).expect("a test file");
        let functions = text.split("#[test]\nfn ").skip(1).filter_map(|rest| rest.split('(').next());
        found.extend(functions.filter(|_| name != "matrix").map(|function| format!("{name}::{function}")));
    }
    found
}

#[test]
fn every_row_has_its_test_and_every_test_its_row() {
    let page = std::fs::read_to_string(format!("{ROOT}/docs/reference/interop.md")).expect("the page");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ") && line.contains("::")).collect();
    let named: Vec<String> = rows.iter().filter_map(|row| row.split('`').nth(1)).map(str::to_owned).collect();
    assert_eq!(named.len(), rows.len(), "each row names one test");
    let once: BTreeSet<String> = named.iter().cloned().collect();
    assert_eq!(once.len(), named.len(), "no test is named twice");
    assert_eq!(once, tests());
    let empty = rows.iter().find(|row| row.split('|').filter(|cell| !cell.trim().is_empty()).count() != 4);
    assert_eq!(empty, None, "each row has a corner, peers, a transport and a test");
}

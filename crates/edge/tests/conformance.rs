//! The page of what a B2BUA must get right: each test that it names is where the page says it is.
//!
//! A page that promises what nobody holds any more is worse than none. Refuses to know: whether what the page says is so; the tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use std::collections::BTreeMap;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// Corners.
const CORNERS: usize = 28;

/// A file, and tests in it.
type Held<'p> = (&'p str, Vec<&'p str>);

/// What stands between backquotes.
fn quoted(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

/// Whether a file has this function, and it is a test.
fn is_test(text: &str, name: &str) -> bool {
    let Some((before, _)) = text.split_once(&format!("fn {name}(")) else { return false };
    // Attributes and comments may stand between; another function may not.
    before.rsplit("fn ").next().is_some_and(|since| since.contains("#[test]"))
}

/// For each corner its number and the tests it names, by file.
fn corners(page: &str) -> Vec<(usize, Vec<Held<'_>>)> {
    let mut corners: Vec<(usize, Vec<Held<'_>>)> = Vec::new();
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            let number = title.split('.').next().unwrap().parse().expect("a number");
            corners.push((number, Vec::new()));
        } else if line.starts_with("- `") {
            let names = quoted(line);
            let (_, files) = corners.last_mut().expect("a corner before it");
            files.push((names[0], names[1..].to_vec()));
        }
    }
    corners
}

#[test]
fn every_corner_is_held_by_tests_that_exist() {
    let page = std::fs::read_to_string(format!("{ROOT}/docs/reference/conformance.md")).expect("the page");
    let corners = corners(&page);
    let numbers: Vec<usize> = corners.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=CORNERS).collect::<Vec<_>>());
    let mut texts: BTreeMap<&str, String> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (number, files) in &corners {
        assert!(files.iter().any(|(_, tests)| !tests.is_empty()), "corner {number} is held by nothing");
        for (file, tests) in files {
            let text = texts
                .entry(file)
                .or_insert_with(|| std::fs::read_to_string(format!("{ROOT}/{file}")).unwrap_or_default());
            let missing = tests.iter().filter(|test| !is_test(text, test));
            wrong.extend(missing.map(|test| format!("corner {number}: {file} has no test `{test}`")));
        }
    }
    assert!(wrong.is_empty(), "the page names tests that do not exist:\n{}", wrong.join("\n"));
}

#[test]
fn a_name_that_is_no_test_is_found_out() {
    let text = "#[test]\n/// Why.\nfn held() {}\nfn helper() {}\n";
    assert!(is_test(text, "held"));
    assert!(!is_test(text, "helper") && !is_test(text, "hel") && !is_test("", "held"));
}

//! The documentation holds together: every link leads somewhere, every page is in the table of contents, every example passes the check.
#![allow(clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the tree")
}

/// Files below a folder that end so.
fn below(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(below(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Text without what stands between fences or back quotes, where nothing is a link.
fn prose(text: &str) -> String {
    let outside = text.split("\n```").step_by(2).collect::<Vec<_>>().join("\n");
    outside.split('`').step_by(2).collect::<Vec<_>>().join("")
}

/// Where the links of a page lead.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    prose.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
}

/// Anchors of a page's headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let headings = text.lines().filter(|line| {
        fenced ^= line.starts_with("```");
        !fenced && line.starts_with('#')
    });
    let anchor = |line: &str| {
        let kept = line.trim_start_matches('#').trim().to_lowercase();
        kept.chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .collect::<String>()
            .replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let root = root();
    let mut pages = below(&root.join("docs"), ".md");
    pages.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|page| root.join(page)));
    let (mut dead, mut followed) = (Vec::new(), 0);
    for page in &pages {
        let text = fs::read_to_string(page).expect("a page");
        for link in links(&text).into_iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            followed += 1;
            let (file, heading) =
                link.split_once('#').map_or((link.as_str(), None), |(file, heading)| (file, Some(heading)));
            let to = if file.is_empty() { page.clone() } else { page.parent().expect("a folder").join(file) };
            let there = fs::read_to_string(&to).ok();
            let good = match (there, heading) {
                // A folder, or a picture.
                (None, heading) => to.exists() && heading.is_none(),
                (Some(text), Some(heading)) => anchors(&text).contains(heading),
                (Some(_), None) => true,
            };
            if !good {
                dead.push(format!("{}: {link}", page.strip_prefix(&root).expect("below it").display()));
            }
        }
    }
    assert!(dead.is_empty(), "dead links:\n{}", dead.join("\n"));
    assert!(followed > 50, "{followed} links only: are they still found?");
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let docs = root().join("docs");
    let summary = fs::read_to_string(docs.join("SUMMARY.md")).expect("the table of contents");
    let listed: BTreeSet<PathBuf> = links(&summary).into_iter().map(|link| docs.join(link)).collect();
    let pages = below(&docs, ".md").into_iter().filter(|page| !page.ends_with("SUMMARY.md"));
    let missing: Vec<PathBuf> = pages.filter(|page| !listed.contains(page)).collect();
    assert!(missing.is_empty(), "not in docs/SUMMARY.md: {missing:?}");
}

#[test]
fn every_example_passes_the_check_and_says_what_the_other_side_needs() {
    let root = root();
    let examples: Vec<PathBuf> = fs::read_dir(root.join("examples"))
        .expect("examples")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        // A plan for `throughline drill` is no configuration; whoever reads it tries it in a test of his own.
        .filter(|path| !path.ends_with("drill.toml"))
        .chain([root.join("packaging/edge.toml")])
        .collect();
    assert!(examples.len() >= 6, "{examples:?}");
    for example in examples {
        let text = fs::read_to_string(&example).expect("an example");
        let mut check = Command::new(env!("CARGO_BIN_EXE_throughline"));
        check.arg("check").arg(&example);
        for secret in text.split("\"env:").skip(1).filter_map(|rest| rest.split('"').next()) {
            check.env(secret, "a secret");
        }
        let output = check.output().expect("the binary runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        // A certificate is the reader's own, and not here.
        let (absent, said): (Vec<&str>, Vec<&str>) = said.lines().partition(|line| line.contains("give a certificate"));
        assert!(output.status.success() || absent.len() == text.matches("certificate = ").count(), "{absent:?}");
        assert_eq!(said, [format!("{}: good", example.display())]);
        assert!(text.starts_with('#'), "{} begins with what it is for", example.display());
    }
}

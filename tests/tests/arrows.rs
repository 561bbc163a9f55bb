//! The house's arrows, read from `cargo metadata`: which crate may know which, and which outside crates a pure one may use.
#![allow(clippy::expect_used)]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Crate → crates of the house it may import, besides `model`, which everyone may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("sip", &[]),
    ("media", &[]),
    ("sense", &[]),
    ("decide", &[]),
    ("act", &["sip", "media", "decide"]),
    ("explain", &["decide"]),
    ("edge", &["sip", "media", "sense", "decide", "act", "explain"]),
    ("agent", &["sip", "media"]),
    ("sim", &["edge", "agent", "sip", "media", "sense", "decide", "explain"]),
    ("store", &["explain"]),
    ("api", &["edge", "explain"]),
    ("node", &["edge", "agent", "store", "api", "sip", "media", "explain", "decide", "sense", "act"]),
    ("throughline", &["node", "sim", "api", "explain", "edge", "agent"]),
];

/// Crates without clock, socket, thread or file.
const PURE: &[&str] = &["model", "sip", "media", "sense", "decide", "act", "explain", "edge", "agent", "sim"];

/// Outside crates that bring data structures, arithmetic or text, and no world with them.
const WORLDLESS: &[&str] = &[
    "aes",
    "aes-gcm",
    "base64ct",
    "ctr",
    "foldhash",
    "hashbrown",
    "hmac",
    "jiff",
    "libm",
    "md-5",
    "memchr",
    "ropus",
    "serde",
    "serde_json",
    "sha1",
    "sha2",
    "slab",
    "smallvec",
    "subtle",
    "toml",
    "zeroize",
];

fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata speaks JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let normal = package["dependencies"].as_array().expect("dependencies").iter();
            let normal = normal.filter(|dependency| dependency["kind"].is_null());
            let names = normal.filter_map(|dependency| dependency["name"].as_str()).map(str::to_owned);
            (package["name"].as_str().expect("name").to_owned(), names.collect())
        })
        .collect()
}

#[test]
fn every_arrow_is_one_that_the_architecture_draws() {
    let found = dependencies();
    let house: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    for (name, allowed) in ARROWS {
        let uses = found.get(*name).unwrap_or_else(|| panic!("crate {name} is missing"));
        for used in uses.iter().filter(|used| house.contains(used.as_str()) && *used != "model") {
            assert!(
                allowed.contains(&used.as_str()),
                "{name} must not import {used}: draw the arrow in ARCHITECTURE.md or do without"
            );
        }
    }
}

#[test]
fn sense_and_decide_meet_only_in_model() {
    let found = dependencies();
    for name in ["sense", "decide"] {
        let inside: Vec<_> = found[name].iter().filter(|used| ARROWS.iter().any(|(house, _)| house == used)).collect();
        assert_eq!(inside, ["model"], "{name} sees no protocol");
    }
}

#[test]
fn pure_crates_take_no_world_from_outside() {
    let found = dependencies();
    let house: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    for name in PURE {
        for used in found[*name].iter().filter(|used| !house.contains(used.as_str())) {
            assert!(WORLDLESS.contains(&used.as_str()), "{name} is pure and must not import {used}");
        }
    }
}

#[test]
fn no_crate_of_the_house_is_forgotten_here() {
    let drawn: BTreeSet<String> = ARROWS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let only_tests = |name: &String| ["interop", "allocations", "peers"].contains(&name.as_str());
    let found: BTreeSet<String> = dependencies().into_keys().filter(|name| !only_tests(name)).collect();
    assert_eq!(found, drawn);
}

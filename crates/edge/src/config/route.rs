//! `[[route]]`: which calls go to which group.

use super::edge::number;
use super::fault::Faults;
use super::reader::{At, Node, Reader, many};
use super::schema::{Section, needed, other};
use super::value;
use core::ops::Range;

pub(super) static ROUTE: Section = Section {
    title: "[[route]]",
    example: "[[route]]",
    about: "Which calls go to which group. The first that matches wins.",
    keys: &[
        other("from", "list of trunks", "from any trunk", "[\"office\"]", "Trunks the call came from."),
        other(
            "prefixes",
            "list of prefixes",
            "any number",
            "[\"+47\", \"00\"]",
            "Beginnings of the called number, as dialled.",
        ),
        needed("to", "name of a group", "\"carriers\"", "Where it goes."),
    ],
};

/// `[[route]]` as read.
#[derive(Debug)]
pub(super) struct RouteDraft {
    /// Where the table begins.
    pub(super) at: Range<usize>,
    pub(super) from: Vec<At<String>>,
    pub(super) prefixes: Vec<String>,
    pub(super) to: Option<At<String>>,
}

pub(super) fn read(root: &Reader<'_, '_>, faults: &mut Faults<'_>) -> Vec<RouteDraft> {
    let Some(node) = root.get("route") else { return Vec::new() };
    let Some(list) = node.get_ref().as_array() else {
        let fix = node.get_ref().as_table().map(|_| String::from("write `[[route]]`, with two brackets"));
        faults.error(&node.span(), format!("`route` is {}", value::found(node)), "a list of `[[route]]` tables", fix);
        return Vec::new();
    };
    list.iter().filter_map(|node| read_one(node, faults)).collect()
}

fn read_one(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<RouteDraft> {
    let at = node.span();
    let reader = Reader::open(node, &at, &ROUTE, faults)?;
    let from = reader.get("from").map(|node| many(node, faults, value::text)).unwrap_or_default();
    let prefixes = reader.get("prefixes").map(|node| many(node, faults, number)).unwrap_or_default();
    let to = reader.need("to", faults, value::text).map(|value| At { value, at: reader.place("to") });
    for key in ["from", "prefixes"] {
        if reader.get(key).is_some_and(|node| node.get_ref().as_array().is_some_and(|list| list.is_empty())) {
            let fix = Some(format!("remove `{key}` if any is meant"));
            faults.error(&reader.place(key), format!("`{key}` is empty"), "at least one", fix);
        }
    }
    let prefixes = prefixes.into_iter().map(|prefix| prefix.value).collect();
    Some(RouteDraft { at, from, prefixes, to })
}

//! Request-URI and Route of a request inside a dialog: RFC 3261 12.2.1.1, loose and strict routers.
//!
//! Refuses to know: dialogs; it sees a list of routes and a target.

use crate::wire::NameAddr;
use alloc::vec::Vec;

/// Request-URI and Route values for a request along `routes` to `target`.
pub(crate) fn route(routes: &[Vec<u8>], target: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    match routes.split_first() {
        None => (request_uri(target), Vec::new()),
        Some((first, _)) if is_loose(first) => (request_uri(target), routes.to_vec()),
        Some((first, rest)) => {
            // A strict router wants itself in the Request-URI and the target as the last Route.
            let mut last = Vec::with_capacity(target.len() + 2);
            last.push(b'<');
            last.extend_from_slice(target);
            last.push(b'>');
            (request_uri(uri_of(first)), rest.iter().cloned().chain(core::iter::once(last)).collect())
        }
    }
}

/// The URI inside a Route value, with or without angle brackets.
pub(crate) fn uri_of(route: &[u8]) -> &[u8] {
    NameAddr::of(route).uri
}

/// A header value without its parameters: display name and `<URI>`, brackets added where there were none.
pub(crate) fn address_of(value: &[u8]) -> Vec<u8> {
    let address = NameAddr::of(value);
    let blank: &[u8] = if address.display.is_empty() { b"" } else { b" " };
    [address.display, blank, b"<", address.uri, b">"].concat()
}

/// Whether the URI has the `lr` parameter (19.1.1).
fn is_loose(route: &[u8]) -> bool {
    let uri = uri_of(route);
    let uri = &uri[..memchr::memchr(b'?', uri).unwrap_or(uri.len())];
    parameters(uri).any(|parameter| {
        let name = parameter.split(|&byte| byte == b'=').next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(b"lr")
    })
}

/// The parameters of a URI. A semicolon in the user part is not one (19.1.1), so they are sought after the `@`.
fn parameters(uri: &[u8]) -> impl Iterator<Item = &[u8]> {
    uri[host_at(uri)..].split(|&byte| byte == b';').skip(1)
}

fn host_at(uri: &[u8]) -> usize {
    memchr::memchr(b'@', uri).map_or(0, |at| at + 1)
}

/// A URI as it may stand in a request line: no headers and no `method` parameter (19.1.1, table 1).
fn request_uri(uri: &[u8]) -> Vec<u8> {
    let bare = &uri[..memchr::memchr(b'?', &uri[host_at(uri)..]).map_or(uri.len(), |at| host_at(uri) + at)];
    let start = host_at(bare);
    let end = memchr::memchr(b';', &bare[start..]).map_or(bare.len(), |at| start + at);
    let mut out = bare[..end].to_vec();
    for parameter in parameters(bare) {
        let is_method = parameter.len() >= 7 && parameter[..7].eq_ignore_ascii_case(b"method=");
        if !is_method {
            out.push(b';');
            out.extend_from_slice(parameter);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec;

    fn routed(routes: &[&str], target: &str) -> (String, Vec<String>) {
        let routes: Vec<Vec<u8>> = routes.iter().map(|route| route.as_bytes().to_vec()).collect();
        let (uri, lines) = route(&routes, target.as_bytes());
        (String::from_utf8(uri).unwrap(), lines.into_iter().map(|line| String::from_utf8(line).unwrap()).collect())
    }

    #[test]
    fn without_routes_the_target_is_called() {
        assert_eq!(routed(&[], "sip:bob@192.0.2.4"), ("sip:bob@192.0.2.4".into(), vec![]));
    }

    #[test]
    fn loose_routes_keep_the_target_12_2_1_1() {
        let routes = ["<sip:p1.example.com;lr>", "\"a <b;lr>\" <sip:p2.example.com>"];
        assert_eq!(
            routed(&routes, "sip:bob@192.0.2.4"),
            ("sip:bob@192.0.2.4".into(), vec![routes[0].into(), routes[1].into()])
        );
        assert_eq!(routed(&["<sip:p;LR=on>"], "sip:b@c").0, "sip:b@c");
    }

    #[test]
    fn a_strict_router_is_called_and_the_target_is_last_12_2_1_1() {
        let routes = ["<sip:p1.example.com;method=INVITE;transport=udp?a=b>;x=y", "<sip:p2.example.com;lr>"];
        assert_eq!(
            routed(&routes, "sip:bob@192.0.2.4;ob"),
            (
                "sip:p1.example.com;transport=udp".into(),
                vec!["<sip:p2.example.com;lr>".into(), "<sip:bob@192.0.2.4;ob>".into()]
            )
        );
    }

    #[test]
    fn lr_outside_the_uri_or_in_the_user_part_does_not_count() {
        assert!(!is_loose(b"<sip:p1.example.com>;lr"));
        assert!(!is_loose(b"<sip:a;lr@p1.example.com>"));
        assert!(!is_loose(b"<sip:p;lrx>"));
        assert!(is_loose(b"<sip:a;b@p1.example.com;transport=tcp;lr>"));
    }

    #[test]
    fn addresses_lose_their_parameters_and_keep_their_names() {
        for (value, address) in [
            ("\"A <x>;tag=1 \\\" \" <sip:a@b;user=phone>;tag=2;x", "\"A <x>;tag=1 \\\" \" <sip:a@b;user=phone>"),
            ("sip:a@b;tag=1", "<sip:a@b>"),
            ("Bob <sip:b@c>", "Bob <sip:b@c>"),
            ("<sip:b@c", "<sip:b@c>"),
        ] {
            assert_eq!(address_of(value.as_bytes()), address.as_bytes());
        }
    }
}

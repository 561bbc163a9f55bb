//! Addresses of HTTP: where others are told something.
//!
//! Refuses to know: what they are told.

use super::fault::Faults;
use super::reader::Node;
use super::trunk::Env;
use super::value;

/// Longer addresses are nobody's.
const URL_MAX: usize = 2_048;

/// An address of HTTP in its parts (RFC 9110 §4.2).
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// By TLS.
    pub secure: bool,
    /// Name or address; one of IPv6 without its brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Host and port as the header `Host` says them.
    pub authority: String,
    /// Path and query.
    pub path: String,
}

/// Never says what it found: that may be a secret.
pub(super) fn read(node: &Node<'_>, env: Env<'_>, faults: &mut Faults<'_>) -> Option<Address> {
    let written = node.get_ref().as_str().unwrap_or_default();
    let text =
        if written.starts_with("env:") { value::secret(env)(node, faults)?.reveal() } else { written.to_owned() };
    let parsed = address(&text);
    if let Err(what) = parsed {
        let fix =
            (!text.contains("://") && !text.is_empty()).then(|| String::from("begin it with https:// or http://"));
        faults.error(&node.span(), what, "an address such as \"https://hooks.example.com/edge\"", fix);
    }
    parsed.ok()
}

fn address(text: &str) -> Result<Address, &'static str> {
    let (secure, rest) = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
        _ => return Err("this is no address of HTTP"),
    };
    if text.len() > URL_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains('#') {
        return Err("this address has blanks, a fragment or letters that must be encoded, or is too long");
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.contains('@') {
        return Err("this address names a user, which is not sent");
    }
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) if host.parse::<core::net::Ipv6Addr>().is_ok() => (host, port),
        Some(_) => return Err("this address has no good host"),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':');
    if host.is_empty() || !host.bytes().all(plain) {
        return Err("this address has no good host");
    }
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => Some(if secure { 443 } else { 80 }),
        digits => digits.and_then(|digits| digits.parse().ok()).filter(|port| *port != 0),
    };
    let port = port.ok_or("this address has no good port")?;
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Ok(Address { secure, host: host.to_owned(), port, authority: authority.to_owned(), path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in [
            "",
            "ftp://a/",
            "http://",
            "http:///x",
            "https://a:0/",
            "https://a:x/",
            "https://u:p@a/",
            "http://a b/",
            "http://[::1/",
            "http://a/#x",
            "http://[1.2.3.4]/",
            "http://[::1]8/",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
        assert!(address(&format!("http://a/{}", "x".repeat(URL_MAX))).is_err());
    }
}

//! `at` of a trunk: SIP addresses, and names that lead to some (RFC 3263).
//!
//! Refuses to know: where a name leads.

use super::fault::Faults;
use super::reader::Node;
use super::value::{self, SipAddress, short};
use crate::names::Spot;
use crate::names::locate::Named;
use model::Name;
use sip::Transport;
use std::sync::Arc;

/// `"sip:ADDRESS:PORT"` or `"sip:NAME"` of a trunk.
pub(super) fn spot(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<Spot> {
    let text = node.get_ref().as_str().unwrap_or_default();
    match named(text) {
        Some(Ok(named)) => Some(Spot::Named(named)),
        Some(Err((what, fix))) => {
            faults.error(&node.span(), what, "\"sip:NAME\" or \"sip:ADDRESS:PORT\"", fix);
            None
        }
        None => value::sip_target(node, faults).map(|SipAddress { transport, addr }| Spot::At(addr, transport)),
    }
}

/// The name of a host, for others to read.
pub(super) fn host_name(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<Arc<str>> {
    let text = node.get_ref().as_str().unwrap_or_default();
    let name = is_name(text).then(|| Arc::from(text));
    if name.is_none() {
        faults.error(
            &node.span(),
            format!("this is {}", value::found(node)),
            "a host name, such as \"sbc.example.com\"",
            None,
        );
    }
    name
}

type Unfit = (String, Option<String>);

/// None when it is no name at all: then it is to be an address.
fn named(text: &str) -> Option<Result<Named, Unfit>> {
    let secure = text.starts_with("sips:");
    let rest = text.strip_prefix("sip:").or_else(|| text.strip_prefix("sips:"))?;
    let (place, params) = rest.split_once(';').unwrap_or((rest, ""));
    let (host, port) = place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port)));
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if !is_name(&host) {
        return None;
    }
    let port = match port.map(str::parse::<u16>) {
        None => None,
        Some(Ok(port)) if port != 0 => Some(port),
        Some(_) => {
            let fix = format!("write \"sip:{}:5060\", or no port to find it by SRV", short(&host));
            return Some(Err((format!("{} has no good port", short(place)), Some(fix))));
        }
    };
    let transport = match transport(params, secure, &host) {
        Ok(transport) => transport,
        Err(unfit) => return Some(Err(unfit)),
    };
    Some(Ok(Named { host: Name::from(host.as_str()), port, transport, secure }))
}

fn transport(params: &str, secure: bool, host: &str) -> Result<Option<Transport>, Unfit> {
    let scheme = if secure { "sips" } else { "sip" };
    let mut found = None;
    for param in params.split(';').filter(|param| !param.is_empty()) {
        found = match param.to_ascii_lowercase().as_str() {
            "transport=udp" if secure => {
                let fix = format!("write \"sips:{}\"", short(host));
                return Err((String::from("`sips:` is never reached by UDP"), Some(fix)));
            }
            "transport=udp" => Some(Transport::Udp),
            "transport=tcp" => Some(Transport::Tcp),
            "transport=tls" => Some(Transport::Tls),
            _ => {
                let what = String::from("only `;transport=` with udp, tcp or tls has a meaning here");
                return Err((what, Some(format!("write \"{scheme}:{}\"", short(host)))));
            }
        };
    }
    Ok(found)
}

/// RFC 1035 §2.3.1, with the digits at the front that RFC 1123 §2.1 allows and the underscores that zones have; what ends in a number is
/// an address, or meant to be one.
fn is_name(host: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let label = |label: &str| (1..=63).contains(&label.len()) && label.chars().all(plain) && !label.starts_with('-');
    let last = host.rsplit('.').next().unwrap_or_default();
    host.len() <= 253 && host.split('.').all(label) && last.chars().any(|c| c.is_ascii_alphabetic())
}

//! `[hep]`: the collector that is told each SIP message, by HEP3.

use super::fault::Faults;
use super::reader::{Node, Reader};
use super::schema::{Section, is, needed, other};
use super::trunk::Env;
use super::value;
use core::net::{IpAddr, SocketAddr};

pub(super) static HEP: Section = Section {
    title: "[hep]",
    example: "[hep]",
    about: "A collector of HEP3, such as Homer, that is told each SIP message the edge sends and receives, keys and digests masked. It goes by UDP and in the clear: \
            keep it on a network of your own.",
    keys: &[
        needed("to", "\"udp:ADDRESS:PORT\"", "\"udp:192.0.2.60:9060\"", "Where the collector listens."),
        is("id", "count", "1", "Number of this edge among those who tell the collector (capture agent id)."),
        other(
            "password",
            "\"env:NAME\"",
            "none is shown",
            "\"env:HEP_PASSWORD\"",
            "Environment variable with what the collector knows its own by. It is no protection: each packet shows it.",
        ),
    ],
};

/// Longer ones are nobody's.
const PASSWORD_MAX: usize = 256;
/// Where collectors usually listen.
const PORT: u16 = 9060;

/// Who is told each message.
#[derive(Clone, PartialEq, Eq)]
pub struct Collector {
    /// Where it listens, by UDP.
    pub to: SocketAddr,
    /// As which capture agent.
    pub id: u32,
    /// What it is shown; empty when nothing.
    pub password: String,
}

/// The password is not shown.
impl core::fmt::Debug for Collector {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Collector").field("to", &self.to).field("id", &self.id).finish_non_exhaustive()
    }
}

pub(super) fn read(root: &Reader<'_, '_>, env: Env<'_>, faults: &mut Faults<'_>) -> Option<Collector> {
    let node = root.get("hep")?;
    let reader = Reader::open(node, &node.span(), &HEP, faults)?;
    let to = reader.need("to", faults, address);
    let mut id = 1;
    reader.set("id", &mut id, faults, value::count(1, u32::MAX));
    let password = reader.read("password", faults, value::secret(env)).map(value::Secret::reveal).unwrap_or_default();
    if password.len() > PASSWORD_MAX {
        let what = format!("{} bytes are more than each packet should bear", password.len());
        faults.error(&reader.place("password"), what, format!("at most {PASSWORD_MAX} bytes"), None);
    }
    Some(Collector { to: to?, id, password })
}

fn address(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<SocketAddr> {
    let text = node.get_ref().as_str().unwrap_or_default();
    let (transport, rest) = match text.split_once(':') {
        Some((word, rest)) if value::transport(word).is_some() => (word, rest),
        _ => ("", text),
    };
    let whole = rest.parse::<SocketAddr>().ok().filter(|address| address.port() != 0);
    if let Some(address) = whole.filter(|_| transport == "udp") {
        return Some(address);
    }
    let bare = rest.trim_matches(['[', ']']).parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, PORT));
    let fix = whole.or(bare).map(|address| format!("write \"udp:{address}\""));
    faults.error(&node.span(), format!("{} is no collector", value::found(node)), "\"udp:ADDRESS:PORT\"", fix);
    None
}

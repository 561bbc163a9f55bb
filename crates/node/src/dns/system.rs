//! The system's own name servers, from `/etc/resolv.conf`.
//!
//! Only its `nameserver` lines: trunks are named in full, so no search list applies, and how long and how often to ask is the edge's own
//! configuration. Refuses to know: who asks them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const FILE: &str = "/etc/resolv.conf";
const PORT: u16 = 53;
/// Servers taken from the file.
const SERVERS_MAX: usize = 8;

/// Who is to be asked now.
pub(super) fn servers() -> Vec<SocketAddr> {
    // Without the file it is the host itself, as resolv.conf(5) says.
    parse(&std::fs::read_to_string(FILE).unwrap_or_default())
}

fn parse(text: &str) -> Vec<SocketAddr> {
    let named = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == "nameserver").then(|| words.next()).flatten()
    });
    let mut servers: Vec<SocketAddr> = Vec::new();
    for word in named {
        match word.parse::<IpAddr>() {
            Ok(ip) if servers.len() < SERVERS_MAX && !servers.iter().any(|known| known.ip() == ip) => {
                servers.push(SocketAddr::new(ip, PORT));
            }
            Ok(_) => {}
            Err(_) => tracing::warn!("{FILE}: `{word}` is not an address; this name server is not asked"),
        }
    }
    if servers.is_empty() {
        servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT));
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read_and_nothing_else() {
        let text = "# nameserver 192.0.2.1\nsearch example\nnameserver 192.0.2.53 # first\nnameserver\t2001:db8::53\n\
                    nameserver 192.0.2.53\nnameserver fe80::1%eth0\noptions timeout:1\n";
        let expected: Vec<SocketAddr> =
            ["192.0.2.53:53", "[2001:db8::53]:53"].map(|at| at.parse().expect("an address")).to_vec();
        assert_eq!(parse(text), expected);
    }

    #[test]
    fn without_any_it_is_the_host_itself() {
        let own: Vec<SocketAddr> = vec!["127.0.0.1:53".parse().expect("an address")];
        assert_eq!(parse(""), own);
        assert_eq!(parse("nameserver\nnameserver here\n"), own);
    }
}

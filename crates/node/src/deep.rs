//! What this machine, its name servers and the journal tell about a configuration: the facts of `check --deep`.
//!
//! Nothing is sent but questions to name servers, and nothing stays open. Refuses to know: what is good or bad.

use crate::clock::{Clock, wait_ms};
use crate::dns::{self, Dns};
use crate::load::{self, Refused};
use crate::net::epoll::{Epoll, Trigger};
use crate::net::wake::Waker;
use crate::ring::ring;
use edge::config::{MediaRange, Settings};
use edge::deep::{Facts, Ports, Way};
use edge::{Control, ControlInput, ControlOutput};
use model::{ListenId, Seq, SocketId, Span};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::Reader;

/// How long the name servers have for all names.
const LOOKUPS: Span = Span::from_secs(10);
/// Answers that may wait.
const ANSWERS: usize = 256;
/// How soon an edge that runs here accepts a connection.
const API: Duration = Duration::from_millis(500);
/// Seconds of a day.
const DAY: i64 = 86_400;

/// The settings with their names followed, and what the world tells of them.
///
/// # Errors
/// The configuration's own files cannot be used, or the system gives no thread.
pub fn facts(settings: Settings, path: &Path) -> Result<(Arc<Settings>, Facts), Refused> {
    let clock = Clock::start();
    let certificates = load::certificates(&settings, path, clock.wall())?;
    let now = clock.wall().as_micros() / 1_000_000;
    let certificates = certificates.expiry.iter().map(|(file, ends)| (file.clone(), (ends - now).div_euclid(DAY)));
    let certificates = certificates.collect();
    let resolvers = dns::servers(&settings.dns);
    let settings = followed(settings, clock).map_err(|error| {
        let text = format!("names cannot be looked up: {error}; look at the limits of processes and open files");
        Refused { faults: 1, first: text.clone(), text }
    })?;
    let peaks = settings.data.as_deref().and_then(|folder| Reader::open(Path::new(folder)).ok()?.peaks().ok());
    let (ways, ports) = (ways(&settings), ports(&settings));
    Ok((settings, Facts { resolvers, ways, certificates, ports, peaks: peaks.unwrap_or_default() }))
}

/// Where the names of all trunks lead now, by the edge's own way of following them.
fn followed(settings: Settings, clock: Clock) -> io::Result<Arc<Settings>> {
    let settings = Arc::new(settings);
    if settings.named.is_empty() {
        return Ok(settings);
    }
    let waker = Waker::new()?;
    let epoll = &mut Epoll::new(1)?;
    epoll.add(&waker, 0, Trigger::Edge)?;
    let (answers_in, mut answers) = ring(ANSWERS, &waker);
    let mut dns = Dns::start(&settings.dns, answers_in)?;
    let mut control = Control::new(clock.now(), clock.wall(), settings, 0, Seq(1));
    let until = clock.now() + LOOKUPS;
    let mut open = 0_u32;
    loop {
        while let Some(output) = control.poll() {
            if let ControlOutput::Lookup(question) = output {
                dns.ask(question);
                open += 1;
            }
        }
        if open == 0 || clock.now() >= until {
            return Ok(control.snapshot().settings.clone());
        }
        epoll.wait(wait_ms(clock.now(), Some(until)))?;
        waker.awake();
        while let Some((question, reply)) = answers.next() {
            open = open.saturating_sub(1);
            control.handle(clock.now(), clock.wall(), ControlInput::Resolved { question, reply });
        }
    }
}

/// How the system would send to each target. A socket that is connected tells it, and sends nothing.
fn ways(settings: &Settings) -> BTreeMap<IpAddr, Option<Way>> {
    let targets = settings.profiles.trunks.iter().flatten().flat_map(|trunk| &trunk.targets);
    let routes = Routes::read();
    let way = |from: IpAddr, to: SocketAddr| {
        let socket = UdpSocket::bind((from, 0)).ok()?;
        socket.connect(to).ok()?;
        Some(Way { local: socket.local_addr().ok()?.ip(), interface: routes.interface(to.ip()) })
    };
    let from = |socket: SocketId| settings.sockets.get(socket.index()).map(|socket| socket.bind.ip());
    targets.map(|target| (target.addr.ip(), from(target.socket).and_then(|from| way(from, target.addr)))).collect()
}

/// The main routing tables, as the kernel shows them to everybody. Rules that choose another table by the sender are not seen.
#[derive(Debug, Default)]
struct Routes {
    /// Network, bits of it, cost, interface.
    v4: Vec<(u32, u32, u32, String)>,
    v6: Vec<(u128, u32, u32, String)>,
}

impl Routes {
    fn read() -> Self {
        let text = |file| std::fs::read_to_string(file).unwrap_or_default();
        Self::parse(&text("/proc/net/route"), &text("/proc/net/ipv6_route"))
    }

    /// proc(5): addresses of IPv4 are in the machine's own order of bytes, those of IPv6 as they are written.
    fn parse(v4: &str, v6: &str) -> Self {
        let hex = |text: &str| u32::from_str_radix(text, 16).ok();
        let old = v4.lines().skip(1).filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (network, mask) = (hex(fields.get(1)?)?, hex(fields.get(7)?)?);
            let cost = fields.get(6)?.parse().ok()?;
            Some((u32::from_be(network), u32::from_be(mask).count_ones(), cost, (*fields.first()?).to_owned()))
        });
        let new = v6.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let network = u128::from_str_radix(fields.first()?, 16).ok()?;
            let (bits, cost) = (hex(fields.get(1)?)?, hex(fields.get(5)?)?);
            // What the kernel refuses is in the table too (RTF_REJECT).
            let refused = hex(fields.get(8)?)? & 0x0200 != 0;
            (!refused).then(|| fields.last().map(|name| (network, bits, cost, (*name).to_owned()))).flatten()
        });
        Self { v4: old.collect(), v6: new.collect() }
    }

    /// By the longest prefix, and the least cost among those.
    fn interface(&self, to: IpAddr) -> Option<String> {
        match to {
            IpAddr::V4(ip) if ip.is_loopback() => Some("lo".to_owned()),
            IpAddr::V6(ip) if ip.is_loopback() => Some("lo".to_owned()),
            IpAddr::V4(ip) => {
                let ip = ip.to_bits();
                let fits = self
                    .v4
                    .iter()
                    .filter(|(network, bits, ..)| (ip ^ network).checked_shr(32 - bits).unwrap_or(0) == 0);
                fits.min_by_key(|(_, bits, cost, _)| (32 - bits, *cost)).map(|(.., name)| name.clone())
            }
            IpAddr::V6(ip) => {
                let ip = ip.to_bits();
                let fits = self
                    .v6
                    .iter()
                    .filter(|(network, bits, ..)| (ip ^ network).checked_shr(128 - bits).unwrap_or(0) == 0);
                fits.min_by_key(|(_, bits, cost, _)| (128 - bits, *cost)).map(|(.., name)| name.clone())
            }
        }
    }
}

/// Whether the media ports can be opened. While an edge runs here it has them itself, and nothing is tried.
fn ports(settings: &Settings) -> BTreeMap<ListenId, Ports> {
    if settings.api.is_some_and(|at| TcpStream::connect_timeout(&at, API).is_ok()) {
        return BTreeMap::new();
    }
    let ranges = (0_u16..).zip(&settings.listens).filter_map(|(id, listen)| Some((ListenId(id), listen.media?)));
    ranges.map(|(id, range)| (id, tried(&range))).collect()
}

fn tried(range: &MediaRange) -> Ports {
    let bind = |port| UdpSocket::bind(SocketAddr::new(range.bind, port));
    let (mut taken, mut first) = (0, None);
    for port in (range.first..range.last).step_by(2) {
        match bind(port).and_then(|rtp| Ok((rtp, bind(port + 1)?))) {
            Ok(_closed) => {}
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => return Ports::Foreign,
            Err(_) => {
                taken += 1;
                first = first.or(Some(port));
            }
        }
    }
    Ports::Tried { taken, first }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, clippy::panic)]

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_longest_prefix_names_the_interface_and_then_the_least_cost() {
        // 0.0.0.0/0 by eth0 and, dearer, by eth1; 198.51.100.0/24 by eth1, as a little-endian machine prints them.
        let v4 = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
                  eth1 00000000 010200C0 0003 0 0 200 00000000 0 0 0\n\
                  eth0 00000000 010200C0 0003 0 0 100 00000000 0 0 0\n\
                  eth1 006433C6 00000000 0001 0 0 0 00FFFFFF 0 0 0\n";
        let v6 = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200 lo\n\
                  20010db8000100000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth2\n";
        let routes = Routes::parse(v4, v6);
        let by = |to| routes.interface(ip(to));
        assert_eq!(by("203.0.113.5").as_deref(), Some("eth0"));
        assert_eq!(by("127.0.0.9").as_deref(), Some("lo"));
        assert_eq!(by("2001:db8:1::9").as_deref(), Some("eth2"));
        assert_eq!(by("2001:db8:2::9"), None, "what is refused is no way");
        if cfg!(target_endian = "little") {
            assert_eq!(by("198.51.100.77").as_deref(), Some("eth1"));
        }
    }

    #[test]
    fn ports_that_others_have_are_counted_and_foreign_addresses_told() {
        let process = std::process::id();
        let bind = ip(&format!("127.{}.{}.201", process >> 8 & 0x7f | 0x80, process & 0xff));
        let range = MediaRange { bind, advertised: bind, first: 20_000, last: 20_009 };
        assert_eq!(tried(&range), Ports::Tried { taken: 0, first: None });
        let _other = UdpSocket::bind((bind, 20_005)).expect("a port");
        assert_eq!(tried(&range), Ports::Tried { taken: 1, first: Some(20_004) });
        let foreign = MediaRange { bind: ip("203.0.113.1"), ..range };
        assert_eq!(tried(&foreign), Ports::Foreign);
    }

    #[test]
    fn the_facts_of_a_configuration_on_loopback() {
        let config = "[listen.wan]\nsip = \"udp:127.0.0.1:5060\"\nmedia = \"127.0.0.1:20000-20009\"\n[edge]\napi = false\n\
                      [dns]\nservers = [\"127.0.0.1:1\"]\n[trunk.acme]\nat = \"sip:127.0.0.2\"\nlisten = \"wan\"\n";
        let loaded = load::text("test", config, None).unwrap_or_else(|refused| panic!("{}", refused.text));
        let (settings, facts) =
            facts(loaded.settings, Path::new("edge.toml")).unwrap_or_else(|refused| panic!("{}", refused.text));
        let way = facts.ways.get(&ip("127.0.0.2")).cloned().flatten().expect("a way");
        assert_eq!((way.local, way.interface.as_deref()), (ip("127.0.0.1"), Some("lo")));
        assert_eq!(facts.resolvers, ["127.0.0.1:1".parse().expect("an address")]);
        assert_eq!((facts.ports.len(), settings.listens.len()), (1, 1));
    }
}

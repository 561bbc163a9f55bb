//! Values as people write them: durations, percent, addresses, ranges of ports, SIP URIs, secrets.
//!
//! Each parser takes a value with its place and reports by itself what is wrong with it, with the likely fix. Refuses
//! to know: which key a value belongs to, and what it is for.

use super::fault::Faults;
use super::reader::Node;
use super::suggest::{did_you_mean, list};
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use model::Span;
use sense::CodeClass;
use sip::Transport;
use toml::de::DeValue;

/// What was found instead, in words. Never call this on a secret.
pub(super) fn found(node: &Node<'_>) -> String {
    match node.get_ref() {
        DeValue::String(text) => format!("the text \"{}\"", short(text)),
        DeValue::Integer(number) => format!("the number {}", short(number.as_str())),
        DeValue::Float(number) => format!("the number {}", short(number.as_str())),
        DeValue::Boolean(value) => format!("`{value}`"),
        DeValue::Datetime(_) => String::from("a date"),
        DeValue::Array(_) => String::from("a list"),
        DeValue::Table(_) => String::from("a table"),
    }
}

/// Text cut to a length fit for a message, without control characters.
pub(super) fn short(text: &str) -> String {
    let clean = |c: char| if c.is_control() { '?' } else { c };
    let mut cut: String = text.chars().take(40).map(clean).collect();
    if text.chars().nth(40).is_some() {
        cut.push('…');
    }
    cut
}

/// Any text.
pub fn text(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<String> {
    let text = node.get_ref().as_str();
    if text.is_none() {
        faults.error(&node.span(), format!("this is {}", found(node)), "text in quotes", None);
    }
    text.map(String::from)
}

/// `true` or `false`.
pub fn flag(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<bool> {
    let flag = node.get_ref().as_bool();
    if flag.is_none() {
        let fix = node.get_ref().as_str().and_then(|text| match text {
            "yes" | "on" | "true" => Some(String::from("write true, without quotes")),
            "no" | "off" | "false" => Some(String::from("write false, without quotes")),
            _ => None,
        });
        faults.error(&node.span(), format!("this is {}", found(node)), "true or false", fix);
    }
    flag
}

fn integer(node: &Node<'_>) -> Option<i64> {
    let number = node.get_ref().as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// A whole number within bounds, both included.
pub fn count<T: TryFrom<i64> + PartialOrd + fmt::Display + Copy>(
    least: T,
    most: T,
) -> impl Fn(&Node<'_>, &mut Faults<'_>) -> Option<T> {
    move |node, faults| {
        let value = integer(node).and_then(|number| T::try_from(number).ok());
        let good = value.filter(|value| (least..=most).contains(value));
        if good.is_none() {
            let plain = node.get_ref().as_str().and_then(|text| text.trim().parse::<i64>().ok());
            let fix = plain.map(|number| format!("write {number}, without quotes"));
            let expected = format!("a whole number from {least} to {most}");
            faults.error(&node.span(), format!("this is {}", found(node)), expected, fix);
        }
        good
    }
}

/// A duration with its unit, within bounds, both included.
pub fn span(least: Span, most: Span) -> impl Fn(&Node<'_>, &mut Faults<'_>) -> Option<Span> {
    move |node, faults| {
        let expected = "a duration with its unit, such as \"250ms\", \"5s\" or \"2min\"";
        let span = node.get_ref().as_str().ok_or(None).and_then(parse_span);
        match span {
            Ok(span) if span < least || span > most => {
                let what = format!("{} is too {}", span, if span < least { "short" } else { "long" });
                faults.error(&node.span(), what, format!("a duration from {least} to {most}"), None);
                None
            }
            Ok(span) => Some(span),
            Err(unit) => {
                let number = integer(node).map(|number| format!("write \"{number}s\" or \"{number}ms\""));
                faults.error(&node.span(), format!("{} is no duration", found(node)), expected, unit.or(number));
                None
            }
        }
    }
}

/// A duration as an argument of a command, in the words of a configuration.
///
/// # Errors
/// What is wrong with it, and what to write.
pub fn duration(text: &str, least: Span, most: Span) -> Result<Span, String> {
    match parse_span(text) {
        Ok(span) if span < least => Err(format!("{span} is too short: a duration from {least} to {most}")),
        Ok(span) if span > most => Err(format!("{span} is too long: a duration from {least} to {most}")),
        Ok(span) => Ok(span),
        Err(fix) => Err(fix.unwrap_or_else(|| String::from("no duration: write one with its unit, such as \"24h\""))),
    }
}

/// `250ms`, `1.5s`, `2 min`. The error is the likely fix, if there is one.
fn parse_span(text: &str) -> Result<Span, Option<String>> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..split], text[split..].trim());
    let unit_us: u64 = match unit {
        "us" | "µs" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "min" => 60_000_000,
        "h" => 3_600_000_000,
        "" if !number.is_empty() => return Err(Some(format!("write \"{number}s\" or \"{number}ms\""))),
        "m" => return Err(Some(format!("write \"{number}min\"; `m` could be taken for milliseconds"))),
        "sec" | "secs" | "second" | "seconds" => return Err(Some(format!("write \"{number}s\""))),
        "msec" | "millis" | "milliseconds" => return Err(Some(format!("write \"{number}ms\""))),
        "mins" | "minute" | "minutes" => return Err(Some(format!("write \"{number}min\""))),
        _ => return Err(None),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let whole: u64 = whole.parse().map_err(|_| None)?;
    let part = part.get(..part.len().min(6)).unwrap_or("0");
    let digits: u64 = part.parse().map_err(|_| None)?;
    // At most six digits, so the power is small and the product fits: 999999 × 3.6e9 < 2^63.
    let scale = 10_u64.pow(part.len() as u32);
    let us = whole.checked_mul(unit_us).and_then(|us| us.checked_add(digits * unit_us / scale)).ok_or(None)?;
    Ok(Span::from_micros(us))
}

/// Units of sizes, the largest first.
const UNITS: [(&str, usize); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// A size in bytes with its unit, within bounds, both included.
pub(super) fn size(least: usize, most: usize) -> impl Fn(&Node<'_>, &mut Faults<'_>) -> Option<usize> {
    move |node, faults| {
        let expected = format!("a size from {} to {}, in quotes", Size(least), Size(most));
        match node.get_ref().as_str().map_or(Err(None), parse_size) {
            Ok(size) if (least..=most).contains(&size) => Some(size),
            Ok(size) => {
                let what = format!("{} is too {}", Size(size), if size < least { "little" } else { "much" });
                faults.error(&node.span(), what, expected, None);
                None
            }
            Err(unit) => {
                let number = integer(node).map(|number| format!("write \"{number}MiB\" or \"{number}KiB\""));
                faults.error(&node.span(), format!("{} is no size", found(node)), expected, unit.or(number));
                None
            }
        }
    }
}

/// `64KiB`, `16 MiB`. The error is the likely fix, if there is one.
fn parse_size(text: &str) -> Result<usize, Option<String>> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let count: usize = number.parse().map_err(|_| None)?;
    let meant = |(name, _): &&(&str, usize)| {
        unit.trim().chars().next().is_some_and(|c| name.starts_with(c.to_ascii_uppercase()))
    };
    match UNITS.iter().find(|(name, _)| unit.trim() == *name) {
        Some((_, bytes)) => count.checked_mul(*bytes).ok_or(None),
        None => Err(UNITS.iter().find(meant).map(|(name, _)| format!("write \"{count}{name}\""))),
    }
}

/// A size in the largest unit in which it is whole.
struct Size(usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, bytes)| self.0.is_multiple_of(*bytes) && self.0 > 0) {
            Some((name, bytes)) => write!(f, "{}{name}", self.0 / bytes),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

/// A share, `"5%"`, from `least` to 100.
pub fn percent(least: u8) -> impl Fn(&Node<'_>, &mut Faults<'_>) -> Option<u8> {
    move |node, faults| {
        let text = node.get_ref().as_str().and_then(|text| text.trim().strip_suffix('%'));
        let good = text.and_then(|number| number.trim_end().parse::<u8>().ok()).filter(|n| (least..=100).contains(n));
        if good.is_none() {
            let bare = integer(node).or_else(|| node.get_ref().as_str().and_then(|text| text.trim().parse().ok()));
            let fix = bare.map(|number| format!("write \"{number}%\""));
            let expected = format!("a share from \"{least}%\" to \"100%\"");
            faults.error(&node.span(), format!("this is {}", found(node)), expected, fix);
        }
        good
    }
}

/// One of these words.
pub fn word(known: &'static [&'static str]) -> impl Fn(&Node<'_>, &mut Faults<'_>) -> Option<&'static str> {
    move |node, faults| {
        let written = node.get_ref().as_str().unwrap_or_default();
        let good = known.iter().copied().find(|word| *word == written);
        if good.is_none() {
            let fix = did_you_mean(written, known.iter().copied());
            faults.error(&node.span(), format!("this is {}", found(node)), list(known.iter().copied()), fix);
        }
        good
    }
}

/// A status code within bounds.
pub fn code(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<u16> {
    count(300, 699)(node, faults)
}

/// A status code or a class of them: `404`, `"404"`, `"4xx"`.
pub(super) fn code_class(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<CodeClass> {
    let text = node.get_ref().as_str().unwrap_or_default();
    let class = text.strip_suffix("xx").and_then(|class| class.parse().ok()).filter(|class| (2..=6).contains(class));
    let code = integer(node).and_then(|code| u16::try_from(code).ok()).or_else(|| text.parse().ok());
    let code = code.filter(|code| (200..=699).contains(code));
    let good = class.map(CodeClass::Class).or(code.map(CodeClass::Code));
    if good.is_none() {
        let expected = "a final status code such as 404, or a class such as \"4xx\"";
        faults.error(&node.span(), format!("this is {}", found(node)), expected, None);
    }
    good
}

/// An IP address without a port.
pub(super) fn ip(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<IpAddr> {
    let text = node.get_ref().as_str().unwrap_or_default();
    let ip = text.parse().ok();
    if ip.is_none() {
        let fix = text.parse::<SocketAddr>().ok().map(|addr| format!("leave out the port: \"{}\"", addr.ip()));
        faults.error(&node.span(), format!("{} is no IP address", found(node)), "an IP address", fix);
    }
    ip
}

/// An IP address with a port.
pub(super) fn socket(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<SocketAddr> {
    let text = node.get_ref().as_str().unwrap_or_default();
    let addr = text.parse::<SocketAddr>().ok().filter(|addr| addr.port() != 0);
    if addr.is_none() {
        let fix = text.parse::<IpAddr>().ok().map(|ip| format!("add a port: \"{}\"", SocketAddr::new(ip, 8060)));
        let fix = fix.or_else(|| {
            let port = text.strip_prefix("localhost:").or_else(|| text.strip_prefix(':'))?;
            Some(format!("write \"127.0.0.1:{}\"", short(port)))
        });
        faults.error(&node.span(), format!("{} is no address", found(node)), "\"ADDRESS:PORT\"", fix);
    }
    addr
}

/// A network, `"203.0.113.0/24"`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    pub(super) addr: IpAddr,
    pub(super) bits: u8,
}

impl Network {
    pub(super) const fn one(addr: IpAddr) -> Self {
        Self { addr, bits: if addr.is_ipv4() { 32 } else { 128 } }
    }

    fn mask(addr: IpAddr, bits: u8) -> u128 {
        let (value, width) = match addr {
            IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
            IpAddr::V6(v6) => (v6.to_bits(), 128),
        };
        let free = u32::from(128_u8.min(width).saturating_sub(bits));
        value.checked_shr(free).map_or(0, |kept| kept << free)
    }

    /// Whether each of the two has an address of the other.
    pub(super) fn meets(self, other: Self) -> bool {
        let bits = self.bits.min(other.bits);
        self.addr.is_ipv4() == other.addr.is_ipv4() && Self::mask(self.addr, bits) == Self::mask(other.addr, bits)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.bits)
    }
}

/// A network or an address.
pub(super) fn network(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<Network> {
    let text = node.get_ref().as_str().unwrap_or_default();
    let (addr, bits) = text.split_once('/').map_or((text, None), |(addr, bits)| (addr, Some(bits)));
    let network = addr.parse::<IpAddr>().ok().and_then(|addr| {
        let whole = Network::one(addr);
        let bits = bits.map_or(Some(whole.bits), |bits| bits.parse().ok())?;
        (bits <= whole.bits).then_some(Network { addr, bits })
    });
    let Some(network) = network else {
        let what = format!("{} is no network", found(node));
        faults.error(&node.span(), what, "an address or a network such as \"203.0.113.0/24\"", None);
        return None;
    };
    let base = Network::mask(network.addr, network.bits);
    let base = match network.addr {
        IpAddr::V4(_) => IpAddr::V4((base as u32).into()),
        IpAddr::V6(_) => IpAddr::V6(base.into()),
    };
    let exact = Network { addr: base, ..network };
    if exact != network {
        let what = format!("{network} has bits beyond its length");
        faults.warn(&node.span(), what, "the first address of the network", Some(format!("write \"{exact}\"")));
    }
    Some(exact)
}

/// An address and the transport it is reached by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SipAddress {
    pub(super) transport: Transport,
    pub(super) addr: SocketAddr,
}

impl SipAddress {
    /// Whether both cannot be listened on at once: datagrams and streams have ports of their own.
    pub(super) fn meets(self, other: Self) -> bool {
        self.addr == other.addr && self.transport.is_reliable() == other.transport.is_reliable()
    }
}

/// The address alone: what carries it is told where it matters.
impl fmt::Display for SipAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.addr.fmt(f)
    }
}

/// A transport by its word.
pub(super) fn transport(word: &str) -> Option<Transport> {
    match word {
        "udp" => Some(Transport::Udp),
        "tcp" => Some(Transport::Tcp),
        "tls" => Some(Transport::Tls),
        "ws" => Some(Transport::Ws),
        "wss" => Some(Transport::Wss),
        _ => None,
    }
}

/// `"udp:ADDRESS:PORT"` of a listen, or the same by another transport.
pub(super) fn sip_socket(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<SipAddress> {
    let text = node.get_ref().as_str().unwrap_or_default();
    let expected = "\"udp:ADDRESS:PORT\", or the same with `tcp`, `tls`, `ws` or `wss`";
    let (word, rest) = text.split_once(':').unwrap_or(("", text));
    let with_port = |rest: &str| rest.parse().ok().filter(|addr: &SocketAddr| addr.port() != 0);
    let addr = |rest: &str, port: u16| {
        with_port(rest).or_else(|| rest.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, port)))
    };
    match transport(word) {
        Some(transport) => match with_port(rest) {
            Some(addr) => return Some(SipAddress { transport, addr }),
            None => {
                let fix = addr(rest, transport.default_port()).map(|addr| format!("write \"{word}:{addr}\""));
                faults.error(&node.span(), format!("{} is no listening address", found(node)), expected, fix);
            }
        },
        None => {
            let fix = addr(text, 5060).map(|addr| format!("write \"udp:{addr}\""));
            faults.error(&node.span(), format!("{} is no listening address", found(node)), expected, fix);
        }
    }
    None
}

/// `"sip:ADDRESS:PORT"` of a trunk.
pub(super) fn sip_target(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<SipAddress> {
    match parse_target(node.get_ref().as_str().unwrap_or_default()) {
        Ok(target) => Some(target),
        Err((what, fix)) => {
            let what = what.map_or_else(|| format!("{} is no SIP address", found(node)), String::from);
            faults.error(&node.span(), what, "\"sip:ADDRESS:PORT\"", fix);
            None
        }
    }
}

type NoTarget = (Option<&'static str>, Option<String>);

/// The transport a trunk is reached by: `;transport=`, else UDP, or TLS for `sips:` (RFC 3261 §26.2.2).
fn target_transport(secure: bool, host: &str, params: &str) -> Result<Transport, NoTarget> {
    let mut by = if secure { Transport::Tls } else { Transport::Udp };
    for param in params.split(';').filter(|param| !param.is_empty()) {
        let param = param.to_ascii_lowercase();
        match param.strip_prefix("transport=").and_then(transport) {
            Some(Transport::Tcp | Transport::Tls) if secure => by = Transport::Tls,
            Some(Transport::Udp) if secure => {
                let fix = Some(format!("write \"sips:{}\"", short(host)));
                return Err((Some("`sips:` is never reached by UDP"), fix));
            }
            Some(written @ (Transport::Udp | Transport::Tcp | Transport::Tls)) => by = written,
            Some(Transport::Ws | Transport::Wss) => {
                let fix = Some(format!("write \"sip:{};transport=tcp\"", short(host)));
                return Err((Some("trunks are reached by udp, tcp or tls"), fix));
            }
            None => {
                let fix = Some(format!("write \"sip:{}\"", short(host)));
                return Err((Some("only `;transport=` with udp, tcp or tls has a meaning here"), fix));
            }
        }
    }
    Ok(by)
}

fn parse_target(text: &str) -> Result<SipAddress, NoTarget> {
    let Some((secure, rest)) = text.strip_prefix("sip:").map(|rest| (false, rest)).or_else(|| {
        let rest = text.strip_prefix("sips:")?;
        Some((true, rest))
    }) else {
        return Err((None, address(text, 5060).map(|addr| format!("write \"sip:{addr}\""))));
    };
    let (host, params) = rest.split_once(';').unwrap_or((rest, ""));
    let transport = target_transport(secure, host, params)?;
    if let Some((_, host)) = host.rsplit_once('@') {
        return Err((Some("a trunk has no user part"), Some(format!("write \"sip:{}\"", short(host)))));
    }
    let addr = address(host, transport.default_port());
    addr.map(|addr| SipAddress { transport, addr }).ok_or((None, None))
}

/// `ADDRESS` or `ADDRESS:PORT`, IPv6 in brackets (RFC 3261 §25.1), this port by default (§19.1.2).
fn address(text: &str, port: u16) -> Option<SocketAddr> {
    if let Ok(addr) = text.parse::<SocketAddr>() {
        return (addr.port() != 0).then_some(addr);
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().map(|ip| SocketAddr::new(ip, port))
}

/// `"ADDRESS:FIRST-LAST"`; RTP on the even port, RTCP on the next (RFC 3550 §11). The ports returned keep whole pairs only.
pub(super) fn media_range(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<(IpAddr, u16, u16)> {
    let text = node.get_ref().as_str().unwrap_or_default();
    let parsed = text.rsplit_once(':').and_then(|(addr, ports)| {
        let addr = addr.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(addr);
        let (first, last) = ports.split_once('-')?;
        Some((addr.parse::<IpAddr>().ok()?, first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?))
    });
    let Some((addr, first, last)) = parsed else {
        let fix = text.parse::<IpAddr>().ok().map(|ip| format!("add ports: \"{ip}:20000-29999\""));
        let what = format!("{} is no range of media ports", found(node));
        faults.error(&node.span(), what, "\"ADDRESS:FIRST-LAST\", such as \"192.0.2.10:20000-29999\"", fix);
        return None;
    };
    if first > last {
        let fix = Some(format!("write \"{addr}:{last}-{first}\""));
        faults.error(&node.span(), "the range ends before it begins", "the lower port first", fix);
        return None;
    }
    let even = first.checked_add(first % 2).unwrap_or(last);
    let odd = if last % 2 == 1 { last } else { last.saturating_sub(1) };
    if first < 1024 || odd <= even {
        faults.error(
            &node.span(),
            format!("no media can use ports {first} to {last}"),
            "ports from 1024, two per call",
            None,
        );
        return None;
    }
    if (even, odd) != (first, last) {
        let what = "an odd first or even last port is half a pair and stays unused";
        faults.warn(
            &node.span(),
            what,
            "an even first and an odd last port",
            Some(format!("write \"{addr}:{even}-{odd}\"")),
        );
    }
    Some((addr, even, odd))
}

/// Something that is never printed.
#[derive(Clone)]
pub(super) struct Secret(String);

impl Secret {
    /// Hands it to the one who needs it.
    pub(super) fn reveal(self) -> String {
        self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// `"env:NAME"`, or the secret itself with a warning.
pub(super) fn secret(env: &dyn Fn(&str) -> Option<String>) -> impl Fn(&Node<'_>, &mut Faults<'_>) -> Option<Secret> {
    move |node, faults| {
        let expected = "\"env:NAME\", the name of an environment variable that holds it";
        let Some(text) = node.get_ref().as_str().filter(|text| !text.is_empty()) else {
            faults.error(&node.span(), "this is no secret", expected, None);
            return None;
        };
        let Some(name) = text.strip_prefix("env:") else {
            let fix = Some(String::from("put it into the environment and write \"env:NAME\""));
            faults.warn(&node.span(), "the secret itself is in the file, for every reader of it", expected, fix);
            return Some(Secret(text.to_owned()));
        };
        let value = env(name).filter(|value| !value.is_empty());
        if value.is_none() {
            let fix = Some(format!("set {} where the edge is started", short(name)));
            faults.error(&node.span(), format!("the environment has no {}", short(name)), expected, fix);
        }
        value.map(Secret)
    }
}

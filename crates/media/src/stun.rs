//! ICE-lite: connectivity checks of a peer are answered, and tell where it truly is (RFC 8445 §2.5, §7.3; RFC 8489; RFC 8839).
//!
//! The edge has a public address and makes no checks of its own: it tells one candidate, answers who knows its password, and sends media to
//! the pair that the peer nominates. A check that is authentic is proof of an address. One that was recorded and is sent again from
//! elsewhere proves nothing, unless it is of a better pair than the nominated one. Checks that keep consent fresh (RFC 7675) are
//! answered as all others. Refuses to know: sockets, the rest of a description.

use crate::packet::Packet;
use crate::sdp::Credentials;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use hmac::{Hmac, KeyInit as _, Mac as _};
use model::{Instant, Span};
use sha1::Sha1;
use zeroize::Zeroizing;

const HEAD: usize = 20;
const COOKIE: u32 = 0x2112_a442;
const REQUEST: u16 = 0x0001;
const SUCCESS: u16 = 0x0101;
const ERROR: u16 = 0x0111;

const USERNAME: u16 = 0x0006;
const INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const MAPPED: u16 = 0x0020;
const CHECK_PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const CONTROLLED: u16 = 0x8029;
/// What the checksum is mixed with, so that it is not one of a protocol below (RFC 8489 §14.7).
const FINGERPRINT_XOR: u32 = 0x5354_554e;
/// Attributes of one message that are looked at.
const ATTRIBUTES_MAX: usize = 24;
/// The nominated pair may be left for any other when it was not checked for so long: consent ends (RFC 7675 §5.1).
const CONSENT: Span = Span::from_secs(30);

/// Why a message was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unanswered {
    /// It is no whole binding request, or its checksum is wrong.
    NotRequest,
    /// It has something that must be understood and is not.
    Unknown,
    /// It is for another session, or its writer does not know our password.
    Unauthentic,
}

/// What an answered check tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Media to the peer goes where the check came from.
    pub select: bool,
}

/// Our end of ICE for one stream.
pub struct IceLite {
    own: Credentials,
    /// The peer's, once its description has said it.
    peer: Option<String>,
    selected: Option<Selected>,
}

#[derive(Clone, Copy, Debug)]
struct Selected {
    at: SocketAddr,
    priority: u32,
    checked: Instant,
}

impl IceLite {
    /// With what our description says.
    pub const fn new(own: Credentials) -> Self {
        Self { own, peer: None, selected: None }
    }

    /// What our description says.
    pub const fn own(&self) -> &Credentials {
        &self.own
    }

    /// The peer's description names it so: `a=ice-ufrag`. Until then whoever knows our password is heard.
    pub fn peer(&mut self, ufrag: &str) {
        self.peer = Some(String::from(ufrag));
    }

    /// The peer is named so, as far as is known.
    pub fn may_be_for(&self, ufrag: &str) -> bool {
        self.peer.as_deref().is_none_or(|peer| peer == ufrag)
    }

    /// Answers a check in its place.
    ///
    /// # Errors
    /// It is not to be answered, and is what it was.
    pub fn check(&mut self, now: Instant, from: SocketAddr, packet: &mut Packet<'_>) -> Result<Checked, Unanswered> {
        let request = Request::read(packet.bytes())?;
        let named = request.username.split_once(':').ok_or(Unanswered::Unauthentic)?;
        if named.0 != self.own.ufrag || self.peer.as_deref().is_some_and(|peer| peer != named.1) {
            return Err(Unanswered::Unauthentic);
        }
        if !self.is_authentic(packet.bytes(), request.integrity_at) {
            return Err(Unanswered::Unauthentic);
        }
        // Who makes no checks is controlled; a peer that thinks it is must change its mind (RFC 8445 §7.3.1.1).
        if request.controlled {
            self.answer(request.transaction, packet, ERROR, ERROR_CODE, &[0, 0, 4, 87])?;
            return Ok(Checked { select: false });
        }
        let (value, length) = mapped(from, &request.transaction);
        let select = self.selects(now, from, request.nominates, request.priority);
        self.answer(request.transaction, packet, SUCCESS, MAPPED, &value[..length])?;
        Ok(Checked { select })
    }

    fn selects(&mut self, now: Instant, from: SocketAddr, nominates: bool, priority: u32) -> bool {
        let may = match &mut self.selected {
            None => return nominates && self.select(now, from, priority),
            Some(selected) if selected.at == from => {
                selected.checked = now;
                selected.priority = selected.priority.max(priority);
                return false;
            }
            Some(selected) => priority > selected.priority || now.since(selected.checked) >= CONSENT,
        };
        nominates && may && self.select(now, from, priority)
    }

    const fn select(&mut self, now: Instant, at: SocketAddr, priority: u32) -> bool {
        self.selected = Some(Selected { at, priority, checked: now });
        true
    }

    /// The code is of all before it, with a length that ends with it (RFC 8489 §14.5).
    fn is_authentic(&self, message: &[u8], at: usize) -> bool {
        let Some(code) = message.get(at + 4..at + 24) else { return false };
        let mut own = coder(&self.own.password);
        own.update(&message[..2]);
        own.update(&((at + 24 - HEAD) as u16).to_be_bytes());
        own.update(&message[4..at]);
        own.verify_slice(code).is_ok()
    }

    fn answer(
        &self,
        transaction: [u8; 12],
        packet: &mut Packet<'_>,
        kind: u16,
        attribute: u16,
        value: &[u8],
    ) -> Result<(), Unanswered> {
        let integrity = HEAD + 4 + value.len();
        packet.resize(integrity + 24 + 8).map_err(|_| Unanswered::NotRequest)?;
        let out = packet.bytes_mut();
        out[..2].copy_from_slice(&kind.to_be_bytes());
        out[4..8].copy_from_slice(&COOKIE.to_be_bytes());
        out[8..20].copy_from_slice(&transaction);
        put_head(&mut out[HEAD..], attribute, value.len());
        out[HEAD + 4..integrity].copy_from_slice(value);
        seal(out, integrity, &self.own.password);
        Ok(())
    }
}

impl fmt::Debug for IceLite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceLite")
            .field("ufrag", &self.own.ufrag)
            .field("selected", &self.selected)
            .finish_non_exhaustive()
    }
}

/// Whether the bytes are STUN: by the first byte and the cookie (RFC 7983 §7).
#[inline]
pub fn is_stun(packet: &[u8]) -> bool {
    packet.len() >= HEAD && packet[0] <= 3 && packet[4..8] == COOKIE.to_be_bytes()
}

/// A binding request, its checksum proven and its code not yet.
#[derive(Debug)]
struct Request<'a> {
    transaction: [u8; 12],
    username: &'a str,
    integrity_at: usize,
    priority: u32,
    nominates: bool,
    controlled: bool,
}

impl<'a> Request<'a> {
    fn read(message: &'a [u8]) -> Result<Self, Unanswered> {
        let wrong = Unanswered::NotRequest;
        let length = short(message, 2).ok_or(wrong)?;
        if !is_stun(message) || short(message, 0) != Some(REQUEST) || HEAD + usize::from(length) != message.len() {
            return Err(wrong);
        }
        let transaction = message[8..].first_chunk().copied().ok_or(wrong)?;
        let (mut username, mut integrity, mut fingerprint) = (None, None, false);
        let mut request =
            Self { transaction, username: "", integrity_at: 0, priority: 0, nominates: false, controlled: false };
        let mut at = HEAD;
        for _ in 0..ATTRIBUTES_MAX {
            if at == message.len() || fingerprint {
                break;
            }
            let (kind, length) = (short(message, at).ok_or(wrong)?, usize::from(short(message, at + 2).ok_or(wrong)?));
            let value = message.get(at + 4..at + 4 + length).ok_or(wrong)?;
            match kind {
                FINGERPRINT => {
                    let sum = checksum(&message[..at]) ^ FINGERPRINT_XOR;
                    fingerprint = value == sum.to_be_bytes();
                    if !fingerprint || at + 8 != message.len() {
                        return Err(wrong);
                    }
                }
                // Behind the code only the checksum counts.
                _ if integrity.is_some() => {}
                USERNAME => username = Some(core::str::from_utf8(value).map_err(|_| wrong)?),
                INTEGRITY if length == 20 => integrity = Some(at),
                CHECK_PRIORITY => {
                    request.priority = value.try_into().map(u32::from_be_bytes).map_err(|_| wrong)?;
                }
                USE_CANDIDATE => request.nominates = true,
                CONTROLLED => request.controlled = true,
                // Must be understood, and is not.
                ..=0x7fff => return Err(Unanswered::Unknown),
                _ => {}
            }
            at += 4 + length.next_multiple_of(4);
        }
        // A check has all three (RFC 8445 §7.1.1, §7.1.2).
        let (Some(username), Some(integrity_at), true) = (username, integrity, fingerprint) else { return Err(wrong) };
        Ok(Self { username, integrity_at, ..request })
    }
}

/// A check as a full agent makes it, for agents that call through the edge: `username` is the name of whom it is for, a colon, its own.
pub fn request(password: &str, username: &str, priority: u32, nominates: bool) -> Vec<u8> {
    let nomination: &[(u16, &[u8])] = &[(USE_CANDIDATE, &[])];
    request_with(password, username, priority, if nominates { nomination } else { &[] })
}

fn request_with(password: &str, username: &str, priority: u32, more: &[(u16, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend([0, 1, 0, 0]);
    out.extend(COOKIE.to_be_bytes());
    // Told apart by what they are about: one that is sent again is the same.
    out.extend([priority.to_be_bytes(), checksum(username.as_bytes()).to_be_bytes(), [9; 4]].concat());
    let mut push = |kind: u16, value: &[u8]| {
        out.extend(kind.to_be_bytes());
        out.extend((value.len() as u16).to_be_bytes());
        out.extend(value);
        out.resize(out.len().next_multiple_of(4), 0);
    };
    push(USERNAME, username.as_bytes());
    push(CHECK_PRIORITY, &priority.to_be_bytes());
    for (kind, value) in more {
        push(*kind, value);
    }
    let integrity = out.len();
    out.resize(integrity + 24 + 8, 0);
    seal(&mut out, integrity, password);
    out
}

/// The value of XOR-MAPPED-ADDRESS, and its length (RFC 8489 §14.2).
fn mapped(from: SocketAddr, transaction: &[u8; 12]) -> ([u8; 20], usize) {
    let mut value = [0; 20];
    let mut mask = [0; 16];
    mask[..4].copy_from_slice(&COOKIE.to_be_bytes());
    mask[4..].copy_from_slice(transaction);
    value[2..4].copy_from_slice(&(from.port() ^ (COOKIE >> 16) as u16).to_be_bytes());
    let length = match from.ip().to_canonical() {
        IpAddr::V4(ip) => {
            value[1] = 1;
            value[4..8].copy_from_slice(&ip.octets());
            8
        }
        IpAddr::V6(ip) => {
            value[1] = 2;
            value[4..20].copy_from_slice(&ip.octets());
            20
        }
    };
    for (byte, mask) in value[4..length].iter_mut().zip(mask) {
        *byte ^= mask;
    }
    (value, length)
}

/// Writes code and checksum behind a message whose bytes up to `integrity` are there, and its length (RFC 8489 §14.5, §14.7).
fn seal(out: &mut [u8], integrity: usize, password: &str) {
    let fingerprint = integrity + 24;
    out[2..4].copy_from_slice(&((fingerprint - HEAD) as u16).to_be_bytes());
    put_head(&mut out[integrity..], INTEGRITY, 20);
    let mut code = coder(password);
    code.update(&out[..integrity]);
    out[integrity + 4..fingerprint].copy_from_slice(&code.finalize().into_bytes());
    out[2..4].copy_from_slice(&((fingerprint + 8 - HEAD) as u16).to_be_bytes());
    put_head(&mut out[fingerprint..], FINGERPRINT, 4);
    let sum = checksum(&out[..fingerprint]) ^ FINGERPRINT_XOR;
    out[fingerprint + 4..].copy_from_slice(&sum.to_be_bytes());
}

fn coder(password: &str) -> Hmac<Sha1> {
    // A password is shorter than a block: it is filled up with zeros (RFC 2104 §2).
    let mut key = Zeroizing::new([0; 64]);
    let password = password.as_bytes();
    let length = password.len().min(64);
    key[..length].copy_from_slice(&password[..length]);
    Hmac::new((&*key).into())
}

fn put_head(out: &mut [u8], kind: u16, length: usize) {
    if let Some(head) = out.first_chunk_mut::<4>() {
        head[..2].copy_from_slice(&kind.to_be_bytes());
        head[2..].copy_from_slice(&(length as u16).to_be_bytes());
    }
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|short| u16::from_be_bytes(*short))
}

/// CRC-32 as of ITU V.42; checks are few, so that no table is kept.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| sum >> 1 ^ (0xedb8_8320 & (sum & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::Secrets;
    use proptest::prelude::*;

    const NOW: Instant = Instant::from_micros(9_000_000);

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn ice() -> IceLite {
        IceLite::new(Credentials::new(&mut Secrets::new([4; 32])))
    }

    fn request(password: &str, username: &str, priority: u32, more: &[(u16, &[u8])]) -> Vec<u8> {
        super::request_with(password, username, priority, more)
    }

    fn check(ice: &mut IceLite, now: Instant, from: &str, bytes: &[u8]) -> (Result<Checked, Unanswered>, Vec<u8>) {
        let mut room = bytes.to_vec();
        room.resize(bytes.len() + 64, 0);
        let mut packet = Packet::new(&mut room, bytes.len());
        let verdict = ice.check(now, addr(from), &mut packet);
        (verdict, packet.bytes().to_vec())
    }

    fn good(ice: &IceLite, priority: u32, more: &[(u16, &[u8])]) -> Vec<u8> {
        request(&ice.own.password, &alloc::format!("{}:peer", ice.own.ufrag), priority, more)
    }

    /// The sample request of RFC 5769 §2.1, byte for byte: code and checksum are as everybody makes them.
    #[test]
    fn the_sample_request_is_authentic_5769_2_1() {
        let sample = "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74\
                      002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020\
                      000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf";
        let digits: Vec<u8> = sample.bytes().filter(u8::is_ascii_hexdigit).collect();
        let bytes: Vec<u8> =
            digits.chunks(2).map(|two| u8::from_str_radix(core::str::from_utf8(two).unwrap(), 16).unwrap()).collect();
        let mut ice = ice();
        ice.own.ufrag = "evtj".into();
        ice.own.password = Zeroizing::new("VOkJxbRl1RmTxUk/WvJxBt".into());
        let request = Request::read(&bytes).unwrap();
        assert_eq!((request.username, request.priority, request.controlled), ("evtj:h6vY", 0x6e00_01ff, true));
        assert!(ice.is_authentic(&bytes, request.integrity_at));
        ice.own.password = Zeroizing::new("VOkJxbRl1RmTxUk/WvJxBx".into());
        assert!(!ice.is_authentic(&bytes, request.integrity_at));
    }

    /// The address of the sample responses (RFC 5769 §2.2, §2.3).
    #[test]
    fn the_mapped_address_is_that_of_5769_2() {
        let transaction = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];
        let (value, length) = mapped(addr("192.0.2.1:32853"), &transaction);
        assert_eq!(value[..length], [0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
        let (value, length) = mapped(addr("[2001:db8:1234:5678:11:2233:4455:6677]:32853"), &transaction);
        assert_eq!((length, &value[..8]), (20, &[0, 2, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa][..]));
    }

    #[test]
    fn a_check_is_answered_and_a_nomination_selects_8445_7_3() {
        let mut ice = ice();
        let (verdict, answer) = check(&mut ice, NOW, "192.0.2.9:700", &good(&ice_again(), 7, &[]));
        assert_eq!(verdict, Ok(Checked { select: false }), "not nominated");
        assert_eq!(answer[..2], SUCCESS.to_be_bytes());
        assert_eq!(HEAD + usize::from(short(&answer, 2).unwrap()), answer.len());
        assert_eq!(answer[8..20], good(&ice_again(), 7, &[])[8..20]);
        assert!(ice.is_authentic(&answer, answer.len() - 32));
        let sum = checksum(&answer[..answer.len() - 8]) ^ FINGERPRINT_XOR;
        assert_eq!(answer[answer.len() - 4..], sum.to_be_bytes());
        let nominates = good(&ice, 7, &[(USE_CANDIDATE, &[])]);
        assert_eq!(check(&mut ice, NOW, "192.0.2.9:700", &nominates).0, Ok(Checked { select: true }));
    }

    #[test]
    fn a_recorded_nomination_from_elsewhere_moves_nothing() {
        let mut ice = ice();
        let nominates = |priority| good(&ice_again(), priority, &[(USE_CANDIDATE, &[])]);
        assert!(check(&mut ice, NOW, "192.0.2.9:700", &nominates(7)).0.unwrap().select);
        assert!(!check(&mut ice, NOW, "203.0.113.66:9", &nominates(7)).0.unwrap().select);
        assert!(check(&mut ice, NOW, "192.0.2.9:702", &nominates(8)).0.unwrap().select, "a better pair");
        let later = NOW + CONSENT;
        assert!(check(&mut ice, later, "192.0.2.10:9", &nominates(1)).0.unwrap().select, "consent is over");
    }

    fn ice_again() -> IceLite {
        ice()
    }

    #[test]
    fn what_is_not_authentic_or_not_understood_gets_no_answer() {
        let mut ice = ice();
        let name = alloc::format!("{}:peer", ice.own.ufrag);
        let mut verdict = |bytes: &[u8]| {
            let (verdict, left) = check(&mut ice, NOW, "192.0.2.9:700", bytes);
            assert_eq!(left, bytes, "it is what it was");
            verdict.unwrap_err()
        };
        let password = ice_again().own.password;
        assert_eq!(verdict(&request("wrong", &name, 7, &[])), Unanswered::Unauthentic);
        assert_eq!(verdict(&request(&password, "other:peer", 7, &[])), Unanswered::Unauthentic);
        assert_eq!(verdict(&request(&password, &name, 7, &[(0x7fff, &[1])])), Unanswered::Unknown);
        let mut damaged = request(&password, &name, 7, &[]);
        damaged[30] ^= 1;
        assert_eq!(verdict(&damaged), Unanswered::NotRequest);
        let mut response = request(&password, &name, 7, &[]);
        response[..2].copy_from_slice(&SUCCESS.to_be_bytes());
        assert_eq!(verdict(&response), Unanswered::NotRequest);
        ice.peer("peer");
        assert!(check(&mut ice, NOW, "192.0.2.9:700", &request(&password, &name, 7, &[])).0.is_ok());
        ice.peer("somebody");
        let stranger = check(&mut ice, NOW, "192.0.2.9:700", &request(&password, &name, 7, &[])).0;
        assert_eq!(stranger, Err(Unanswered::Unauthentic));
    }

    #[test]
    fn a_peer_that_thinks_it_is_controlled_is_told_8445_7_3_1_1() {
        let mut ice = ice();
        let wrong = good(&ice, 7, &[(CONTROLLED, &[0; 8]), (USE_CANDIDATE, &[])]);
        let (verdict, answer) = check(&mut ice, NOW, "192.0.2.9:700", &wrong);
        assert_eq!((verdict, &answer[..2]), (Ok(Checked { select: false }), &ERROR.to_be_bytes()[..]));
        assert_eq!(answer[HEAD + 4..HEAD + 8], [0, 0, 4, 87]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(mut bytes in prop::collection::vec(any::<u8>(), 0..160), seal in any::<bool>()) {
            if seal && bytes.len() >= 28 {
                let length = (bytes.len() - HEAD) as u16;
                bytes[..2].copy_from_slice(&REQUEST.to_be_bytes());
                bytes[2..4].copy_from_slice(&length.to_be_bytes());
                bytes[4..8].copy_from_slice(&COOKIE.to_be_bytes());
            }
            prop_assert!(check(&mut ice(), NOW, "192.0.2.9:700", &bytes).0.is_err());
        }
    }
}

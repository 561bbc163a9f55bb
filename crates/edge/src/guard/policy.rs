//! What the guard goes by: every limit, its default and the reason for it.

use super::{Ranges, Shut};
use core::net::IpAddr;
use model::{ListenId, Span};

/// How strangers are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Strangers {
    /// They get the answer of the rules (403, 481, 405), as long as there are answers left. Default: whoever has mistyped an address finds
    /// out.
    #[default]
    Refuse,
    /// They hear nothing: to a scanner there is nobody.
    Silent,
}

/// `[guard]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardPolicy {
    /// Dropped whatever it is, trunks included.
    pub(crate) deny: Ranges,
    /// By `ListenId`: who else than trunks may send to it; empty is everybody.
    pub(crate) allow: Vec<Ranges>,
    /// Names that scanners give themselves, in small letters.
    pub(crate) scanners: Vec<String>,
    /// How strangers are treated.
    pub strangers: Strangers,
    /// Answers a second to all strangers together. Default 50: enough for those who err, and no help to whoever wants to hit a third party
    /// with our answers.
    pub answers: u32,
    /// Broken messages of one source within the window. Default 20: a broken stack repeats each of its requests up to eleven times.
    pub malformed: u32,
    /// Messages of one source within the window. Default 200.
    pub requests: u32,
    /// Failed authentications, and requests inside foreign dialogs, within the window. Default 10: people mistype three times.
    pub failures: u32,
    /// REGISTERs of one source within the window, at a listen with a registrar; more are dropped. Default 2,000: a house of a thousand phones
    /// that had no power comes back at once, and is no attack.
    pub registers: u32,
    /// Messages of one registered phone within the window, outside calls; more are dropped. Default 1,000: a PBX that registers calls thirty
    /// times a second and is asked for its password each time.
    pub phone: u32,
    /// REGISTERs a second of all strangers together that are answered at all, if only by being put off: a multiple of what the registrar
    /// serves. None without a registrar.
    pub(crate) registrations: u32,
    /// What they count within. Default 10 s.
    pub window: Span,
    /// How long the first shut-out lasts; each further one doubles. Default 5 min.
    pub ban: Span,
    /// The longest. Default 24 h: addresses get new owners.
    pub longest: Span,
}

impl GuardPolicy {
    /// By the lists alone: whether an address is heard at a local side. `known` when it speaks for a trunk.
    pub(crate) fn admits(&self, from: IpAddr, listen: Option<ListenId>, known: bool) -> Result<(), Shut> {
        if self.deny.contains(from) {
            return Err(Shut::Denied);
        }
        let allow = listen.and_then(|listen| self.allow.get(listen.index()));
        if !known && allow.is_some_and(|allow| !allow.is_empty() && !allow.contains(from)) {
            return Err(Shut::NotAllowed);
        }
        Ok(())
    }
}
/// Messages within the window that each phone behind an address adds to what a stranger from there may send: he may be one of them whose
/// NAT, or power, has failed.
pub(crate) const PER_PHONE: u32 = 20;
/// REGISTERs that are answered for each that is served: being told when to come again costs little, and hearing nothing makes phones
/// repeat what they have said.
pub(crate) const PUT_OFF: u32 = 4;

/// What scanners call themselves, from what honeypots have logged for years.
pub(crate) const SCANNERS: [&str; 12] = [
    "friendly-scanner",
    "friendly-request",
    "sipvicious",
    "sipcli",
    "sip-scan",
    "sipscan",
    "sipsak",
    "sundayddr",
    "iwar",
    "vaxsipuseragent",
    "vaxasip",
    "pplsip",
];

impl Default for GuardPolicy {
    fn default() -> Self {
        Self {
            deny: Ranges::default(),
            allow: Vec::new(),
            scanners: SCANNERS.map(str::to_owned).to_vec(),
            strangers: Strangers::default(),
            answers: 50,
            malformed: 20,
            requests: 200,
            failures: 10,
            registers: 2_000,
            phone: 1_000,
            registrations: 0,
            window: Span::from_secs(10),
            ban: Span::from_secs(300),
            longest: Span::from_secs(86_400),
        }
    }
}

//! What the registrar works by: users, realm, how long a binding may last.
//!
//! Refuses to know: files, the environment.

use alloc::boxed::Box;
use alloc::vec::Vec;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use model::{ListenId, Name, Rng, Span, TrunkId};
use sip::auth::{Realm, Secret};
use sip::{SentBy, Uri};

/// How long bindings last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiries {
    /// Shorter wishes are refused (423).
    pub min: Span,
    /// Longer wishes get this.
    pub max: Span,
    /// For phones that wish nothing.
    pub default: Span,
}

impl Expiries {
    /// What is granted of a wish of at least `min`. Phones that come together are sent apart: newcomers over half of their time,
    /// those that renew over a tenth, so that a power cut is not heard again with each expiry.
    pub fn granted(&self, rng: &mut Rng, wish: Span, renews: bool) -> Span {
        let whole = wish.as_secs().min(self.max.as_secs());
        let spread = whole / if renews { 10 } else { 2 };
        let room = spread.min(whole.saturating_sub(self.min.as_secs()));
        Span::from_secs(whole - if room == 0 { 0 } else { rng.below(room + 1) })
    }
}

/// The configuration of the registrar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrarRules {
    /// Where phones register.
    pub listens: Vec<ListenId>,
    /// The trunk that stands for them.
    pub phones: Option<TrunkId>,
    /// The trunk that is their registrar: their REGISTERs go to it, and its answers to them. None when the edge is.
    pub behind: Option<TrunkId>,
    /// Who asks for passwords.
    pub realm: Realm,
    /// Domains served besides the realm's name and our own addresses.
    pub domains: Vec<Box<str>>,
    /// Users by name: each has one address of record, which is his name.
    pub users: HashMap<Box<str>, Secret, FixedState>,
    /// How long bindings last.
    pub expiries: Expiries,
    /// Bindings of one address at most; the one that would run out first gives way.
    pub contacts: usize,
    /// Phones are told to send their calls by us (RFC 3608).
    pub service_route: bool,
    /// How long a phone may rest between keep-alives (RFC 5626 §4.4).
    pub flow_timer: Option<Span>,
    /// REGISTERs a second, of this shard.
    pub rate: u32,
}

/// The longest that the trunk behind may grant.
pub(super) const LONGEST: Span = Span::from_secs(86_400);

impl RegistrarRules {
    /// The longest that a binding lasts.
    pub fn longest(&self) -> Span {
        if self.behind.is_some() { LONGEST } else { self.expiries.max }
    }

    /// Whether a name may have bindings: a user's, or any when the trunk behind knows who they are.
    pub fn may_bind(&self, name: &str) -> bool {
        self.behind.is_some() || self.users.contains_key(name)
    }

    /// Whether a host names us: our domain, or where we are, by the name that our Contact has too.
    pub fn serves(&self, host: &[u8], sent_by: &SentBy) -> bool {
        let named = |name: &str| host.eq_ignore_ascii_case(name.as_bytes());
        let address = core::str::from_utf8(host).ok().map(|text| text.trim_matches(['[', ']']));
        named(&self.realm.name)
            || self.domains.iter().any(|domain| named(domain))
            || sent_by.name.as_deref().is_some_and(named)
            || address.and_then(|text| text.parse().ok()).is_some_and(|ip: core::net::IpAddr| ip == sent_by.addr.ip())
    }
}

/// The user of a URI.
pub(super) fn user_of(uri: &[u8]) -> Option<Name> {
    let user = Uri::parse(uri).ok()?.user();
    core::str::from_utf8(user).ok().filter(|user| !user.is_empty()).map(Name::from)
}

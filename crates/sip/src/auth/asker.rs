//! Who asks for credentials, and by which headers: RFC 3261 §22.2, §22.3.
//!
//! Refuses to know: what is asked and what is answered.

use crate::wire::HeaderName;

/// Who asks: the far end, or a proxy on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// 401: WWW-Authenticate, answered by Authorization.
    FarEnd,
    /// 407: Proxy-Authenticate, answered by Proxy-Authorization.
    Proxy,
}

impl Asker {
    pub(super) const fn of(name: HeaderName) -> Option<Self> {
        match name {
            HeaderName::WwwAuthenticate => Some(Self::FarEnd),
            HeaderName::ProxyAuthenticate => Some(Self::Proxy),
            _ => None,
        }
    }

    /// Code of the challenge.
    pub const fn code(self) -> u16 {
        match self {
            Self::FarEnd => 401,
            Self::Proxy => 407,
        }
    }

    pub(super) const fn challenge(self) -> &'static str {
        match self {
            Self::FarEnd => "WWW-Authenticate",
            Self::Proxy => "Proxy-Authenticate",
        }
    }

    pub(super) const fn answer(self) -> &'static str {
        match self {
            Self::FarEnd => "Authorization",
            Self::Proxy => "Proxy-Authorization",
        }
    }

    pub(super) fn is_answered_by(self, name: HeaderName) -> bool {
        match self {
            Self::FarEnd => name == HeaderName::Authorization,
            Self::Proxy => name == HeaderName::ProxyAuthorization,
        }
    }

    pub(super) const fn info(self) -> &'static str {
        match self {
            Self::FarEnd => "Authentication-Info",
            Self::Proxy => "Proxy-Authentication-Info",
        }
    }
}

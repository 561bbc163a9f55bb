//! Session timers: RFC 4028, one dialog at a time. Who refreshes, how often, and when a session that nobody refreshed is over.
//!
//! Both sides say what they can bear; what comes out is one interval and one side that keeps it. Plain values: headers in, headers out.
//! Refuses to know: clocks, calls, by which request a session is refreshed.

use crate::compose::HeaderLines;
use crate::message::Message;
use crate::wire::{HeaderName, Method, NameAddr, number};
use alloc::format;
use alloc::string::ToString;
use model::Span;

/// No interval is shorter, whoever asks for it (RFC 4028 §4).
pub const SHORTEST: Span = Span::from_secs(90);
/// A BYE comes so long before the end at the latest, for it may have to be repeated (RFC 4028 §10).
const EARLY: Span = Span::from_secs(32);

/// Which side of a dialog refreshes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresher {
    /// We do.
    Us,
    /// The peer does.
    Them,
}

/// What we want of the sessions with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionPolicy {
    /// The interval we propose, and the longest we grant.
    pub expires: Span,
    /// The shortest we accept.
    pub min_se: Span,
    /// Who should refresh; none leaves it to the peer, and to us when it has no wish.
    pub refresher: Option<Refresher>,
}

impl Default for SessionPolicy {
    fn default() -> Self {
        Self { expires: Span::from_secs(1_800), min_se: SHORTEST, refresher: None }
    }
}

/// What both sides of a dialog have agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimer {
    /// A session that is not refreshed so long is over.
    pub interval: Span,
    /// Who keeps it alive.
    pub refresher: Refresher,
}

/// The peer wants a shorter interval than we bear: 422 with this Min-SE (RFC 4028 §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooShort {
    /// The shortest that would do.
    pub min_se: Span,
}

impl SessionTimer {
    /// After so long the refresher refreshes: half the interval (RFC 4028 §10).
    pub fn refresh_after(&self) -> Span {
        self.interval.percent(50)
    }

    /// After so long without a refresh the session is ended: a third of the interval, 32 s at most, before it is over (RFC 4028 §10).
    pub fn lapse_after(&self) -> Span {
        self.interval - Span::from_micros(self.interval.as_micros() / 3).min(EARLY)
    }

    /// As the called side: what holds after our 2xx to this INVITE or UPDATE, and none when the peer asks for none and cannot do it
    /// (RFC 4028 §9, table 2).
    pub fn accept(policy: &SessionPolicy, request: &Message) -> Result<Option<Self>, TooShort> {
        let supports = request.supports(b"timer");
        let asked = session_expires(request);
        let least = min_se(request).unwrap_or(SHORTEST).max(SHORTEST);
        if let Some((interval, _)) = asked.filter(|(interval, _)| *interval < policy.min_se) {
            // A proxy may have put the header in for a caller who would not understand a 422; its interval is raised silently then.
            if supports {
                return Err(TooShort { min_se: policy.min_se });
            }
            let interval = policy.min_se.max(interval).max(least);
            return Ok(Some(Self { interval, refresher: Refresher::Us }));
        }
        let interval = asked.map_or(policy.expires, |(asked, _)| asked.min(policy.expires)).max(least);
        let named = asked.and_then(|(_, refresher)| refresher).map(Role::of_caller);
        let refresher = match (supports, named, policy.refresher) {
            (false, ..) => Refresher::Us,
            (true, Some(named), _) => named,
            (true, None, wish) => wish.unwrap_or(Refresher::Us),
        };
        Ok(Some(Self { interval, refresher }).filter(|_| supports || asked.is_some()))
    }

    /// As the calling side: what a 2xx says that holds. A peer without session timers lets us refresh all the same; we do when we wanted to
    /// (RFC 4028 §7.2).
    pub fn settle(policy: &SessionPolicy, asked: Span, response: &Message) -> Option<Self> {
        match session_expires(response) {
            Some((interval, role)) => {
                // A peer that wants more often than the RFC allows is taken at the RFC's word.
                let refresher = if role == Some(Role::Uas) { Refresher::Them } else { Refresher::Us };
                Some(Self { interval: interval.max(SHORTEST), refresher })
            }
            None => {
                (policy.refresher == Some(Refresher::Us)).then_some(Self { interval: asked, refresher: Refresher::Us })
            }
        }
    }

    /// Headers of our 2xx (RFC 4028 §9).
    pub fn push_answer(&self, to: &mut HeaderLines) {
        let role = if self.refresher == Refresher::Us { "uas" } else { "uac" };
        to.push("Session-Expires", format!("{};refresher={role}", self.interval.as_secs()).as_bytes());
        if self.refresher == Refresher::Them {
            to.push("Require", b"timer");
        }
    }
}

impl SessionPolicy {
    /// The interval we ask for, when `least` is known to be the shortest the peer or one of its proxies bears.
    pub fn asked(&self, held: Option<&SessionTimer>, least: Span) -> Span {
        held.map_or(self.expires, |held| held.interval).max(least).max(self.min_se)
    }

    /// Headers of our INVITE or UPDATE: the dialog's agreement as it is, or our wish (RFC 4028 §7.1, §7.4).
    pub fn push_request(&self, held: Option<&SessionTimer>, least: Span, to: &mut HeaderLines) {
        let seconds = self.asked(held, least).as_secs();
        let wanted = held.map(|held| held.refresher).or(self.refresher);
        let role = match wanted {
            Some(Refresher::Us) => ";refresher=uac",
            Some(Refresher::Them) => ";refresher=uas",
            None => "",
        };
        to.push("Session-Expires", format!("{seconds}{role}").as_bytes());
        let least = least.max(self.min_se);
        if least > SHORTEST {
            to.push("Min-SE", least.as_secs().to_string().as_bytes());
        }
    }
}

/// Min-SE of a request or of a 422; at most a week is believed.
pub fn min_se(message: &Message) -> Option<Span> {
    message.header(HeaderName::MinSe).and_then(seconds)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Uac,
    Uas,
}

impl Role {
    /// Seen by the side that got the request.
    fn of_caller(self) -> Refresher {
        if self == Self::Uac { Refresher::Them } else { Refresher::Us }
    }
}

fn session_expires(message: &Message) -> Option<(Span, Option<Role>)> {
    let value = message.header(HeaderName::SessionExpires)?;
    let interval = seconds(value)?;
    let role = NameAddr::of(value).params.get("refresher").and_then(|role| match role {
        _ if role.eq_ignore_ascii_case(b"uac") => Some(Role::Uac),
        _ if role.eq_ignore_ascii_case(b"uas") => Some(Role::Uas),
        _ => None,
    });
    Some((interval, role))
}

fn seconds(value: &[u8]) -> Option<Span> {
    const WEEK: u32 = 7 * 86_400;
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    number(&value[..digits]).map(|seconds| Span::from_secs(u64::from(seconds.min(WEEK))))
}

/// Whether a session can be refreshed by UPDATE: its peer says that it knows the method. None when it does not say what it knows.
pub fn knows(message: &Message, method: Method) -> Option<bool> {
    let mut listed = message.values(HeaderName::Allow).peekable();
    listed.peek()?;
    Some(listed.any(|name| name.eq_ignore_ascii_case(method.as_str().as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::String;

    fn message(first: &str, extra: &str) -> Message {
        let text = format!(
            "{first}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:1@e>;tag=2\r\nCall-ID: x\r\n\
             CSeq: 1 INVITE\r\n{extra}Content-Length: 0\r\n\r\n"
        );
        Message::parse(text.into_bytes()).unwrap()
    }

    fn request(extra: &str) -> Message {
        message("INVITE sip:1@e SIP/2.0", extra)
    }

    fn response(extra: &str) -> Message {
        message("SIP/2.0 200 OK", extra)
    }

    fn timer(interval: u64, refresher: Refresher) -> SessionTimer {
        SessionTimer { interval: Span::from_secs(interval), refresher }
    }

    /// RFC 4028 §9, table 2.
    #[test]
    fn the_called_side_elects_the_refresher() {
        let accept = |policy: Option<Refresher>, extra: &str| {
            SessionTimer::accept(&SessionPolicy { refresher: policy, ..SessionPolicy::default() }, &request(extra))
                .unwrap()
        };
        assert_eq!(accept(None, ""), None, "neither asked for nor supported");
        assert_eq!(accept(None, "Session-Expires: 600\r\n"), Some(timer(600, Refresher::Us)), "a proxy asks for it");
        let asks = "Supported: 100rel, timer\r\nSession-Expires: 600";
        assert_eq!(accept(None, &format!("{asks}\r\n")), Some(timer(600, Refresher::Us)));
        assert_eq!(accept(Some(Refresher::Them), &format!("{asks}\r\n")), Some(timer(600, Refresher::Them)));
        let uac = format!("{asks};refresher=uac\r\n");
        assert_eq!(accept(Some(Refresher::Us), &uac), Some(timer(600, Refresher::Them)), "it has chosen itself");
        assert_eq!(
            accept(Some(Refresher::Them), &format!("{asks};refresher=UAS\r\n")),
            Some(timer(600, Refresher::Us))
        );
        assert_eq!(accept(None, "k: timer\r\n"), Some(timer(1_800, Refresher::Us)), "it can, and we want");
        assert_eq!(accept(None, "k: timer\r\nx: 7200\r\n"), Some(timer(1_800, Refresher::Us)), "shortened");
        assert_eq!(
            accept(None, "k: timer\r\nx: 7200\r\nMin-SE: 3600\r\n"),
            Some(timer(3_600, Refresher::Us)),
            "never below Min-SE"
        );
    }

    #[test]
    fn too_short_an_interval_is_422_only_for_who_understands_it_9() {
        let policy = SessionPolicy { min_se: Span::from_secs(120), ..SessionPolicy::default() };
        let asks = request("Supported: timer\r\nSession-Expires: 100\r\n");
        assert_eq!(SessionTimer::accept(&policy, &asks), Err(TooShort { min_se: Span::from_secs(120) }));
        let proxied = request("Session-Expires: 100\r\n");
        assert_eq!(SessionTimer::accept(&policy, &proxied), Ok(Some(timer(120, Refresher::Us))));
    }

    #[test]
    fn the_calling_side_takes_what_the_2xx_says_7_2() {
        let policy = SessionPolicy::default();
        let settle = |policy: &SessionPolicy, extra: &str| {
            SessionTimer::settle(policy, Span::from_secs(1_800), &response(extra))
        };
        assert_eq!(settle(&policy, "Session-Expires: 600;refresher=uas\r\n"), Some(timer(600, Refresher::Them)));
        assert_eq!(settle(&policy, "Session-Expires: 600;refresher=uac\r\n"), Some(timer(600, Refresher::Us)));
        assert_eq!(settle(&policy, "Session-Expires: 5;refresher=uac\r\n"), Some(timer(90, Refresher::Us)));
        assert_eq!(settle(&policy, ""), None);
        let ours = SessionPolicy { refresher: Some(Refresher::Us), ..policy };
        assert_eq!(settle(&ours, ""), Some(timer(1_800, Refresher::Us)));
    }

    #[test]
    fn headers_say_what_was_agreed() {
        let text = |lines: HeaderLines| String::from_utf8(lines.as_bytes().to_vec()).unwrap();
        let mut lines = HeaderLines::new();
        timer(600, Refresher::Them).push_answer(&mut lines);
        assert_eq!(text(lines), "Session-Expires: 600;refresher=uac\r\nRequire: timer\r\n");
        let mut lines = HeaderLines::new();
        SessionPolicy::default().push_request(Some(&timer(600, Refresher::Them)), Span::ZERO, &mut lines);
        assert_eq!(text(lines), "Session-Expires: 600;refresher=uas\r\n");
        let mut lines = HeaderLines::new();
        SessionPolicy::default().push_request(None, Span::from_secs(3_600), &mut lines);
        assert_eq!(text(lines), "Session-Expires: 3600\r\nMin-SE: 3600\r\n");
    }

    #[test]
    fn a_refresh_is_at_half_and_the_end_before_the_whole_10() {
        assert_eq!(timer(1_800, Refresher::Us).refresh_after(), Span::from_secs(900));
        assert_eq!(timer(1_800, Refresher::Us).lapse_after(), Span::from_secs(1_768));
        assert_eq!(timer(90, Refresher::Us).lapse_after(), Span::from_secs(60));
    }

    proptest::proptest! {
        /// Whatever a peer writes: the interval is never below what it and the RFC allow, and the end is after the refresh.
        #[test]
        fn no_header_makes_a_session_too_short(value in "[0-9]{0,12}(;refresher=(uac|uas|x))?", least in "[0-9]{0,6}", supported: bool) {
            let supported = if supported { "Supported: timer\r\n" } else { "" };
            let extra = format!("{supported}Session-Expires: {value}\r\nMin-SE: {least}\r\n");
            if let Ok(Some(timer)) = SessionTimer::accept(&SessionPolicy::default(), &request(&extra)) {
                proptest::prop_assert!(timer.interval >= SHORTEST);
                proptest::prop_assert!(timer.lapse_after() > timer.refresh_after() && timer.lapse_after() < timer.interval);
            }
        }
    }
}

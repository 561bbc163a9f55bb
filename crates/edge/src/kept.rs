//! Bindings as the store keeps them: addresses instead of numbers, the time of day instead of ours.
//!
//! A flow over a stream ends with the process, so that its binding is not kept: the phone opens a new one and registers by it.
//! Refuses to know: files, who registers.

use crate::config::Settings;
use act::{Binding, Bound};
use core::net::SocketAddr;
use model::{Instant, Name, Span, Wall};
use serde::{Deserialize, Serialize};
use sip::Flow;

/// All bindings of one address; none means that nothing is to be kept of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptBindings {
    /// The address: a user's name.
    pub aor: Name,
    /// When the last of them ends.
    pub until: Wall,
    /// They.
    pub bindings: Vec<KeptBinding>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptBinding {
    contact: String,
    /// Ours, as bound: numbers of sockets change with the configuration.
    socket: SocketAddr,
    peer: SocketAddr,
    path: Vec<String>,
    instance: Option<String>,
    reg_id: Option<u32>,
    q: u16,
    call_id: String,
    cseq: u32,
    /// Microseconds since 1970.
    expires: i64,
}

impl KeptBindings {
    /// What is kept of an address.
    pub fn of(settings: &Settings, now: Instant, wall: Wall, bound: &Bound) -> Self {
        let kept = bound.bindings.iter().filter_map(|binding| keep(settings, now, wall, binding));
        let bindings: Vec<KeptBinding> = kept.collect();
        let until = Wall::from_micros(bindings.iter().map(|kept| kept.expires).max().unwrap_or_default());
        Self { aor: bound.aor.clone(), until, bindings }
    }

    /// The same for the shards, as far as it still holds; none when it does not.
    pub fn bound(&self, settings: &Settings, now: Instant, wall: Wall) -> Option<Bound> {
        let kept = self.bindings.iter().cloned();
        let bindings: Vec<Binding> = kept.filter_map(|kept| restore(settings, now, wall, kept)).collect();
        (!bindings.is_empty()).then(|| Bound { aor: self.aor.clone(), bindings: bindings.into() })
    }
}

fn keep(settings: &Settings, now: Instant, wall: Wall, binding: &Binding) -> Option<KeptBinding> {
    if binding.flow.transport.is_reliable() {
        return None;
    }
    let text = |bytes: &[u8]| core::str::from_utf8(bytes).ok().map(str::to_owned);
    let left = i64::try_from(binding.expires.since(now).as_micros()).ok()?;
    Some(KeptBinding {
        contact: text(&binding.contact)?,
        socket: settings.sockets.get(binding.flow.socket.index())?.bind,
        peer: binding.flow.peer,
        path: binding.path.iter().map(|value| text(value)).collect::<Option<_>>()?,
        instance: binding.instance.as_deref().map(text).unwrap_or_default(),
        reg_id: binding.reg_id,
        q: binding.q,
        call_id: text(&binding.call_id)?,
        cseq: binding.cseq,
        expires: wall.as_micros().saturating_add(left),
    })
}

fn restore(settings: &Settings, now: Instant, wall: Wall, kept: KeptBinding) -> Option<Binding> {
    let left = u64::try_from(kept.expires.saturating_sub(wall.as_micros())).ok().filter(|left| *left > 0)?;
    let socket =
        settings.sockets.iter().find(|socket| socket.bind == kept.socket && !socket.transport.is_reliable())?;
    // A clock that was set back does not make a binding longer than any that is granted.
    let longest = settings.registrar.as_ref()?.longest();
    Some(Binding {
        contact: kept.contact.into_bytes().into(),
        flow: Flow { socket: socket.id, peer: kept.peer, transport: socket.transport },
        path: kept.path.into_iter().map(|value| value.into_bytes().into()).collect(),
        instance: kept.instance.map(|instance| instance.into_bytes().into()),
        reg_id: kept.reg_id,
        q: kept.q,
        call_id: kept.call_id.into_bytes().into(),
        cseq: kept.cseq,
        expires: now + Span::from_micros(left).min(longest),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::config::compile;

    fn settings(port: u16) -> Settings {
        let text = format!(
            "[listen.other]\nsip = \"udp:192.0.2.11:5060\"\n[listen.lan]\nsip = \"udp:192.0.2.10:{port}\"\n\
             [trunk.phones]\nat = \"registered\"\nlisten = \"lan\"\n[group.phones]\ntiers = [[\"phones\"]]\n\
             [[route]]\nto = \"phones\"\n[registrar]\nlisten = \"lan\"\nrealm = \"x\"\n[user.201]\nsecret = \"env:X\"\n"
        );
        let compiled = compile(&text, "edge.toml", &|_| Some(String::from("hush")), None);
        compiled.settings.unwrap_or_else(|| panic!("{:?}", compiled.faults))
    }

    fn bound(settings: &Settings) -> Bound {
        let socket = &settings.sockets[1];
        let binding = Binding {
            contact: (*b"sip:201@10.0.0.5").into(),
            flow: Flow { socket: socket.id, peer: "203.0.113.9:40000".parse().unwrap(), transport: socket.transport },
            path: vec![(*b"<sip:p;lr>").into()],
            instance: Some((*b"<urn:uuid:1>").into()),
            reg_id: Some(1),
            q: 500,
            call_id: (*b"c").into(),
            cseq: 7,
            expires: Instant::ZERO + Span::from_secs(100),
        };
        Bound { aor: Name::from("201"), bindings: vec![binding].into() }
    }

    #[test]
    fn what_is_kept_comes_back_by_the_time_of_day() {
        let settings = settings(5060);
        let wall = |seconds: i64| Wall::from_micros(seconds * 1_000_000);
        let bound = bound(&settings);
        let kept = KeptBindings::of(&settings, Instant::ZERO, wall(1_000), &bound);
        assert_eq!(kept.until, wall(1_100));
        let after = Instant::ZERO + Span::from_secs(5);
        let back = kept.bound(&settings, after, wall(1_040)).expect("alive");
        assert_eq!(back.bindings[0].expires, after + Span::from_secs(60));
        let same = Binding { expires: bound.bindings[0].expires, ..back.bindings[0].clone() };
        assert_eq!(same, bound.bindings[0]);
        assert_eq!(kept.bound(&settings, after, wall(1_100)), None, "it has run out");
        assert_eq!(kept.bound(&self::settings(5070), after, wall(1_040)), None, "its socket is gone");
        let none = Bound { bindings: Vec::new().into(), ..bound };
        assert!(KeptBindings::of(&settings, Instant::ZERO, wall(0), &none).bindings.is_empty());
    }
}

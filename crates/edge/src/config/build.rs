//! From a checked draft to settings: names become numbers that stay the same over reloads.

use super::draft::Draft;
use super::fault::Faults;
use super::listen::ListenDraft;
use super::numbers::TargetNumbers;
use super::reader::At;
use super::settings::{Listen, MediaRange, Settings, Socket};
use super::test_call::TestCallPlan;
use super::tls::TrunkTls;
use super::trunk::TrunkDraft;
use super::value::SipAddress;
use crate::names::locate::Ways;
use crate::names::{NamedTrunk, Spot};
use crate::window::Calendar;
use act::{Cidr, ListenProfile, Profiles, RegistrarRules, Registration, Target, TrunkProfile};
use core::net::SocketAddr;
use decide::{GroupPolicy, Member, RouteRule, Shape, TargetShape, TrunkShape};
use model::{GroupId, ListenId, Name, SocketId, TargetId, TrunkId};
use sense::{BlamePolicy, ProbePolicy};
use sip::auth::Credentials;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Trunk ids by name: a name keeps its id, a new one gets one that was never used.
struct Ids {
    names: Vec<Name>,
}

impl Ids {
    fn new(draft: &Draft, previous: Option<&Settings>, faults: &mut Faults<'_>) -> Self {
        let mut names: Vec<Name> = previous.map(|settings| settings.names.trunks.clone()).unwrap_or_default();
        for name in &mut names {
            if draft.trunk(name).is_none() {
                *name = Name::from("");
            }
        }
        for trunk in &draft.trunks {
            if names.iter().any(|name| **name == *trunk.name.value) {
                continue;
            }
            if names.len() >= usize::from(u16::MAX) {
                let what = "too many trunks have come and gone since the edge was started";
                faults.error(&trunk.name.at, what, "", Some(String::from("start the edge anew")));
                break;
            }
            names.push(Name::from(trunk.name.value.as_str()));
        }
        Self { names }
    }

    fn of(&self, name: &str) -> Option<TrunkId> {
        let index = self.names.iter().position(|known| **known == *name)?;
        u16::try_from(index).ok().map(TrunkId)
    }
}

/// What the trunks of a file come to, each at its number.
struct Trunks {
    shapes: Vec<Option<TrunkShape>>,
    profiles: Vec<Option<TrunkProfile>>,
    test_calls: Vec<Option<TestCallPlan>>,
    named: BTreeMap<TrunkId, NamedTrunk>,
    watches: Vec<Option<(ProbePolicy, BlamePolicy)>>,
}

impl Trunks {
    fn new(count: usize) -> Self {
        Self {
            shapes: vec![None; count],
            profiles: vec![None; count],
            test_calls: vec![None; count],
            named: BTreeMap::new(),
            watches: vec![None; count],
        }
    }

    /// None when its listen is not there, which has been told.
    fn add(
        &mut self,
        id: TrunkId,
        trunk: TrunkDraft,
        numbers: &mut TargetNumbers,
        (listens, sockets): (&[Listen], &[Socket]),
        product: Option<&str>,
    ) -> Option<()> {
        let by_name = named_trunk(&trunk, listens, sockets);
        // Of a trunk with names, addresses and their numbers come below.
        let addrs = trunk.targets.iter().map(|target| target.value);
        let indexes = if by_name.is_some() { Vec::new() } else { numbers.numbered(addrs) };
        self.shapes[id.index()] = Some(shape(&trunk, indexes, listens));
        self.watches[id.index()] = Some((trunk.probe.clone(), trunk.blames.clone()));
        self.named.extend(by_name.map(|named| (id, named)));
        self.test_calls[id.index()] = trunk.test_call.as_ref().map(|draft| draft.plan.clone());
        let mut profile = profile(trunk, numbers, listens, sockets)?;
        profile.interworking.headers.product = product.unwrap_or_default().to_owned();
        self.profiles[id.index()] = Some(profile);
        Some(())
    }
}

/// Settings, unless something only now seen to be wrong is in `faults`.
pub(super) fn settings(
    mut draft: Draft,
    text: &str,
    previous: Option<&Settings>,
    faults: &mut Faults<'_>,
) -> Option<Settings> {
    let ids = Ids::new(&draft, previous, faults);
    let (listens, sockets) = sides_beside(&mut draft, previous, faults);
    if faults.any_error() {
        return None;
    }
    let groups = groups(&draft, &ids);
    let windows = windows(&mut draft);
    let guard = Arc::new(super::guard::policy(&draft));
    let names = explain::Names { trunks: ids.names.clone(), groups: group_names(&draft) };
    let routes = routes(&draft, &ids);
    let profiles_of_listens = listen_profiles(&listens, &sockets);
    let mut target_numbers = previous.map(|settings| settings.target_numbers.clone()).unwrap_or_default();
    target_numbers.resize(ids.names.len(), TargetNumbers::default());
    let tls = trunk_tls(&draft, &ids);
    let registrations = registrations(&draft, &ids);
    let phones = draft.trunks.iter().find(|trunk| trunk.registered).and_then(|trunk| ids.of(&trunk.name.value));
    let behind = draft.registrar.as_ref().and_then(|registrar| ids.of(&registrar.behind.as_ref()?.value));
    let mut trunks = Trunks::new(ids.names.len());
    for trunk in draft.trunks {
        let id = ids.of(&trunk.name.value)?;
        trunks.add(id, trunk, &mut target_numbers[id.index()], (&listens, &sockets), draft.edge.product.as_deref())?;
    }
    let Trunks { shapes, profiles, test_calls, named, watches } = trunks;
    let file = draft.registrar.as_ref().and_then(|registrar| registrar.file.clone());
    let registrar = draft.registrar.map(|draft| registrar(draft, &profiles_of_listens, (phones, behind), faults));
    let (probes, blames) = watched(&shapes, &watches);
    let emergency = draft.edge.emergency.into_iter().map(String::into_bytes).collect();
    let settings = Settings {
        name: Name::from(draft.edge.name.as_str()),
        product: draft.edge.product.unwrap_or_default(),
        api: draft.edge.api,
        log: draft.edge.log,
        access: draft.access,
        webhooks: draft.webhooks,
        traces: draft.traces,
        data: draft.edge.data,
        fingerprint: fingerprint(text),
        sockets,
        listens,
        profiles: Arc::new(Profiles::new(profiles, profiles_of_listens, emergency)),
        shape: Arc::new(Shape::new(shapes, groups, routes)),
        guard,
        windows,
        target_numbers,
        dns: draft.dns,
        named,
        located: BTreeMap::new(),
        watches,
        probes,
        blames,
        test_calls,
        streams: draft.streams,
        listen_streams: draft.listens.iter().map(|listen| listen.streams.clone()).collect(),
        listen_tls: draft.listens.into_iter().map(|listen| listen.tls).collect(),
        trunk_tls: tls,
        registrations,
        names,
        registrar: registrar.map(Arc::new),
        users_file: file,
        announcement_file: draft.edge.announcement.clone(),
        media_io: draft.edge.media_io,
        capture: draft.edge.capture,
        hep: draft.hep,
        shadow_file: draft.edge.shadow,
        shadow: None,
    };
    Some(with_names(settings, previous))
}

/// With the targets of trunks that have names, as far as those are known.
fn with_names(settings: Settings, previous: Option<&Settings>) -> Settings {
    if settings.named.is_empty() {
        return settings;
    }
    let moves = settings.named.iter().map(|(id, named)| (*id, located_before(*id, named, previous))).collect();
    settings.relocated(moves)
}

/// Who is probed and how, by target; and whose table of blame is its own.
fn watched(shapes: &[Option<TrunkShape>], watches: &[Option<(ProbePolicy, BlamePolicy)>]) -> Watched {
    let (mut probes, mut blames) = (Vec::new(), Vec::new());
    for (id, (shape, watch)) in (0_u16..).zip(shapes.iter().zip(watches)) {
        let (Some(shape), Some((probe, blame))) = (shape, watch) else { continue };
        let ids = || shape.targets.iter().map(|target| TargetId { trunk: TrunkId(id), index: target.number });
        // Phones are wherever they register from; there is nobody to be asked on behalf of all of them.
        if !shape.many {
            probes.extend(ids().map(|target| (target, probe.clone())));
        }
        if *blame != BlamePolicy::default() {
            blames.extend(ids().map(|target| (target, blame.clone())));
        }
    }
    probes.sort_by_key(|(target, _)| *target);
    (probes, blames)
}

type Watched = (Vec<(TargetId, ProbePolicy)>, Vec<(TargetId, BlamePolicy)>);

/// The side a trunk is on.
fn side(trunk: &TrunkDraft, listens: &[Listen]) -> ListenId {
    let name = trunk.listen.as_ref();
    let side = name.and_then(|name| listens.iter().position(|listen| *listen.name == *name.value));
    ListenId(side.and_then(|side| u16::try_from(side).ok()).unwrap_or(u16::MAX))
}

/// None when it has addresses alone.
fn named_trunk(trunk: &TrunkDraft, listens: &[Listen], sockets: &[Socket]) -> Option<NamedTrunk> {
    let spots: Vec<Spot> = trunk.spots.iter().map(|spot| spot.value.clone()).collect();
    let listen = trunk.listen.as_ref()?;
    let side = listens.iter().position(|side| *side.name == *listen.value)?;
    let own = sockets.iter().filter(|socket| socket.listen.index() == side);
    let ways = Ways::new(own.map(|socket| (socket.transport, socket.bind)));
    spots.iter().any(|spot| matches!(spot, Spot::Named(_))).then_some(NamedTrunk { spots, ways })
}

/// A name that is still there leads where it led; nobody looks it up anew for a reload.
fn located_before(
    id: TrunkId,
    named: &NamedTrunk,
    previous: Option<&Settings>,
) -> Vec<Vec<crate::names::locate::Located>> {
    let before = previous.and_then(|previous| previous.named.get(&id).zip(previous.located.get(&id)));
    before.map_or_else(|| vec![Vec::new(); named.spots.len()], |(old, located)| old.kept(located, named))
}

/// Windows of groups, which the groups themselves need no more.
fn windows(draft: &mut Draft) -> Vec<(GroupId, Calendar)> {
    let groups = (0_u16..).zip(&mut draft.groups);
    groups.filter_map(|(id, group)| Some((GroupId(id), group.windows.take()?.value))).collect()
}

/// TLS of each trunk, by its id.
fn trunk_tls(draft: &Draft, ids: &Ids) -> Vec<TrunkTls> {
    let mut all = vec![TrunkTls::default(); ids.names.len()];
    for trunk in &draft.trunks {
        if let Some(id) = ids.of(&trunk.name.value) {
            all[id.index()].clone_from(&trunk.tls);
        }
    }
    all
}

/// Our registrations, by the id of their trunk.
fn registrations(draft: &Draft, ids: &Ids) -> Vec<Option<Registration>> {
    let mut all = vec![None; ids.names.len()];
    for trunk in &draft.trunks {
        if let Some(id) = ids.of(&trunk.name.value) {
            all[id.index()] = trunk.register.as_ref().map(|plan| plan.value.clone());
        }
    }
    all
}

/// What a plan knows of a trunk.
fn shape(trunk: &TrunkDraft, indexes: Vec<u8>, listens: &[Listen]) -> TrunkShape {
    TrunkShape {
        // Phones come and go: to a plan all of them are one target.
        targets: TargetShape::in_order(if trunk.registered { vec![0] } else { indexes }),
        many: trunk.registered,
        health: trunk.health.clone(),
        attempt: trunk.attempt.clone(),
        limits: trunk.limits,
        audio: trunk.audio.policy,
        side: side(trunk, listens),
    }
}

/// The rules of the registrar; without a file its users are all there are, and must have what is offered.
fn registrar(
    draft: super::registrar::RegistrarDraft,
    sides: &[ListenProfile],
    (phones, behind): (Option<TrunkId>, Option<TrunkId>),
    faults: &mut Faults<'_>,
) -> RegistrarRules {
    let place = |name: &At<String>| sides.iter().position(|side| *side.name == *name.value);
    let listens = draft.listens.iter().filter_map(place).filter_map(|index| u16::try_from(index).ok().map(ListenId));
    let listens = listens.collect();
    if phones.is_none() {
        let fix = Some(String::from("add [trunk.phones] with `at = \"registered\"`, and a route to its group"));
        faults.warn(
            &draft.at,
            "phones register, and no trunk has `at = \"registered\"`: nobody can call them",
            "",
            fix,
        );
    }
    draft.rules(listens, phones, behind)
}

/// The sides of the draft. Those of a running edge stay as they are.
fn sides_beside(draft: &mut Draft, previous: Option<&Settings>, faults: &mut Faults<'_>) -> (Vec<Listen>, Vec<Socket>) {
    let Some(previous) = previous else { return sides(draft) };
    // Moving a listen within the text changes nothing.
    let place = |name: &str| previous.listens.iter().position(|listen| *listen.name == *name);
    draft.listens.sort_by_key(|listen| place(&listen.name.value).unwrap_or(usize::MAX));
    only_at_start(draft, previous, faults);
    let (listens, sockets) = sides(draft);
    same_sides(draft, (&listens, &sockets), previous, faults);
    (listens, sockets)
}

/// What a running edge has opened already is not opened elsewhere.
fn only_at_start(draft: &Draft, before: &Settings, faults: &mut Faults<'_>) {
    let [api, data, media_io] = &draft.edge.places;
    for (key, at, changed) in [
        ("api", api, draft.edge.api != before.api),
        ("data", data, draft.edge.data != before.data),
        ("media_io", media_io, draft.edge.media_io != before.media_io),
    ] {
        if changed {
            faults.warn(at, format!("the new `{key}` is taken when the edge is started anew"), "", None);
        }
    }
}

/// FNV-1a (Fowler, Noll, Vo) over the bytes of the text.
fn fingerprint(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

fn sides(draft: &Draft) -> (Vec<Listen>, Vec<Socket>) {
    let mut listens = Vec::new();
    let mut sockets: Vec<Socket> = Vec::new();
    for (listen_id, listen) in (0_u16..).zip(&draft.listens) {
        for bind in &listen.sockets {
            let id = SocketId(u16::try_from(sockets.len()).unwrap_or(u16::MAX));
            let sent_by = seen_as(listen, bind.value.addr);
            sockets.push(Socket {
                id,
                listen: ListenId(listen_id),
                transport: bind.value.transport,
                bind: bind.value.addr,
                sent_by,
                host: listen.host.clone(),
            });
        }
        let media = listen.media.as_ref().map(|media: &At<MediaRange>| media.value);
        listens.push(Listen { name: Name::from(listen.name.value.as_str()), media });
    }
    (listens, sockets)
}

fn seen_as(listen: &ListenDraft, bind: SocketAddr) -> SocketAddr {
    listen.advertise.filter(|ip| ip.is_ipv4() == bind.is_ipv4()).map_or(bind, |ip| SocketAddr::new(ip, bind.port()))
}

/// Live calls hold the numbers of their sockets and ports, so a running edge keeps its sides as they are.
fn same_sides(draft: &Draft, now: (&[Listen], &[Socket]), before: &Settings, faults: &mut Faults<'_>) {
    if now == (&before.listens, &before.sockets) {
        return;
    }
    let changed = draft.listens.iter().zip(now.0).enumerate().find(|(index, (_, listen))| {
        let own =
            |sockets: &[Socket]| sockets.iter().filter(|s| s.listen.index() == *index).cloned().collect::<Vec<_>>();
        before.listens.get(*index) != Some(*listen) || own(now.1) != own(&before.sockets)
    });
    let at = changed.map_or(0..0, |(_, (draft, _))| draft.name.at.clone());
    let fix = Some(String::from("put the listens back as they were, or start the edge anew"));
    faults.error(&at, "listens cannot change while the edge runs: live calls hold on to them", "the same listens", fix);
}

fn listen_profiles(listens: &[Listen], sockets: &[Socket]) -> Vec<ListenProfile> {
    let profile = |(id, listen): (u16, &Listen)| ListenProfile {
        name: listen.name.clone(),
        sockets: sockets.iter().filter(|socket| socket.listen == ListenId(id)).map(|socket| socket.id).collect(),
        media: listen.media.map(|media| media.advertised),
        media_bind: listen.media.map(|media| media.bind),
    };
    (0_u16..).zip(listens).map(profile).collect()
}

fn profile(trunk: TrunkDraft, numbers: &TargetNumbers, listens: &[Listen], sockets: &[Socket]) -> Option<TrunkProfile> {
    let listen = trunk.listen?.value;
    let named = |name: &str| {
        let place = listens.iter().position(|side| *side.name == *name)?;
        u16::try_from(place).ok().map(ListenId)
    };
    let listen = named(&listen)?;
    let way_to = |SipAddress { transport, addr }: &SipAddress| {
        let way = |socket: &&Socket| {
            (socket.listen, socket.transport) == (listen, *transport) && socket.bind.is_ipv4() == addr.is_ipv4()
        };
        sockets.iter().find(way)
    };
    // Where it reaches us: by the way to its first address, or, while names lead nowhere yet, by the first of its side.
    let first = trunk.targets.first().and_then(|address| way_to(&address.value));
    let ours = first.or_else(|| sockets.iter().find(|socket| socket.listen == listen))?;
    let mut interworking = trunk.interworking;
    if interworking.identity.host.is_empty() {
        interworking.identity.host = ours
            .host
            .as_ref()
            .map_or_else(|| format!("{}", ours.sent_by).into_bytes(), |name| name.as_bytes().to_vec());
    }
    // RFC 3261 §8.1.1.1: a name that calls are to be sent to is what they name. Of several names each target would have its own.
    if let ([At { value: Spot::Named(named), .. }], true) = (&trunk.spots[..], interworking.host.is_empty()) {
        let port = named.port.map(|port| format!(":{port}")).unwrap_or_default();
        interworking.host = format!("{}{port}", named.host).into_bytes();
    }
    let target = |address: SipAddress| {
        let socket = way_to(&address)?;
        Some(Target { index: numbers.of(address)?, addr: address.addr, transport: socket.transport, socket: socket.id })
    };
    Some(TrunkProfile {
        name: Name::from(trunk.name.value.as_str()),
        targets: trunk.targets.iter().filter_map(|addr| target(addr.value)).collect(),
        listen,
        interfaces: trunk.audio.media.iter().filter_map(|name| named(&name.value)).collect(),
        timers: trunk.timers,
        auth: trunk.auth.map(|(user, secret, realm)| Credentials { user, secret: secret.reveal(), realm }),
        accept: trunk.accept.iter().map(|net| Cidr { addr: net.value.addr, bits: net.value.bits }).collect(),
        overload: trunk.overload,
        large_by_tcp: trunk.large_by_tcp,
        dialogs: trunk.dialogs,
        session_max: trunk.session_max,
        interworking,
        media: trunk.media,
        inbound: trunk.inbound,
        transfer: trunk.transfer,
        redirect: trunk.redirect,
        challenge: trunk.challenge,
    })
}

fn group_names(draft: &Draft) -> Vec<Name> {
    draft.groups.iter().map(|group| Name::from(group.name.value.as_str())).collect()
}

fn groups(draft: &Draft, ids: &Ids) -> Vec<GroupPolicy> {
    let policy = |(id, group): (u16, &super::group::GroupDraft)| {
        let member = |member: &At<super::group::MemberDraft>| {
            Some(Member { trunk: ids.of(&member.value.trunk)?, weight: member.value.weight })
        };
        let tiers = group.tiers.iter().map(|tier| tier.iter().filter_map(member).collect()).collect();
        let mut policy = GroupPolicy::new(GroupId(id), tiers);
        if let Some(failback) = &group.failback {
            policy.failback = failback.clone();
        }
        if let Some(ramp) = &group.ramp {
            policy.ramp.clone_from(ramp);
        }
        policy.strategy = group.strategy.unwrap_or_default();
        policy.eject_share = group.eject_share.map_or(policy.eject_share, u32::from);
        policy.flips = group.flips.unwrap_or(policy.flips);
        policy
    };
    (0_u16..).zip(&draft.groups).map(policy).collect()
}

fn routes(draft: &Draft, ids: &Ids) -> Vec<RouteRule> {
    let rule = |route: &super::route::RouteDraft| {
        let to = route.to.as_ref()?;
        let group = draft.groups.iter().position(|group| group.name.value == to.value)?;
        Some(RouteRule {
            from: route.from.iter().filter_map(|name| ids.of(&name.value)).collect(),
            prefixes: route.prefixes.clone(),
            to: GroupId(u16::try_from(group).ok()?),
        })
    };
    draft.routes.iter().filter_map(rule).collect()
}

//! Who would be tried now for a number: the router itself, asked without a call.
//!
//! Refuses to know: how the answer is shown.

use api::{Fault, Kind};
use decide::{Excluded, Facts, Load, NoPlan};
use edge::{RouteView, Snapshot};
use explain::words::{call, outcome};
use model::{GroupId, Instant, Name, Rng, TrunkId};

/// The plan that a call to `number` from trunk `from` (any, when none is given) would get. Calls at once and qualities are those
/// the shards work by. Calls per second are known to the shards alone and are taken for none, so a trunk that is at its limit of
/// them for the moment is shown as one with room.
pub(super) fn route(
    now: Instant,
    snapshot: &Snapshot,
    trunk_calls: &[u32],
    from: Option<&str>,
    number: &str,
) -> Result<RouteView, Fault> {
    let settings = &snapshot.settings;
    let names = &settings.names.trunks;
    let mut load = Load::default();
    load.resize(names.len());
    load.qualities = snapshot.qualities.clone();
    for (held, calls) in load.calls.iter_mut().zip(trunk_calls) {
        *held = *calls;
    }
    let candidates: Vec<TrunkId> = names
        .iter()
        .enumerate()
        .filter(|(_, name)| !name.is_empty() && from.is_none_or(|from| name.as_str() == from))
        .map(|(index, _)| TrunkId(index as u16))
        .collect();
    if candidates.is_empty() {
        return Err(from.map_or_else(no_trunks, Fault::no_trunk));
    }
    let emergency = settings.profiles.is_emergency(number.as_bytes());
    // The seed does not matter: among those that share calls any draw shows an order that a call may get.
    let mut plans = candidates.into_iter().map(|from| {
        let facts = Facts { from, number, emergency };
        decide::plan(&settings.shape, &snapshot.table, &load, &facts, now, &mut Rng::new(1))
    });
    // From any trunk: the first that has a route for the number speaks for all.
    let first = plans.next().unwrap_or(Err(NoPlan::NoRoute));
    let plan = match first {
        Err(NoPlan::NoRoute) => plans.find(|plan| *plan != Err(NoPlan::NoRoute)).unwrap_or(Err(NoPlan::NoRoute)),
        first => first,
    };
    let by_id: Vec<(TrunkId, Name)> =
        names.iter().enumerate().map(|(index, name)| (TrunkId(index as u16), name.clone())).collect();
    let group = |id: GroupId| settings.names.groups.get(id.index());
    let epoch = snapshot.table.epoch();
    let excluded = |list: &[Excluded]| {
        list.iter().map(|out| (name(&by_id, out.trunk), outcome::exclusion(out.cause, now))).collect()
    };
    Ok(match plan {
        Ok(plan) => {
            let mut order: Vec<Name> = Vec::new();
            for candidate in &plan.attempts {
                let name = name(&by_id, candidate.target.trunk);
                if !order.contains(&name) {
                    order.push(name);
                }
            }
            RouteView {
                epoch,
                order,
                excluded: excluded(&plan.excluded),
                last_resort: plan.last_resort,
                sentences: vec![call::plan(&plan, group(plan.group), &by_id, now)],
            }
        }
        Err(none) => {
            let (group, out) = match &none {
                NoPlan::NoRoute | NoPlan::Barred { .. } | NoPlan::Joined { .. } => (None, Vec::new()),
                NoPlan::NobodyLeft { group: id, excluded: list, .. } => (group(*id), excluded(list)),
            };
            let sentences = vec![call::no_plan(&none, group, &by_id, now)];
            RouteView { epoch, order: Vec::new(), excluded: out, last_resort: false, sentences }
        }
    })
}

fn name(names: &[(TrunkId, Name)], trunk: TrunkId) -> Name {
    names.get(trunk.index()).map_or_else(|| Name::from("?"), |(_, name)| name.clone())
}

fn no_trunks() -> Fault {
    Fault::new(Kind::NotFound, "there is no trunk at all", "add a `[trunk.NAME]` to the configuration")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]

    use super::*;
    use crate::load;
    use edge::Control;
    use model::{Qualities, Seq, Wall};
    use std::sync::Arc;

    const CONFIG: &str = "[listen.wan]\nsip = [\"udp:192.0.2.1:5060\"]\n\
        [trunk.office]\nat = \"sip:192.0.2.30:5060\"\nlisten = \"wan\"\n\
        [trunk.acme]\nat = \"sip:192.0.2.31:5060\"\nlisten = \"wan\"\n\
        [trunk.globex]\nat = \"sip:192.0.2.32:5060\"\nlisten = \"wan\"\n\
        [group.carriers]\ntiers = [[\"acme\", \"globex\"]]\nstrategy = \"quality\"\n[[route]]\nto = \"carriers\"\n";

    #[test]
    fn a_group_that_goes_by_quality_is_shown_as_the_shards_see_it() {
        let loaded = load::text("test", CONFIG, None).unwrap_or_else(|refused| panic!("{}", refused.text));
        let control = Control::new(Instant::ZERO, Wall::from_micros(0), Arc::new(loaded.settings), 1, Seq(1));
        let names = &control.snapshot().settings.names.trunks;
        for order in [["globex", "acme"], ["acme", "globex"]] {
            let bad =
                names.iter().position(|name| name.as_str() == order[1]).unwrap_or_else(|| panic!("no such trunk"));
            let mut qualities = Qualities::new();
            qualities.set(TrunkId(bad as u16), 0);
            let snapshot = Snapshot { qualities: Arc::new(qualities), ..Snapshot::clone(control.snapshot()) };
            let view = route(Instant::ZERO, &snapshot, &[], Some("office"), "+4722")
                .unwrap_or_else(|fault| panic!("{}", fault.error));
            let shown: Vec<&str> = view.order.iter().map(Name::as_str).collect();
            assert_eq!(shown, order);
        }
    }
}

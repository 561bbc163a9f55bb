//! The ways that registrars want our calls to go (RFC 3608): of each target that has granted one, the values of Route.
//!
//! They are as old as the registration that brought them, and of that target alone: another one may lead into another network. Refuses to know:
//! who registers, how a call finds its target.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use model::{TargetId, TrunkId};
use sip::{Message, NameAddr, Uri};

/// Values of a Service-Route at most: a network has few servers in a row, and each value is sent with each call.
const VALUES: usize = 8;
/// Letters of all of them at most.
const LETTERS: usize = 1_024;

/// What a target's registrar has said last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRoute {
    /// The target.
    pub target: TargetId,
    /// Values of Route, the first hop first; none when it wants none, or is not registered with any more.
    pub values: Vec<Box<[u8]>>,
}

/// Those of all targets.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ServiceRoutes {
    routes: BTreeMap<TargetId, Vec<Box<[u8]>>>,
}

/// A Service-Route that cannot be kept: too long, or not of loose routers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unusable;

impl ServiceRoutes {
    /// Takes the last word; false when it was known.
    pub fn set(&mut self, route: ServiceRoute) -> bool {
        if self.of(route.target) == route.values {
            return false;
        }
        if route.values.is_empty() {
            self.routes.remove(&route.target);
        } else {
            self.routes.insert(route.target, route.values);
        }
        true
    }

    /// Of a target.
    pub fn of(&self, target: TargetId) -> &[Box<[u8]>] {
        self.routes.get(&target).map_or(&[], Vec::as_slice)
    }

    /// Forgets those of trunks that do not stay.
    pub fn retain(&mut self, stays: impl Fn(TrunkId) -> bool) {
        self.routes.retain(|target, _| stays(target.trunk));
    }
}

/// That of a 200 to REGISTER (RFC 3608 §6.1: all values, in their order).
pub(crate) fn read(message: &Message) -> Result<Vec<Box<[u8]>>, Unusable> {
    let values: Vec<&[u8]> = message.named_values("Service-Route").take(VALUES + 1).collect();
    let letters: usize = values.iter().map(|value| value.len()).sum();
    let loose = |value: &&[u8]| Uri::parse(NameAddr::of(value).uri).is_ok_and(|uri| uri.params().get("lr").is_some());
    if values.len() > VALUES || letters > LETTERS || !values.iter().all(loose) {
        return Err(Unusable);
    }
    Ok(values.into_iter().map(Box::from).collect())
}

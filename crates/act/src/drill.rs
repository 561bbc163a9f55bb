//! A drill as shards know it: whose calls are of it, and which trunks are broken for them.
//!
//! Its calls are known by two things at once: they come from the very address that its caller has announced, and their Call-ID begins with a
//! word that only whoever began the drill was told. So no other call meets its faults, unless it was asked to break a trunk for all. Refuses
//! to know: who drills, for how long, what for.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;
use model::{DrillFault, TrunkId};

/// Calls of a drill that may be up at once in one shard.
pub(crate) const AT_ONCE: usize = 4;

/// The drill under way.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Drill {
    /// What the Call-IDs of its calls begin with.
    pub mark: Vec<u8>,
    /// Where its calls come from, and as whose.
    pub callers: Vec<(SocketAddr, TrunkId)>,
    /// What may be dialled in it.
    pub numbers: Vec<String>,
    /// Which trunks are broken now, and how.
    pub faults: Vec<(TrunkId, DrillFault)>,
    /// They are broken for every call, and for probes.
    pub all_calls: bool,
}

impl Drill {
    /// The trunk that a call of the drill counts as coming from; none when it is no call of it.
    pub fn caller(&self, peer: SocketAddr, call_id: &[u8]) -> Option<TrunkId> {
        let (_, trunk) = self.callers.iter().find(|(addr, _)| *addr == peer)?;
        (!self.mark.is_empty() && call_id.starts_with(&self.mark)).then_some(*trunk)
    }

    /// How a trunk is broken, for a call of the drill or for another one.
    pub fn fault(&self, trunk: TrunkId, drilled: bool) -> Option<DrillFault> {
        let broken = self.faults.iter().find(|(broken, _)| *broken == trunk);
        broken.map(|(_, fault)| *fault).filter(|_| drilled || self.all_calls)
    }

    /// Whether it may dial this number.
    pub fn may_dial(&self, number: &str) -> bool {
        self.numbers.iter().any(|known| known == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const X: TrunkId = TrunkId(1);

    #[test]
    fn only_its_own_calls_meet_its_faults_unless_all_are_to() {
        let at = SocketAddr::from(([127, 0, 0, 1], 5090));
        let mut drill = Drill { mark: b"drill-7-".to_vec(), callers: vec![(at, TrunkId(3))], ..Drill::default() };
        drill.faults.push((X, DrillFault::Silent));
        assert_eq!(drill.caller(at, b"drill-7-1@h"), Some(TrunkId(3)));
        assert_eq!(drill.caller(at, b"other@h"), None, "the caller's address alone is not enough");
        let beside = SocketAddr::from(([127, 0, 0, 1], 5091));
        assert_eq!(drill.caller(beside, b"drill-7-1@h"), None, "nor is the mark");
        assert_eq!((drill.fault(X, true), drill.fault(X, false)), (Some(DrillFault::Silent), None));
        drill.all_calls = true;
        assert_eq!(drill.fault(X, false), Some(DrillFault::Silent));
        assert_eq!(Drill::default().caller(at, b""), None);
    }
}

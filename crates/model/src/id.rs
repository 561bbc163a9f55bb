//! Small numbers that name things. Each is its own type, so that a trunk can never be mistaken for a target.

use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// As an index into a table kept in id order.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

id!(
    /// A trunk, stable over reloads: a name keeps its id, a removed name leaves a hole.
    TrunkId(u16)
);
id!(
    /// A group of trunks that routes point to.
    GroupId(u16)
);
id!(
    /// A `[[route]]` in the order of the file.
    RouteId(u16)
);
id!(
    /// A `[listen.NAME]`.
    ListenId(u16)
);
id!(
    /// One local SIP socket address (all shards share the number; each has its own descriptor).
    SocketId(u16)
);
id!(
    /// A shard: one core's worth of calls.
    ShardId(u8)
);
id!(
    /// Version of the trunk table; grows by one with every applied decision.
    Epoch(u64)
);
id!(
    /// Number of a record in the journal.
    Seq(u64)
);

impl TrunkId {
    /// The way between the shards of one node: a call takes it when a transfer joins two calls of different shards. It has terms as a
    /// trunk has, and is none: nobody routes there, and nothing is held against it.
    pub const BETWEEN_SHARDS: Self = Self(u16::MAX);
}

impl SocketId {
    /// The same way as what a message comes and goes by. No socket has this number, so that nothing from outside comes by it.
    pub const BETWEEN_SHARDS: Self = Self(u16::MAX);
}

/// One resolved address of a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TargetId {
    /// The trunk.
    pub trunk: TrunkId,
    /// Its number within the trunk, which its address keeps over reloads. Not its place in the order of targets.
    pub index: u8,
}

/// A call, as people type it: sixteen hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallRef(pub u64);

impl fmt::Display for CallRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for CallRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for CallRef {
    type Err = core::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

// As text: JSON numbers lose digits above 2^53.
impl Serialize for CallRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CallRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <alloc::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

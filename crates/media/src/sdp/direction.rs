//! Who may send, and what an answer may say to an offer: RFC 3264 §5.1, §6.1, §8.4.

/// Direction of a stream, as the one who wrote the SDP sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Direction {
    /// Both send. What holds when nothing is said.
    #[default]
    SendRecv,
    /// The writer sends.
    SendOnly,
    /// The writer receives.
    RecvOnly,
    /// Nobody sends.
    Inactive,
}

impl Direction {
    /// By who may send.
    pub const fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// By the name of its attribute.
    pub(crate) fn of(attribute: &[u8]) -> Option<Self> {
        match attribute {
            b"sendrecv" => Some(Self::SendRecv),
            b"sendonly" => Some(Self::SendOnly),
            b"recvonly" => Some(Self::RecvOnly),
            b"inactive" => Some(Self::Inactive),
            _ => None,
        }
    }

    /// The name of its attribute.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// The writer may send.
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// The writer may receive.
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same as its reader sees it.
    pub const fn reversed(self) -> Self {
        Self::new(self.receives(), self.sends())
    }

    /// What both allow, from the same side's view.
    pub const fn and(self, other: Self) -> Self {
        Self::new(self.sends() && other.sends(), self.receives() && other.receives())
    }

    /// What one who wants `wish` answers to this offer: no more than it allows (RFC 3264 §6.1).
    pub const fn answer(self, wish: Self) -> Self {
        self.reversed().and(wish)
    }

    /// The writer puts its reader on hold: it no longer receives (RFC 3264 §8.4).
    pub const fn holds(self) -> bool {
        !self.receives()
    }
}

#[cfg(test)]
mod tests {
    use super::Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    use super::*;

    const ALL: [Direction; 4] = [SendRecv, SendOnly, RecvOnly, Inactive];

    #[test]
    fn answers_follow_the_table_of_3264_6_1() {
        assert_eq!(ALL.map(|offer| offer.answer(SendRecv)), [SendRecv, RecvOnly, SendOnly, Inactive]);
        assert_eq!(ALL.map(|offer| offer.answer(SendOnly)), [SendOnly, Inactive, SendOnly, Inactive]);
        assert_eq!(ALL.map(|offer| offer.answer(RecvOnly)), [RecvOnly, RecvOnly, Inactive, Inactive]);
        assert_eq!(ALL.map(|offer| offer.answer(Inactive)), [Inactive; 4], "a double hold");
    }

    #[test]
    fn names_and_reversals_come_back() {
        for direction in ALL {
            assert_eq!(Direction::of(direction.name().as_bytes()), Some(direction));
            assert_eq!(direction.reversed().reversed(), direction);
            assert_eq!(direction.holds(), !direction.reversed().sends(), "who holds is not sent to");
        }
    }
}

//! What an agent tells whoever drives it.

use crate::call::CallNo;
use crate::digits::DigitWay;
use crate::ear::{Spell, Stream};
use alloc::string::String;
use alloc::vec::Vec;
use media::Digit;
use model::{Span, TransportFault};

/// Something happened to a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// A call came in.
    Incoming {
        /// Which.
        call: CallNo,
        /// Called number: user part of the request URI.
        number: String,
    },
    /// A provisional response came.
    Progress {
        /// Which call.
        call: CallNo,
        /// SIP status code.
        code: u16,
        /// INVITE to this.
        after: Span,
    },
    /// The call is answered: 2xx received, or ACK for ours.
    Answered {
        /// Which call.
        call: CallNo,
        /// INVITE to this.
        after: Span,
    },
    /// Not answered.
    Refused {
        /// Which call.
        call: CallNo,
        /// SIP status code of the final response.
        code: u16,
        /// INVITE to this.
        after: Span,
    },
    /// No final response came, or the network refused us.
    Failed {
        /// Which call.
        call: CallNo,
        /// How, when it was the network; silence otherwise.
        fault: Option<TransportFault>,
    },
    /// A hold or resume was accepted, or not.
    Reinvited {
        /// Which call.
        call: CallNo,
        /// SIP status code of the final response.
        code: u16,
    },
    /// Our OPTIONS was answered.
    Options {
        /// SIP status code.
        code: u16,
    },
    /// An answered call is over.
    Ended {
        /// Which call.
        call: CallNo,
        /// We sent the BYE.
        by_us: bool,
        /// What was heard.
        heard: Heard,
    },
}

/// What a call sounded like.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Heard {
    /// RTP packets received.
    pub packets: u64,
    /// The tone heard longest, in hertz, if any was.
    pub tone_hz: Option<u16>,
    /// For how long.
    pub tone_for: Span,
    /// Longest time between two packets.
    pub longest_gap: Span,
    /// What was heard, in order; the first of it, if it was much.
    pub spells: Vec<Spell>,
    /// Whether it was one stream.
    pub stream: Stream,
    /// Every tone heard, in hertz, and for how long.
    pub tones: Vec<(u16, Span)>,
    /// Digits that it was told of, in order, each with how.
    pub digits: Vec<(Digit, DigitWay)>,
}

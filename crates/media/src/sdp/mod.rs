//! SDP as far as an anchor needs it: RFC 8866, RFC 3264, RFC 3605.
//!
//! What concerns addresses is rewritten, what would lead around us is taken away, the formats of audio are chosen where a policy wants
//! it, and everything else passes byte for byte. Refuses to know: SIP.

mod asking;
mod connectivity;
mod direction;
mod formats;
mod hide;
mod locks;
mod make;
mod negotiation;
mod offer_answer;
mod parse;
mod rewrite;
mod same;

pub use connectivity::{Credentials, Reach};
pub use direction::Direction;
pub use formats::{Described, Formats, PACKET_MS};
pub use locks::{Lock, Srtp};
pub use make::{Line, Written};
pub use negotiation::{DigitsBy, Exchange, Making, MediaPolicy, NothingInCommon, Settled, Transcode, offer};
pub use offer_answer::{Agreed, Mismatch, agree};
pub use parse::{Sdp, SdpError, Stream};
pub use rewrite::Facing;

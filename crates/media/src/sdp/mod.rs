//! SDP as far as an anchor needs it: RFC 8866, RFC 3264, RFC 3605.
//!
//! What concerns addresses is rewritten, what would lead around us is taken away, everything else passes byte for byte.
//! Refuses to know: codecs, SIP.

mod direction;
mod hide;
mod offer_answer;
mod parse;
mod rewrite;

pub use direction::Direction;
pub use offer_answer::{Agreed, Mismatch, agree};
pub use parse::{Sdp, SdpError, Stream};
pub use rewrite::Facing;

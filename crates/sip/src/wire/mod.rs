//! The bytes of SIP: scanning, headers, URIs, Via, addresses. RFC 3261 §7, §20, §25.
//!
//! Everything here borrows. Refuses to know: transactions, dialogs.

mod cseq;
mod frame;
mod header;
mod method;
mod name_addr;
mod params;
mod parse;
mod proxy_header;
mod scan;
mod split;
mod uri;
mod via;

pub use cseq::CSeq;
pub use frame::{BadStream, Framer, Piece};
pub use header::HeaderName;
pub use method::Method;
pub use name_addr::NameAddr;
pub use params::Params;
pub use parse::Malformed;
pub(crate) use parse::{Index, Start, index, is_request_uri, number};
pub use proxy_header::{NoProxyHeader, ProxyHeader};
pub(crate) use scan::lines;
pub use scan::{Scan, scan};
pub(crate) use split::split_list;
pub use uri::{BadUri, Uri};
pub use via::{Overload, Via};

//! Dialogs: RFC 3261 §12, as plain data that can be stored, moved and printed.
//!
//! A dialog sends nothing itself: it fills a `Draft`, which goes out through the endpoint.
//! Refuses to know: transactions, sessions, sockets.

pub(crate) mod reliable;
mod route_set;
pub(crate) mod session_timer;

pub(crate) use reliable::Reliable;

use crate::compose::{Draft, HeaderLines};
use crate::message::Message;
use crate::transport::Transport;
use crate::wire::{self, HeaderName, Method, Uri};
use alloc::format;
use alloc::vec::Vec;
use core::net::SocketAddr;

/// Both ends' state of one dialog. An early dialog and the confirmed one that follows differ in nothing but fresher values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialog {
    /// Call-ID.
    pub call_id: Vec<u8>,
    /// Our tag.
    pub local_tag: Vec<u8>,
    /// The peer's tag; empty when an RFC 2543 peer gave none (12.1.2).
    pub remote_tag: Vec<u8>,
    /// Our name and `<URI>`, as they stood in the request that began the dialog, without parameters.
    pub local_uri: Vec<u8>,
    /// The peer's name and `<URI>`, likewise.
    pub remote_uri: Vec<u8>,
    /// URI of the peer's Contact: where requests go.
    pub remote_target: Vec<u8>,
    /// Route values in the order in which our requests visit them.
    pub route_set: Vec<Vec<u8>>,
    /// CSeq number of our last request; 0 before the first.
    pub local_seq: u32,
    /// CSeq number of the peer's last request.
    pub remote_seq: Option<u32>,
}

/// Why a message makes no dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoDialog {
    /// It has no Contact with a URI that a request line can hold, so requests would have nowhere to go (12.1). Answer 400, or end the
    /// call.
    NoContact,
    /// Its first Record-Route is that of a strict router whose URI no request line can hold. The same holds.
    NoRoute,
    /// From or, in a response, our own tag is missing (12.1).
    NoTag,
}

/// A request older than one already seen; answer it with 500 (12.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfOrder;

impl Dialog {
    /// The called side's dialog, from the request that begins it and the tag our answers carry (12.1.1).
    pub fn uas(request: &Message, local_tag: &[u8]) -> Result<Self, NoDialog> {
        let dialog = Self {
            call_id: request.call_id().to_vec(),
            local_tag: local_tag.to_vec(),
            remote_tag: request.from().tag().unwrap_or_default().to_vec(),
            local_uri: address(request, HeaderName::To),
            remote_uri: address(request, HeaderName::From),
            remote_target: contact(request)?,
            route_set: request.values(HeaderName::RecordRoute).map(<[u8]>::to_vec).collect(),
            local_seq: 0,
            remote_seq: Some(request.cseq().number),
        };
        dialog.routed()
    }

    /// The calling side's dialog, from a 101-299 response to our request (12.1.2).
    pub fn uac(response: &Message) -> Result<Self, NoDialog> {
        let mut route_set: Vec<Vec<u8>> = response.values(HeaderName::RecordRoute).map(<[u8]>::to_vec).collect();
        route_set.reverse();
        let dialog = Self {
            call_id: response.call_id().to_vec(),
            local_tag: response.from().tag().ok_or(NoDialog::NoTag)?.to_vec(),
            remote_tag: response.to().tag().unwrap_or_default().to_vec(),
            local_uri: address(response, HeaderName::From),
            remote_uri: address(response, HeaderName::To),
            remote_target: contact(response)?,
            route_set,
            local_seq: response.cseq().number,
            remote_seq: None,
        };
        dialog.routed()
    }

    /// With a strict router in front, its URI is what requests are addressed to (12.2.1.1).
    fn routed(self) -> Result<Self, NoDialog> {
        let (uri, _) = route_set::route(&self.route_set, &self.remote_target);
        if wire::is_request_uri(&uri) { Ok(self) } else { Err(NoDialog::NoRoute) }
    }

    /// A new request inside the dialog, CSeq one higher (12.2.1.1). The caller adds Contact, body and what else it wants.
    pub fn request(&mut self, method: Method) -> Draft {
        self.local_seq = self.local_seq.wrapping_add(1);
        self.draft(method, self.local_seq)
    }

    /// The ACK for a 2xx to the INVITE that had this CSeq number (13.2.2.4).
    pub fn ack(&self, cseq: u32) -> Draft {
        self.draft(Method::Ack, cseq)
    }

    /// Takes a request of the peer in: an older CSeq is refused, a newer one is remembered (12.2.2). ACK and CANCEL carry
    /// the number of their INVITE and are never out of order.
    pub fn accepts(&mut self, request: &Message) -> Result<(), OutOfOrder> {
        let cseq = request.cseq();
        if matches!(cseq.method, Method::Ack | Method::Cancel) {
            return Ok(());
        }
        if self.remote_seq.is_some_and(|seen| cseq.number < seen) {
            return Err(OutOfOrder);
        }
        self.remote_seq = Some(cseq.number);
        Ok(())
    }

    /// Takes the Contact of a target refresh request, or of a 2xx to one, as the new target (12.2.1.2, 12.2.2;
    /// RFC 3311 5.1, RFC 6665 4.4.1). Other messages change nothing, and the route set never changes.
    pub fn refresh_target(&mut self, message: &Message) {
        let refreshes = matches!(
            message.method(),
            Method::Invite | Method::Update | Method::Subscribe | Method::Notify | Method::Refer
        );
        let succeeds = message.status().is_none_or(|code| (200..300).contains(&code));
        if let (true, true, Ok(target)) = (refreshes, succeeds, contact(message)) {
            self.remote_target = target;
        }
    }

    /// Whether a request of the peer belongs here (12.2.2).
    pub fn matches(&self, request: &Message) -> bool {
        request.call_id() == self.call_id
            && request.to().tag() == Some(&self.local_tag)
            && request.from().tag().unwrap_or_default() == self.remote_tag
    }

    /// Where requests go by this transport: the first route, or the target when there is none (8.1.2). `None` when that is a name to resolve.
    pub fn next_hop(&self, by: Transport) -> Option<SocketAddr> {
        let uri = self.route_set.first().map_or(self.remote_target.as_slice(), |route| route_set::uri_of(route));
        Uri::parse(uri).ok()?.socket_addr(by)
    }

    fn draft(&self, method: Method, cseq: u32) -> Draft {
        let (uri, routes) = route_set::route(&self.route_set, &self.remote_target);
        let mut headers = HeaderLines::new();
        for route in &routes {
            headers.push("Route", route);
        }
        headers.push("From", &tagged(&self.local_uri, &self.local_tag));
        headers.push("To", &tagged(&self.remote_uri, &self.remote_tag));
        headers.push("Call-ID", &self.call_id);
        headers.push("CSeq", format!("{cseq} {}", method.as_str()).as_bytes());
        Draft { headers, ..Draft::new(method, uri) }
    }
}

fn address(message: &Message, name: HeaderName) -> Vec<u8> {
    route_set::address_of(message.header(name).unwrap_or_default())
}

fn contact(message: &Message) -> Result<Vec<u8>, NoDialog> {
    let uri = message.contact().map(|contact| contact.uri).filter(|uri| wire::is_request_uri(uri) && *uri != b"*");
    uri.map(<[u8]>::to_vec).ok_or(NoDialog::NoContact)
}

fn tagged(address: &[u8], tag: &[u8]) -> Vec<u8> {
    if tag.is_empty() { address.to_vec() } else { [address, b";tag=", tag].concat() }
}

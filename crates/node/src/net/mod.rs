//! Sockets and the few system calls around them; the only place with unsafe code.
//!
//! Refuses to know: SIP, calls, what a packet means.

pub(crate) mod address;
pub(crate) mod epoll;
pub(crate) mod faults;
pub(crate) mod media;
pub(crate) mod process;
pub(crate) mod socket;
pub(crate) mod udp;
pub(crate) mod wake;

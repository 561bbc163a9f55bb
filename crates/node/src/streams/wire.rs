//! Bytes over one connection, in clear or under TLS, without ever waiting.
//!
//! rustls does TLS and no input or output: it is fed here. Refuses to know: messages, limits, deadlines.

use super::tls;
use model::TransportFault;
use rustls::Connection as Tls;
use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::ParsedCertificate;
use sip::{NoProxyHeader, ProxyHeader};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};

/// Plain text handed to TLS at once; what is beyond waits where its size is known.
const CHUNK: usize = 16_384;

/// One connection.
pub(crate) struct Wire {
    socket: TcpStream,
    tls: Option<Box<Tls>>,
}

impl Wire {
    pub(crate) fn new(socket: TcpStream, tls: Option<Tls>) -> Self {
        Self { socket, tls: tls.map(Box::new) }
    }

    /// Whether TCP is there.
    ///
    /// # Errors
    /// It never will be, and why.
    pub(super) fn connected(&self) -> Result<bool, TransportFault> {
        match self.socket.take_error() {
            Ok(None) => Ok(self.socket.peer_addr().is_ok()),
            Ok(Some(error)) | Err(error) => Err(fault(&error)),
        }
    }

    /// TLS, if it is spoken, is not agreed on yet.
    pub(super) fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// What a load balancer says before anything else, taken away from what is to be read; none while it is not whole.
    ///
    /// # Errors
    /// The connection is over, and how.
    pub(super) fn introduction(&mut self) -> Result<Option<ProxyHeader>, NoIntroduction> {
        let mut bytes = [0; ProxyHeader::LARGEST];
        // It is looked at where it is, since what follows it belongs to TLS.
        let seen = match some(|| self.socket.peek(&mut bytes))? {
            Some(0) => return Err(NoIntroduction::Fault(TransportFault::Broken)),
            Some(seen) => seen,
            None => return Ok(None),
        };
        let header = ProxyHeader::parse(&bytes[..seen])?;
        if let Some(header) = &header {
            // All of it is there.
            self.socket.read_exact(&mut bytes[..header.length]).map_err(|error| fault(&error))?;
        }
        Ok(header)
    }

    /// Reads what is there; 0 when nothing is.
    ///
    /// # Errors
    /// The connection is over, and how.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> Result<usize, TransportFault> {
        let Some(tls) = &mut self.tls else {
            return match some(|| self.socket.read(into))? {
                Some(0) => Err(TransportFault::Broken),
                Some(count) => Ok(count),
                None => Ok(0),
            };
        };
        loop {
            match tls.reader().read(into) {
                Ok(0) => return Err(TransportFault::Broken),
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return Err(TransportFault::Broken),
            }
            match some(|| tls.read_tls(&mut self.socket))? {
                Some(0) => return Err(TransportFault::Broken),
                Some(_) => {}
                None => return Ok(0),
            }
            if let Err(error) = tls.process_new_packets() {
                // The alert tells the peer why; it may be gone already.
                let _gone = tls.write_tls(&mut self.socket);
                return Err(tls::fault(&error));
            }
        }
    }

    /// Writes what it can of `waiting`, and takes that away.
    ///
    /// # Errors
    /// The connection is over, and how.
    pub(crate) fn write(&mut self, waiting: &mut Vec<u8>) -> Result<(), TransportFault> {
        let mut done = 0;
        let ended = self.write_some(waiting, &mut done);
        waiting.drain(..done);
        ended
    }

    fn write_some(&mut self, waiting: &[u8], done: &mut usize) -> Result<(), TransportFault> {
        let Some(tls) = &mut self.tls else {
            while *done < waiting.len() {
                match some(|| self.socket.write(&waiting[*done..]))? {
                    Some(count) => *done += count,
                    None => break,
                }
            }
            return Ok(());
        };
        loop {
            while tls.wants_write() {
                if some(|| tls.write_tls(&mut self.socket))?.is_none() {
                    return Ok(());
                }
            }
            if *done == waiting.len() || tls.is_handshaking() {
                return Ok(());
            }
            let end = waiting.len().min(*done + CHUNK);
            *done += tls.writer().write(&waiting[*done..end]).map_err(|error| fault(&error))?;
        }
    }

    /// Whether whoever is at the other end has proved by a certificate to be this host.
    pub(super) fn is_proved(&self, name: &ServerName<'_>) -> bool {
        let own = self.tls.as_ref().and_then(|tls| tls.peer_certificates()?.first());
        let parsed = own.and_then(|own| ParsedCertificate::try_from(own).ok());
        parsed.is_some_and(|parsed| verify_server_name(&parsed, name).is_ok())
    }

    /// Says goodbye under TLS, as far as that goes without waiting; closing follows.
    pub(super) fn goodbye(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            // The connection ends either way.
            let _gone = tls.write_tls(&mut self.socket);
        }
    }
}

/// Why nobody knows for whom a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoIntroduction {
    /// It is over.
    Fault(TransportFault),
    /// It begins with something else.
    Other,
}

impl From<TransportFault> for NoIntroduction {
    fn from(fault: TransportFault) -> Self {
        Self::Fault(fault)
    }
}

impl From<NoProxyHeader> for NoIntroduction {
    fn from(_: NoProxyHeader) -> Self {
        Self::Other
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What one call did; none when it would have had to wait.
fn some(mut call: impl FnMut() -> io::Result<usize>) -> Result<Option<usize>, TransportFault> {
    loop {
        match call() {
            Ok(count) => return Ok(Some(count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(fault(&error)),
        }
    }
}

/// What an error of a connection says of its peer.
pub(super) fn fault(error: &io::Error) -> TransportFault {
    match error.raw_os_error() {
        Some(libc::ECONNREFUSED) => TransportFault::PortUnreachable,
        Some(libc::EHOSTUNREACH | libc::ENETUNREACH | libc::EHOSTDOWN) => TransportFault::HostUnreachable,
        Some(libc::EACCES | libc::EPERM) => TransportFault::Prohibited,
        Some(libc::ETIMEDOUT) => TransportFault::TimedOut,
        Some(libc::EADDRNOTAVAIL | libc::EADDRINUSE | libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
            TransportFault::Local
        }
        _ => TransportFault::Broken,
    }
}

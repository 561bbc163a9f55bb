#![no_main]

use websocket::{Origins, WebOver, WebSocket};

/// The file itself: its crate brings sockets and a database, which nobody fuzzes.
#[allow(dead_code, unreachable_pub)]
#[path = "../../crates/node/src/streams/websocket.rs"]
mod websocket;

const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n";

fn pieces(web: &mut WebSocket, stream: &[u8], size: usize) -> (Vec<sip::Piece>, Option<WebOver>) {
    let mut all = Vec::new();
    for part in stream.chunks(size) {
        web.push(part);
        loop {
            match web.piece() {
                Ok(Some(piece)) => all.push(piece),
                Ok(None) => break,
                Err(over) => return (all, Some(over)),
            }
        }
    }
    (all, None)
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sim::fuzz::frame(bytes);
    let Some((size, stream)) = bytes.split_first() else { return };
    let open = |size: usize| {
        let mut web = WebSocket::new(Origins::default());
        assert_eq!(pieces(&mut web, UPGRADE, UPGRADE.len()), (Vec::new(), None));
        pieces(&mut web, stream, size)
    };
    assert_eq!(open(1 + usize::from(size % 32)), open(stream.len().max(1)), "however it is cut");
    pieces(&mut WebSocket::new(Origins::default()), stream, stream.len().max(1));
});

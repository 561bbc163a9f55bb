//! What cuts messages out of a stream, and what stands before one.

use super::parse;
use sip::{BadStream, Framer, Piece, ProxyHeader};

/// A stream: the same messages come out however its bytes are cut, and it ends for the same reason. A header of a load balancer: what is
/// said of its first bytes holds of all. The first byte says how both are cut.
///
/// # Panics
/// When a property does not hold; that is what a fuzzer looks for.
pub fn frame(bytes: &[u8]) {
    let Some((size, stream)) = bytes.split_first() else { return };
    let size = 1 + usize::from(size % 32);
    let (whole, ended) = messages(stream, stream.len().max(1));
    let (parts, cut_ended) = messages(stream, size);
    assert_eq!(whole, parts, "the same messages by {size}");
    assert_eq!(ended, cut_ended, "for the same reason by {size}");
    for message in &whole {
        assert!(stream.windows(message.len()).any(|part| part == message), "a message is a part of its stream");
        parse(message);
    }
    announced(stream, size);
}

fn messages(stream: &[u8], size: usize) -> (Vec<Vec<u8>>, Option<BadStream>) {
    let (mut framer, mut all) = (Framer::default(), Vec::new());
    for part in stream.chunks(size) {
        framer.push(part);
        loop {
            match framer.piece() {
                Ok(Some(Piece::Message(bytes))) => all.push(bytes),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(bad) => {
                    framer.push(stream);
                    assert_eq!(framer.piece(), Err(bad), "what is lost stays lost");
                    return (all, Some(bad));
                }
            }
        }
    }
    (all, None)
}

fn announced(stream: &[u8], size: usize) {
    let whole = ProxyHeader::parse(stream);
    for end in (0..stream.len()).step_by(size) {
        let begun = ProxyHeader::parse(&stream[..end]);
        assert!(begun == Ok(None) || begun == whole, "more bytes change nothing: {begun:?}, {whole:?}");
    }
    if let Ok(Some(header)) = whole {
        assert!(header.length <= stream.len() && header.length <= ProxyHeader::LARGEST, "{header:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Rng;

    #[test]
    fn mutants_of_streams_keep_the_properties() {
        let message = "INFO sip:a@b SIP/2.0\r\nCall-ID: 1\r\nl : 4\r\n\r\nbody";
        let header = "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n";
        let stream = format!("\r\n\r\n{message}\r\n{message}{message}");
        let mut rng = Rng::new(7);
        for _ in 0..20_000 {
            let header = if rng.below(2) == 0 { header } else { "" };
            let mut bytes = [&[rng.next_u64() as u8], header.as_bytes(), stream.as_bytes()].concat();
            for _ in 0..rng.below(4) {
                let at = rng.below(bytes.len() as u64) as usize;
                bytes[at] = rng.next_u64() as u8;
            }
            frame(&bytes);
        }
    }
}

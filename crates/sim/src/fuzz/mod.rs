//! Bodies of the fuzz targets: what reads a message, a session description, a stream, and a whole shard on arbitrary inputs.
//!
//! They live here so that plain tests run them too, on seeded mutants and on the corpus. Refuses to know: who makes the bytes.

mod frame;
mod relay;
mod shard;

use core::net::IpAddr;
use media::sdp::{DigitsBy, Facing, Formats, Line, Making, MediaPolicy, Sdp, agree};
use sip::Message;

pub use frame::frame;
pub use relay::relay;
pub use shard::shard;

/// The parser: never panics; what it accepts, it keeps byte for byte.
///
/// # Panics
/// When a property does not hold; that is what a fuzzer looks for.
pub fn parse(bytes: &[u8]) {
    let scanned = sip::scan(bytes);
    let Ok(message) = Message::parse(bytes.to_vec()) else { return };
    assert_eq!(message.bytes(), &bytes[..message.bytes().len()], "accepted bytes are kept");
    assert!(scanned.is_some(), "what parses can be steered");
    let again = Message::parse(message.bytes().to_vec());
    assert!(again.is_ok_and(|again| again.bytes() == message.bytes()), "parse ∘ write = id");
    sdp(message.body());
}

/// Session descriptions: what we write of an accepted one is accepted, has the same streams at our address, and written again is the
/// same.
///
/// # Panics
/// When a property does not hold; that is what a fuzzer looks for.
pub fn sdp(bytes: &[u8]) {
    let Ok(theirs) = Sdp::parse(bytes) else { return };
    assert!(agree(&theirs, &theirs).is_ok(), "a description agrees with itself");
    formats(&theirs);
    let ports: Vec<Option<u16>> = (0..16).map(|index| (index % 3 != 2).then_some(20_000 + 2 * index)).collect();
    for addr in [IpAddr::from([192, 0, 2, 99]), IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1])] {
        let facing = Facing { session: 7, version: 3, addr, ports: &ports, reach: &[] };
        let written = theirs.rewrite(&facing);
        let ours = Sdp::parse(&written);
        let Ok(ours) = ours else {
            assert!(written.len() > 65_535, "{ours:?}: {}", written.escape_ascii());
            continue;
        };
        assert_eq!(theirs.streams().len(), ours.streams().len(), "an answer has the streams of its offer");
        for (index, (theirs, ours)) in theirs.streams().iter().zip(ours.streams()).enumerate() {
            let port = if theirs.port == 0 { 0 } else { ports[index].unwrap_or(0) };
            assert_eq!(
                (theirs.kind, theirs.proto, theirs.formats, port),
                (ours.kind, ours.proto, ours.formats, ours.port)
            );
            assert_eq!(theirs.direction, ours.direction, "{}", written.escape_ascii());
            let is_ours = |ours: IpAddr| ours == addr || ours.is_unspecified();
            assert!(ours.addr.is_none_or(is_ours) && ours.rtcp.is_none(), "{}", written.escape_ascii());
        }
        assert_eq!(ours.rewrite(&facing), written, "written again it is the same");
    }
}

/// What a trunk with a policy is offered of it has the same streams, and each number once.
fn formats(theirs: &Sdp<'_>) {
    let from = MediaPolicy::default();
    let to = MediaPolicy { allow: vec!["PCMA", "opus"], ptime: Some(20), digits: DigitsBy::Events, ..from.clone() };
    let making = Making { codecs: &|_| true, clear: true };
    let line = |formats: Formats<'_>| media::sdp::offer(&formats, &from, &to, making).ok().flatten();
    let lines: Vec<Option<Line>> =
        theirs.streams().iter().map(|stream| Formats::of(theirs, stream).and_then(line)).collect();
    let written = theirs.with_lines(&lines);
    // Blank lines at the end are no part of it (RFC 8866 §9).
    let touched = lines.iter().any(Option::is_some);
    assert!(touched || theirs.text().starts_with(&written), "nothing wanted, nothing touched");
    let Ok(ours) = Sdp::parse(&written) else {
        return assert!(written.len() > 65_535, "{}", written.escape_ascii());
    };
    assert_eq!(theirs.streams().len(), ours.streams().len(), "each stream has its place");
    for ((theirs, ours_at), line) in theirs.streams().iter().zip(ours.streams()).zip(&lines) {
        assert_eq!((theirs.kind, theirs.port, theirs.direction), (ours_at.kind, ours_at.port, ours_at.direction));
        assert!(line.is_none() || Formats::of(&ours, ours_at).is_some(), "{}", written.escape_ascii());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Rng;

    /// With some bytes behind the body, which a datagram may have (RFC 3261 §18.3): a script cuts to eights.
    fn invite() -> String {
        let body =
            "v=0\r\no=- 1 1 IN IP4 10.0.0.20\r\ns=-\r\nc=IN IP4 10.0.0.20\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";
        format!(
            "INVITE sip:+4722334455@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.20:5060;branch=z9hG4bK1\r\n\
             From: <sip:a@10.0.0.20>;tag=1\r\nTo: <sip:b@10.0.0.1>\r\nCall-ID: fuzz\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:a@10.0.0.20>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}        ",
            body.len()
        )
    }

    fn mutant(rng: &mut Rng) -> Vec<u8> {
        if rng.below(16) == 0 {
            return (0..rng.below(600)).map(|_| rng.next_u64() as u8).collect();
        }
        let methods = ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "UPDATE"];
        // Every other one is an INVITE, since nothing else begins anything.
        let method = if rng.below(2) == 0 { "INVITE" } else { methods[rng.below(6) as usize] };
        let mut text = invite().replace("INVITE", method).replace("fuzz", &format!("fuzz{}", rng.below(4)));
        if rng.below(2) == 0 {
            text = text.replace("bK1", &format!("bK{}", rng.below(99)));
        }
        let mut bytes = text.into_bytes();
        for _ in 0..rng.below(4) {
            let at = rng.below(bytes.len() as u64) as usize;
            bytes[at] = rng.next_u64() as u8;
        }
        bytes
    }

    #[test]
    fn the_parser_takes_any_bytes() {
        let mut rng = Rng::new(11);
        assert!(Message::parse(invite().into_bytes()).is_ok(), "what is mutated is well formed");
        parse(invite().as_bytes());
        for _ in 0..20_000 {
            parse(&mutant(&mut rng));
        }
    }

    #[test]
    fn a_shard_takes_any_inputs() {
        let mut busy = 0;
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let mut script = Vec::new();
            for _ in 0..40 {
                let bytes = mutant(&mut rng);
                script.push(rng.next_u64() as u8);
                script.push((bytes.len() / 8) as u8);
                script.extend(&bytes[..bytes.len() / 8 * 8]);
            }
            busy += u32::from(shard::run(&script).calls > 0);
        }
        assert!(busy > 80, "{busy} of 200 scripts get calls through: the others test the parser again");
    }

    fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
        let folder = format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let seed = |path: std::path::PathBuf| {
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap())
        };
        files.filter(|path| path.extension().is_some()).map(seed).collect()
    }

    #[test]
    fn every_seed_is_survived() {
        let (messages, descriptions) = (seeds("parse"), seeds("sdp"));
        assert!(messages.len() > 80 && descriptions.len() > 30, "the corpus is there");
        messages.iter().for_each(|(_, bytes)| parse(bytes));
        descriptions.iter().for_each(|(_, bytes)| sdp(bytes));
        let streams = seeds("frame");
        assert!(streams.len() > 15, "the corpus is there");
        streams.iter().for_each(|(_, bytes)| frame(bytes));
        let relayed = seeds("relay");
        assert!(relayed.len() > 10, "the corpus is there");
        relayed.iter().for_each(|(name, script)| {
            let passed = relay::run(script);
            assert!(name == "kept" || passed.sent > 0, "{name}: {passed:?}");
        });
    }

    /// What lies behind a password is reached by mutants too, and survives them.
    #[test]
    fn mutants_of_a_phones_story_are_survived() {
        let (mut rng, mut registered) = (Rng::new(11), 0);
        let stories: Vec<_> = seeds("shard").into_iter().filter(|(name, _)| name.starts_with("registered")).collect();
        for story in stories.iter().map(|(_, script)| script).cycle().take(1_000) {
            let mut mutant = story.clone();
            for _ in 0..=rng.below(4) {
                let place = rng.below(mutant.len() as u64) as usize;
                mutant[place] = rng.next_u64() as u8;
            }
            registered += u32::from(shard::run(&mutant).registered);
        }
        assert!(registered > 300, "{registered} of 1000 get a phone registered: the others test the challenge again");
    }

    /// Seeds that lead nowhere would let the fuzzer play at the door.
    #[test]
    fn stories_of_the_corpus_are_told_to_their_end() {
        let no_call = ["contact-with-nul", "loop", "options", "registered-by-connection", "stranger", "too-brief"];
        let no_answer = [
            "busy",
            "cancel-crosses-200",
            "cancelled",
            "challenged",
            "crypto",
            "many-retransmissions-and-silence",
            "multipart",
            "reliable",
            "silence",
            "undeliverable",
        ];
        let stories = seeds("shard");
        assert!(stories.len() > 30, "the corpus is there");
        for (name, script) in stories {
            let reached = shard::run(&script);
            assert_eq!(reached.registered, name.starts_with("registered"), "{name}: {reached:?}");
            let called = !no_call.contains(&&*name);
            assert_eq!(reached.calls > 0, called, "{name}: {reached:?}");
            assert_eq!(reached.answered, called && !no_answer.contains(&&*name), "{name}: {reached:?}");
        }
    }
}

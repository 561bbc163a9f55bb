//! What the relay counts of a stream is what tshark counts of the same packets in a capture.
//!
//! The packets are made here, go through a relay and into a file, with the same times. Refuses to know: the edge around the relay.
#![allow(clippy::expect_used)]

use media::{Component, Packet, PairId, Peer, Relay, quality::Quality, rtcp, rtp, xr};
use model::{Instant, Rng, Span};
use peers::tshark;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

const FROM: ([u8; 4], u16) = ([192, 0, 2, 1], 4_000);
const TO: ([u8; 4], u16) = ([192, 0, 2, 9], 40_000);
const SSRC: u32 = 0x1234_5678;
/// Sound in a packet, in samples at 8 kHz and as time.
const SAMPLES: u32 = 160;
const PACKET_US: u64 = 20_000;

/// How the network treats a stream of 2000 packets.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    first: u16,
    lost_percent: u64,
    jitter_us: u64,
    twice_percent: u64,
}

/// When each packet comes, and which it is.
fn stream(way: Way) -> Vec<(u64, u32)> {
    let mut rng = Rng::new(7);
    let mut packets = Vec::new();
    for n in 0..2_000u32 {
        // tshark takes the first and the last packet to come for those with the first and the last number.
        let ends = !(5..1_990).contains(&n);
        let at = 1_000_000 + u64::from(n) * PACKET_US + if ends { 0 } else { rng.below(way.jitter_us + 1) };
        if ends || rng.below(100) >= way.lost_percent {
            packets.push((at, n));
            if !ends && rng.below(100) < way.twice_percent {
                packets.push((at + 1_000, n));
            }
        }
    }
    packets.sort_unstable();
    packets
}

fn packet(way: Way, n: u32) -> Vec<u8> {
    let mut bytes = vec![0x2b; rtp::HEADER + SAMPLES as usize];
    let header = rtp::Header {
        marker: false,
        payload_type: 8,
        sequence: way.first.wrapping_add(n as u16),
        timestamp: n * SAMPLES,
        ssrc: SSRC,
    };
    rtp::write(bytes.first_chunk_mut().expect("a header"), &header);
    bytes
}

fn relayed(way: Way, packets: &[(u64, u32)]) -> Quality {
    let (side, other) = (PairId(0), PairId(1));
    let mut relay = Relay::new(2);
    relay.join(side, other).expect("free");
    for (pair, rtp) in [(side, FROM), (other, TO)] {
        relay.expect(pair, &Peer { rtp: SocketAddr::from(rtp), rtcp: None, mux: false });
    }
    for (at, n) in packets {
        let mut bytes = packet(way, *n);
        let now = Instant::ZERO + Span::from_micros(*at);
        relay.forward(now, side, Component::Rtp, SocketAddr::from(FROM), &mut Packet::whole(&mut bytes));
    }
    relay.release(side).first.quality.expect("it was heard")
}

/// A capture file of raw IPv4 (the link type 101): payloads of UDP and when each came.
fn capture(name: &str, packets: impl Iterator<Item = (u64, Vec<u8>)>) -> PathBuf {
    let mut file: Vec<u8> = Vec::new();
    for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65_535, 101] {
        file.extend(word.to_le_bytes());
    }
    for (at, payload) in packets {
        let length = 28 + payload.len() as u32;
        for word in [(at / 1_000_000) as u32, (at % 1_000_000) as u32, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend([0x45, 0]);
        file.extend((length as u16).to_be_bytes());
        file.extend([0, 0, 0, 0, 64, 17, 0, 0]);
        file.extend(FROM.0.into_iter().chain(TO.0));
        file.extend([FROM.1, TO.1, (length - 20) as u16, 0].into_iter().flat_map(u16::to_be_bytes));
        file.extend(payload);
    }
    let path = std::env::temp_dir().join(format!("throughline-capture-{}-{}.pcap", std::process::id(), name));
    std::fs::write(&path, file).expect("a capture");
    path
}

/// Packets, lost, and mean and largest jitter in milliseconds, as tshark tells them of the one stream.
fn counted(path: &Path) -> (u64, i64, f64, f64) {
    let text = tshark::tshark(path, &format!("udp.port=={},rtp", TO.1), &["-q", "-z", "rtp,streams"]);
    let line = text.lines().find(|line| line.contains("0x12345678")).expect("the stream is in what tshark prints");
    let cells: Vec<&str> = line.split_whitespace().collect();
    let lost = cells.iter().position(|cell| cell.starts_with('(')).expect("a share of losses") - 1;
    let number = |at: usize| cells[at].parse::<f64>().expect("a number");
    // Behind the share: least, mean and largest delta, the same of jitter.
    (number(lost - 1) as u64, number(lost) as i64, number(lost + 6), number(lost + 7))
}

#[test]
fn loss_is_that_of_tshark_and_jitter_within_a_twentieth() {
    let clean = Way { name: "clean", first: 100, lost_percent: 0, jitter_us: 0, twice_percent: 0 };
    let ways = [
        clean,
        Way { name: "jitter", jitter_us: 15_000, ..clean },
        Way { name: "lossy", lost_percent: 20, jitter_us: 5_000, ..clean },
        Way { name: "order", jitter_us: 70_000, ..clean },
        // The second copy says nothing of jitter to us, and little to tshark.
        Way { name: "twice", twice_percent: 2, lost_percent: 3, jitter_us: 10_000, ..clean },
        Way { name: "wrap", first: 65_000, lost_percent: 5, jitter_us: 10_000, ..clean },
    ];
    for way in ways {
        let packets = stream(way);
        let ours = relayed(way, &packets);
        let path = capture(way.name, packets.iter().map(|(at, n)| (*at, packet(way, *n))));
        let (count, lost, mean, most) = counted(&path);
        let _left = std::fs::remove_file(&path);
        let name = way.name;
        assert_eq!((ours.packets, ours.lost), (count, lost), "{name}");
        let ms = |span: Option<Span>| span.expect("its clock is known").as_micros() as f64 / 1_000.0;
        for (what, own, theirs) in [("mean", ms(ours.jitter_mean), mean), ("largest", ms(ours.jitter_max), most)] {
            println!("{name}: {count} packets, {lost} lost, {what} jitter {own:.3} ms, tshark {theirs:.3} ms");
            assert!((own - theirs).abs() <= theirs * 0.05 + 0.01, "{name}: {what} jitter {own} ms, tshark {theirs} ms");
        }
    }
}

/// An extended report of ours is to tshark what it is to us.
#[test]
fn an_extended_report_is_read_by_tshark_3611() {
    let summary = xr::Summary { ssrc: SSRC, begin: 100, end: 350, lost: 11, duplicates: 3 };
    let metrics = xr::Metrics {
        ssrc: SSRC,
        burst_density: 64,
        burst: 120,
        gap: 9_000,
        round_trip: 85,
        gmin: 16,
        rating: Some(78),
        listening: Some(40),
        buffer: 24,
        ..xr::Metrics::default()
    };
    let mut bytes = Vec::new();
    rtcp::push_receiver(&mut bytes, 5, &[]);
    xr::push(&mut bytes, 5, Some(&summary), Some(&metrics));
    let path = capture("extended", [(1_000_000, bytes)].into_iter());
    let fields = [
        "rtcp.xr.bt",
        "rtcp.xr.bl",
        "rtcp.xr.beginseq",
        "rtcp.xr.endseq",
        "rtcp.xr.stats.lost",
        "rtcp.xr.stats.dups",
        "rtcp.xr.voipmetrics.burstduration",
        "rtcp.xr.voipmetrics.gapduration",
        "rtcp.xr.voipmetrics.rtdelay",
        "rtcp.xr.voipmetrics.gmin",
        "rtcp.xr.voipmetrics.rfactor",
        "rtcp.xr.voipmetrics.jbnominal",
        "_ws.malformed",
    ];
    let told = tshark::fields(&path, &format!("udp.port=={},rtcp", TO.1), ';', &[], &fields).trim().to_owned();
    let _left = std::fs::remove_file(&path);
    assert_eq!(told, "6,7;9,8;100;350;11;3;120;9000;85;16;78;24;");
}

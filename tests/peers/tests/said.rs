//! What the edge writes of messages is what tshark reads: addresses, times, sums, whole SIP and SDP where keys were masked.
//!
//! The messages are made here and written by the edge's own writer. Refuses to know: how they were kept.
#![allow(clippy::expect_used)]

use model::{Instant, Wall};
use peers::tshark;
use sip::Transport;
use sip::capture::{Passed, pcap::File};

const ASKED: &str = "INVITE sip:+4722@192.0.2.30 SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.11:5061;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
    To: <sip:+4722@192.0.2.30>\r\nCall-ID: one@edge\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n\
    Authorization: Digest username=\"edge\", realm=\"acme\", nonce=\"n\", uri=\"sip:+4722@192.0.2.30\", response=\"0123456789abcdef0123456789abcdef\"\r\n\
    Content-Type: application/sdp\r\nContent-Length: LENGTH\r\n\r\n";
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.11\r\ns=-\r\nc=IN IP4 192.0.2.11\r\nt=0 0\r\nm=audio 30000 RTP/SAVP 8\r\n\
    a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5\r\n";
const ANSWERED: &str = "SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP [2001:db8::11];branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
    To: <sip:+4722@b>;tag=2\r\nCall-ID: one@edge\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";

#[test]
fn messages_are_read_whole_by_tshark_with_sums_that_hold() {
    let asked = ASKED.replace("LENGTH", &SDP.len().to_string()) + SDP;
    let mut file = File::new(Wall::from_micros(1_795_521_847_000_000));
    for (at, from, to, transport, text) in [
        (112_345, "192.0.2.11:5061", "192.0.2.30:5061", Transport::Tls, asked.as_str()),
        (2_000_000, "[2001:db8::30]:5060", "[2001:db8::11]:5060", Transport::Udp, ANSWERED),
    ] {
        let [from, to] = [from, to].map(|address| address.parse().expect("an address"));
        file.push(&Passed { at: Instant::from_micros(at), from, to, transport, bytes: text });
    }
    let path = std::env::temp_dir().join(format!("throughline-said-{}.pcap", std::process::id()));
    std::fs::write(&path, file.into_bytes()).expect("a file");
    let fields = [
        "frame.time_epoch",
        "ip.src",
        "ipv6.dst",
        "udp.dstport",
        "ip.checksum.status",
        "udp.checksum.status",
        "sip.Method",
        "sip.Status-Code",
        "sip.auth.digest.response",
        "_ws.malformed",
    ];
    let sums = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"];
    let text = tshark::fields(&path, "udp.port==5061,sip", '|', &sums, &fields);
    let _left = std::fs::remove_file(&path);
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split('|').collect()).collect();
    assert_eq!(rows.len(), 2, "{text}");
    assert_eq!(rows[0][..8], ["1795521847.112345000", "192.0.2.11", "", "5061", "1", "1", "INVITE", ""], "{text}");
    assert_eq!(rows[0][8].trim_matches('"'), "X".repeat(32));
    assert!(rows[0].last().is_some_and(|malformed| malformed.is_empty()), "{text}");
    assert_eq!(rows[1][..8], ["1795521849.000000000", "", "2001:db8::11", "5060", "", "1", "", "486"], "{text}");
}

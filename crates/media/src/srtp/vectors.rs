//! What the standards and others' implementations make of known keys and packets.

use super::derive::{Label, derive};
use super::key::MasterKey;
use super::session::Session;
use super::suite::Suite;
use super::*;
use alloc::vec::Vec;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|two| u8::from_str_radix(core::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

fn derived(suite: Suite, key: &str, salt: &str, label: Label, length: usize) -> Vec<u8> {
    let master = MasterKey::new(suite, &hex(&alloc::format!("{key}{salt}"))).unwrap();
    let mut out = alloc::vec![0; length];
    derive(&master, label, &mut out);
    out
}

fn with_room(bytes: &[u8], then: impl FnOnce(&mut Packet<'_>)) -> Vec<u8> {
    let mut room = bytes.to_vec();
    room.resize(bytes.len() + 32, 0);
    let mut packet = Packet::new(&mut room, bytes.len());
    then(&mut packet);
    packet.bytes().to_vec()
}

#[test]
fn keys_are_derived_as_in_3711_b_3() {
    let of = |label, length| {
        let (key, salt) = ("E1F97A0D3E018BE0D64FA32C06DE4139", "0EC675AD498AFEEBB6960B3AABE6");
        derived(Suite::AesCm128HmacSha1_80, key, salt, label, length)
    };
    assert_eq!(of(Label::Encryption, 16), hex("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(of(Label::Salt, 14), hex("30CBBC08863D8C85D49DB34A9AE1"));
    assert_eq!(of(Label::Authentication, 20), hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
}

#[test]
fn keys_are_derived_as_in_6188_7_2() {
    let of = |label, length| {
        let key = "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6";
        derived(Suite::AesCm256HmacSha1_80, key, "3b04803de51ee7c96423ab5b78d2", label, length)
    };
    assert_eq!(of(Label::Encryption, 32), hex("5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4"));
    assert_eq!(of(Label::Salt, 14), hex("fa31791685ca444a9e07c6c64e93"));
    assert_eq!(of(Label::Authentication, 20), hex("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05"));
}

/// The session's own keys, as the standards give them.
fn session(suite: Suite, key: &str, salt: &str) -> Session {
    Session::of_session_keys(suite, &hex(key), &hex(salt))
}

#[test]
fn the_keystream_is_that_of_3711_b_2() {
    let session =
        session(Suite::AesCm128HmacSha1_80, "2B7E151628AED2A6ABF7158809CF4F3C", "F0F1F2F3F4F5F6F7F8F9FAFBFCFD");
    let mut plain = alloc::vec![0; 12 + 48];
    plain[0] = 0x80;
    let wire = with_room(&plain, |packet| session.protect(0, 0, packet).unwrap());
    let keystream =
        "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0";
    assert_eq!(wire[12..60], hex(keystream));
}

#[test]
fn the_keystream_is_that_of_6188_7_1() {
    let session = session(
        Suite::AesCm256HmacSha1_80,
        "57f82fe3613fd170a85ec93c40b1f0922ec4cb0dc025b58272147cc438944a98",
        "f0f1f2f3f4f5f6f7f8f9fafbfcfd",
    );
    let mut plain = alloc::vec![0; 12 + 48];
    plain[0] = 0x80;
    let wire = with_room(&plain, |packet| session.protect(0, 0, packet).unwrap());
    let keystream =
        "92bdd28a93c3f52511c677d08b5515a4 9da71b2378a854f67050756ded165bac 63c4868b7096d88421b563b8c94c9a31";
    assert_eq!(wire[12..60], hex(keystream));
}

const GALLIA: &str =
    "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472 6573";

#[test]
fn packets_are_those_of_7714_16() {
    let key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let salt = "517569642070726f2071756f";
    let wires = [
        (
            session(Suite::AeadAes128Gcm, &key[..32], salt),
            "f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
        ),
        (
            session(Suite::AeadAes256Gcm, key, salt),
            "32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
        ),
    ];
    for (session, behind) in wires {
        let wire = with_room(&hex(GALLIA), |packet| session.protect(0x5501_a0b2, 0xf17b, packet).unwrap());
        assert_eq!(wire[..12], hex(GALLIA)[..12]);
        assert_eq!(wire[12..], hex(behind));
        let back = with_room(&wire, |packet| session.unprotect(0x5501_a0b2, 0xf17b, packet).unwrap());
        assert_eq!(back, hex(GALLIA));
    }
}

/// Whole packets made by libsrtp's own test program of one master key: derivation, keystream, tags and layout at once.
#[test]
fn packets_are_those_of_libsrtp() {
    let key = "e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6";
    let rtp = "800f1234 decafbad cafebabe abababab abababab abababab abababab";
    let rtcp = "81c8000b cafebabe abababab abababab abababab abababab";
    let gcm = "000102030405060708090a0b0c0d0e0fa0a1a2a3a4a5a6a7a8a9aaab";
    let cases = [
        (
            Suite::AesCm128HmacSha1_80,
            key,
            "800f1234decafbadcafebabe 4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb",
            "81c8000bcafebabe 7128035be487b9bdbef89041f977a5a8 80000001 993e08cd54d6c1230798",
        ),
        (
            Suite::AeadAes128Gcm,
            gcm,
            "800f1234decafbadcafebabe c5002ede04cfdd2eb91159e0880aa06e d2976826f796b201df3131a127e8a392",
            "81c8000bcafebabe c98b8b5df0392a55852b6c21ac8e7025 c52c6fbea2b3b446ea31123ba88ce61e 80000001",
        ),
    ];
    for (suite, key, srtp, srtcp) in cases {
        let session = Session::new(suite, &MasterKey::new(suite, &hex(key)).unwrap());
        let wire = with_room(&hex(rtp), |packet| session.protect(0xcafe_babe, 0x1234, packet).unwrap());
        assert_eq!(wire, hex(srtp), "{suite:?}");
        let wire = with_room(&hex(rtcp), |packet| session.protect_report(1, packet).unwrap());
        assert_eq!(wire, hex(srtcp), "{suite:?}");
        assert_eq!(with_room(&wire, |packet| session.unprotect_report(packet).unwrap()), hex(rtcp));
    }
}

/// A report may be authentic and not encrypted: the flag says so (RFC 3711 §3.4).
#[test]
fn a_report_in_the_clear_is_believed_by_its_tag() {
    for suite in Suite::ALL {
        let session = Session::new(suite, &tests::key(suite, 1));
        let plain = hex("81c8000b cafebabe abababab abababab");
        let wire = session.clear_report(&plain, 7);
        assert_eq!(with_room(&wire, |packet| session.unprotect_report(packet).unwrap()), plain, "{suite:?}");
        let mut forged = wire;
        forged[9] ^= 1;
        with_room(&forged, |packet| assert_eq!(session.unprotect_report(packet), Err(Refused::Unauthentic)));
    }
}

//! Both ends of one call: what one protects the other unprotects, and nothing else.

use super::*;
use alloc::vec::Vec;
use proptest::prelude::*;

pub(super) fn key(suite: Suite, seed: u8) -> MasterKey {
    MasterKey::generate(suite, |bytes| {
        for (n, byte) in bytes.iter_mut().enumerate() {
            *byte = seed.wrapping_mul(31).wrapping_add((n as u8).wrapping_mul(7));
        }
    })
}

/// Two ends of one call.
pub(super) fn ends(suite: Suite) -> (Security, Security) {
    let (a, b) = (key(suite, 1), key(suite, 2));
    (Security::new(suite, &b, &a), Security::new(suite, &a, &b))
}

pub(super) fn plain(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = alloc::vec![0x55; 12 + 160];
    let header = rtp::Header { marker: false, payload_type: 8, sequence, timestamp: u32::from(sequence) * 160, ssrc };
    rtp::write(packet.first_chunk_mut().unwrap(), &header);
    packet
}

fn change(
    bytes: &[u8],
    with: impl FnOnce(&rtp::Header, &mut Packet<'_>) -> Result<(), Refused>,
) -> Result<Vec<u8>, Refused> {
    let mut room = bytes.to_vec();
    room.resize(bytes.len() + 32, 0);
    let mut packet = Packet::new(&mut room, bytes.len());
    let header = rtp::read(bytes).unwrap();
    with(&header, &mut packet)?;
    Ok(packet.bytes().to_vec())
}

pub(super) fn protect(by: &mut Security, bytes: &[u8]) -> Result<Vec<u8>, Refused> {
    change(bytes, |header, packet| by.protect(header, packet))
}

pub(super) fn unprotect(by: &mut Security, bytes: &[u8]) -> Result<Vec<u8>, Refused> {
    change(bytes, |header, packet| by.unprotect(header, packet))
}

fn report(ssrc: u32) -> Vec<u8> {
    let mut out = Vec::new();
    crate::rtcp::push_receiver(&mut out, ssrc, &[crate::rtcp::Block::default()]);
    crate::rtcp::push_description(&mut out, ssrc, b"edge");
    out
}

fn on_report(bytes: &[u8], with: impl FnOnce(&mut Packet<'_>) -> Result<(), Refused>) -> Result<Vec<u8>, Refused> {
    let mut room = bytes.to_vec();
    room.resize(bytes.len() + 32, 0);
    let mut packet = Packet::new(&mut room, bytes.len());
    with(&mut packet)?;
    Ok(packet.bytes().to_vec())
}

#[test]
fn what_is_protected_is_unprotected_with_each_suite() {
    for suite in Suite::ALL {
        let (mut a, mut b) = ends(suite);
        for sequence in 0..300 {
            let sent = plain(7, sequence);
            let wire = protect(&mut a, &sent).unwrap();
            assert_eq!(wire.len(), sent.len() + suite.tag(), "{suite:?}");
            assert_eq!(wire[..12], sent[..12], "the header is in the clear");
            assert_ne!(wire[12..sent.len()], sent[12..], "{suite:?}");
            assert_eq!(unprotect(&mut b, &wire).unwrap(), sent, "{suite:?}");
            let sent = report(7);
            let wire = on_report(&sent, |packet| a.protect_report(packet)).unwrap();
            assert_eq!(wire.len(), sent.len() + 4 + suite.report_tag(), "{suite:?}");
            assert_eq!(on_report(&wire, |packet| b.unprotect_report(packet)).unwrap(), sent, "{suite:?}");
            assert_eq!(on_report(&wire, |packet| b.unprotect_report(packet)), Err(Refused::Replayed));
        }
    }
}

#[test]
fn contributors_and_an_extension_stay_in_the_clear_3711_3_1() {
    let (mut a, mut b) = ends(Suite::AesCm128HmacSha1_80);
    let mut sent = plain(7, 1);
    sent[0] |= 0x10 | 1;
    sent[16..20].copy_from_slice(&[0xbe, 0xde, 0, 1]);
    let wire = protect(&mut a, &sent).unwrap();
    assert_eq!(wire[..24], sent[..24]);
    assert_ne!(wire[24..30], sent[24..30]);
    assert_eq!(unprotect(&mut b, &wire).unwrap(), sent);
}

#[test]
fn the_rollover_counter_follows_the_wrap_and_reordering_3711_3_3_1() {
    for suite in Suite::ALL {
        let (mut a, mut b) = ends(suite);
        let wires: Vec<(Vec<u8>, Vec<u8>)> = (0..200_000u32)
            .step_by(1_000)
            .flat_map(|n| [n, n + 1, n + 2])
            .map(|n| (n + 65_000) as u16)
            .map(|sequence| (plain(7, sequence), protect(&mut a, &plain(7, sequence)).unwrap()))
            .collect();
        for three in wires.chunks(3) {
            for (sent, wire) in three.iter().rev() {
                assert_eq!(unprotect(&mut b, wire).unwrap(), *sent, "{suite:?}");
            }
        }
    }
}

#[test]
fn a_packet_passes_once_and_never_when_it_is_too_old_3711_3_3_2() {
    let (mut a, mut b) = ends(Suite::AesCm128HmacSha1_80);
    let wires: Vec<Vec<u8>> = (0..200).map(|n| protect(&mut a, &plain(7, n)).unwrap()).collect();
    unprotect(&mut b, &wires[0]).unwrap();
    assert_eq!(unprotect(&mut b, &wires[0]), Err(Refused::Replayed));
    unprotect(&mut b, &wires[150]).unwrap();
    assert_eq!(unprotect(&mut b, &wires[22]), Err(Refused::Replayed), "128 behind");
    assert!(unprotect(&mut b, &wires[23]).is_ok());
    assert_eq!(unprotect(&mut b, &wires[23]), Err(Refused::Replayed));
}

#[test]
fn a_forged_packet_changes_nothing() {
    for suite in Suite::ALL {
        let (mut a, mut b) = ends(suite);
        unprotect(&mut b, &protect(&mut a, &plain(7, 10)).unwrap()).unwrap();
        for sequence in [11u16, 5_000, 32_000, 65_535] {
            let mut forged = plain(7, sequence);
            forged.extend([0; 16]);
            let verdict = unprotect(&mut b, &forged);
            assert!(matches!(verdict, Err(Refused::Unauthentic | Refused::Replayed)), "{suite:?} {verdict:?}");
        }
        for ssrc in 100..200 {
            let mut forged = plain(ssrc, 1);
            forged.extend([0; 16]);
            assert_eq!(unprotect(&mut b, &forged), Err(Refused::Unauthentic));
        }
        assert!(unprotect(&mut b, &protect(&mut a, &plain(7, 11)).unwrap()).is_ok(), "{suite:?}");
    }
}

#[test]
fn a_keystream_is_never_used_twice_3711_9_1() {
    let (mut a, _) = ends(Suite::AesCm128HmacSha1_80);
    protect(&mut a, &plain(7, 10)).unwrap();
    assert_eq!(protect(&mut a, &plain(7, 10)), Err(Refused::Replayed));
    protect(&mut a, &plain(7, 500)).unwrap();
    assert_eq!(protect(&mut a, &plain(7, 11)), Err(Refused::Replayed), "too old to know");
    let again = Security::new(
        Suite::AesCm128HmacSha1_80,
        &key(Suite::AesCm128HmacSha1_80, 2),
        &key(Suite::AesCm128HmacSha1_80, 1),
    );
    a.renew(again);
    assert_eq!(protect(&mut a, &plain(7, 500)), Err(Refused::Replayed), "the same key told again starts nothing anew");
}

#[test]
fn sources_beyond_the_limit_are_refused_outwards_and_forget_the_oldest_inwards() {
    let (mut a, mut b) = ends(Suite::AeadAes128Gcm);
    let mut refused = 0;
    for ssrc in 0..100 {
        match protect(&mut a, &plain(ssrc, 1)) {
            Ok(wire) => assert!(unprotect(&mut b, &wire).is_ok()),
            Err(why) => {
                assert_eq!(why, Refused::NoKey);
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 100 - outbound::SOURCES_MAX);
    let mut third = Security::new(Suite::AeadAes128Gcm, &key(Suite::AeadAes128Gcm, 2), &key(Suite::AeadAes128Gcm, 1));
    assert!(unprotect(&mut b, &protect(&mut third, &plain(1_000, 1)).unwrap()).is_ok());
}

#[test]
fn a_new_key_keeps_the_rollover_counter_and_late_packets_of_the_old_one_are_heard() {
    let suite = Suite::AesCm128HmacSha1_80;
    let (mut a, mut b) = ends(suite);
    for sequence in [65_000, 65_535, 0, 10] {
        unprotect(&mut b, &protect(&mut a, &plain(7, sequence)).unwrap()).unwrap();
    }
    let late = protect(&mut a, &plain(7, 11)).unwrap();
    a.renew(Security::new(suite, &key(suite, 4), &key(suite, 3)));
    b.renew(Security::new(suite, &key(suite, 3), &key(suite, 4)));
    assert_eq!(unprotect(&mut b, &late).unwrap(), plain(7, 11));
    let new = protect(&mut a, &plain(7, 12)).unwrap();
    assert_eq!(unprotect(&mut b, &new).unwrap(), plain(7, 12), "rollover counter 1 under the new key");
    assert_eq!(unprotect(&mut b, &late), Err(Refused::Replayed));
    let mut stranger = Security::new(suite, &key(suite, 2), &key(suite, 1));
    let old = protect(&mut stranger, &plain(7, 13)).unwrap();
    assert_eq!(unprotect(&mut b, &old), Err(Refused::Unauthentic), "the old key is gone once the new one has spoken");
}

#[test]
fn a_peer_that_starts_from_zero_with_its_new_key_is_heard() {
    let suite = Suite::AesCm256HmacSha1_80;
    let (mut a, mut b) = ends(suite);
    for sequence in [65_535, 0, 1] {
        unprotect(&mut b, &protect(&mut a, &plain(7, sequence)).unwrap()).unwrap();
    }
    let mut fresh = Security::new(suite, &key(suite, 4), &key(suite, 3));
    b.renew(Security::new(suite, &key(suite, 3), &key(suite, 4)));
    for sequence in 2..10 {
        let wire = protect(&mut fresh, &plain(7, sequence)).unwrap();
        assert_eq!(unprotect(&mut b, &wire).unwrap(), plain(7, sequence));
    }
}

#[test]
fn without_keys_nothing_passes_and_without_room_nothing_leaves() {
    let mut none = Security::pending();
    assert_eq!(protect(&mut none, &plain(7, 1)), Err(Refused::NoKey));
    assert_eq!(unprotect(&mut none, &plain(7, 1)), Err(Refused::NoKey));
    let (mut a, _) = ends(Suite::AesCm128HmacSha1_80);
    let mut bytes = plain(7, 1);
    let header = rtp::read(&bytes).unwrap();
    let mut packet = Packet::whole(&mut bytes);
    assert!(a.protect(&header, &mut packet).is_err());
    assert_eq!(packet.bytes(), plain(7, 1), "and nothing of it has changed");
}

#[test]
fn keys_are_never_printed() {
    let (a, _) = ends(Suite::AesCm128HmacSha1_80);
    let mut key = MasterKey::generate(Suite::AesCm128HmacSha1_80, |bytes| bytes.fill(0xab));
    let printed = alloc::format!("{a:?} {key:?}");
    assert!(!printed.contains("171") && !printed.to_lowercase().contains("ab, ab"), "{printed}");
    key = MasterKey::generate(Suite::AesCm128HmacSha1_80, |bytes| bytes.fill(1));
    drop(key);
}

proptest! {
    #[test]
    fn any_bytes_are_survived(
        bytes in prop::collection::vec(any::<u8>(), 0..100), which in 0..Suite::ALL.len(), version in any::<bool>(),
    ) {
        let (_, mut b) = ends(Suite::ALL[which]);
        let mut bytes = bytes;
        if version && !bytes.is_empty() {
            bytes[0] = 0x80 | bytes[0] & 0x3f;
        }
        if rtp::read(&bytes).is_some() {
            prop_assert!(unprotect(&mut b, &bytes).is_err());
        }
        prop_assert!(on_report(&bytes, |packet| b.unprotect_report(packet)).is_err());
        let _ = on_report(&bytes, |packet| b.protect_report(packet));
    }

    /// Whatever bit changes on the way, nothing is believed.
    #[test]
    fn any_changed_bit_is_found(which in 0..Suite::ALL.len(), bit in 0usize..1_400) {
        let (mut a, mut b) = ends(Suite::ALL[which]);
        let mut wire = protect(&mut a, &plain(7, 9)).unwrap();
        let bit = bit % (wire.len() * 8);
        wire[bit / 8] ^= 1 << (bit % 8);
        if rtp::read(&wire).is_some() {
            prop_assert!(unprotect(&mut b, &wire).is_err(), "bit {}", bit);
        }
        let sent = report(7);
        let mut wire = on_report(&sent, |packet| a.protect_report(packet)).unwrap();
        let bit = bit % (wire.len() * 8);
        wire[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(on_report(&wire, |packet| b.unprotect_report(packet)).is_err(), "bit {}", bit);
    }
}

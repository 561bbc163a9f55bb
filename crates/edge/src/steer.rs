//! Which shard a SIP datagram belongs to, from a few headers and no table.
//!
//! A response goes by its top Via branch, which we minted. A request goes by the tag in its To, which we minted for every dialog, or by
//! the one its Replaces names: whose place is taken tells where. Else by its Call-ID when we minted that (B legs), or a keyed hash of it
//! (A legs); a REGISTER by a keyed hash of the address it binds. So CANCEL, ACK, re-INVITE and BYE land where their INVITE landed, with no lock
//! and no map. The hash is keyed so that nobody outside can aim all his calls at one shard.
//! `steer(mint(s)) == s` for every token. Refuses to know: sockets, calls.

use core::hash::BuildHasher;
use foldhash::fast::FixedState;
use model::ShardId;

/// The shard that owns this datagram, of `shards` in all; `None` when it cannot be read as SIP and any shard may count it.
pub fn steer(key: u64, shards: u8, bytes: &[u8]) -> Option<ShardId> {
    let scan = sip::scan(bytes)?;
    let ours = if is_register(&scan) {
        None
    } else if scan.is_response {
        sip::owner(key, scan.branch)
    } else {
        let tag = scan.to_tag.or(scan.replaced_tag);
        tag.and_then(|tag| sip::owner(key, tag)).or_else(|| sip::owner(key, scan.call_id))
    };
    if let Some((_, shard)) = ours.filter(|(_, shard)| shard.0 < shards) {
        return Some(shard);
    }
    if scan.is_response || shards == 0 {
        return None;
    }
    Some(ShardId(spread(key, shards, home(&scan))))
}

/// The shard where the REGISTERs of a user meet.
pub(crate) fn home_of_user(key: u64, shards: u8, user: &[u8]) -> ShardId {
    ShardId(spread(key, shards, user))
}

/// Multiply-shift spreads evenly over any number of shards, not only powers of two.
fn spread(key: u64, shards: u8, home: &[u8]) -> u8 {
    let hash = FixedState::with_seed(key).hash_one(home);
    ((u128::from(hash) * u128::from(shards)) >> 64) as u8
}

/// What a request from outside goes by: all REGISTERs of one address of record must meet, whatever their Call-IDs.
fn home<'a>(scan: &sip::Scan<'a>) -> &'a [u8] {
    if !is_register(scan) {
        return scan.call_id;
    }
    sip::Uri::parse(sip::NameAddr::of(scan.to).uri).map_or(scan.call_id, |uri| uri.user())
}

fn is_register(scan: &sip::Scan<'_>) -> bool {
    !scan.is_response && scan.first == b"REGISTER"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sip::Minter;

    const KEY: u64 = 0x5eed_cafe;

    fn request(method: &str, call_id: &str, branch: &str) -> Vec<u8> {
        format!(
            "{method} sip:1@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch={branch}\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:1@b>\r\nCall-ID: {call_id}\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
        )
        .into_bytes()
    }

    proptest! {
        #[test]
        fn what_a_shard_mints_comes_back_to_it(shard in 0u8..32, node: u16, seed: u64) {
            let mut minter = Minter::new(node, ShardId(shard), KEY, seed);
            let branch = minter.branch();
            let response = format!(
                "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.9;branch={}\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:1@b>;tag=2\r\n\
                 Call-ID: elsewhere\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n", branch.as_str());
            prop_assert_eq!(steer(KEY, 32, response.as_bytes()), Some(ShardId(shard)));
            let call_id = minter.call_id();
            prop_assert_eq!(steer(KEY, 32, &request("BYE", call_id.as_str(), "z9hG4bKx")), Some(ShardId(shard)));
        }

        #[test]
        fn every_request_of_a_call_lands_where_its_invite_landed(call_id in "[a-zA-Z0-9@.]{1,40}", shards in 1u8..16) {
            let home = steer(KEY, shards, &request("INVITE", &call_id, "z9hG4bK1"));
            prop_assert!(home.is_some_and(|shard| shard.0 < shards));
            for method in ["ACK", "CANCEL", "BYE", "INFO"] {
                prop_assert_eq!(steer(KEY, shards, &request(method, &call_id, "z9hG4bK2")), home);
            }
        }

        #[test]
        fn noise_is_nobodys_or_somebodys_but_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(steer(KEY, 4, &bytes).is_none_or(|shard| shard.0 < 4));
        }
    }

    /// RFC 3891: the call whose place is taken is where its INVITE goes, and all that follows in its dialog.
    #[test]
    fn an_invite_that_takes_a_place_lands_where_that_is() {
        let mut minter = Minter::new(1, ShardId(2), KEY, 7);
        let (replaced, tag) = (minter.tag(), minter.tag());
        for n in 0..16 {
            let invite = format!(
                "INVITE sip:1@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n\
                 To: <sip:1@b>\r\nCall-ID: foreign{n}\r\nCSeq: 1 INVITE\r\nReplaces: x@y;from-tag=z;to-tag={}\r\n\
                 Content-Length: 0\r\n\r\n",
                replaced.as_str()
            );
            assert_eq!(steer(KEY, 4, invite.as_bytes()), Some(ShardId(2)));
            let ack = String::from_utf8(request("ACK", &format!("foreign{n}"), "z9hG4bKy")).unwrap();
            let ack = ack.replace("To: <sip:1@b>", &format!("To: <sip:1@b>;tag={}", tag.as_str()));
            assert_eq!(steer(KEY, 4, ack.as_bytes()), Some(ShardId(2)));
        }
    }

    #[test]
    fn all_registers_of_an_address_meet_and_addresses_spread() {
        let register = |user: u32, call: u32| {
            let text = format!(
                "REGISTER sip:b SIP/2.0\r\nv: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{call}\r\nf: <sip:{user}@b>;tag=1\r\n\
                 t: \"A\" <sip:{user}@b>\r\ni: {call}\r\nCSeq: 1 REGISTER\r\n\r\n"
            );
            steer(KEY, 8, text.as_bytes())
        };
        assert!((0..50).all(|user| (0..9).all(|call| register(user, call) == register(user, 0))));
        let used: std::collections::BTreeSet<_> = (0..200).map(|user| register(user, 1)).collect();
        assert_eq!(used.len(), 8);
    }

    #[test]
    fn a_forged_token_does_not_choose_its_shard() {
        let mut stranger = Minter::new(0, ShardId(3), KEY ^ 1, 7);
        let token = stranger.call_id();
        let landed: Vec<_> =
            (0..4u8).map(|n| steer(KEY, 4, &request("BYE", &format!("{}{n}", token.as_str()), "z9"))).collect();
        assert!(landed.iter().any(|shard| *shard != Some(ShardId(3))), "{landed:?}");
    }
}

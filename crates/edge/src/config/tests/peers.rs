//! What becomes of what a trunk asks of us: referrals, redirections, challenges.

use super::{EXAMPLE, said, settings};
use act::Challenge;
use model::TrunkId;

#[test]
fn a_trunks_referrals_are_acted_on_unless_told_otherwise() {
    let of = |line: &str| {
        let text = EXAMPLE.replacen("listen = \"lan\"\n", &format!("listen = \"lan\"\n{line}"), 1);
        settings(&text).profiles.trunk(TrunkId(0)).unwrap().transfer
    };
    assert_eq!(of(""), act::Transfer::Act);
    assert_eq!(of("transfer = \"pass\"\n"), act::Transfer::Pass);
    assert_eq!(of("transfer = \"refuse\"\n"), act::Transfer::Refuse);
    let bad = said(&EXAMPLE.replacen("listen = \"lan\"\n", "listen = \"lan\"\ntransfer = \"relay\"\n", 1));
    assert!(bad.iter().any(|line| line.contains("relay")), "{bad:?}");
}

#[test]
fn a_trunks_redirections_are_followed_unless_told_otherwise() {
    let of = |line: &str| {
        let text = EXAMPLE.replacen("listen = \"lan\"\n", &format!("listen = \"lan\"\n{line}"), 1);
        settings(&text).profiles.trunk(TrunkId(0)).unwrap().redirect
    };
    assert_eq!(of(""), act::Redirect::Follow);
    assert_eq!(of("redirect = \"pass\"\n"), act::Redirect::Pass);
    assert_eq!(of("redirect = \"refuse\"\n"), act::Redirect::Refuse);
}

#[test]
fn a_trunks_challenges_are_ours_to_answer_unless_told_otherwise() {
    let office = |line: &str| EXAMPLE.replacen("listen = \"lan\"\n", &format!("listen = \"lan\"\n{line}"), 1);
    let of = |line: &str| settings(&office(line)).profiles.trunk(TrunkId(0)).unwrap().challenge;
    assert_eq!((of(""), of("challenge = \"answer\"\n")), (Challenge::Answer, Challenge::Answer));
    assert_eq!(of("challenge = \"pass\"\n"), Challenge::Pass);
    let both = said(&office("challenge = \"pass\"\nauth = { user = \"u\", secret = \"env:PBX_SECRET\" }\n"));
    assert!(both.iter().any(|line| line.contains("`auth` answers the challenges")), "{both:?}");
}

//! Who of a live call is heard: what is told of trunks, who is asked, and when a call is ended for it.

use crate::world::{Lab, port_of};
use act::Ending;
use decide::{Note, Noted, Whose};
use model::{MediaOutcome, Mos, Observed, Span};
use sip::{HeaderName, Method};

pub const OFFICE: usize = 0;
pub const ACME: usize = 1;

impl Lab {
    /// So many milliseconds pass, and these peers speak all the while.
    pub fn talk(&mut self, ms: u64, speakers: &[usize]) {
        for _ in 0..ms / 100 {
            for peer in speakers {
                let to = self.shown_last(*peer);
                self.speak(*peer, &to);
            }
            self.run(100);
        }
    }

    /// What was told of the audio of a trunk.
    fn told_of_audio(&self, trunk: usize) -> Vec<MediaOutcome> {
        let media = |what: Observed| if let Observed::Media { outcome, .. } = what { Some(outcome) } else { None };
        self.seen(trunk as u16).into_iter().filter_map(media).collect()
    }

    /// How often a peer was asked whether it is there.
    pub fn asked(&self, peer: usize) -> usize {
        self.peers[peer].requests(Method::Options).len()
    }

    /// What was noted of the call in progress.
    pub fn notes(&self) -> Vec<Noted> {
        self.b2bua.all(None, 1).pop().expect("a call").notes
    }

    fn hang_up(&mut self) {
        self.send(OFFICE, Method::Bye, "", vec![]);
        self.settle();
    }
}

fn is_silent(outcome: MediaOutcome) -> bool {
    matches!(outcome, MediaOutcome::Silent { .. })
}

/// So long ago, about; looks are no more exact than packets.
fn is_about(span: Span, ms: u64) -> bool {
    span >= Span::from_millis(ms) && span <= Span::from_millis(ms + 500)
}

impl Lab {
    /// Both talk for so many seconds in packets of 20 ms, and one in `every` of the carrier's does not arrive. `n` is the next number.
    fn talk_with_holes(&mut self, n: &mut u16, seconds: u16, every: u16) {
        for _ in 0..seconds * 50 {
            for peer in [OFFICE, ACME] {
                if peer == ACME && every > 0 && n.is_multiple_of(every) {
                    continue;
                }
                let mut packet = [0x2bu8; 172];
                let ([high, low], time) = (n.to_be_bytes(), (u32::from(*n) * 160).to_be_bytes());
                packet[..12]
                    .copy_from_slice(&[0x80, 8, high, low, time[0], time[1], time[2], time[3], 0, 0, 0, peer as u8]);
                let port = port_of(&self.shown_last(peer));
                self.pass(port, self.peers[peer].media, &packet).expect("relayed");
            }
            *n += 1;
            self.run(20);
        }
    }
}

/// A score is a limit only where it is set. It is told when it falls short, and as good again when it is clearly better.
#[test]
fn a_carrier_that_sounds_worse_than_it_is_held_to_is_told_of_with_figure_and_limit() {
    let limit = Mos::from_hundredths(380);
    for held in [false, true] {
        let mut lab = Lab::new(1);
        lab.shape.trunks[ACME].as_mut().unwrap().audio.mos = held.then_some(limit);
        lab.call("+4722");
        lab.run(1_000);
        let mut n = 1;
        lab.talk_with_holes(&mut n, 8, 0);
        assert_eq!(lab.told_of_audio(ACME), [MediaOutcome::Good]);
        lab.talk_with_holes(&mut n, 12, 12);
        let told = lab.told_of_audio(ACME);
        if !held {
            assert_eq!(told, [MediaOutcome::Good], "8 % are within the limit of loss, and no other is set");
            continue;
        }
        let [_, MediaOutcome::Poor { mos, limit: by }] = told[..] else { panic!("{told:?}") };
        assert!(mos >= Mos::from_hundredths(330) && mos < limit && by == limit, "{told:?}");
        assert_eq!(lab.told_of_audio(OFFICE), [MediaOutcome::Good]);
        let notes: Vec<Note> = lab.notes().into_iter().map(|noted| noted.what).collect();
        assert_eq!((&notes[..], lab.asked(ACME)), (&[Note::Poor { mos, limit }][..], 0), "the call is left");
        lab.talk_with_holes(&mut n, 12, 0);
        assert_eq!(lab.told_of_audio(ACME).last(), Some(&MediaOutcome::Good));
        lab.talk_with_holes(&mut n, 12, 12);
        assert_eq!((lab.notes().len(), lab.b2bua.counters().audio_poor), (1, 1), "noted once in a call");
        lab.hang_up();
        assert!(matches!(lab.told_of_audio(ACME).last(), Some(MediaOutcome::Poor { .. })), "the end of it counts");
    }
}

#[test]
fn both_are_heard_and_that_is_told_at_once_and_at_the_end() {
    let mut lab = Lab::answered(1);
    lab.talk(2_000, &[OFFICE, ACME]);
    assert_eq!(lab.told_of_audio(ACME), [MediaOutcome::Good]);
    lab.talk(20_000, &[OFFICE, ACME]);
    assert_eq!(lab.told_of_audio(ACME), [MediaOutcome::Good], "when it changes, and not before");
    lab.hang_up();
    assert_eq!(lab.told_of_audio(ACME), [MediaOutcome::Good; 2]);
    assert_eq!(lab.told_of_audio(OFFICE), [MediaOutcome::Good; 2]);
    assert_eq!((lab.asked(OFFICE), lab.asked(ACME)), (0, 0));
    assert_eq!(lab.ended[0].notes, []);
}

/// Signalling passes and audio does not: the carrier is blamed within the limit, and the call is left.
#[test]
fn a_carrier_of_whom_nothing_comes_after_the_answer_is_told_of_and_asked() {
    let mut lab = Lab::answered(1);
    lab.talk(4_000, &[OFFICE]);
    let told = lab.told_of_audio(ACME);
    assert!(matches!(told[..], [MediaOutcome::Silent { after }] if is_about(after, 3_000)), "{told:?}");
    assert_eq!(lab.told_of_audio(OFFICE), [MediaOutcome::Good]);
    assert_eq!((lab.asked(OFFICE), lab.asked(ACME)), (0, 1));
    let notes = lab.notes();
    let whose: Vec<Whose> = notes.iter().map(|noted| noted.whose).collect();
    assert_eq!(whose, [Whose::Callee; 2]);
    assert!(matches!(notes[0].what, Note::Silent { never: true, other_speaks: true, .. }), "{notes:?}");
    assert!(matches!(notes[1].what, Note::Alive { .. }), "{notes:?}");
    lab.talk(20_000, &[OFFICE]);
    assert_eq!((lab.b2bua.calls(), lab.asked(ACME)), (1, 1), "its peer lives, and so does the call");
    lab.talk(15_000, &[OFFICE]);
    assert_eq!(lab.asked(ACME), 2, "half a minute later it may be gone");
    lab.talk(2_000, &[OFFICE, ACME]);
    assert_eq!(lab.told_of_audio(ACME).last(), Some(&MediaOutcome::Good), "it is heard after all");
    lab.hang_up();
    assert!(lab.ended[0].notes.iter().any(|noted| matches!(noted.what, Note::Back { .. })), "{:?}", lab.ended[0].notes);
}

#[test]
fn an_office_that_sends_nothing_is_blamed_itself_and_not_the_carrier() {
    let mut lab = Lab::answered(1);
    lab.talk(4_000, &[ACME]);
    assert!(lab.told_of_audio(OFFICE).into_iter().all(is_silent));
    assert_eq!(lab.told_of_audio(OFFICE).len(), 1);
    assert_eq!(lab.told_of_audio(ACME), [MediaOutcome::Good]);
    assert_eq!((lab.asked(OFFICE), lab.asked(ACME)), (1, 0));
    lab.hang_up();
}

/// What is sent to the carrier does not arrive, and its reports say so: it is to blame, and asked to have it by the other interface.
#[test]
fn a_carrier_that_says_that_nothing_arrives_is_told_of_and_its_audio_moved() {
    let mut lab = Lab::new(1);
    lab.has_two_interfaces(ACME);
    lab.call("+4722");
    lab.run(1_000);
    for highest in [50, 100, 100, 100] {
        lab.talk(5_000, &[OFFICE, ACME]);
        assert_eq!(lab.told_of_audio(ACME), [MediaOutcome::Good]);
        lab.report_of(ACME, OFFICE, highest);
    }
    lab.talk(3_000, &[OFFICE, ACME]);
    let told = lab.told_of_audio(ACME);
    assert!(matches!(told[..], [_, MediaOutcome::Deaf { after }] if is_about(after, 5_000)), "{told:?}");
    assert_eq!(lab.told_of_audio(OFFICE), [MediaOutcome::Good]);
    let notes: Vec<Note> = lab.notes().into_iter().map(|noted| noted.what).collect();
    assert!(matches!(notes[..], [Note::Deaf { .. }, Note::Moved { .. }]), "{notes:?}");
    assert_eq!((lab.asked(ACME), lab.peers[OFFICE].requests(Method::Invite).len()), (0, 0));
    for highest in [150, 200] {
        lab.talk(5_000, &[OFFICE, ACME]);
        lab.report_of(ACME, OFFICE, highest);
    }
    lab.talk(3_000, &[OFFICE, ACME]);
    assert_eq!(lab.told_of_audio(ACME).last(), Some(&MediaOutcome::Good));
    assert_eq!(lab.notes().last().map(|noted| noted.what), Some(Note::Hears));
    lab.hang_up();
    let counters = lab.b2bua.counters();
    assert_eq!((counters.audio_deaf, counters.audio_moved), (1, 1));
}

/// Nothing arrives from the answer on. One that has always told what it hears is believed when it leaves that out; one that never has
/// may be unable to tell.
#[test]
fn a_carrier_that_hears_nothing_from_the_beginning_is_believed_when_it_is_known_to_tell() {
    for known in [true, false] {
        let mut lab = Lab::new(1);
        for _ in 0..3 {
            lab.call("+4722");
            lab.run(1_000);
            lab.talk(3_000, &[OFFICE, ACME]);
            if known {
                lab.report_of(ACME, OFFICE, 30);
            } else {
                lab.report(ACME);
            }
            lab.talk(3_000, &[OFFICE, ACME]);
            lab.send(OFFICE, Method::Bye, "", vec![]);
            lab.settle();
        }
        lab.call("+4722");
        lab.run(1_000);
        for _ in 0..4 {
            lab.talk(1_000, &[OFFICE, ACME]);
            lab.report(ACME);
        }
        let told = lab.told_of_audio(ACME).into_iter().any(|told| matches!(told, MediaOutcome::Deaf { .. }));
        let noted = lab.notes().iter().any(|noted| matches!(noted.what, Note::Deaf { .. }));
        assert_eq!((told, noted), (known, known), "within four seconds of the answer");
        lab.hang_up();
    }
}

#[test]
fn a_call_of_signalling_alone_is_left_alone() {
    let mut lab = Lab::answered(1);
    lab.run(300_000);
    assert_eq!((lab.b2bua.calls(), lab.asked(OFFICE), lab.asked(ACME)), (1, 0, 0));
    assert_eq!((lab.told_of_audio(OFFICE), lab.told_of_audio(ACME)), (vec![], vec![]));
    lab.hang_up();
    assert_eq!((lab.told_of_audio(ACME), lab.ended[0].notes.len()), (vec![], 0));
}

/// RTP and SIP are gone at once: noticed within five seconds, and the other side is told why.
#[test]
fn a_carrier_that_dies_in_mid_call_is_noticed_within_five_seconds() {
    let mut lab = Lab::answered(1);
    lab.talk(10_000, &[OFFICE, ACME]);
    lab.peers[ACME].dead = true;
    let died = lab.now;
    lab.talk(5_000, &[OFFICE]);
    assert_eq!(lab.b2bua.calls(), 0);
    assert!(lab.ended[0].ended.since(died) <= Span::from_millis(4_500), "{}", lab.ended[0].ended.since(died));
    assert_eq!(lab.ended[0].ending, Ending::Ended("a party was heard no more and did not answer"));
    let notes: Vec<Note> = lab.ended[0].notes.iter().map(|noted| noted.what).collect();
    assert!(
        matches!(notes[..], [Note::Silent { never: false, other_speaks: true, .. }, Note::NoReply { .. }]),
        "{notes:?}"
    );
    assert!(lab.told_of_audio(ACME).last().copied().is_some_and(is_silent));
    let byes = lab.peers[OFFICE].requests(Method::Bye);
    let reason = byes[0].header(HeaderName::Reason).expect("a reason");
    assert!(String::from_utf8_lossy(reason).contains("did not answer"), "{}", String::from_utf8_lossy(reason));
    lab.settle();
    assert_eq!(lab.b2bua.counters().audio_lost, 1);
}

#[test]
fn a_carrier_that_has_forgotten_the_call_is_gone() {
    let mut lab = Lab::answered(1);
    lab.talk(5_000, &[OFFICE, ACME]);
    lab.peers[ACME].sessions.clear();
    lab.talk(4_000, &[OFFICE]);
    assert_eq!(lab.b2bua.calls(), 0);
    let notes: Vec<Note> = lab.ended[0].notes.iter().map(|noted| noted.what).collect();
    assert_eq!(notes.last(), Some(&Note::Refused { code: 481 }));
    lab.settle();
}

#[test]
fn an_answer_that_comes_late_but_in_time_saves_the_call() {
    let mut lab = Lab::answered(1);
    lab.talk(5_000, &[OFFICE, ACME]);
    // The first question is lost, and its repetition is not.
    lab.hush(ACME, 3_150);
    lab.talk(10_000, &[OFFICE]);
    assert_eq!(lab.b2bua.calls(), 1);
    lab.hang_up();
}

#[test]
fn hold_is_no_silence() {
    let mut lab = Lab::answered(1);
    lab.talk(3_000, &[OFFICE, ACME]);
    lab.peers[OFFICE].describe("inactive");
    lab.peers[ACME].describe("inactive");
    lab.send_sdp(OFFICE, Method::Invite);
    lab.run(300_000);
    assert_eq!((lab.b2bua.calls(), lab.asked(OFFICE), lab.asked(ACME)), (1, 0, 0));
    // Resumed, and only the office speaks: the carrier has its time from then on.
    lab.peers[OFFICE].describe("sendrecv");
    lab.peers[ACME].describe("sendrecv");
    lab.send_sdp(OFFICE, Method::Invite);
    lab.talk(2_500, &[OFFICE]);
    assert_eq!(lab.asked(ACME), 0);
    lab.talk(2_000, &[OFFICE]);
    assert_eq!(lab.asked(ACME), 1);
    lab.hang_up();
}

#[test]
fn music_on_hold_is_one_direction_and_that_is_meant() {
    let mut lab = Lab::answered(1);
    lab.talk(3_000, &[OFFICE, ACME]);
    lab.peers[OFFICE].describe("sendonly");
    lab.peers[ACME].describe("recvonly");
    lab.send_sdp(OFFICE, Method::Invite);
    lab.talk(120_000, &[OFFICE]);
    assert_eq!((lab.b2bua.calls(), lab.asked(ACME)), (1, 0));
    assert_eq!(lab.told_of_audio(ACME), [MediaOutcome::Good]);
    lab.hang_up();
}

const FAX: &str =
    "v=0\r\no=peer 77 9 IN IP4 192.0.2.21\r\ns=fax\r\nc=IN IP4 192.0.2.21\r\nt=0 0\r\nm=image 4000 udptl t38\r\n";

#[test]
fn a_fax_is_no_silence() {
    let mut lab = Lab::answered(1);
    lab.talk(3_000, &[OFFICE, ACME]);
    let office = FAX.replace("192.0.2.21", "192.0.2.10");
    (lab.peers[OFFICE].body, lab.peers[ACME].body) = (Some(office.into()), Some(FAX.into()));
    lab.send_sdp(ACME, Method::Invite);
    lab.run(200_000);
    assert_eq!((lab.b2bua.calls(), lab.asked(OFFICE), lab.asked(ACME)), (1, 0, 0));
    lab.hang_up();
}

/// RFC 3264 §5: a refused offer leaves the session as it was, and audio with it.
#[test]
fn a_fax_that_is_declined_leaves_audio_in_both_directions_at_once() {
    let mut lab = Lab::answered(1);
    lab.talk(1_000, &[OFFICE, ACME]);
    let (to_office, to_acme) = (lab.shown_last(OFFICE), lab.shown_last(ACME));
    lab.peers[ACME].body = Some(FAX.into());
    lab.peers[OFFICE].inside = vec![crate::peer::say(10, 488)];
    let client = lab.send_sdp(ACME, Method::Invite);
    lab.run(100);
    assert_eq!(lab.peers[ACME].codes(client).last(), Some(&488));
    assert_eq!(lab.speak(OFFICE, &to_office), Some(lab.peers[ACME].media));
    assert_eq!(lab.speak(ACME, &to_acme), Some(lab.peers[OFFICE].media));
    for (speaker, silent, port) in [(ACME, OFFICE, &to_acme), (OFFICE, ACME, &to_office)] {
        for _ in 0..40 {
            lab.speak(speaker, port);
            lab.run(100);
        }
        assert_eq!(lab.asked(silent), 1, "its silence counts as before");
    }
    lab.hang_up();
}

#[test]
fn nobody_heard_for_a_minute_ends_the_call() {
    let mut lab = Lab::answered(1);
    lab.talk(5_000, &[OFFICE, ACME]);
    lab.run(58_000);
    assert_eq!((lab.b2bua.calls(), lab.asked(OFFICE), lab.asked(ACME)), (1, 2, 2), "both are there");
    assert_eq!(lab.told_of_audio(ACME), [MediaOutcome::Good], "and neither is blamed");
    lab.run(3_000);
    assert_eq!(lab.b2bua.calls(), 0);
    assert_eq!(lab.ended[0].ending, Ending::Ended("no audio came from either party"));
    lab.settle();
}

#[test]
fn nobody_heard_ends_no_call_that_is_never_to_be_ended_for_it() {
    let mut lab = Lab::answered(1);
    lab.shape.trunks[ACME].as_mut().unwrap().audio.dead = Span::ZERO;
    lab.talk(5_000, &[OFFICE, ACME]);
    lab.run(300_000);
    assert_eq!(lab.b2bua.calls(), 1);
    lab.hang_up();
}

/// A talker whose silence is not sent (RFC 3551 §4.1) may say nothing for ten seconds.
#[test]
fn one_who_pauses_is_given_longer() {
    let mut lab = Lab::answered(1);
    for _ in 0..3 {
        lab.talk(1_000, &[OFFICE, ACME]);
        lab.talk(2_000, &[OFFICE]);
    }
    lab.talk(500, &[OFFICE, ACME]);
    lab.talk(9_500, &[OFFICE]);
    assert_eq!(lab.asked(ACME), 0);
    lab.talk(2_000, &[OFFICE]);
    assert_eq!(lab.asked(ACME), 1);
    lab.hang_up();
}

/// A muted phone that reports is there: RFC 3550 §6.2 has it report all the while.
#[test]
fn who_reports_is_there_and_says_nothing() {
    let mut lab = Lab::answered(1);
    lab.talk(4_000, &[OFFICE, ACME]);
    lab.talk(1_000, &[OFFICE]);
    for _ in 0..4 {
        lab.talk(1_000, &[OFFICE]);
        lab.report(ACME);
        lab.talk(4_000, &[OFFICE]);
    }
    assert_eq!(lab.told_of_audio(ACME), [MediaOutcome::Good]);
    lab.talk(20_000, &[OFFICE]);
    assert!(lab.told_of_audio(ACME).last().copied().is_some_and(is_silent), "it reports no more");
    lab.hang_up();
}

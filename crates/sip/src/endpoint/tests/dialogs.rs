//! Dialogs from real messages (RFC 3261 §12).

use super::*;
use crate::dialog::{Dialog, NoDialog, OutOfOrder};

fn request(method: &str, cseq: u32, extra: &str) -> Message {
    let text = format!(
        "{method} sip:us@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.7;branch=z9hG4bK{cseq}\r\n\
         Record-Route: <sip:192.0.2.20;lr>, <sip:192.0.2.21:5080;lr>\r\nRecord-Route: <sip:192.0.2.22;lr>\r\n\
         From: \"Pat; <x>\" <sip:p@10.0.0.7;user=phone>;tag=theirs\r\nTo: sip:us@192.0.2.1;tag=ours\r\nCall-ID: c\r\n\
         CSeq: {cseq} {method}\r\n{extra}Content-Length: 0\r\n\r\n"
    );
    Message::parse(text.into_bytes()).unwrap()
}

fn response(code: u16, method: &str, extra: &str) -> Message {
    let text = format!(
        "SIP/2.0 {code} Said\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
         Record-Route: <sip:192.0.2.20;lr>, <sip:192.0.2.21:5080;lr>\r\nRecord-Route: <sip:192.0.2.22>\r\n\
         From: <sip:us@192.0.2.1>;tag=ours\r\nTo: \"Pat\" <sip:p@10.0.0.7>;tag=theirs\r\nCall-ID: c\r\nCSeq: 41 {method}\r\n\
         {extra}Content-Length: 0\r\n\r\n"
    );
    Message::parse(text.into_bytes()).unwrap()
}

/// The draft as it leaves an endpoint.
fn sent(draft: Draft) -> Message {
    let mut bench = Bench::new();
    bench.endpoint.request(at(0), bench.flow, draft, &TimerSet::default()).unwrap();
    bench.drain();
    bench.sent.pop_front().unwrap()
}

fn routes(message: &Message) -> Vec<&str> {
    message.values(HeaderName::Route).map(|route| core::str::from_utf8(route).unwrap()).collect()
}

const CONTACT: &str = "Contact: <sip:p@10.0.0.7:5062;ob>\r\n";

#[test]
fn the_called_side_12_1_1() {
    let mut dialog = Dialog::uas(&request("INVITE", 7, CONTACT), b"ours").unwrap();
    assert_eq!(dialog.remote_seq, Some(7));
    let bye = sent(dialog.request(Method::Bye));
    assert_eq!(bye.uri(), b"sip:p@10.0.0.7:5062;ob");
    assert_eq!(routes(&bye), ["<sip:192.0.2.20;lr>", "<sip:192.0.2.21:5080;lr>", "<sip:192.0.2.22;lr>"]);
    assert_eq!(bye.header(HeaderName::From), Some(&b"<sip:us@192.0.2.1>;tag=ours"[..]));
    assert_eq!(bye.header(HeaderName::To), Some(&b"\"Pat; <x>\" <sip:p@10.0.0.7;user=phone>;tag=theirs"[..]));
    assert_eq!((bye.call_id(), bye.cseq().number), (&b"c"[..], 1));
    assert_eq!(dialog.next_hop(crate::Transport::Udp), Some("192.0.2.20:5060".parse().unwrap()));
}

#[test]
fn the_calling_side_visits_routes_backwards_12_1_2() {
    let mut dialog = Dialog::uac(&response(200, "INVITE", CONTACT)).unwrap();
    // The nearest proxy is a strict router here, so it takes the Request-URI (12.2.1.1).
    let info = sent(dialog.request(Method::Info));
    assert_eq!(info.uri(), b"sip:192.0.2.22");
    assert_eq!(routes(&info), ["<sip:192.0.2.21:5080;lr>", "<sip:192.0.2.20;lr>", "<sip:p@10.0.0.7:5062;ob>"]);
    assert_eq!(info.cseq().number, 42);
    assert_eq!(dialog.next_hop(crate::Transport::Udp), Some("192.0.2.22:5060".parse().unwrap()));
    assert_eq!(dialog.local_seq, 42);
}

#[test]
fn an_ack_has_its_invites_number_13_2_2_4() {
    let mut dialog = Dialog::uac(&response(200, "INVITE", CONTACT)).unwrap();
    dialog.request(Method::Info);
    let ack = dialog.ack(41);
    assert_eq!((ack.method, dialog.local_seq), (Method::Ack, 42));
    let mut lines = ack.headers.as_bytes().split(|byte| *byte == b'\n');
    assert!(lines.any(|line| line.trim_ascii() == b"CSeq: 41 ACK"));
}

#[test]
fn older_requests_are_out_of_order_12_2_2() {
    let mut dialog = Dialog::uas(&request("INVITE", 7, CONTACT), b"ours").unwrap();
    assert_eq!(dialog.accepts(&request("INFO", 6, "")), Err(OutOfOrder));
    assert_eq!(dialog.accepts(&request("INFO", 9, "")), Ok(()));
    // Only a lower number is out of order.
    assert_eq!(dialog.accepts(&request("INFO", 9, "")), Ok(()));
    // The ACK belongs to an older INVITE and takes no part.
    assert_eq!(dialog.accepts(&request("ACK", 7, "")), Ok(()));
    assert_eq!(dialog.accepts(&request("BYE", 8, "")), Err(OutOfOrder));
    assert_eq!(dialog.remote_seq, Some(9));
    assert!(dialog.matches(&request("BYE", 10, "")));
}

#[test]
fn only_target_refreshes_move_the_target_12_2_1_2() {
    let mut dialog = Dialog::uac(&response(200, "INVITE", CONTACT)).unwrap();
    let moved = "Contact: <sip:p@10.0.0.8>\r\n";
    dialog.refresh_target(&request("INFO", 8, moved));
    dialog.refresh_target(&response(488, "INVITE", moved));
    dialog.refresh_target(&request("INVITE", 9, ""));
    assert_eq!(dialog.remote_target, b"sip:p@10.0.0.7:5062;ob");
    dialog.refresh_target(&request("UPDATE", 9, moved));
    assert_eq!(dialog.remote_target, b"sip:p@10.0.0.8");
    dialog.refresh_target(&response(200, "INVITE", CONTACT));
    assert_eq!(dialog.remote_target, b"sip:p@10.0.0.7:5062;ob");
}

#[test]
fn without_contact_there_is_no_dialog_12_1() {
    assert_eq!(Dialog::uas(&request("INVITE", 7, ""), b"x"), Err(NoDialog::NoContact));
    assert_eq!(Dialog::uac(&response(180, "INVITE", "")), Err(NoDialog::NoContact));
}

#[test]
fn a_target_that_no_request_line_can_hold_makes_no_dialog_12_1() {
    for uri in ["sip:p@10.0.0\0.7", "sip:p q@10.0.0.7", "sip:p@10.0.0.7:99999", "sip:p@\r\n 10.0.0.7", "sip:"] {
        let contact = format!("Contact: <{uri}>\r\n");
        assert_eq!(Dialog::uas(&request("INVITE", 7, &contact), b"x"), Err(NoDialog::NoContact), "{uri:?}");
        let mut dialog = Dialog::uac(&response(200, "INVITE", CONTACT)).unwrap();
        dialog.refresh_target(&request("UPDATE", 9, &contact));
        assert_eq!(dialog.remote_target, b"sip:p@10.0.0.7:5062;ob", "{uri:?}");
    }
    let strict = format!("Record-Route: <sip:10.0.0\0.1>\r\n{CONTACT}");
    assert_eq!(Dialog::uac(&response(200, "INVITE", &strict)), Err(NoDialog::NoRoute));
}

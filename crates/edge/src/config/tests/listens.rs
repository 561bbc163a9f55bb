//! Where messages come and go: transports, certificates, and what each lacks that cannot work.

use super::*;

#[test]
fn a_trunk_by_name_needs_a_side_that_speaks_its_transport() {
    let text = EVERYTHING.replace("[\"sip:203.0.113.50\", \"sip:[2001:db8::50]:5080\"]", "\"sips:sbc.acme.example\"");
    let errors: Vec<String> = said(&text).into_iter().filter(|line| line.contains(" error ")).collect();
    assert_eq!(errors, ["21:10 error listen `wan` does not speak TLS, by which sbc.acme.example is reached"]);
}

/// A listen for browsers says whose pages may connect, and where load balancers are that speak for others.
#[test]
fn a_listen_for_browsers_and_behind_load_balancers() {
    let with = |sip: &str, more: &str| {
        let text = EVERYTHING
            .replace("sip   = [\"udp:192.0.2.10:5060\"]", &format!("sip   = [\"udp:192.0.2.10:5060\", {sip}]\n{more}"));
        let said: Vec<String> =
            said(&text).into_iter().filter(|line| line.starts_with("8:") || line.starts_with("9:")).collect();
        (said, compile(&text, "edge.toml", &env, None).settings)
    };
    let (said, settings) = with(
        "\"wss:192.0.2.10:443\"",
        "origins = [\"https://phone.example\", \"http://[::1]:8080\"]\nproxy_protocol = \"192.0.2.4/31\"\ntls = { certificate = \"a.pem\", key = \"a.key\" }",
    );
    assert_eq!(said, [""; 0]);
    let settings = settings.expect("settings");
    let streams = &settings.listen_streams[0];
    assert_eq!(*streams.origins, ["https://phone.example", "http://[::1]:8080"]);
    assert!(streams.is_proxy("192.0.2.5".parse().unwrap()) && !streams.is_proxy("192.0.2.6".parse().unwrap()));
    assert_eq!(settings.listen_streams[1], ListenStreams::default());
    for (sip, more, wanted) in [
        (
            "\"wss:192.0.2.10:443\"",
            "origins = []",
            "8:33 error TLS needs a certificate | add `tls = { certificate = \"FILE\", key = \"FILE\" }` to this listen",
        ),
        (
            "\"ws:192.0.2.10:80\"",
            "",
            "8:33 error nobody says whose pages may connect | add `origins = [\"https://HOST\"]`, the pages your phones are on",
        ),
        (
            "\"ws:192.0.2.10:80\"",
            "origins = \"*\"",
            "9:11 warning any page on the web may connect, from the browser of whoever looks at it | name the pages of your phones: \"https://phone.example\"",
        ),
        (
            "\"ws:192.0.2.10:80\"",
            "origins = \"phone.example\"",
            "9:11 error the text \"phone.example\" is no origin of a page | write \"https://phone.example\"",
        ),
        (
            "\"ws:192.0.2.10:80\"",
            "origins = \"https://phone.example/call\"",
            "9:11 error the text \"https://phone.example/call\" is no origin of a page | write \"https://phone.example\", without any path",
        ),
        (
            "\"tcp:192.0.2.10:5060\"",
            "origins = \"https://phone.example\"",
            "9:11 warning this listen has no address for WebSockets | add \"wss:ADDRESS:443\" to `sip`",
        ),
        (
            "\"udp:192.0.2.10:5070\"",
            "proxy_protocol = \"192.0.2.5\"",
            "9:18 warning this listen has no address that anybody connects to | add \"tls:ADDRESS:5061\" to `sip`, or leave `proxy_protocol` away",
        ),
        (
            "\"ws:192.0.2.10\"",
            "",
            "8:33 error the text \"ws:192.0.2.10\" is no listening address | write \"ws:192.0.2.10:80\"",
        ),
    ] {
        assert_eq!(with(sip, more).0, [wanted], "{sip} {more}");
    }
}

/// A trunk that takes large requests by TCP needs a side that speaks it.
#[test]
fn large_requests_go_by_tcp_where_both_ends_speak_it() {
    let globex = "at     = \"sip:198.51.100.77:5060;transport=udp\"";
    let large = EVERYTHING.replace(globex, &format!("{globex}\nlarge = \"tcp\""));
    let errors: Vec<String> = said(&large).into_iter().filter(|line| line.contains(" error ")).collect();
    let wanted = "33:10 error listen `wan` does not speak TCP, by which large requests go to 198.51.100.77:5060 | \
        add \"tcp:198.51.100.10:5060\" to its `sip`, or leave `large` away";
    assert_eq!(errors, [wanted]);
    let tcp = large.replace("\"udp:198.51.100.10:5060\"", "\"udp:198.51.100.10:5060\", \"tcp:198.51.100.10:5061\"");
    let settings = compile(&tcp, "edge.toml", &env, None).settings.expect("settings");
    let [(from, by)] = settings.large_ways()[..] else { panic!("one way: {:?}", settings.large_ways()) };
    assert_eq!((from.peer, by.peer), ("198.51.100.77:5060".parse().unwrap(), from.peer));
    let transports = [from, by].map(|flow| settings.sockets[flow.socket.index()].transport);
    assert_eq!(transports, [sip::Transport::Udp, sip::Transport::Tcp]);
    let unsaid = compile(&tcp.replace("large = \"tcp\"", "large = \"udp\""), "edge.toml", &env, None).settings;
    assert_eq!(unsaid.expect("settings").large_ways(), []);
    let in_vain = tcp.replace("77:5060;transport=udp", "77:5060;transport=tcp");
    assert!(
        said(&in_vain).iter().any(|line| line.starts_with("34:9 warning no target of this trunk is reached by UDP")),
        "{:?}",
        said(&in_vain)
    );
}

/// The example of the documentation with TCP and TLS.
fn by_streams() -> String {
    EVERYTHING
        .replace("\"udp:192.0.2.10:5060\"", "\"udp:192.0.2.10:5060\", \"tcp:192.0.2.10:5060\"")
        .replace("\"udp:[2001:db8::10]:5060\"]", "\"udp:[2001:db8::10]:5060\", \"tls:198.51.100.10:5061\"]\ntls = { certificate = \"a.pem\", key = \"a.key\", min = \"1.3\" }")
        .replace("[\"sip:192.0.2.20:5060\"]", "[\"sip:192.0.2.20;transport=tcp\", \"sip:192.0.2.20:5080\"]")
        .replace("sip:198.51.100.77:5060;transport=udp\"", "sips:198.51.100.77\"\ntls = { trust = \"ca.pem\", name = \"sbc.globex.example\" }")
        + "\n[streams]\nconnect = \"500ms\"\nper_source = 9\n"
}

#[test]
fn each_target_leaves_by_the_socket_of_its_transport() {
    let settings = settings(&by_streams());
    let by: Vec<(sip::Transport, u16)> = settings.sockets.iter().map(|one| (one.transport, one.bind.port())).collect();
    use sip::Transport::{Tcp, Tls, Udp};
    assert_eq!(by, [(Udp, 5060), (Tcp, 5060), (Udp, 5060), (Udp, 5060), (Tls, 5061)]);
    let targets = |trunk: usize| {
        let profile = settings.profiles.trunks[trunk].as_ref().unwrap();
        profile.targets.iter().map(|target| (target.transport, target.addr.port(), target.socket.0)).collect::<Vec<_>>()
    };
    assert_eq!(targets(0), [(Tcp, 5060, 1), (Udp, 5080, 0)]);
    assert_eq!(targets(2), [(Tls, 5061, 4)], "the default port of its transport");
    assert!(settings.listen_tls[0].is_none() && settings.listen_tls[1].as_ref().unwrap().only_1_3);
    let tls = &settings.trunk_tls[2];
    assert_eq!(
        (tls.trust.as_deref(), tls.name.as_deref(), tls.verify),
        (Some("ca.pem"), Some("sbc.globex.example"), true)
    );
    assert_eq!((settings.streams.connect, settings.streams.per_source), (model::Span::from_millis(500), 9));
}

#[test]
fn tls_that_cannot_work_says_what_it_lacks() {
    let text = by_streams();
    for (from, to, wanted) in [
        (
            "tls = { certificate = \"a.pem\", key = \"a.key\", min = \"1.3\" }\n",
            "",
            "error TLS needs a certificate | add `tls = {",
        ),
        (", key = \"a.key\", min", ", min", "error `key` is missing in tls of [listen.NAME]"),
        (", \"tls:198.51.100.10:5061\"", ", \"tcp:198.51.100.10:5060\"", "warning this listen has no address for TLS"),
        ("name = \"sbc.globex.example\"", "verify = false", "warning the certificate of this trunk is not verified"),
        ("name = \"sbc.globex.example\"", "name = \"sip:a@b\"", "error the text \"sip:a@b\" is no name of a host"),
        (
            "\"tcp:192.0.2.10:5060\"",
            "\"tcp:192.0.2.10\"",
            "error the text \"tcp:192.0.2.10\" is no listening address | write \"tcp:192.0.2.10:5060\"",
        ),
        (
            "\"tcp:192.0.2.10:5060\"",
            "\"tcp:192.0.2.10:5060\", \"tcp:192.0.2.10:5060\"",
            "error 192.0.2.10:5060 is listened on already",
        ),
    ] {
        let broken = text.replacen(from, to, 1);
        assert_ne!(broken, text, "{from}");
        let said = said(&broken);
        assert!(said.iter().any(|line| line.contains(wanted)), "{wanted}: {said:?}");
    }
}

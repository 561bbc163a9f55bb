//! A service manager of our own at the other end of the socket.
#![allow(clippy::expect_used)]

use super::*;

struct Manager(UnixDatagram);

impl Manager {
    /// Listens at an abstract name, and the supervisor that talks to it.
    fn start(name: &str, watchdog: Option<Span>) -> (Self, Supervisor) {
        let name = format!("throughline-{}-{name}", std::process::id());
        let at = SocketAddr::from_abstract_name(&name).expect("a name");
        let socket = UnixDatagram::bind_addr(&at).expect("a socket");
        socket.set_nonblocking(true).expect("no waiting");
        let supervision = Supervision { socket: Some(format!("@{name}")), watchdog };
        (Self(socket), Supervisor::new(&supervision).expect("a supervisor"))
    }

    fn hears(&self) -> Option<String> {
        let mut buffer = [0; 512];
        let length = self.0.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }
}

fn well() -> Health {
    Health { silent: None, unready: Some("draining".to_owned()) }
}

#[test]
fn the_environment_says_where_and_how_often() {
    let of = |pairs: &'static [(&str, &str)]| {
        let lookup = move |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Supervision::of(&lookup, 42)
    };
    assert_eq!(of(&[]), Supervision::default());
    let all = of(&[("NOTIFY_SOCKET", "/run/notify"), ("WATCHDOG_USEC", "30000000"), ("WATCHDOG_PID", "42")]);
    assert_eq!(all, Supervision { socket: Some("/run/notify".to_owned()), watchdog: Some(Span::from_secs(30)) });
    assert_eq!(of(&[("WATCHDOG_USEC", "30000000"), ("WATCHDOG_PID", "43")]).watchdog, None, "meant for another");
    assert_eq!(of(&[("WATCHDOG_USEC", "0")]).watchdog, None);
    assert_eq!(of(&[("WATCHDOG_USEC", "soon")]).watchdog, None);
}

#[test]
fn it_is_told_of_start_reload_and_end_in_one_line_each() {
    let (manager, mut supervisor) = Manager::start("words", None);
    supervisor.ready("edge is ready:\nSIP on udp");
    assert_eq!(manager.hears().as_deref(), Some("READY=1\nSTATUS=edge is ready: SIP on udp"));
    supervisor.reloading();
    let words = manager.hears().expect("a word");
    assert!(words.starts_with("RELOADING=1\n") && words.contains("\nMONOTONIC_USEC="), "{words}");
    supervisor.stopping();
    assert!(manager.hears().is_some_and(|words| words.starts_with("STOPPING=1\nSTATUS=draining")));
    assert_eq!((supervisor.deadline(), supervisor.question(Instant::FAR).is_none()), (None, true), "no watchdog");
}

#[test]
fn a_socket_on_a_path_is_told_too_and_nobody_without_one() {
    let path = std::env::temp_dir().join(format!("throughline-notify-{}", std::process::id()));
    let socket = UnixDatagram::bind(&path).expect("a socket");
    let name = path.to_str().map(str::to_owned);
    Supervisor::new(&Supervision { socket: name.clone(), watchdog: None }).expect("a supervisor").ready("here");
    assert_eq!(Manager(socket).hears().as_deref(), Some("READY=1\nSTATUS=here"));
    std::fs::remove_file(path).expect("a file");
    assert!(Supervisor::new(&Supervision { socket: name, watchdog: None }).is_err(), "nobody listens there");
    Supervisor::default().ready("nobody");
}

#[test]
fn a_sign_of_life_follows_an_answer_of_all_threads_and_nothing_else() {
    let (manager, mut supervisor) = Manager::start("life", Some(Span::from_secs(8)));
    let at = |seconds: u64| Instant::ZERO + Span::from_secs(seconds);
    let reply = supervisor.question(at(0)).expect("the first is due at once");
    assert!(supervisor.question(at(1)).is_none(), "four within the time it wants one in");
    supervisor.look_after();
    assert_eq!(manager.hears(), None, "nobody has answered yet");
    reply.send(Ok(well())).expect("it waits");
    supervisor.look_after();
    supervisor.look_after();
    assert_eq!((manager.hears().as_deref(), manager.hears()), (Some("WATCHDOG=1"), None), "draining is life");

    let reply = supervisor.question(at(2)).expect("due");
    let silent = Health { silent: Some("no answer from shard 1".to_owned()), unready: None };
    reply.send(Ok(silent)).expect("it waits");
    supervisor.look_after();
    drop(supervisor.question(at(4)).expect("due"));
    supervisor.look_after();
    assert_eq!(manager.hears(), None, "neither a silent shard nor a dropped question is life");

    let late = supervisor.question(at(6)).expect("due");
    let reply = supervisor.question(at(8)).expect("due");
    assert!(late.send(Ok(well())).is_err(), "its time is over");
    reply.send(Ok(well())).expect("it waits");
    supervisor.look_after();
    assert_eq!(manager.hears().as_deref(), Some("WATCHDOG=1"));
}

#[test]
fn what_it_could_not_be_told_is_told_later() {
    let (manager, mut supervisor) = Manager::start("full", None);
    while supervisor.owed.is_none() {
        supervisor.ready("again");
    }
    supervisor.stopping();
    while manager.hears().is_some() {}
    supervisor.look_after();
    assert!(manager.hears().is_some_and(|words| words.starts_with("STOPPING=1")), "the last word counts");
    assert!(supervisor.owed.is_none());
}

//! The stream of events: whole, in order, told what was lost.

use super::*;

/// Server-sent events as a client reads them: the fields of one event.
struct Listener {
    stream: BufReader<TcpStream>,
}

impl Listener {
    async fn open(at: SocketAddr, path: &str, header: &str) -> (u16, Self) {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: edge\r\n{header}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut listener = Self { stream: BufReader::new(stream) };
        let status = listener.line().await.split(' ').nth(1).unwrap().parse().unwrap();
        while !listener.line().await.is_empty() {}
        (status, listener)
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = tokio::time::timeout(Duration::from_secs(20), self.stream.read_line(&mut line));
        read.await.expect("a line within twenty seconds").unwrap();
        line.trim_end().to_owned()
    }

    /// The next event as (id, event, data); a comment is one without fields. Chunk sizes are lines of their own.
    async fn event(&mut self) -> (String, String, Value) {
        let (mut id, mut event, mut data) = (String::new(), String::new(), Value::Null);
        loop {
            let line = self.line().await;
            match line.split_once(": ") {
                Some(("id", value)) => id = value.to_owned(),
                Some(("event", value)) => event = value.to_owned(),
                Some(("data", value)) => data = serde_json::from_str(value).unwrap(),
                _ if line.is_empty() && !event.is_empty() => return (id, event, data),
                _ if line.starts_with(':') => return (String::new(), "comment".to_owned(), Value::Null),
                _ => {}
            }
        }
    }
}

/// A node that streams, and whose journal holds the records from `first` to `last`.
fn streaming(limits: Limits, first: u64, last: u64, ring: usize) -> (Served, broadcast::Sender<Arc<Entry>>) {
    let (events, _) = broadcast::channel(ring);
    let ours = events.clone();
    let served = serve(limits, move |ask| match ask {
        Ask::Events { reply } => drop(reply.send(Ok(events.subscribe()))),
        Ask::Journal { from, limit, reply } => {
            let page = (from.0.max(first)..=last).take(limit).map(|seq| alarm(seq, "kept")).collect();
            drop(reply.send(Ok(page)));
        }
        Ask::Metrics { reply } => drop(reply.send(Ok(MetricsSnapshot::new()))),
        other => node(other),
    });
    (served, ours)
}

fn send(events: &broadcast::Sender<Arc<Entry>>, seq: u64) {
    assert!(events.send(Arc::new(alarm(seq, "live"))).is_ok(), "somebody listens");
}

#[tokio::test]
async fn records_are_streamed_as_they_are_written() {
    let (served, events) = streaming(Limits::default(), 1, 0, 16);
    let (code, mut listener) = Listener::open(served.at, "/v1/events?kind=alarm,call", "").await;
    assert_eq!(code, 200);
    send(&events, 41);
    let (id, event, data) = listener.event().await;
    assert_eq!((id.as_str(), event.as_str()), ("41", "alarm"));
    assert_eq!(data["sentence"], "alarm at 2026-11-24T12:04:07.112Z: live");
    assert_eq!(data["record"]["alarm"]["over"], false);
    let operator = explain::Operator {
        trunk: None,
        act: explain::Act::Stop,
        via: "api".into(),
        who: String::new(),
        why: String::new(),
    };
    let other = Entry { record: Record::Operator(operator), ..alarm(42, "") };
    assert!(events.send(Arc::new(other)).is_ok());
    send(&events, 43);
    assert_eq!(listener.event().await.0, "43", "kinds not asked for are not told");
}

#[tokio::test]
async fn who_comes_back_gets_the_rest_from_the_journal_first_and_each_record_once() {
    let (served, events) = streaming(Limits::default(), 1, 12, 16);
    let (_, mut listener) = Listener::open(served.at, "/v1/events?from=1", "Last-Event-ID: 9\r\n").await;
    // Written while the journal is read: twelve is in both.
    send(&events, 12);
    send(&events, 13);
    for id in ["10", "11", "12", "13"] {
        assert_eq!(listener.event().await.0, id);
    }
    let (code, _) = Listener::open(served.at, "/v1/events", "Last-Event-ID: x\r\n").await;
    assert_eq!(code, 400);
}

/// Numbers begin at 1 again with a new journal, and a client keeps the one it saw last.
#[tokio::test]
async fn who_comes_back_after_the_journal_began_anew_hears_what_is_written_from_then_on() {
    let (served, events) = streaming(Limits::default(), 1, 2, 16);
    for (path, header) in [("/v1/events", "Last-Event-ID: 50000\r\n"), ("/v1/events?from=50000", "")] {
        let (_, mut listener) = Listener::open(served.at, path, header).await;
        send(&events, 3);
        send(&events, 4);
        assert_eq!((listener.event().await.0, listener.event().await.0), ("3".to_owned(), "4".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn what_a_slow_client_or_the_journal_has_lost_is_told_and_counted() {
    let (served, events) = streaming(Limits::default(), 5, 6, 4);
    let (_, mut listener) = Listener::open(served.at, "/v1/events?from=3", "").await;
    let (id, event, data) = listener.event().await;
    assert_eq!((id.as_str(), event.as_str(), &data["missed"]), ("", "missed", &json!(2)), "3 and 4 are pruned");
    assert_eq!((listener.event().await.0, listener.event().await.0), ("5".to_owned(), "6".to_owned()));
    // No turn for the reader in between: a ring of four keeps the last four of ten.
    (7..17).for_each(|seq| send(&events, seq));
    assert_eq!(listener.event().await.2["missed"], 6);
    for id in ["13", "14", "15", "16"] {
        assert_eq!(listener.event().await.0, id);
    }
    let (_, _, metrics) = served.ask("GET", "/metrics").await;
    assert!(metrics.contains("throughline_events_missed_total 8\n"), "{metrics}");
    assert!(metrics.contains("throughline_event_clients 1\n"), "{metrics}");
}

#[tokio::test]
async fn listeners_are_limited_and_a_silent_stream_stays_alive() {
    let short = Duration::from_millis(100);
    let limits = Limits { listeners: 1, keep_alive: short, idle: Duration::from_millis(400), ..Limits::default() };
    let (served, events) = streaming(limits, 1, 0, 16);
    let (_, mut listener) = Listener::open(served.at, "/v1/events", "").await;
    assert_eq!(served.error(503, "GET", "/v1/events").await, "too many listen already (limit 1)");
    // Well beyond the time in which a silent connection is closed.
    for _ in 0..8 {
        assert_eq!(listener.event().await.1, "comment");
    }
    send(&events, 1);
    while listener.event().await.1 != "alarm" {}
    drop(listener);
    // Its place is free as soon as the server has noticed.
    let mut code = 503;
    for _ in 0..100 {
        if code == 200 {
            break;
        }
        tokio::time::sleep(short).await;
        code = Listener::open(served.at, "/v1/events", "").await.0;
    }
    assert_eq!(code, 200);
}

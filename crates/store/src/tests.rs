//! What the store promises: everything comes back, order and numbers survive a restart, nobody waits, limits hold.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::journal::{GROUP, Item, Journal};
use crate::{BindingRow, Limits, Place, Reader, Store, StoreError, place};
use decide::{Candidate, Cause, Change, Decision, Plan, Subject};
use explain::{
    Act, Alarm, AlarmRecord, AttemptRecord, CallRecord, Direction, Ending, Entry, MediaRecord, Names, Operator, Record,
    StreamRecord, Who,
};
use model::{
    AttemptOutcome, CallRef, Epoch, Evidence, GroupId, Health, Instant, Mos, RouteId, Seq, Span, TargetId, TrunkId,
    Wall,
};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

mod export;

const SMALL: Limits = Limits { queue: 4_096, calls: 1_000_000, others: 1_000_000 };

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("store-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    fn place(&self) -> Place<'_> {
        Place::Folder(&self.0)
    }

    fn open(&self) -> (Store, Reader) {
        Store::open(self.place(), SMALL).unwrap()
    }

    fn file(&self) -> PathBuf {
        self.0.join("journal.sqlite")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

fn entry(seq: u64, record: Record) -> Arc<Entry> {
    Arc::new(Entry { seq: Seq(seq), wall: Wall::from_micros(1_795_521_847_112_345 + seq as i64), record })
}

fn target(trunk: u16) -> TargetId {
    TargetId { trunk: TrunkId(trunk), index: 0 }
}

fn ms(ms: u64) -> Instant {
    Instant::ZERO + Span::from_millis(ms)
}

fn call(id: u64) -> Record {
    let attempt = |trunk: u16, name: &str, outcome| AttemptRecord {
        fault: None,
        target: target(trunk),
        trunk: name.into(),
        call_id: format!("0123456789abcdef-{id:x}-{trunk}"),
        begun: model::Begun::InTurn,
        sent: ms(1_000),
        first_reply: Some(Span::from_millis(20)),
        progress: None,
        took: Span::from_millis(500),
        outcome,
    };
    let candidate = |trunk| Candidate { target: target(trunk), tier: 0, health: Health::Up };
    Record::Call(Box::new(CallRecord {
        drilled: false,
        notes: Vec::new(),
        call: CallRef(id.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        call_id: format!("caller-{id}@192.0.2.20"),
        from: "office".into(),
        caller: "+4790123456".into(),
        called: "+4722334455".into(),
        invited: ms(1_000),
        progressed: Some(ms(1_700)),
        answered: Some(ms(3_000)),
        ended: ms(63_000),
        plan: Ok(Plan {
            epoch: Epoch(7),
            route: RouteId(0),
            group: GroupId(0),
            attempts: vec![candidate(1), candidate(2)],
            excluded: Vec::new(),
            unnamed: 0,
            last_resort: false,
            emergency: false,
            forced: None,
        }),
        trunks: vec![(TrunkId(1), "acme".into()), (TrunkId(2), "globex".into())],
        tiers: Vec::new(),
        group: Some("carriers".into()),
        attempts: vec![
            attempt(1, "acme", AttemptOutcome::Refused { code: 503, q850: Some(41), retry_after: None }),
            attempt(2, "globex", AttemptOutcome::Answered),
        ],
        ending: Ending::Bye { by: Direction::Caller },
        media: Some(MediaRecord {
            from_caller: 3_000,
            from_callee: 2_999,
            callee: Some(StreamRecord {
                packets: 2_999,
                expected: 3_000,
                missing: 1,
                late: 8,
                jitter: Some(ms(3).since(Instant::ZERO)),
                mos: Some(Mos::from_hundredths(429)),
                codec: Some("PCMA".into()),
                ..StreamRecord::default()
            }),
            ..MediaRecord::default()
        }),
    }))
}

fn reference(id: u64) -> CallRef {
    CallRef(id.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn fell(trunk: &str) -> Record {
    let who = Who { trunk: trunk.into(), group: None, target: Some("192.0.2.31:5060".into()), only_target: true };
    let decision = Decision {
        at: ms(9_000),
        epoch: Epoch(8),
        subject: Subject::Target(target(1)),
        change: Change::Health { from: Health::Up, to: Health::Down },
        cause: Cause::ProbesFailed { count: 3, limit: 3 },
        evidence: Some(Evidence::default()),
        veto: None,
        next_look: Some(Span::from_secs(30)),
        word: None,
        policy: 7,
    };
    Record::Decision { who, decision }
}

fn started() -> Record {
    let trunks = ["office", "acme", "globex"].map(Into::into).to_vec();
    Record::Configured { fingerprint: 1, names: Names { trunks, groups: Vec::new() }, start: true, frames: None }
}

fn drained(trunk: Option<&str>) -> Record {
    operator(trunk, if trunk.is_some() { Act::Drain } else { Act::Stop })
}

fn operator(trunk: Option<&str>, act: Act) -> Record {
    Record::Operator(Operator {
        trunk: trunk.map(Into::into),
        act,
        via: "api".into(),
        who: String::new(),
        why: String::new(),
    })
}

fn alarm() -> Record {
    Record::Alarm(AlarmRecord { what: Alarm::Text { text: "it's \"loud\"".into() }, over: false })
}

/// One of each kind, numbered from `first`.
fn one_of_each(first: u64) -> Vec<Arc<Entry>> {
    let records =
        [started(), call(1), fell("acme"), call(2), drained(Some("acme")), drained(None), alarm(), fell("globex")];
    (first..).zip(records).map(|(seq, record)| entry(seq, record)).collect()
}

fn write(store: &Store, entries: &[Arc<Entry>]) {
    for entry in entries {
        store.write(entry.clone()).unwrap();
    }
    store.flush();
}

fn plain(entries: &[Arc<Entry>]) -> Vec<Entry> {
    entries.iter().map(|entry| (**entry).clone()).collect()
}

#[test]
fn everything_comes_back_in_order_on_disk_and_in_memory() {
    let folder = Folder::new();
    for place in [folder.place(), Place::Memory] {
        let (store, reader) = Store::open(place, SMALL).unwrap();
        let written = one_of_each(1);
        assert_eq!(reader.last_seq().unwrap(), Seq(0));
        write(&store, &written);
        assert_eq!(reader.entries(Seq(0), 1_000).unwrap(), plain(&written));
        assert_eq!(reader.entries(Seq(3), 2).unwrap(), plain(&written)[2..4]);
        assert_eq!(reader.last_seq().unwrap(), Seq(8));
        assert_eq!(reader.call(reference(2)).unwrap(), Some((*written[3]).clone()));
        assert_eq!(reader.call(reference(3)).unwrap(), None);
        let counters = store.counters();
        assert_eq!((counters.written, counters.dropped, counters.failed), (8, 0, 0));
        assert_eq!(store.lost(), None);
    }
}

#[test]
fn a_journal_is_read_beside_the_edge_that_writes_it_and_after_it() {
    let folder = Folder::new();
    let (store, _reader) = folder.open();
    let entries = one_of_each(1);
    write(&store, &entries);
    store.flush();
    let beside = Reader::open(&folder.0).unwrap();
    assert_eq!(beside.entries(Seq(1), 100).unwrap(), plain(&entries));
    drop(store);
    let after = Reader::open(&folder.file()).unwrap();
    assert_eq!(after.entries(Seq(1), 100).unwrap(), plain(&entries));
    let empty = folder.0.join("empty.sqlite");
    fs::write(&empty, "").unwrap();
    assert!(matches!(Reader::open(&empty), Err(StoreError::Damaged { .. })));
}

#[test]
fn a_trunk_is_explained_by_its_last_entries() {
    let (store, reader) = Store::open(Place::Memory, SMALL).unwrap();
    write(&store, &one_of_each(1));
    let why = reader.why_trunk("acme", 1_000, false).unwrap();
    assert_eq!(why.len(), 3, "{why:?}");
    assert!(why[0].starts_with("the edge started"), "{why:?}");
    assert!(why[1].starts_with("trunk acme Up → Down"), "{why:?}");
    assert!(why[2].starts_with("operator (api) drains trunk acme"), "{why:?}");
    let last = reader.why_trunk("acme", 1, false).unwrap();
    assert_eq!(last, why[2..], "the limit keeps the latest");
    assert_eq!(reader.why_trunk("nobody", 1_000, false).unwrap(), [""; 0]);
}

#[test]
fn the_ends_of_drills_come_back_in_order_and_are_told_of_the_trunks_that_they_name() {
    let (store, reader) = Store::open(Place::Memory, SMALL).unwrap();
    let ends = |trunk: &str, passed| {
        let why = "it is done".to_owned();
        operator(None, Act::DrillEnd { why, passed, failed: 1, trunks: vec![trunk.into()] })
    };
    let other = operator(Some("acme"), Act::DrillMend);
    write(&store, &[entry(1, ends("acme", 6)), entry(2, other), entry(3, alarm()), entry(4, ends("globex", 7))]);
    let seqs: Vec<u64> = reader.drills().unwrap().iter().map(|entry| entry.seq.0).collect();
    assert_eq!(seqs, [1, 4]);
    let told = reader.why_trunk("globex", 10, false).unwrap();
    assert!(told.len() == 1 && told[0].ends_with("it is done; 7 of 8 lines passed"), "{told:?}");
}

#[test]
fn the_list_of_calls_is_the_cdr_latest_first_by_pages() {
    let (store, reader) = Store::open(Place::Memory, SMALL).unwrap();
    let written = one_of_each(1);
    write(&store, &written);
    let rows = reader.calls(10, None).unwrap();
    let wanted: Vec<_> = [&written[3], &written[1]]
        .into_iter()
        .map(|entry| {
            let Record::Call(call) = &entry.record else { panic!("a call") };
            (entry.seq, explain::cdr(call, entry.wall))
        })
        .collect();
    let found: Vec<_> = rows.into_iter().map(|row| (row.seq, row.cdr)).collect();
    assert_eq!(found, wanted);
    assert_eq!(found[0].1.trunk.as_deref(), Some("globex"));
    let page: Vec<_> = reader.calls(10, Some(Seq(4))).unwrap().into_iter().map(|row| row.seq).collect();
    assert_eq!(page, [Seq(2)]);
}

#[test]
fn attempts_are_rows_that_a_person_can_query() {
    let folder = Folder::new();
    let (store, _reader) = folder.open();
    write(&store, &[entry(5, call(1))]);
    let link = rusqlite::Connection::open(folder.file()).unwrap();
    let mut statement = link
        .prepare(
            "SELECT number, a.trunk, a.outcome, a.code, invited_at = sent_at FROM attempts a JOIN calls USING (seq)",
        )
        .unwrap();
    type Found = (i64, String, String, Option<u16>, bool);
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)));
    let rows: Vec<Found> = rows.unwrap().collect::<Result<_, _>>().unwrap();
    let expected = [
        (1, "acme".to_owned(), "refused".to_owned(), Some(503), true),
        (2, "globex".to_owned(), "answered".to_owned(), None, true),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let folder = Folder::new();
    let (store, _) = folder.open();
    let first = one_of_each(1);
    // Not flushed: an orderly end writes what waits.
    first.iter().for_each(|entry| store.write(entry.clone()).unwrap());
    drop(store);
    let (store, reader) = folder.open();
    let next = reader.last_seq().unwrap().0 + 1;
    assert_eq!(next, 9);
    let second = one_of_each(next);
    write(&store, &second);
    assert_eq!(reader.entries(Seq(0), 1_000).unwrap(), plain(&[first, second].concat()));
}

#[test]
fn what_is_committed_survives_a_kill() {
    let (folder, image) = (Folder::new(), Folder::new());
    let (store, _reader) = folder.open();
    let written = one_of_each(1);
    write(&store, &written);
    // The files as a kill at this moment leaves them: nobody has closed them.
    fs::create_dir_all(&image.0).unwrap();
    for name in ["journal.sqlite", "journal.sqlite-wal"] {
        fs::copy(folder.0.join(name), image.0.join(name)).unwrap();
    }
    let (_again, reader) = image.open();
    assert_eq!(reader.entries(Seq(0), 1_000).unwrap(), plain(&written));
}

#[test]
fn a_number_taken_already_fails_alone_and_is_told() {
    let (store, reader) = Store::open(Place::Memory, SMALL).unwrap();
    write(&store, &[entry(1, alarm())]);
    write(&store, &[entry(1, fell("acme")), entry(2, call(1))]);
    assert_eq!(reader.entries(Seq(0), 10).unwrap(), plain(&[entry(1, alarm()), entry(2, call(1))]));
    assert_eq!((store.counters().written, store.counters().failed), (2, 1));
    let lost = store.lost().unwrap();
    assert!(lost.count == 1 && lost.why.starts_with("number 1 is taken"), "{lost:?}");
    assert_eq!(store.lost(), None, "told once");
}

#[test]
fn records_are_committed_in_groups() {
    let (store, _reader) = Store::open(Place::Memory, SMALL).unwrap();
    let entries: Vec<_> = (1..=3_000).map(|seq| entry(seq, call(seq))).collect();
    write(&store, &entries);
    let counters = store.counters();
    assert_eq!(counters.written, 3_000);
    assert!(counters.groups >= 3_000 / GROUP as u64 && counters.groups < 100, "{counters:?}");
}

#[test]
fn a_record_is_written_soon_without_being_asked_for() {
    let (store, reader) = Store::open(Place::Memory, SMALL).unwrap();
    store.write(entry(1, alarm())).unwrap();
    let looks = (0..400).take_while(|_| {
        std::thread::park_timeout(std::time::Duration::from_millis(5));
        reader.last_seq().unwrap() == Seq(0)
    });
    assert!(looks.count() < 400, "not within two seconds");
}

#[test]
fn a_full_queue_drops_counts_and_never_waits() {
    let folder = Folder::new();
    let (store, reader) = Store::open(folder.place(), Limits { queue: 8, ..SMALL }).unwrap();
    // Another program holds the file, so that the writer is stuck for as long as this test wants.
    let other = rusqlite::Connection::open(folder.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let taken = (1..=2_000).filter(|seq| store.write(entry(*seq, alarm())).is_ok()).count() as u64;
    let dropped = store.counters().dropped;
    assert!(dropped > 0, "a queue of 8 cannot take 2000");
    assert_eq!(taken + dropped, 2_000);
    other.execute_batch("COMMIT").unwrap();
    store.flush();
    assert_eq!(store.counters().written, taken);
    assert_eq!(reader.entries(Seq(0), 1_000).unwrap().len() as u64, taken);
    let lost = store.lost().unwrap();
    assert!(lost.count > 1 && lost.why == "the disk cannot keep up", "{lost:?}");
}

#[test]
fn old_rows_go_calls_apart_from_decisions() {
    let limits = Limits { calls: 100, others: 20, ..SMALL };
    let (store, reader) = Store::open(Place::Memory, limits).unwrap();
    write(&store, &[entry(1, fell("acme"))]);
    let calls: Vec<_> = (2..=1_001).map(|seq| entry(seq, call(seq))).collect();
    write(&store, &calls);
    write(&store, &[entry(1_002, call(1_002))]);
    let kept = reader.entries(Seq(0), 1_000).unwrap();
    assert_eq!(kept[0], *entry(1, fell("acme")), "a thousand calls do not push out why the trunk fell");
    assert_eq!(kept[1..].iter().map(|entry| entry.seq.0).collect::<Vec<_>>(), (903..=1_002).collect::<Vec<_>>());
    let others: Vec<_> = (2_001..=2_050).map(|seq| entry(seq, alarm())).collect();
    write(&store, &others);
    write(&store, &[entry(2_051, alarm())]);
    let kept: Vec<_> = reader.entries(Seq(2_000), 1_000).unwrap().iter().map(|entry| entry.seq.0).collect();
    assert_eq!(kept, (2_032..=2_051).collect::<Vec<_>>());
    assert_eq!(reader.call(reference(500)).unwrap(), None);
}

#[test]
fn attempts_go_with_their_call_and_limits_hold_after_a_restart() {
    let folder = Folder::new();
    let limits = Limits { calls: 10, ..SMALL };
    for round in 0..2u64 {
        let (store, _reader) = Store::open(folder.place(), limits).unwrap();
        let calls: Vec<_> = (1..=50).map(|n| entry(round * 50 + n, call(n))).collect();
        write(&store, &calls);
    }
    let link = rusqlite::Connection::open(folder.file()).unwrap();
    let count = |sql: &str| link.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM calls"), 10);
    assert_eq!(count("SELECT count(*) FROM attempts"), 20);
    assert_eq!(count("SELECT min(seq) FROM attempts"), 91);
}

#[test]
fn answers_have_limits() {
    let (store, reader) = Store::open(Place::Memory, SMALL).unwrap();
    let entries: Vec<_> = (1..=1_500).map(|seq| entry(seq, fell("acme"))).collect();
    write(&store, &entries);
    assert_eq!(reader.entries(Seq(0), u64::MAX).unwrap().len(), 1_000);
    assert_eq!(reader.trunk_entries("acme", u64::MAX, false).unwrap().len(), 1_000);
    assert_eq!(reader.entries(Seq(u64::MAX), 10).unwrap(), []);
}

#[test]
fn a_row_of_another_version_is_told_and_hides_nothing() {
    let folder = Folder::new();
    let (store, reader) = folder.open();
    write(&store, &one_of_each(1));
    let other = rusqlite::Connection::open(folder.file()).unwrap();
    other.execute("UPDATE journal SET json = '{\"rescue\":{}}' WHERE seq = 3", []).unwrap();
    let entries = reader.entries(Seq(0), 100).unwrap();
    assert_eq!(entries.len(), 8);
    assert!(matches!(&entries[2].record, Record::Unreadable { error } if error.contains("rescue")));
}

/// What the first version wrote, as it lies in journals.
#[test]
fn rows_of_the_first_version_are_read() {
    let folder = Folder::new();
    let (store, reader) = folder.open();
    write(&store, &one_of_each(1));
    let other = rusqlite::Connection::open(folder.file()).unwrap();
    let row = "INSERT INTO journal (seq, at, kind, trunk, json) VALUES (?1, 5, 'alarm', NULL, ?2)";
    other.execute(row, rusqlite::params![9, r#"{"alarm":{"text":"the disk is full"}}"#]).unwrap();
    other.execute("UPDATE calls SET json = json_remove(json, '$.tiers')", []).unwrap();
    let entries = reader.entries(Seq(0), 100).unwrap();
    let calls = entries.iter().filter(|entry| matches!(entry.record, Record::Call(_))).count();
    assert_eq!((entries.len(), calls), (9, 2));
    let alarm = AlarmRecord { what: Alarm::Text { text: "the disk is full".into() }, over: false };
    assert_eq!(entries[8].record, Record::Alarm(alarm));
}

#[test]
fn a_second_policy_is_told_only_when_asked_for_and_pushes_nobody_out() {
    let (store, reader) = Store::open(Place::Memory, SMALL).unwrap();
    let Record::Decision { who, decision } = fell("acme") else { unreachable!("a decision") };
    let shadow = Record::Shadow { who, decision };
    let mut entries = vec![entry(1, fell("acme"))];
    entries.extend((2..=20).map(|seq| entry(seq, shadow.clone())));
    write(&store, &entries);
    assert_eq!(reader.why_trunk("acme", 5, false).unwrap().len(), 1);
    let both = reader.why_trunk("acme", 1_000, true).unwrap();
    assert!(both.len() == 20 && both[19].starts_with("in shadow: trunk acme"), "{both:?}");
}

#[test]
fn a_group_is_told_with_its_trunks_in_one_order_and_what_concerns_all_of_them_once() {
    let (store, reader) = Store::open(Place::Memory, SMALL).unwrap();
    let released = |group: &str| operator(None, Act::Release { group: group.into() });
    let decided = |group: &str| {
        let Record::Decision { who, decision } = fell("") else { panic!("a decision") };
        Record::Decision { who: Who { group: Some(group.into()), ..who }, decision }
    };
    let records = [
        started(),
        fell("globex"),
        fell("acme"),
        fell("initech"),
        fell("globex"),
        released("carriers"),
        decided("carriers"),
        released("others"),
        decided("others"),
    ];
    write(&store, &(1..).zip(records).map(|(seq, record)| entry(seq, record)).collect::<Vec<_>>());
    let seqs = |limit| {
        let entries = reader.group_entries("carriers", ["acme", "globex"], limit).unwrap();
        entries.iter().map(|entry| entry.seq.0).collect::<Vec<_>>()
    };
    assert_eq!(seqs(100), [1, 2, 3, 5, 6, 7]);
    assert_eq!(seqs(3), [5, 6, 7], "the limit keeps the latest");
    let of_trunk = reader.trunk_entries("acme", 2, false).unwrap();
    assert_eq!(of_trunk.len(), 2, "words on groups push out nothing of a trunk");
}

#[test]
fn a_torn_file_is_an_error_that_says_what_to_do() {
    let folder = Folder::new();
    let fill = || {
        let (store, _reader) = folder.open();
        let calls: Vec<_> = (1..=200).map(|seq| entry(seq, call(seq))).collect();
        write(&store, &calls);
    };
    fill();
    let whole = fs::read(folder.file()).unwrap();
    let overwritten = [b"not a journal at all".as_slice(), &whole[20..]].concat();
    for torn in [&whole[..whole.len() / 2], &overwritten] {
        fs::write(folder.file(), torn).unwrap();
        let error = Store::open(folder.place(), SMALL).err().expect("a torn file is refused");
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("move the file"), "{error}");
    }
    fs::remove_file(folder.file()).unwrap();
    fill();
}

#[test]
fn a_newer_layout_and_a_second_edge_are_refused() {
    let folder = Folder::new();
    let (store, _reader) = folder.open();
    let second = Store::open(folder.place(), SMALL).err().expect("one edge per folder");
    assert!(matches!(second, StoreError::InUse { .. }), "{second}");
    drop(store);
    rusqlite::Connection::open(folder.file()).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let newer = Store::open(folder.place(), SMALL).err().expect("it cannot know layout 99");
    assert!(matches!(newer, StoreError::Newer { found: 99, .. }), "{newer}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = Folder::new();
    fs::create_dir_all(&folder.0).unwrap();
    let file = folder.0.join("file");
    fs::write(&file, "").unwrap();
    let error = Store::open(Place::Folder(&file), SMALL).err().expect("a file is no folder");
    assert!(matches!(&error, StoreError::Folder { path, .. } if *path == file), "{error}");
}

#[test]
fn what_is_bound_survives_a_restart_and_what_has_run_out_goes() {
    let folder = Folder::new();
    let at = |seconds: i64| Wall::from_micros(seconds * 1_000_000);
    let row = |aor: &str, until: i64, json: &str| BindingRow {
        aor: aor.to_owned(),
        told: at(1_000),
        until: at(until),
        json: json.to_owned(),
    };
    let (store, reader) = folder.open();
    for row in [row("201", 1_100, "[1]"), row("202", 1_200, "[2]"), row("203", 1_300, "[3]"), row("204", 900, "[4]")] {
        store.keep(row).unwrap();
    }
    store.keep(row("201", 1_400, "[5]")).unwrap();
    store.keep(row("203", 0, "")).unwrap();
    store.flush();
    let of = |reader: &Reader, now| {
        let rows = reader.bindings(at(now)).unwrap();
        rows.into_iter().map(|row| (row.aor, row.json)).collect::<Vec<_>>()
    };
    let both = [("201".to_owned(), "[5]".to_owned()), ("202".to_owned(), "[2]".to_owned())];
    assert_eq!(of(&reader, 1_000), both);
    assert_eq!(of(&reader, 0), both, "204 ran out before it was told, and is gone");
    drop(store);
    let (_store, reader) = folder.open();
    assert_eq!(of(&reader, 1_000), both);
    assert_eq!(of(&reader, 1_250), both[..1]);
}

/// Prints what a call's record costs the writer thread; asserts only that all are there, since machines differ.
#[test]
fn what_a_call_costs() {
    // A burst, and 320 calls a second.
    for size in [GROUP, 16] {
        let folder = Folder::new();
        let opened = place::open(folder.place()).unwrap();
        let mut journal = Journal::new(Arc::new(Mutex::new(opened.writer)), SMALL).unwrap();
        let entries: Vec<_> = (1..=8_192).map(|seq| Item::Entry(entry(seq, call(seq)))).collect();
        let start = processor_ns();
        let written: u64 = entries.chunks(size).map(|group| journal.commit(group).written).sum();
        if let (Some(start), Some(end)) = (start, processor_ns()) {
            println!("{} ns of processor per call with two attempts, in groups of {size}", (end - start) / written);
        }
        assert_eq!(written, 8_192);
    }
}

/// Processor time of this thread, where the system tells.
fn processor_ns() -> Option<u64> {
    fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}

#[test]
fn the_timeline_is_all_but_calls_and_turns_its_pages_backwards() {
    let folder = Folder::new();
    let (store, reader) = folder.open();
    write(&store, &one_of_each(1));
    let numbers = |trunk: Option<&str>, limit, before: Option<u64>| -> Vec<u64> {
        reader.timeline(trunk, limit, before.map(Seq)).unwrap().iter().map(|entry| entry.seq.0).collect()
    };
    assert_eq!(numbers(None, 100, None), [8, 7, 6, 5, 3, 1], "2 and 4 are calls");
    assert_eq!(numbers(None, 2, Some(7)), [6, 5]);
    assert_eq!(numbers(Some("acme"), 100, Some(6)), [5, 3, 1], "its own, and what concerns all");
    assert_eq!(numbers(Some("nobody"), 1, Some(6)), [1]);
}

//! Exports: each call once, with its attempts.

use super::*;
use explain::CdrRow;

#[test]
fn an_export_has_each_call_once_with_its_attempts_in_order_by_pages_and_from_a_moment_on() {
    let (store, reader) = Store::open(Place::Memory, SMALL).unwrap();
    // Every third number belongs to a record that is no call.
    let written: Vec<_> =
        (1..=9)
            .map(|seq| {
                if seq % 3 == 0 {
                    entry(seq, Record::Unreadable { error: String::new() })
                } else {
                    entry(seq, call(seq))
                }
            })
            .collect();
    write(&store, &written);
    let seqs = |rows: &[CdrRow]| rows.iter().map(|row| row.seq.0).collect::<Vec<_>>();
    let page = reader.cdrs(Seq(2), None, 3).unwrap();
    assert_eq!(seqs(&page), [2, 4, 5]);
    assert_eq!(seqs(&reader.cdrs(Seq(6), None, 3).unwrap()), [7, 8]);
    assert_eq!(seqs(&reader.cdrs(Seq(9), None, 3).unwrap()), [0; 0]);
    for row in &page {
        let Record::Call(call) = &written[row.seq.0 as usize - 1].record else { panic!("a call") };
        assert_eq!(row.cdr, explain::cdr(call, written[row.seq.0 as usize - 1].wall));
        let tried: Vec<_> = row.tried.iter().map(|one| (one.trunk.as_str(), one.outcome.as_str(), one.code)).collect();
        assert_eq!(tried, [("acme", "refused", Some(503)), ("globex", "answered", None)]);
        assert_eq!((row.tried[0].sent, row.tried[0].took), (row.cdr.invited, Span::from_millis(500)));
    }
    // Each record was written a microsecond after the one before.
    for first in 1..=10 {
        let since = entry(first, call(1)).wall;
        let wanted: Vec<u64> = (first..=9).filter(|seq| seq % 3 != 0).collect();
        assert_eq!(seqs(&reader.cdrs(Seq(1), Some(since), 100).unwrap()), wanted, "from {first} on");
    }
}

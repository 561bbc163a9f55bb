//! The most calls at once that each trunk has carried, out of the records of calls.
//!
//! What a backup must be able to carry is what its primary really has. Refuses to know: limits, groups.

use crate::place::StoreError;
use crate::reader::Reader;
use std::collections::BTreeMap;

/// Calls that are looked at, the last ones: days of a busy edge, and little memory.
const CALLS: i64 = 500_000;

const SPANS: &str = "SELECT trunk, answered_at, ended_at FROM calls WHERE trunk IS NOT NULL AND answered_at IS NOT NULL \
    ORDER BY seq DESC LIMIT ?1";

impl Reader {
    /// The most calls that were answered and up at once, by the name of the trunk that carried them; of the last half million calls.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn peaks(&self) -> Result<BTreeMap<String, u32>, StoreError> {
        let mut edges: BTreeMap<String, Vec<(i64, i32)>> = BTreeMap::new();
        let link = self.link();
        let mut statement = link.prepare_cached(SPANS)?;
        let mut rows = statement.query([CALLS])?;
        while let Some(row) = rows.next()? {
            let (trunk, from, to): (String, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            edges.entry(trunk).or_default().extend([(from, 1), (to, -1)]);
        }
        Ok(edges.into_iter().map(|(trunk, edges)| (trunk, peak(edges))).collect())
    }
}

/// Calls begin and end; one that ends in the very moment in which another begins is not up beside it.
fn peak(mut edges: Vec<(i64, i32)>) -> u32 {
    edges.sort_unstable();
    let most = edges.into_iter().scan(0_i32, |up, (_, edge)| {
        *up += edge;
        Some(*up)
    });
    most.max().map_or(0, |most| u32::try_from(most).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_most_at_once_counts_and_not_the_sum() {
        let calls =
            |spans: &[(i64, i64)]| super::peak(spans.iter().flat_map(|(from, to)| [(*from, 1), (*to, -1)]).collect());
        assert_eq!(calls(&[]), 0);
        assert_eq!(calls(&[(0, 10), (20, 30)]), 1);
        assert_eq!(calls(&[(0, 10), (5, 15), (9, 30), (10, 40)]), 3);
        assert_eq!(calls(&[(0, 10), (10, 20)]), 1, "one after the other");
    }
}

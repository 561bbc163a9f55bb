//! What was probably meant: the nearest known word.
//!
//! Refuses to know: what the words stand for.

/// The known word nearest to `word`, if it is near enough to be a slip: a third of its letters, at least one.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    // Names are bounded by their parser; what is longer is not a slip of anything.
    if word.len() > 100 {
        return None;
    }
    let near = known.into_iter().map(|candidate| (distance(word, candidate), candidate));
    near.filter(|(steps, _)| *steps <= limit).min_by_key(|(steps, _)| *steps).map(|(_, candidate)| candidate)
}

/// ``did you mean `x`?`` when there is a nearest word.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, known).map(|near| format!("did you mean `{near}`?"))
}

/// "`a`, `b` or `c`".
pub(super) fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => String::from("nothing"),
        [one] => one.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

/// Letters to insert, drop, change or swap with their neighbour; case counts for nothing.
fn distance(a: &str, b: &str) -> usize {
    let letters = |text: &str| text.to_lowercase().chars().collect::<Vec<char>>();
    let (a, b) = (letters(a), letters(b));
    let mut before = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = change.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = core::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        let known = ["listen", "limits", "auth", "at"];
        for (word, wanted) in [
            ("listne", Some("listen")),
            ("Listen", Some("listen")),
            ("limit", Some("limits")),
            ("ath", Some("auth")),
            ("codecs", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), wanted, "{word}");
        }
        assert_eq!(distance("ca", "ac"), 1);
        assert_eq!(list(["a", "b", "c"]), "`a`, `b` or `c`");
    }
}

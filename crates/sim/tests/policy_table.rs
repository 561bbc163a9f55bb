//! The policy table as it is committed: a change in behaviour is a change in it, to be looked at and kept by `make policy-table`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

const KEPT: &str = include_str!("policy_table.txt");

#[test]
fn the_table_is_the_one_that_is_kept() {
    let made = sim::policy::table().expect("every row fits its policies");
    let mut section = "";
    let mut differs = String::new();
    for (kept, made) in lines(KEPT).zip(lines(&made)).take_while(|pair| pair.0.is_some() || pair.1.is_some()) {
        if let Some(head) = made.filter(|line| !line.starts_with(' ') && line.contains("Suspect")) {
            section = head.get(..42).unwrap_or(head).trim_end();
        }
        if kept != made {
            let [kept, made] = [kept, made].map(|line| line.unwrap_or("(nothing)"));
            differs.push_str(&format!("{section}\n- {kept}\n+ {made}\n"));
        }
    }
    assert!(
        differs.is_empty(),
        "behaviour has changed; if that is meant, run `make policy-table` and commit\n{differs}"
    );
}

fn lines(text: &str) -> impl Iterator<Item = Option<&str>> {
    text.lines().map(Some).chain(std::iter::repeat(None))
}

//! Cells of CSV (RFC 4180) that a spreadsheet shows and does not run.
//!
//! Callers choose much of what stands in a call record, and a spreadsheet takes a cell that begins like a formula for one: it may fetch
//! pages or start programs. Such a cell gets an apostrophe in front, by which spreadsheets know text. Numbers stay as they are,
//! `+4722334455` too: billing compares them by the letter, and a sign with nothing but digits behind it can only be shown.
//! Refuses to know: what a cell means.

/// One line, without its end.
pub(crate) fn line<'a>(cells: impl IntoIterator<Item = &'a str>) -> String {
    cells.into_iter().map(|cell| quoted(&inert(cell))).collect::<Vec<_>>().join(",")
}

/// What begins a cell, elsewhere too: where the comma is the decimal sign, spreadsheets part a file at semicolons, quotes or not.
const PARTS: [char; 4] = [';', '\t', '\r', '\n'];

fn inert(cell: &str) -> String {
    cell.split_inclusive(PARTS).map(|part| if runs(part) { format!("'{part}") } else { part.to_owned() }).collect()
}

/// The wide forms are taken for the narrow ones where such letters are written. A spreadsheet that trims finds a formula behind spaces, and
/// one that has parted a file inside quotes finds it behind those.
fn runs(part: &str) -> bool {
    let text = part.trim_end_matches(PARTS).trim_start_matches([' ', '"']);
    let signed = text.strip_prefix(['+', '-']);
    let number = signed.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()));
    let control = part.starts_with(['\t', '\r', '\n']);
    control || (text.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) && !number)
}

/// RFC 4180 §2.
fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_stay_by_the_letter() {
        for cell in ["+4722334455", "4722334455", "-5", "0.080", "", "anonymous", "a+b=c@d", "*21*5#", "acme-1", "a b"]
        {
            assert_eq!(line([cell]), cell);
        }
    }

    #[test]
    fn what_begins_like_a_formula_is_text() {
        for cell in [
            "=1+1",
            "@SUM(A1)",
            "+",
            "-",
            "+47-22",
            "+47 22",
            "-1+cmd|' /C calc'!A0",
            "+cmd|' /C calc'!A0",
            "--1",
            "＝1",
            "＋1",
            "－1",
            "＠1",
        ] {
            assert_eq!(line([cell]), format!("'{cell}"));
        }
        assert_eq!(line([" =1"]), "' =1");
        assert_eq!(line(["\t=1"]), "'\t'=1");
        assert_eq!(line(["\r"]), "\"'\r\"");
    }

    #[test]
    fn nor_does_a_formula_hide_behind_what_parts_cells_elsewhere() {
        assert_eq!(line(["x;=1;y"]), "x;'=1;y");
        assert_eq!(line(["x;\"=1"]), "\"x;'\"\"=1\"");
        assert_eq!(line(["x\n+1-2"]), "\"x\n'+1-2\"");
        assert_eq!(line(["x;+4722"]), "x;+4722");
        assert_eq!(
            line(["acme no_reply 1.500; globex refused 503 0.020"]),
            "acme no_reply 1.500; globex refused 503 0.020"
        );
    }

    #[test]
    fn a_line_has_as_many_cells_as_it_was_given() {
        assert_eq!(line(["7", "a,b\"c@office", "", "+4722"]), "7,\"a,b\"\"c@office\",,+4722");
        assert_eq!(
            line(["=HYPERLINK(\"http://192.0.2.1\",\"x\")"]),
            "\"'=HYPERLINK(\"\"http://192.0.2.1\"\",\"\"x\"\")\""
        );
    }
}

//! A moment as people and programs write it: date and time of RFC 3339, or a date alone, which is its first moment in UTC.
//!
//! Refuses to know: what it is for.

use model::Wall;

/// The moment; none when it is no such thing. RFC 3339 §5.6.
pub(crate) fn parse(text: &str) -> Option<Wall> {
    let (date, time) = text.split_once(['T', 't']).unwrap_or((text, "00:00:00Z"));
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    // In a query a bare `+` means a space, and a zone may begin with one.
    let (time, zone) = time.split_at(time.find(['Z', 'z', '+', '-', ' '])?);
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let digits = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    // A leap second is the one after it.
    if !digits || hour > 23 || minute > 59 || second > 60 || !(1..=12).contains(&month) {
        return None;
    }
    if !(1..=days_of(year, month)).contains(&day) {
        return None;
    }
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(6);
    let micros = digits.fold(0, |micros, digit| micros * 10 + i64::from(digit - b'0'));
    let minutes = (days_before(year, month, day) * 24 + hour) * 60 + minute - ahead(zone)?;
    Some(Wall::from_micros((minutes * 60 + second) * 1_000_000 + micros))
}

/// By how many minutes a zone is ahead of UTC.
fn ahead(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let (sign, offset) = zone.split_at_checked(1)?;
    let [hour, minute] = numbers(offset, ':', [2, 2])?;
    let ahead = (hour < 24 && minute < 60).then_some(hour * 60 + minute)?;
    Some(if sign == "-" { -ahead } else { ahead })
}

/// Numbers of so many digits each.
fn numbers<const COUNT: usize>(text: &str, between: char, digits: [usize; COUNT]) -> Option<[i64; COUNT]> {
    let mut parts = text.split(between);
    let mut found = [0; COUNT];
    for (number, digits) in found.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit()));
        *number = part?.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

const fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a Gregorian date, by eras of 400 years that begin on 1 March.
const fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_record_prints_is_read_and_zones_and_dates_alone_are_too() {
        for us in [0, -1_000, 1_709_164_799_123_000, 1_709_251_199_999_000, 4_102_444_800_000_000] {
            let wall = Wall::from_micros(us);
            assert_eq!(parse(&wall.to_string()), Some(wall), "{wall}");
        }
        // Every day of four hundred years, as it is printed.
        for day in 0..146_097 {
            let wall = Wall::from_micros(day * 86_400_000_000);
            let printed = wall.to_string();
            assert_eq!(printed.split('T').next().and_then(parse), Some(wall), "{printed}");
        }
        for (text, us) in [
            ("2024-02-29", 1_709_164_800_000_000),
            ("2024-02-29T00:00:00.0000019Z", 1_709_164_800_000_001),
            ("2024-02-29T01:00:60.5+00:30", 1_709_166_660_500_000),
            ("2024-02-29T01:00:60.5 00:30", 1_709_166_660_500_000),
            ("2024-02-28t16:30:00-07:30", 1_709_164_800_000_000),
        ] {
            assert_eq!(parse(text), Some(Wall::from_micros(us)), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for wrong in [
            "",
            "2023-02-29",
            "2100-02-29",
            "2024-13-01",
            "2024-00-01",
            "2024-04-31",
            "2024-1-01",
            "2024-02-29T00:00:00",
            "2024-02-29T24:00:00Z",
            "2024-02-29T00:00:00.Z",
            "2024-02-29T00:00:00.xZ",
            "2024-02-29T00:00:00+1:00",
            "2024-02-29T00:00:00+01:60",
            "2024-02-29T00:00:00Zulu",
            "2024-02-29Z",
            "2024-02-29-01",
            "+024-02-29",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}

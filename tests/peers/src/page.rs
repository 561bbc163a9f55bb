//! A page for a fax machine: black stripes on white, as the smallest TIFF that one takes.
//!
//! Refuses to know: how it is sent.

/// Dots in a line (ITU-T T.4 §2.2), and lines of a short page.
const WIDTH: u32 = 1_728;
const LINES: u32 = 400;
/// Dots to the inch across and down, in normal resolution.
const ACROSS: u32 = 204;
const DOWN: u32 = 98;

/// Black stripes of sixteen lines, an octet for eight dots.
pub fn striped() -> Vec<u8> {
    let line = |line: u32| vec![if line / 16 % 2 == 1 { 0xff } else { 0 }; WIDTH as usize / 8];
    (0..LINES).flat_map(line).collect()
}

/// TIFF 6.0 §3, bilevel and not compressed: header, dots, two ratios, and the directory.
pub fn tiff(dots: &[u8]) -> Vec<u8> {
    let (dots_at, length) = (8, dots.len() as u32);
    let ratios_at = dots_at + length;
    let directory_at = ratios_at + 16;
    // Tag, type (3 is 16 bits, 4 is 32, 5 a ratio), value.
    let entries: [(u16, u16, u32); 12] = [
        (256, 4, WIDTH),
        (257, 4, LINES),
        (258, 3, 1),
        (259, 3, 1),
        (262, 3, 0),
        (273, 4, dots_at),
        (277, 3, 1),
        (278, 4, LINES),
        (279, 4, length),
        (282, 5, ratios_at),
        (283, 5, ratios_at + 8),
        (296, 3, 2),
    ];
    let mut file = b"II*\0".to_vec();
    file.extend(directory_at.to_le_bytes());
    file.extend(dots);
    for number in [ACROSS, 1, DOWN, 1] {
        file.extend(number.to_le_bytes());
    }
    file.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, value) in entries {
        file.extend(tag.to_le_bytes());
        file.extend(kind.to_le_bytes());
        file.extend(1_u32.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file.extend(0_u32.to_le_bytes());
    file
}

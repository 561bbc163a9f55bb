//! G.711 A-law and µ-law (ITU-T G.711).
//!
//! Whole packets are decoded by tables of 512 bytes. Encoding is computed: a table for all samples would push more out of the cache than it saves.
//! Refuses to know: packets.

/// A-law to sixteen-bit sample, of every code.
pub(super) static FROM_A: [i16; 256] = table(true);
/// µ-law to sixteen-bit sample, of every code.
pub(super) static FROM_U: [i16; 256] = table(false);

const fn table(a: bool) -> [i16; 256] {
    let (mut table, mut code) = ([0; 256], 0);
    while code < table.len() {
        table[code] = if a { decode_a(code as u8) } else { decode_u(code as u8) };
        code += 1;
    }
    table
}

/// Sixteen-bit sample to A-law.
pub fn encode_a(sample: i16) -> u8 {
    let (sign, magnitude) = if sample >= 0 { (0x80, i32::from(sample)) } else { (0, -1 - i32::from(sample)) };
    let magnitude = magnitude >> 4;
    let code = match magnitude {
        0..=15 => magnitude,
        _ => {
            let exponent = 31 - (magnitude as u32).leading_zeros() as i32 - 3;
            (exponent << 4) | ((magnitude >> (exponent - 1)) & 0x0f)
        }
    };
    (sign | code as u8) ^ 0x55
}

/// A-law to sixteen-bit sample.
pub const fn decode_a(code: u8) -> i16 {
    let code = code ^ 0x55;
    let (exponent, mantissa) = ((code >> 4 & 0x07) as i32, (code & 0x0f) as i32);
    let magnitude = if exponent == 0 { (mantissa << 4) + 8 } else { ((mantissa << 4) + 0x108) << (exponent - 1) };
    (if code & 0x80 != 0 { magnitude } else { -magnitude }) as i16
}

/// Sixteen-bit sample to µ-law.
pub fn encode_u(sample: i16) -> u8 {
    let (sign, magnitude) = if sample < 0 { (0x80, -i32::from(sample)) } else { (0, i32::from(sample)) };
    let magnitude = magnitude.min(32_635) + 0x84;
    let exponent = 31 - (magnitude as u32).leading_zeros() as i32 - 7;
    let mantissa = (magnitude >> (exponent + 3)) & 0x0f;
    !(sign | (exponent << 4) as u8 | mantissa as u8)
}

/// µ-law to sixteen-bit sample.
pub const fn decode_u(code: u8) -> i16 {
    let code = !code;
    let (exponent, mantissa) = ((code >> 4 & 0x07) as i32, (code & 0x0f) as i32);
    let magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84;
    (if code & 0x80 != 0 { -magnitude } else { magnitude }) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_survive_and_samples_stay_close() {
        for code in 0..=255u8 {
            assert_eq!(encode_a(decode_a(code)), code);
            assert_eq!(decode_u(encode_u(decode_u(code))), decode_u(code));
        }
        for sample in (-32_768..=32_767).step_by(37) {
            let sample = sample as i16;
            let tolerance = 16 + i32::from(sample).abs() / 16;
            assert!((i32::from(decode_a(encode_a(sample))) - i32::from(sample)).abs() <= tolerance, "A {sample}");
            assert!((i32::from(decode_u(encode_u(sample))) - i32::from(sample)).abs() <= tolerance + 132, "µ {sample}");
        }
    }

    #[test]
    fn ends_and_middle_of_the_tables_of_g_711() {
        assert_eq!([0xd5, 0x55, 0xaa, 0x2a].map(decode_a), [8, -8, 32_256, -32_256]);
        assert_eq!([0xff, 0x7f, 0x80, 0x00].map(decode_u), [0, 0, 32_124, -32_124]);
        assert_eq!([0, -1, i16::MAX, i16::MIN].map(encode_a), [0xd5, 0x55, 0xaa, 0x2a]);
        assert_eq!([0, i16::MAX, i16::MIN].map(encode_u), [0xff, 0x80, 0x00]);
        assert!((i16::MIN..i16::MAX).all(|x| decode_a(encode_a(x)) <= decode_a(encode_a(x + 1))), "A never steps back");
        assert!((i16::MIN..i16::MAX).all(|x| decode_u(encode_u(x)) <= decode_u(encode_u(x + 1))), "µ never steps back");
    }
}

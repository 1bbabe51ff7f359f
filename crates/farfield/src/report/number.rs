//! Numbers as text: tables, tick labels, file sizes of a line.

/// A number for a table: `1.9e-3` for small and large values, three significant digits between 0.1 and 10 000.
#[must_use]
pub fn format_number(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_string();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_string();
    }
    let size = value.abs();
    if size == 0.0 {
        return "0".to_string();
    }
    if !(0.0995..9999.5).contains(&size) {
        return format!("{value:.1e}");
    }
    let whole_digits = if size < 1.0 { 0 } else { size.log10().floor() as usize + 1 };
    format!("{value:.*}", 3_usize.saturating_sub(whole_digits))
}

/// A whole number with thin spaces between groups of three digits, from 10 000 on.
#[must_use]
pub fn format_count(value: u64) -> String {
    let digits = value.to_string();
    if digits.len() < 5 {
        return digits;
    }
    let mut out = String::with_capacity(digits.len() * 2);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// `10` with a raised exponent, as in 10⁻³.
pub(super) fn power_of_ten(exponent: i32) -> String {
    let mut out = String::from("10");
    for c in exponent.to_string().chars() {
        out.push(match c {
            '-' => '⁻',
            '0' => '⁰',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            '4' => '⁴',
            '5' => '⁵',
            '6' => '⁶',
            '7' => '⁷',
            '8' => '⁸',
            _ => '⁹',
        });
    }
    out
}

/// Fixed-point text with a true minus sign and no negative zero.
pub(super) fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|c| c == '0' || c == '.') => rest.to_string(),
        Some(rest) => format!("−{rest}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_the_tables_print_them() {
        for (value, text) in [
            (1.9e-3, "1.9e-3"),
            (0.832, "0.832"),
            (2.306, "2.31"),
            (149.4, "149"),
            (1234.0, "1234"),
            (12345.0, "1.2e4"),
            (0.0996, "0.100"),
            (-4.2e-8, "-4.2e-8"),
            (0.0, "0"),
            (f64::NAN, "nan"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(format_number(value), text);
        }
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(format_count(9424), "9424");
        assert_eq!(format_count(37696), "37\u{202f}696");
        assert_eq!(format_count(1_520_000), "1\u{202f}520\u{202f}000");
    }

    #[test]
    fn powers_and_signs() {
        assert_eq!(power_of_ten(-12), "10⁻¹²");
        assert_eq!(power_of_ten(0), "10⁰");
        assert_eq!(fixed(-0.001, 1), "0.0");
        assert_eq!(fixed(-1.25, 2), "−1.25");
    }
}

//! Text in pictures: what can be shown, how wide it is, and how to cut it to a width.

/// `text` without control characters, which XML cannot hold.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Printable text that kuva shows as it is, dollar signs included.
pub(super) fn literal(text: &str) -> String {
    printable(text).replace('$', "\\$")
}

/// Advance widths of DejaVu Sans for the characters from space to `~`, in thousandths of the size.
const WIDTHS: [u16; 95] = [
    318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, 636, 636, 636, 636, 636, 636, 636,
    636, 636, 636, 337, 337, 838, 838, 838, 531, 1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 295, 656, 557, 863,
    748, 787, 603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838, 500, 500, 613, 635, 550, 635,
    615, 352, 635, 634, 278, 278, 579, 278, 974, 634, 612, 635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636,
    337, 636, 838,
];

/// Width of `text` at `size` in the font of the pictures; an estimate outside ASCII.
pub(super) fn text_width(text: &str, size: u32) -> f64 {
    let thousandths: u32 = text
        .chars()
        .map(|c| {
            let index = (c as u32).checked_sub(32);
            match index.and_then(|i| WIDTHS.get(i as usize)) {
                Some(&w) => u32::from(w),
                None => match c {
                    '⁰' | '¹' | '²' | '³' | '⁴'..='⁹' => 401,
                    '⁻' => 528,
                    '−' | '×' | '≤' | '≥' => 838,
                    '…' => 1000,
                    '\u{300}'..='\u{36f}' => 0,
                    '\u{2e80}'.. => 1000,
                    _ => 660,
                },
            }
        })
        .sum();
    f64::from(thousandths) * f64::from(size) / 1000.0
}

/// `text`, cut with an ellipsis where it is wider than `width` at `size`.
pub(super) fn shortened(text: &str, size: u32, width: f64) -> String {
    if text_width(text, size) <= width {
        return text.to_string();
    }
    let mut out = String::new();
    for c in text.chars() {
        out.push(c);
        if text_width(&out, size) + f64::from(size) > width {
            out.pop();
            break;
        }
    }
    format!("{}…", out.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_shortened() {
        let text = "a".repeat(200);
        let cut = shortened(&text, 12, 100.0);
        assert!(cut.ends_with('…') && text_width(&cut, 12) <= 100.0, "{cut}");
        assert_eq!(shortened("short", 12, 100.0), "short");
    }
}

//! Patterns of tensor names: `*` stands for any number of characters, `?` for one.

/// Whether a name fits a pattern. Cost: O(name x pattern).
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // The last star, and where the text that it stands for ends.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == '?' || c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, end)) => {
                    star = Some((at, end + 1));
                    (p, n) = (at + 1, end + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name) in
            [("*", ""), ("a*c", "abbc"), ("*.weight", "l.0.weight"), ("a?c", "abc"), ("**", "x"), ("*ab*ab", "abxabab")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("", "a"), ("a*c", "abb"), ("a?c", "ac"), ("*.weight", "l.0.bias"), ("abc", "ab")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}

//! What a mutant changes: one token, or one line that is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::lua::{Kind, Token, tokens};

/// A script with one change.
#[derive(Clone, Debug)]
pub(crate) struct Mutant {
    pub(crate) script: &'static str,
    /// The changed line with `«what was → what is»` in it; a line that stands there several times
    /// has its number among them behind it.
    pub(crate) name: String,
    /// The whole file, as long as it was.
    pub(crate) text: String,
}

struct Edit {
    range: Range<usize>,
    to: String,
}

/// A sign or word, and what may stand in its place.
const SWAPS: &[(&str, &[&str])] = &[
    ("<", &["<=", ">="]),
    ("<=", &["<", ">"]),
    (">", &[">=", "<="]),
    (">=", &[">", "<"]),
    ("==", &["~="]),
    ("~=", &["=="]),
    ("+", &["-"]),
    ("-", &["+"]),
    ("and", &["or"]),
    ("or", &["and"]),
    ("true", &["false"]),
    ("false", &["true"]),
    // A key of the same type is what a slip would go unnoticed with.
    ("READY", &["BELL"]),
    ("SCHEDULED", &["PENDING"]),
    ("PENDING", &["DEAD"]),
    ("DEAD", &["SCHEDULED"]),
    ("MESSAGES", &["ATTEMPTS"]),
    ("ATTEMPTS", &["KEYED"]),
    ("KEYED", &["ATTEMPTS"]),
    ("BELL", &["ALARM"]),
    ("ALARM", &["BELL"]),
    ("META", &["KEYED"]),
    ("'LPUSH'", &["'RPUSH'"]),
    ("'RPUSH'", &["'LPUSH'"]),
    ("math.min", &["math.max"]),
    ("min", &["max"]),
    ("max", &["min"]),
];

/// Words of commands without which a command may still be one.
const DROPPED: &[&str] = &["'XX'", "'GT'", "'BYSCORE'", "'WITHSCORES'"];

fn edits(source: &str) -> Vec<Edit> {
    let tokens = tokens(source);
    let mut edits = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let next = tokens.get(index + 1);
        let before = index.checked_sub(1).map(|before| tokens[before].text);
        let mut swap = |range, to: &str| edits.push(Edit { range, to: to.to_owned() });
        let whole = token.at..token.end();
        // `max` alone is a variable nearly everywhere.
        let is_function = before == Some(".") || !["min", "max"].contains(&token.text);
        let swaps = SWAPS.iter().find(|(from, _)| *from == token.text && is_function);
        for to in swaps.map_or(&[][..], |(_, to)| to) {
            // What negates one value has nothing to add to.
            let negates = token.text == "-" && before.is_none_or(is_before_a_value);
            swap(whole.clone(), if negates { "" } else { to });
        }
        match (token.kind, next) {
            (Kind::Number, _) => {
                if let Ok(number) = token.text.parse::<u64>() {
                    swap(whole.clone(), &(number + 1).to_string());
                    if let Some(less) = number.checked_sub(1) {
                        swap(whole, &less.to_string());
                    }
                }
            }
            (Kind::Name, Some(next)) if token.text == "not" => swap(token.at..next.at, ""),
            (Kind::Text, Some(comma)) if DROPPED.contains(&token.text) && comma.text == "," => {
                let end = tokens.get(index + 2).map_or(comma.end(), |after| after.at);
                swap(token.at..end, "");
            }
            _ => {}
        }
    }
    edits.extend(lines_with(source, &tokens).map(|range| Edit { range, to: String::new() }));
    edits
}

/// Is a `-` after this one a sign of its value?
fn is_before_a_value(text: &str) -> bool {
    ["(", "{", "[", ",", "=", "return", "and", "or", "<", ">", "==", "<=", ">="].contains(&text)
}

/// Each line that has a token, without its indentation.
fn lines_with<'a>(
    source: &'a str,
    tokens: &'a [Token<'_>],
) -> impl Iterator<Item = Range<usize>> + 'a {
    let starts: BTreeSet<_> = tokens.iter().map(|token| line_of(source, token.at).start).collect();
    starts.into_iter().map(|start| line_of(source, start))
}

/// The line around a place, without its indentation.
fn line_of(source: &str, at: usize) -> Range<usize> {
    let start = source[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let end = source[at..].find('\n').map_or(source.len(), |newline| at + newline);
    let line = &source[start..end];
    start + (line.len() - line.trim_start().len())..end
}

/// All mutants of a script, compiling or not.
pub(crate) fn mutants(script: &'static str, source: &str) -> Vec<Mutant> {
    let mut names = BTreeMap::new();
    let mut texts = BTreeSet::new();
    let mut mutants = Vec::new();
    for Edit { range, to } in edits(source) {
        let text = fitted(&[&source[..range.start], &to, &source[range.end..]].concat(), source);
        let line = line_of(source, range.start);
        let (before, was) = (&source[line.start..range.start], &source[range.clone()]);
        let mut name = format!("{before}«{was} → {to}»{}", &source[range.end..line.end]);
        let same = names.entry(name.clone()).or_insert(0);
        *same += 1;
        if *same > 1 {
            name = format!("{name} ({same})");
        }
        if texts.insert(text.clone()) {
            mutants.push(Mutant { script, name, text });
        }
    }
    mutants
}

/// Makes a text as long as the source was: with spaces at its end, or by cutting its longest comment.
fn fitted(text: &str, source: &str) -> String {
    match text.len().checked_sub(source.len()) {
        None => {
            let code = text.trim_end();
            format!("{code}{}\n", " ".repeat(source.len() - code.len() - 1))
        }
        Some(surplus) => {
            let comments = text.lines().skip(1).filter(|line| line.starts_with("-- "));
            let longest = comments.filter(|line| line.is_ascii()).max_by_key(|line| line.len());
            let longest = longest.filter(|line| line.len() > surplus + 3).unwrap();
            text.replacen(longest, &longest[..longest.len() - surplus], 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "-- FLAGS    none\n-- test: enough to cut.\n";

    fn names(code: &str) -> Vec<String> {
        let mutants = mutants("test", &format!("{HEADER}{code}"));
        mutants.into_iter().map(|mutant| mutant.name).collect()
    }

    #[test]
    fn each_kind_of_token_has_its_mutants() {
        let changed = |code: &str| {
            let mut names = names(&format!("{code}\n"));
            assert_eq!(names.pop().unwrap(), format!("«{code} → »"), "the line itself");
            names
        };
        assert_eq!(changed("a <= b"), ["a «<= → <» b", "a «<= → >» b"]);
        assert_eq!(changed("a ~= b"), ["a «~= → ==» b"]);
        assert_eq!(
            changed("a and not b"),
            ["a «and → or» b".replace('b', "not b"), "a and «not  → »b".to_owned()]
        );
        assert_eq!(changed("a - b"), ["a «- → +» b"]);
        assert_eq!(changed("f(-b)"), ["f(«- → »b)"]);
        assert_eq!(changed("a[1]"), ["a[«1 → 2»]", "a[«1 → 0»]"]);
        assert_eq!(changed("a[0]"), ["a[«0 → 1»]"]);
        assert_eq!(changed("a = true"), ["a = «true → false»"]);
        assert_eq!(changed("add(DEAD, max)"), ["add(«DEAD → SCHEDULED», max)"]);
        assert_eq!(changed("math.max(a, b)"), ["math.«max → min»(a, b)"]);
        assert_eq!(changed("f('XX', 'GT', a)"), ["f(«'XX',  → »'GT', a)", "f('XX', «'GT',  → »a)"]);
        assert_eq!(changed("f('RPUSH')"), ["f(«'RPUSH' → 'LPUSH'»)"]);
        assert_eq!(changed("f('BADARG 1 + 1 is not 3')"), [""; 0]);
    }

    #[test]
    fn comments_and_headers_have_none() {
        assert_eq!(names("-- 1 + 1\n\n"), [""; 0]);
    }

    #[test]
    fn a_line_that_stands_twice_is_told_apart() {
        assert_eq!(names("f(a)\n  f(a)\n"), ["«f(a) → »", "«f(a) → » (2)"]);
    }

    #[test]
    fn a_mutant_is_as_long_as_its_script_and_differs_from_it() {
        for (script, source) in crate::sources::SOURCES {
            for mutant in mutants(script, source) {
                assert_eq!(mutant.text.len(), source.len(), "{script}: {}", mutant.name);
                assert_ne!(mutant.text, *source, "{script}: {}", mutant.name);
                assert_eq!(mutant.text.lines().next(), source.lines().next());
            }
        }
    }
}

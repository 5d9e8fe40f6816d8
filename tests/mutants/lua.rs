//! As much of Lua's lexis as the scripts use.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Name,
    Number,
    Text,
    Sign,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) at: usize,
    pub(crate) text: &'a str,
}

impl Token<'_> {
    pub(crate) fn end(&self) -> usize {
        self.at + self.text.len()
    }
}

const SIGNS: [&str; 6] = ["...", "..", "==", "~=", "<=", ">="];

/// All tokens in their order, without comments.
pub(crate) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = source[at..].chars().next() {
        let rest = &source[at..];
        let while_ = |holds: fn(char) -> bool| rest.find(|c| !holds(c)).unwrap_or(rest.len());
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (kind, length) = match first {
            _ if rest.starts_with("--") => (None, while_(|c| c != '\n')),
            _ if first.is_whitespace() => (None, while_(char::is_whitespace)),
            '\'' | '"' => (Some(Kind::Text), quoted(rest, first)),
            '0'..='9' => (Some(Kind::Number), while_(is_word)),
            _ if is_word(first) => (Some(Kind::Name), while_(is_word)),
            _ => {
                let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
                (Some(Kind::Sign), sign.map_or(first.len_utf8(), |sign| sign.len()))
            }
        };
        tokens.extend(kind.map(|kind| Token { kind, at, text: &rest[..length] }));
        at += length;
    }
    tokens
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[test]
fn tokens_are_names_numbers_texts_and_signs_without_comments() {
    let source = "-- not a <= b\nlocal a1 = b[#c] ~= 'it\\'s -- 1' .. \"x\" -- 2\n\nf(...) >=12";
    let told: Vec<_> = tokens(source).iter().map(|token| (token.kind, token.text)).collect();
    let (name, number, text, sign) = (Kind::Name, Kind::Number, Kind::Text, Kind::Sign);
    let expected = [
        (name, "local"),
        (name, "a1"),
        (sign, "="),
        (name, "b"),
        (sign, "["),
        (sign, "#"),
        (name, "c"),
        (sign, "]"),
        (sign, "~="),
        (text, "'it\\'s -- 1'"),
        (sign, ".."),
        (text, "\"x\""),
        (name, "f"),
        (sign, "("),
        (sign, "..."),
        (sign, ")"),
        (sign, ">="),
        (number, "12"),
    ];
    assert_eq!(told, expected);
    assert!(tokens(source).iter().all(|token| source[token.at..].starts_with(token.text)));
}

//! Errors that differ only in numbers and ids belong together.

use crate::attempt::Failure;

/// Beyond it errors of one kind rarely differ; its longest text fits into a filter.
const MAX_GROUP: usize = 160;
/// As many bytes as a text of a [`RedriveFilter`](crate::RedriveFilter) may have.
const MAX_BYTES: usize = 256;

impl Failure {
    /// The error without what differs from message to message: words that hold a digit become `#`,
    /// spaces become one, and at most 160 characters (256 bytes) are left. `timeout after 30s` and
    /// `timeout after 5s` are of one group, as in the issue groups of error trackers.
    pub fn group(&self) -> String {
        group_of(&self.error)
    }
}

fn group_of(error: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let spaced = error.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut rest = spaced.as_str();
    let mut group = String::new();
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_word(c) != is_word(first)).unwrap_or(rest.len());
        let (piece, tail) = rest.split_at(end);
        let is_number = is_word(first) && piece.contains(|c: char| c.is_ascii_digit());
        group.push_str(if is_number { "#" } else { piece });
        rest = tail;
    }
    let ends = group.char_indices().take(MAX_GROUP).map(|(at, c)| at + c.len_utf8());
    group.truncate(ends.take_while(|end| *end <= MAX_BYTES).last().unwrap_or(0));
    group
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_that_differ_in_numbers_and_ids_group_together() {
        let same = [
            "timeout after 30s at 10.0.0.1:443",
            "timeout after 5s at 10.1.2.3:80",
            " timeout  after 5s\tat 10.1.2.3:80 ",
        ];
        let groups: Vec<_> = same.into_iter().map(group_of).collect();
        assert_eq!(groups, vec!["timeout after # at #.#.#.#:#"; 3]);
        assert_eq!(group_of("order 7b2f: no such user"), "order #: no such user");
        assert_eq!(group_of(""), "");
    }

    #[test]
    fn a_group_fits_into_a_filter_and_ends_between_characters() {
        assert_eq!(group_of(&"a".repeat(400)).len(), MAX_GROUP);
        let wide = group_of(&format!("x{}", "ä".repeat(400)));
        assert_eq!(wide.len(), 255);
        assert_eq!(group_of(&wide), wide);
    }
}

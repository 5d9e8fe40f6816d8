//! The mutants that no test can or need kill, each with its reason: `survivors.txt`.

use std::collections::BTreeMap;

/// Script and name of a mutant, and why nobody has to notice it.
pub(crate) type Survivors = BTreeMap<(&'static str, String), &'static str>;

pub(crate) fn survivors() -> Survivors {
    read(include_str!("survivors.txt"))
}

/// One in a line: `script | name | reason`. Lines that begin with `#` are for readers.
fn read(text: &'static str) -> Survivors {
    let mut survivors = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let parts: Vec<_> = line.split(" | ").collect();
        let [script, name, reason] = parts[..] else { panic!("not three parts: {line}") };
        assert!(!reason.trim().is_empty(), "no reason: {line}");
        let twice = survivors.insert((script, name.to_owned()), reason);
        assert!(twice.is_none(), "twice: {line}");
    }
    survivors
}

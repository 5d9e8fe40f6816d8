//! The dead letters: redrive, purge, trim.

use std::collections::BTreeSet;

use super::{Model, number};
use crate::reply::Reply;

impl Model {
    /// Those named after limit and `before`, or else the oldest; only what died up to `before`.
    fn letters(&self, argv: &[String]) -> Vec<String> {
        let (limit, before) = (usize::try_from(number(&argv[0])).unwrap(), number(&argv[1]));
        let dead = self.timed("dead").into_iter().filter(|(at, _)| *at <= before);
        let dead = dead.map(|(_, id)| id);
        if argv.len() == 2 {
            return dead.take(limit).collect();
        }
        let mut left: BTreeSet<String> = dead.collect();
        argv[2..].iter().filter(|id| left.remove(*id)).cloned().collect()
    }

    fn done(&self, letters: &[String], before: &str) -> Reply {
        let before = number(before);
        let left = self.timed("dead").into_iter().filter(|(at, _)| *at <= before).count();
        Reply::List(vec![Reply::number(letters.len()), Reply::number(left)])
    }

    pub(super) fn redrive(&mut self, argv: &[String]) -> Reply {
        let letters = self.letters(argv);
        self.bring_back(&letters);
        self.done(&letters, &argv[1])
    }

    pub(super) fn steer(&mut self, argv: &[String]) -> Reply {
        let (mut word, mut moved, mut told) = ("lost", 0, self.task.clone());
        if self.task == argv[0] {
            let letters = self.letters(&argv[2..]);
            self.bring_back(&letters);
            self.count("driven", letters.len());
            self.task.clone_from(&argv[1]);
            (word, moved, told) = ("steered", letters.len(), String::new());
        }
        let driven = self.counters.get("driven").copied().unwrap_or(0);
        let before = number(&argv[3]);
        let left = self.timed("dead").into_iter().filter(|(at, _)| *at <= before).count();
        let numbers = [self.now(), moved as u64, driven, left as u64].map(Reply::number);
        let words = [Reply::text(word)].into_iter().chain(numbers).chain([Reply::text(told)]);
        Reply::List(words.collect())
    }

    fn bring_back(&mut self, letters: &[String]) {
        for id in letters {
            if let Some(line) = &mut self.messages.get_mut(id).unwrap().line {
                line.failures = 0;
            }
            self.append(id);
            self.ring_bell();
        }
        self.count("redriven", letters.len());
    }

    pub(super) fn purge(&mut self, argv: &[String]) -> Reply {
        let letters = self.letters(argv);
        for id in &letters {
            self.messages.remove(id);
        }
        self.count("purged", letters.len());
        self.done(&letters, &argv[1])
    }

    pub(super) fn trim(&mut self, argv: &[String]) -> Reply {
        let [limit, age, entries] = [0, 1, 2].map(|at| number(&argv[at]));
        let dead = self.timed("dead");
        let too_old = |at: u64| at <= self.now().saturating_sub(age);
        let aged = dead.iter().filter(|(at, _)| too_old(*at)).count();
        let beyond = aged.max(dead.len().saturating_sub(usize::try_from(entries).unwrap()));
        let trimmed = beyond.min(usize::try_from(limit).unwrap());
        for (_, id) in &dead[..trimmed] {
            self.messages.remove(id);
        }
        self.count("trimmed", trimmed);
        Reply::List([trimmed, usize::from(beyond > trimmed)].map(Reply::number).to_vec())
    }
}

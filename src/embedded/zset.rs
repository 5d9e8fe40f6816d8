//! A sorted set: scores by member, and members in the order of their scores.

use std::cmp::Ordering;
use std::ops::Range;
use std::rc::Rc;

use indexset::BTreeSet;

use super::keyspace::{Dict, ITEM};
use super::reply::Blob;

/// A member at its place. No score is NaN.
#[derive(Debug, Clone, PartialEq)]
struct Place {
    score: f64,
    member: Blob,
}

impl Eq for Place {}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then_with(|| self.member.cmp(&other.member))
    }
}

/// One end of a range of scores.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    pub(super) score: f64,
    pub(super) excluded: bool,
}

#[derive(Debug, Default)]
pub(super) struct Zset {
    pub(super) scores: Dict<f64>,
    order: BTreeSet<Place>,
    pub(super) bytes: usize,
}

impl Zset {
    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        self.scores.get(member).copied()
    }

    pub(super) fn insert(&mut self, member: &[u8], score: f64) {
        // -0 is 0 here, as it is for whoever compares them.
        let score = score + 0.0;
        if let Some((_, member, known)) = self.scores.get_full_mut(member) {
            let old = Place { score: *known, member: Rc::clone(member) };
            *known = score;
            self.order.remove(&old);
            self.order.insert(Place { score, ..old });
        } else {
            let member = Blob::from(member);
            self.bytes += weight(&member);
            self.scores.insert(Rc::clone(&member), score);
            self.order.insert(Place { score, member });
        }
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> bool {
        let Some((member, score)) = self.scores.swap_remove_entry(member) else { return false };
        self.bytes -= weight(&member);
        self.order.remove(&Place { score, member });
        true
    }

    /// The ranks between two bounds.
    pub(super) fn ranks(&self, min: Bound, max: Bound) -> Range<usize> {
        let start = self.below(min.score, min.excluded);
        let end = self.below(max.score, !max.excluded);
        start..end.max(start)
    }

    /// How many members have a lower score, or this one at most.
    fn below(&self, score: f64, or_equal: bool) -> usize {
        let probe = if or_equal { score.next_up() } else { score } + 0.0;
        if or_equal && probe.to_bits() == score.to_bits() {
            return self.scores.len();
        }
        self.order.rank(&Place { score: probe, member: Blob::default() })
    }

    pub(super) fn range(
        &self,
        ranks: Range<usize>,
    ) -> impl DoubleEndedIterator<Item = (&Blob, f64)> {
        self.order.range_idx(ranks).map(|place| (&place.member, place.score))
    }
}

/// The member stands in two places, its bytes in one.
fn weight(member: &Blob) -> usize {
    member.len() + 2 * ITEM
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against a plain sorted vector, over more members than one node of the tree holds.
    #[test]
    fn ranks_and_ranges_are_those_of_a_sorted_list() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut zset = Zset::default();
        let mut plain: Vec<(i32, Vec<u8>)> = Vec::new();
        for step in 0..8_000 {
            let member = format!("m{}", random.u32(..3_000)).into_bytes();
            plain.retain(|(_, known)| *known != member);
            if random.u8(..10) < if step < 5_000 { 9 } else { 1 } {
                let score = random.i32(-50..50);
                zset.insert(&member, f64::from(score));
                let at = plain.partition_point(|place| *place < (score, member.clone()));
                plain.insert(at, (score, member));
            } else {
                zset.remove(&member);
            }
            if step % 50 == 0 {
                let [low, high] = [0; 2].map(|_| random.i32(-60..60));
                let bound = |score, excluded| Bound { score: f64::from(score), excluded };
                let ranks = zset.ranks(bound(low, false), bound(high, true));
                let wanted: Vec<_> =
                    plain.iter().filter(|place| place.0 >= low && place.0 < high).collect();
                assert_eq!(ranks.len(), wanted.len(), "step {step}");
                let found: Vec<_> = zset.range(ranks).map(|(member, _)| member.to_vec()).collect();
                assert!(found.iter().eq(wanted.iter().map(|place| &place.1)), "step {step}");
            }
        }
        for (_, member) in plain {
            assert!(zset.remove(&member));
        }
        assert_eq!((zset.bytes, zset.range(0..0).count()), (0, 0));
        let all = |score| Bound { score, excluded: false };
        assert_eq!(zset.ranks(all(f64::NEG_INFINITY), all(f64::INFINITY)), 0..0);
    }

    #[test]
    fn a_member_weighs_as_much_more_as_it_is_longer() {
        let mut zset = Zset::default();
        zset.insert(b"a", 1.0);
        let one = zset.bytes;
        zset.insert(b"abcd", 1.0);
        zset.insert(b"abcd", 2.0);
        assert_eq!(zset.bytes, 2 * one + 3);
    }
}

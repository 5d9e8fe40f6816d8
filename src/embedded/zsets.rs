//! Commands on sorted sets.

use super::db::{Db, cursor, int, is, page, page_size, range as within};
use super::keyspace;
use super::reply::{Blob, Fault, Outcome, Reply, SYNTAX, shown};
use super::zset::{Bound, Zset};

fn float(word: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(word).ok()?;
    text.parse::<f64>().ok().filter(|number| !number.is_nan())
}

fn bound(word: &[u8]) -> Result<Bound, Fault> {
    let excluded = word.first() == Some(&b'(');
    let score = float(&word[usize::from(excluded)..]);
    let score = score.ok_or(Fault::from("ERR min or max is not a float"))?;
    Ok(Bound { score, excluded })
}

/// With the flags that scripts use, `XX` and `GT`.
pub(super) fn add(db: &mut Db, words: &[&[u8]]) -> Outcome {
    let is_flag = |word: &&&[u8]| is(word, "xx") || is(word, "gt");
    let (flags, pairs) = words[1..].split_at(words[1..].iter().take_while(is_flag).count());
    if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
        return Err(SYNTAX);
    }
    let [xx, gt] = ["xx", "gt"].map(|name| flags.iter().any(|flag| is(flag, name)));
    let pairs = pairs.chunks_exact(2).map(|pair| {
        let score = float(pair[0]).ok_or(Fault::from("ERR value is not a valid float"))?;
        Ok((score, pair[1]))
    });
    let pairs: Vec<_> = pairs.collect::<Result<_, Fault>>()?;
    let (added, changed) = db.keyspace.edit(words[0], |zset: &mut Zset| {
        let (mut added, mut changed) = (0, false);
        for (score, member) in pairs {
            let known = zset.score(member);
            let is = |known: f64| known.total_cmp(&(score + 0.0));
            if known.map_or(xx, |known| is(known).is_eq() || (gt && is(known).is_gt())) {
                continue;
            }
            added += usize::from(known.is_none());
            changed = true;
            zset.insert(member, score);
        }
        (added, changed)
    })?;
    db.touch(changed);
    Ok(Reply::count(added))
}

pub(super) fn rem(db: &mut Db, words: &[&[u8]]) -> Outcome {
    let remove = |zset: &mut Zset| words[1..].iter().filter(|member| zset.remove(member)).count();
    let removed = db.keyspace.edit(words[0], remove)?;
    db.touch(removed > 0);
    Ok(Reply::count(removed))
}

pub(super) fn card(db: &mut Db, words: &[&[u8]]) -> Outcome {
    Ok(Reply::count(db.read::<Zset>(words[0])?.map_or(0, |zset| zset.scores.len())))
}

pub(super) fn count(db: &mut Db, words: &[&[u8]]) -> Outcome {
    let (min, max) = (bound(words[1])?, bound(words[2])?);
    Ok(Reply::count(db.read::<Zset>(words[0])?.map_or(0, |zset| zset.ranks(min, max).len())))
}

pub(super) fn score(db: &mut Db, words: &[&[u8]]) -> Outcome {
    let score = db.read::<Zset>(words[0])?.and_then(|zset| zset.score(words[1]));
    Ok(score.map_or(Reply::Nil, Reply::Double))
}

pub(super) fn scores(db: &mut Db, words: &[&[u8]]) -> Outcome {
    let zset = db.read::<Zset>(words[0])?;
    let score = |member: &&[u8]| zset.and_then(|zset| zset.score(member));
    let scores = words[1..].iter().map(|member| score(member).map_or(Reply::Nil, Reply::Double));
    Ok(Reply::Array(scores.collect()))
}

/// The options of `ZRANGE`.
#[derive(Default)]
struct Shape {
    by_score: bool,
    with_scores: bool,
    limit: Option<(i64, i64)>,
}

impl Shape {
    fn read(words: &[&[u8]]) -> Result<Self, Fault> {
        let mut shape = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if is(word, "byscore") {
                shape.by_score = true;
            } else if is(word, "withscores") {
                shape.with_scores = true;
            } else if is(word, "limit") {
                let (Some(skipped), Some(count)) = (words.next(), words.next()) else {
                    return Err(SYNTAX);
                };
                shape.limit = Some((int(skipped)?, int(count)?));
            } else {
                return Err(SYNTAX);
            }
        }
        let limited = shape.limit.is_some_and(|(_, count)| count != -1);
        if limited && !shape.by_score {
            return Err("ERR syntax error, LIMIT is only supported in combination with either \
                        BYSCORE or BYLEX"
                .into());
        }
        shape.limit = shape.limit.filter(|_| shape.by_score);
        Ok(shape)
    }
}

pub(super) fn range(db: &mut Db, words: &[&[u8]]) -> Outcome {
    let shape = Shape::read(&words[3..])?;
    let zset = db.read::<Zset>(words[0]);
    let picked = if shape.by_score {
        let (min, max) = (bound(words[1])?, bound(words[2])?);
        zset?.map_or_else(Vec::new, |zset| pick(zset, zset.ranks(min, max), &shape))
    } else {
        let (start, stop) = (int(words[1])?, int(words[2])?);
        zset?.map_or_else(Vec::new, |zset| {
            pick(zset, within(start, stop, zset.scores.len()), &shape)
        })
    };
    Ok(if shape.with_scores {
        Reply::Scored(picked)
    } else {
        Reply::Array(picked.into_iter().map(|(member, _)| Reply::Bulk(member)).collect())
    })
}

fn pick(zset: &Zset, ranks: std::ops::Range<usize>, shape: &Shape) -> Vec<(Blob, f64)> {
    let (skipped, most) = shape.limit.unwrap_or((0, -1));
    let Ok(skipped) = usize::try_from(skipped) else { return Vec::new() };
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let first = ranks.start.saturating_add(skipped).min(ranks.end);
    let last = first.saturating_add(most).min(ranks.end);
    zset.range(first..last).map(|(member, score)| (member.clone(), score)).collect()
}

pub(super) fn scan(db: &mut Db, words: &[&[u8]]) -> Outcome {
    let from = cursor(words[1])?;
    let Some(zset) = db.read::<Zset>(words[0])? else { return Ok(page(0, Vec::new())) };
    let count = page_size(&words[2..])?;
    let (next, entries) = keyspace::scan(&zset.scores, from, count, db.options.whole_zset);
    let pairs = entries.flat_map(|(member, score)| {
        [Reply::Bulk(member.clone()), Reply::bulk(shown(*score).as_bytes())]
    });
    Ok(page(next, pairs.collect()))
}

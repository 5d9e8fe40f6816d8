//! Commands on hashes.

use super::commands::arity;
use super::db::{Db, cursor, int, page, page_size};
use super::keyspace::{self, Hash};
use super::reply::{Blob, Fault, Outcome, Reply};

fn field<'a>(db: &'a Db, words: &[&[u8]]) -> Result<Option<&'a Blob>, Fault> {
    Ok(db.read::<Hash>(words[0])?.and_then(|hash| hash.fields.get(words[1])))
}

pub(super) fn set(db: &mut Db, words: &[&[u8]]) -> Outcome {
    if words.len().is_multiple_of(2) {
        return Err(arity("hset"));
    }
    let set = |hash: &mut Hash| {
        words[1..].chunks_exact(2).filter(|pair| hash.set(pair[0], pair[1])).count()
    };
    let made = db.keyspace.edit(words[0], set)?;
    db.touch(true);
    Ok(Reply::count(made))
}

pub(super) fn set_new(db: &mut Db, words: &[&[u8]]) -> Outcome {
    if field(db, words)?.is_some() {
        return Ok(Reply::Int(0));
    }
    set(db, words)
}

pub(super) fn get(db: &mut Db, words: &[&[u8]]) -> Outcome {
    Ok(Reply::found(field(db, words)?))
}

pub(super) fn get_many(db: &mut Db, words: &[&[u8]]) -> Outcome {
    let hash = db.read::<Hash>(words[0])?;
    let found = |field: &&[u8]| Reply::found(hash.and_then(|hash| hash.fields.get(*field)));
    Ok(Reply::Array(words[1..].iter().map(found).collect()))
}

pub(super) fn get_all(db: &mut Db, words: &[&[u8]]) -> Outcome {
    let fields = db.read::<Hash>(words[0])?.into_iter().flat_map(|hash| &hash.fields);
    let pairs = fields.flat_map(|(field, value)| [field, value]).cloned();
    Ok(Reply::Map(pairs.map(Reply::Bulk).collect()))
}

pub(super) fn keys(db: &mut Db, words: &[&[u8]]) -> Outcome {
    let keys = db.read::<Hash>(words[0])?.into_iter().flat_map(|hash| hash.fields.keys());
    Ok(Reply::Array(keys.cloned().map(Reply::Bulk).collect()))
}

pub(super) fn del(db: &mut Db, words: &[&[u8]]) -> Outcome {
    let remove = |hash: &mut Hash| words[1..].iter().filter(|field| hash.remove(field)).count();
    let removed = db.keyspace.edit(words[0], remove)?;
    db.touch(removed > 0);
    Ok(Reply::count(removed))
}

pub(super) fn len(db: &mut Db, words: &[&[u8]]) -> Outcome {
    Ok(Reply::count(db.read::<Hash>(words[0])?.map_or(0, |hash| hash.fields.len())))
}

pub(super) fn exists(db: &mut Db, words: &[&[u8]]) -> Outcome {
    Ok(Reply::Int(i64::from(field(db, words)?.is_some())))
}

pub(super) fn incr_by(db: &mut Db, words: &[&[u8]]) -> Outcome {
    let by = int(words[2])?;
    let known = field(db, words)?.map_or(Ok(0), |value| int(value));
    let known = known.map_err(|_| Fault::from("ERR hash value is not an integer"))?;
    let sum = known.checked_add(by).ok_or("ERR increment or decrement would overflow")?;
    set(db, &[words[0], words[1], sum.to_string().as_bytes()])?;
    Ok(Reply::Int(sum))
}

pub(super) fn scan(db: &mut Db, words: &[&[u8]]) -> Outcome {
    let from = cursor(words[1])?;
    let Some(hash) = db.read::<Hash>(words[0])? else { return Ok(page(0, Vec::new())) };
    let count = page_size(&words[2..])?;
    let (next, entries) = keyspace::scan(&hash.fields, from, count, db.options.whole_hash);
    let pairs = entries.flat_map(|(field, value)| [field, value]).cloned().map(Reply::Bulk);
    Ok(page(next, pairs.collect()))
}

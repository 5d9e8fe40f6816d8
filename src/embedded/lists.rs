//! Commands on lists.

use super::db::{Db, int, is, range as within, size};
use super::keyspace::List;
use super::reply::{Fault, Outcome, Reply, SYNTAX};

pub(super) fn push(db: &mut Db, words: &[&[u8]], front: bool) -> Outcome {
    let key = words[0];
    let length = db.keyspace.edit(key, |list: &mut List| {
        for item in &words[1..] {
            list.push(item, front);
        }
        list.items.len()
    })?;
    db.touch(true);
    db.pushed.extend(db.waiting.get_key_value(key).map(|(key, _)| key.clone()));
    Ok(Reply::count(length))
}

pub(super) fn pop(db: &mut Db, words: &[&[u8]]) -> Outcome {
    let popped = db.keyspace.edit(words[0], |list: &mut List| list.pop())?;
    db.touch(popped.is_some());
    Ok(Reply::found(popped.as_ref()))
}

pub(super) fn len(db: &mut Db, words: &[&[u8]]) -> Outcome {
    Ok(Reply::count(db.read::<List>(words[0])?.map_or(0, |list| list.items.len())))
}

pub(super) fn range(db: &mut Db, words: &[&[u8]]) -> Outcome {
    let (start, stop) = (int(words[1])?, int(words[2])?);
    let items = db.read::<List>(words[0])?.map_or_else(Vec::new, |list| {
        let range = within(start, stop, list.items.len());
        list.items.range(range).cloned().map(Reply::Bulk).collect()
    });
    Ok(Reply::Array(items))
}

pub(super) fn index(db: &mut Db, words: &[&[u8]]) -> Outcome {
    let Some(list) = db.read::<List>(words[0])? else { return Ok(Reply::Nil) };
    let at = int(words[1])?;
    let at = if at < 0 { at.saturating_add_unsigned(list.items.len() as u64) } else { at };
    Ok(Reply::found(usize::try_from(at).ok().and_then(|at| list.items.get(at))))
}

/// `LPOS key item [COUNT n]`; 0 means all.
pub(super) fn pos(db: &mut Db, words: &[&[u8]]) -> Outcome {
    let count = match words[2..] {
        [] => None,
        [name, count] if is(name, "count") => {
            Some(size(count).map_err(|_| Fault::from("ERR COUNT can't be negative"))?)
        }
        _ => return Err(SYNTAX),
    };
    let Some(list) = db.read::<List>(words[0])? else {
        return Ok(if count.is_some() { Reply::Array(Vec::new()) } else { Reply::Nil });
    };
    let mut found = list.items.iter().enumerate().filter(|(_, item)| ***item == *words[1]);
    Ok(match count {
        None => found.next().map_or(Reply::Nil, |(at, _)| Reply::count(at)),
        Some(count) => {
            let most = if count == 0 { usize::MAX } else { count };
            Reply::Array(found.take(most).map(|(at, _)| Reply::count(at)).collect())
        }
    })
}

pub(super) fn rem(db: &mut Db, words: &[&[u8]]) -> Outcome {
    let count = int(words[1])?;
    let limit = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let limit = if limit == 0 { usize::MAX } else { limit };
    let removed =
        db.keyspace.edit(words[0], |list: &mut List| list.remove(words[2], limit, count < 0))?;
    db.touch(removed > 0);
    Ok(Reply::count(removed))
}

pub(super) fn trim(db: &mut Db, words: &[&[u8]]) -> Outcome {
    let (start, stop) = (int(words[1])?, int(words[2])?);
    db.keyspace.edit(words[0], |list: &mut List| {
        let kept = within(start, stop, list.items.len());
        list.trim(kept);
    })?;
    db.touch(true);
    Ok(Reply::OK)
}

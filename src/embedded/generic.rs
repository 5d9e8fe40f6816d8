//! Commands on keys of any kind, and on strings.
#![expect(clippy::unnecessary_wraps, reason = "all commands are of one type")]

use super::db::Db;
use super::keyspace::{Keyspace, Text, Value};
use super::reply::{Outcome, Reply, shown};

pub(super) fn get(db: &mut Db, words: &[&[u8]]) -> Outcome {
    let text = db.keyspace.read::<Text>(words[0])?.and_then(|text| text.text.as_ref());
    Ok(Reply::found(text))
}

pub(super) fn set(db: &mut Db, words: &[&[u8]]) -> Outcome {
    db.keyspace.put(words[0], Value::Text(Text { text: Some(words[1].into()) }));
    db.touch(true);
    Ok(Reply::OK)
}

pub(super) fn del(db: &mut Db, words: &[&[u8]]) -> Outcome {
    let removed = words.iter().filter(|key| db.keyspace.remove(key).is_some()).count();
    db.touch(removed > 0);
    Ok(Reply::count(removed))
}

pub(super) fn exists(db: &mut Db, words: &[&[u8]]) -> Outcome {
    Ok(Reply::count(words.iter().filter(|key| db.keyspace.keys.contains_key(**key)).count()))
}

pub(super) fn kind(db: &mut Db, words: &[&[u8]]) -> Outcome {
    let name = db.keyspace.keys.get(words[0]).map_or("none", Value::name);
    Ok(Reply::Status(name.into()))
}

pub(super) fn rename(db: &mut Db, words: &[&[u8]]) -> Outcome {
    let value = db.keyspace.remove(words[0]).ok_or("ERR no such key")?;
    db.keyspace.put(words[1], value);
    db.touch(true);
    Ok(Reply::OK)
}

pub(super) fn flush(db: &mut Db, _: &[&[u8]]) -> Outcome {
    db.keyspace = Keyspace::default();
    db.touch(true);
    Ok(Reply::OK)
}

pub(super) fn dbsize(db: &mut Db, _: &[&[u8]]) -> Outcome {
    Ok(Reply::count(db.keyspace.keys.len()))
}

pub(super) fn keys(db: &mut Db, words: &[&[u8]]) -> Outcome {
    let keys = db.keyspace.keys.keys().filter(|key| matches(words[0], key));
    Ok(Reply::Array(keys.cloned().map(Reply::Bulk).collect()))
}

/// Whether a pattern of plain bytes, `*` and `?` fits.
fn matches(pattern: &[u8], key: &[u8]) -> bool {
    match (pattern.split_first(), key.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            matches(rest, key) || key.split_first().is_some_and(|(_, key)| matches(pattern, key))
        }
        (Some((wanted, pattern)), Some((byte, key))) => {
            (wanted == byte || *wanted == b'?') && matches(pattern, key)
        }
        _ => false,
    }
}

/// The content as text that is the same for the same content; no server can restore it.
pub(super) fn dump(db: &mut Db, words: &[&[u8]]) -> Outcome {
    let Some(value) = db.keyspace.keys.get(words[0]) else { return Ok(Reply::Nil) };
    let mut entries: Vec<Vec<u8>> = match value {
        Value::Text(text) => text.text.iter().map(|text| text.to_vec()).collect(),
        Value::List(list) => list.items.iter().map(|item| item.to_vec()).collect(),
        Value::Hash(hash) => {
            hash.fields.iter().map(|(field, value)| [field, &b"="[..], value].concat()).collect()
        }
        Value::Zset(zset) => {
            let entry =
                |(member, score): (_, &f64)| [member, &b"="[..], shown(*score).as_bytes()].concat();
            zset.scores.iter().map(|(member, score)| entry((&**member, score))).collect()
        }
    };
    if !matches!(value, Value::List(_)) {
        entries.sort();
    }
    Ok(Reply::bulk(&entries.join(&b"\n"[..])))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_fit_as_a_whole() {
        for (pattern, key, fits) in [
            ("*", "", true),
            ("*b*", "abc", true),
            ("a?c", "abc", true),
            ("a", "ab", false),
            ("*a", "ab", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), key.as_bytes()), fits, "{pattern} {key}");
        }
    }
}

//! Between scripts and commands: the words of a call, and its reply.

use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::rc::Rc;

use mlua::{Either, IntoLua, Lua, LuaString, MultiValue, Value};

use super::db::{Caller, Db};
use super::reply::{Fault, Outcome, Reply, shown};

/// What is kept for the words of the next command: most commands need less.
const MAX_SCRATCH: usize = 1024 * 1024;

/// An error of a command on its way through a script.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Raised(pub(super) Fault);

/// The commands, as a script calls them.
#[derive(Clone)]
pub(super) struct Commands {
    db: Rc<RefCell<Db>>,
    caller: Rc<Cell<Caller>>,
    /// Room for the words of a command, one after the other, and where each ends: made once.
    scratch: Rc<RefCell<(Vec<u8>, Vec<usize>)>>,
}

impl Commands {
    pub(super) fn new(db: Rc<RefCell<Db>>, caller: Rc<Cell<Caller>>) -> Self {
        Self { db, caller, scratch: Rc::default() }
    }

    pub(super) fn run(&self, words: &MultiValue) -> Outcome {
        let (bytes, ends) = &mut *self.scratch.borrow_mut();
        bytes.clear();
        ends.clear();
        bytes.shrink_to(MAX_SCRATCH);
        for word in words {
            match word {
                Value::String(text) => bytes.extend_from_slice(&text.as_bytes()),
                Value::Integer(number) => write!(bytes, "{number}").unwrap_or_default(),
                Value::Number(number) => bytes.extend_from_slice(shown(*number).as_bytes()),
                _ => {
                    let told = "ERR Lua redis lib command arguments must be strings or integers";
                    return Err(told.into());
                }
            }
            ends.push(bytes.len());
        }
        if ends.is_empty() {
            return Err("ERR Please specify at least one argument for this redis lib call".into());
        }
        let mut start = 0;
        let words: Vec<&[u8]> =
            ends.iter().map(|end| &bytes[std::mem::replace(&mut start, *end)..*end]).collect();
        self.db.borrow_mut().call(&words, self.caller.get()).map_err(in_script)
    }
}

/// Some errors read differently within a script.
fn in_script(fault: Fault) -> Fault {
    if fault.starts_with("ERR unknown command") {
        return "ERR Unknown Redis command called from script".into();
    }
    if fault.starts_with("ERR wrong number of arguments") {
        return "ERR Wrong number of args calling Redis command from script".into();
    }
    fault
}

/// Text goes to Lua by a shorter way than other bytes do.
pub(super) fn text(bytes: &[u8]) -> Either<&str, impl IntoLua> {
    std::str::from_utf8(bytes).map_or_else(|_| Either::Right(LuaString::wrap(bytes)), Either::Left)
}

/// A reply as a script sees it.
impl IntoLua for Reply {
    fn into_lua(self, lua: &Lua) -> mlua::Result<Value> {
        let field = |name: &str, text: &str| lua.create_table_from([(name, text)]);
        match self {
            Self::Int(number) => Ok(Value::Integer(number)),
            Self::Text(text) => text.into_lua(lua),
            Self::Status(text) => field("ok", &text).map(Value::Table),
            Self::Error(text) => field("err", &text).map(Value::Table),
            Self::Array(replies) | Self::Map(replies) => {
                lua.create_sequence_from(replies.iter().map(item)).map(Value::Table)
            }
            Self::Scored(members) => {
                let flat = members.into_iter().flat_map(|(m, s)| [Self::Bulk(m), Self::Double(s)]);
                Self::Array(flat.collect()).into_lua(lua)
            }
            _ => item(&self).into_lua(lua),
        }
    }
}

/// An item of a list: mlua keeps a reference to what has become a value of Lua before, which costs
/// more than the item.
fn item(reply: &Reply) -> Either<bool, Either<impl IntoLua, Either<String, Reply>>> {
    match reply {
        Reply::Nil => Either::Left(false),
        Reply::Bulk(bytes) => Either::Right(Either::Left(text(bytes))),
        Reply::Double(score) => Either::Right(Either::Right(Either::Left(shown(*score)))),
        other => Either::Right(Either::Right(Either::Right(other.clone()))),
    }
}

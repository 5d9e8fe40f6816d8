//! The scripts: each is compiled once, and runs in a world of its own making.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use mlua::chunk::ChunkMode;
use mlua::state::{GcIncParams, GcMode};
use mlua::{Function, Lua, LuaOptions, LuaString, MultiValue, StdLib, Table, Value};
use sha1_smol::Sha1;

use super::calls::{Commands, Raised, text};
use super::db::{Caller, Db, FULL, int};
use super::reply::{Fault, Outcome, Reply, bulk, header};
use crate::simulated;

const SANDBOX: &str = include_str!("sandbox.lua");
/// What error messages call a script.
const CHUNK: &str = "@user_script";
/// A reply that is nested more deeply is refused.
const MAX_DEPTH: usize = 32;
/// Lua collects its garbage when its memory has grown to so many per cent.
const GC_PAUSE: i32 = 1000;
/// The deepest look for the line that raised an error.
const MAX_LEVELS: usize = 32;

type Done = Result<(), Fault>;
/// What goes over the wire, and whether by RESP3.
type Wire = (Vec<u8>, bool);

struct Script {
    function: Function,
    writes: bool,
    allow_oom: bool,
    /// Scripts without a first line of flags are checked command by command.
    flagged: bool,
}

/// What takes the place of a script's text, under the hash of that text.
pub(super) type Rewrite = Box<dyn Fn(&[u8]) -> Vec<u8>>;

thread_local! {
    static COMPILED: RefCell<HashMap<Box<[u8]>, Vec<u8>>> = RefCell::default();
}

pub(super) struct Scripts {
    lua: Lua,
    db: Rc<RefCell<Db>>,
    caller: Rc<Cell<Caller>>,
    world: Table,
    run: Function,
    known: RefCell<HashMap<String, Rc<Script>>>,
    names: [LuaString; 2],
    rewrite: Option<Rewrite>,
}

impl Scripts {
    pub(super) fn new(db: Rc<RefCell<Db>>, rewrite: Option<Rewrite>) -> mlua::Result<Self> {
        let options = LuaOptions::new().catch_rust_panics(false);
        let lua = Lua::new_with(StdLib::STRING | StdLib::TABLE | StdLib::MATH, options)?;
        // What scripts leave behind is much next to what they keep.
        lua.gc_set_mode(GcMode::Incremental(GcIncParams::default().pause(GC_PAUSE)));
        let caller = Rc::new(Cell::new(Caller::Replay));
        let commands = Commands::new(Rc::clone(&db), Rc::clone(&caller));
        let quiet = commands.clone();
        let call = lua.create_function(move |_, words: MultiValue| {
            // A function of Lua would leave the line out where a script returns what this returns.
            commands.run(&words).map_err(|fault| mlua::Error::external(Raised(fault)))
        })?;
        let quiet = lua.create_function(move |_, words: MultiValue| {
            Ok(quiet.run(&words).unwrap_or_else(Reply::Error))
        })?;
        let sha1hex = lua.create_function(|_, text: LuaString| Ok(sha1(&text.as_bytes())))?;
        let log = lua.create_function(|_, (_, text): (Value, LuaString)| {
            tracing::info!(text = %text.display(), "a script says");
            Ok(())
        })?;
        let told = lua.create_function(|lua, fault: Value| told(lua, &fault))?;
        let sandbox = lua.load(SANDBOX).set_name("@sandbox");
        let (world, run) = sandbox.call((call, quiet, sha1hex, log, told))?;
        let names = [lua.create_string("err")?, lua.create_string("ok")?];
        Ok(Self { lua, db, caller, world, run, known: RefCell::default(), names, rewrite })
    }

    /// Compiles a script unless it is known, and answers its hash.
    pub(super) fn load(&self, text: &[u8]) -> Result<String, Fault> {
        let sha = sha1(text);
        if !self.known.borrow().contains_key(&sha) {
            let script = match &self.rewrite {
                Some(rewrite) => self.compile(&rewrite(text)),
                None => self.compile(text),
            }?;
            self.known.borrow_mut().insert(sha.clone(), Rc::new(script));
        }
        Ok(sha)
    }

    pub(super) fn knows(&self, sha: &[u8]) -> bool {
        let sha = String::from_utf8_lossy(sha).to_ascii_lowercase();
        self.known.borrow().contains_key(&sha)
    }

    pub(super) fn flush(&self) {
        self.known.borrow_mut().clear();
    }

    fn compile(&self, text: &[u8]) -> Result<Script, Fault> {
        let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let flagged = first.starts_with(b"#!");
        let (mut writes, mut allow_oom) = (true, false);
        if flagged {
            for flag in flags(&String::from_utf8_lossy(first))? {
                match flag.as_str() {
                    "no-writes" => writes = false,
                    "allow-oom" => allow_oom = true,
                    "allow-stale" | "no-cluster" | "allow-cross-slot-keys" => {}
                    flag => return Err(format!("ERR Unexpected flag in script: {flag}").into()),
                }
            }
        }
        // Lines are counted from the first one.
        let body = if flagged { &text[first.len()..] } else { text };
        let function = self.function(body).map_err(|error| {
            let told = match &error {
                mlua::Error::SyntaxError { message, .. } => message.clone(),
                error => error.to_string(),
            };
            Fault::from(format!("ERR Error compiling script (new function): {told}"))
        })?;
        Ok(Script { function, writes, allow_oom, flagged })
    }

    /// A simulation starts thousands of engines: it compiles each text once.
    fn function(&self, body: &[u8]) -> mlua::Result<Function> {
        let load = |chunk: &[u8], mode| {
            let chunk = self.lua.load(chunk).set_name(CHUNK).set_mode(mode);
            chunk.set_environment(self.world.clone()).into_function()
        };
        if !simulated::is_on() {
            return load(body, ChunkMode::Text);
        }
        COMPILED.with_borrow_mut(|compiled| {
            if let Some(binary) = compiled.get(body) {
                return load(binary, ChunkMode::Binary);
            }
            let function = load(body, ChunkMode::Text)?;
            compiled.insert(body.into(), function.dump(false));
            Ok(function)
        })
    }

    /// `EVAL` and `EVALSHA`, by what names the script.
    pub(super) fn eval(&self, sha: &str, words: &[&[u8]], resp3: bool) -> Outcome {
        let keys = usize::try_from(int(words[0])?)
            .map_err(|_| Fault::from("ERR Number of keys can't be negative"))?;
        let rest = &words[1..];
        if keys > rest.len() {
            return Err("ERR Number of keys can't be greater than number of args".into());
        }
        let script = self.known.borrow().get(sha).cloned();
        let script =
            script.ok_or(Fault::Borrowed("NOSCRIPT No matching script. Please use EVAL."))?;
        self.admit(&script)?;
        self.caller.set(Caller::Script { writes: script.writes, allow_oom: script.allow_oom });
        self.db.borrow_mut().freeze();
        let answer = self.run(&script.function, &rest[..keys], &rest[keys..]);
        self.db.borrow_mut().thaw();
        match answer {
            Ok((true, value)) => {
                let mut out = (Vec::new(), resp3);
                self.encode(&value, 0, &mut out).map(|()| Reply::Encoded(out.0))
            }
            Ok((false, Value::Table(told))) => Err(raised(&told, sha)),
            Ok((false, _)) => Err("ERR the script failed".into()),
            Err(error) => Err(format!("ERR {error}").into()),
        }
    }

    fn admit(&self, script: &Script) -> Done {
        let db = self.db.borrow();
        if !script.flagged || !script.writes {
            return Ok(());
        }
        if !script.allow_oom && db.is_full() {
            return Err(FULL);
        }
        db.refuses_writes().map_or(Ok(()), Err)
    }

    fn run(
        &self,
        function: &Function,
        keys: &[&[u8]],
        argv: &[&[u8]],
    ) -> mlua::Result<(bool, Value)> {
        self.world.raw_set("KEYS", self.strings(keys)?)?;
        self.world.raw_set("ARGV", self.strings(argv)?)?;
        self.run.call(function)
    }

    fn strings(&self, words: &[&[u8]]) -> mlua::Result<Table> {
        self.lua.create_sequence_from(words.iter().map(|word| text(word)))
    }

    /// Writes what a script has returned as it goes over the wire: no reply is made of each string.
    fn encode(&self, value: &Value, depth: usize, out: &mut Wire) -> Done {
        match value {
            Value::String(text) => bulk(&mut out.0, &text.as_bytes()),
            Value::Table(table) => return self.list(table, table.raw_len(), depth, out),
            Value::Integer(number) => header(&mut out.0, b':', *number),
            #[expect(clippy::cast_possible_truncation, reason = "so do the servers")]
            Value::Number(number) => header(&mut out.0, b':', *number as i64),
            Value::Boolean(true) => header(&mut out.0, b':', 1),
            _ => Reply::Nil.encode(&mut out.0, out.1),
        }
        Ok(())
    }

    fn list(&self, table: &Table, length: usize, depth: usize, out: &mut Wire) -> Done {
        if depth > MAX_DEPTH {
            return Err("ERR reached lua stack limit".into());
        }
        let failed = |error: mlua::Error| Fault::from(format!("ERR {error}"));
        let kinds: [fn(Fault) -> Reply; 2] = [Reply::Error, Reply::Status];
        for (name, kind) in self.names.iter().zip(kinds).filter(|_| length == 0) {
            if let Value::String(text) = table.raw_get(name).map_err(failed)? {
                kind(text.to_string_lossy().into()).encode(&mut out.0, out.1);
                return Ok(());
            }
        }
        let (start, mut items) = (out.0.len(), 0);
        header(&mut out.0, b'*', length);
        for item in table.sequence_values::<Value>().take(length) {
            self.encode(&item.map_err(failed)?, depth + 1, out)?;
            items += 1;
        }
        // A list ends with its first hole.
        if items < length {
            out.0.truncate(start);
            return self.list(table, items, depth, out);
        }
        Ok(())
    }
}

pub(super) fn sha1(text: &[u8]) -> String {
    Sha1::from(text).digest().to_string()
}

/// The flags of `#!lua flags=a,b`.
fn flags(first: &str) -> Result<Vec<String>, Fault> {
    let mut words = first.split_whitespace();
    let engine = words.next().unwrap_or_default();
    if engine != "#!lua" {
        return Err(format!("ERR Unexpected engine in script shebang: {}", &engine[2..]).into());
    }
    let mut flags = Vec::new();
    for word in words {
        let list = word.strip_prefix("flags=");
        let list = list.ok_or_else(|| format!("ERR Unknown lua shebang option: {word}"))?;
        flags.extend(list.split(',').filter(|flag| !flag.is_empty()).map(str::to_owned));
    }
    Ok(flags)
}

/// The line of the script that is running.
fn line(lua: &Lua) -> Option<usize> {
    (0..MAX_LEVELS).find_map(|level| {
        lua.inspect_stack(level, |frame| {
            let ours = frame.source().source.is_some_and(|source| source == CHUNK);
            if ours { frame.current_line() } else { None }
        })
        .flatten()
    })
}

fn raised(told: &Table, sha: &str) -> Fault {
    let text = told.raw_get::<LuaString>("err");
    let text = text.map_or("ERR unknown error".into(), |text| text.to_string_lossy());
    match told.raw_get::<Option<usize>>("line") {
        Ok(Some(line)) => format!("{text} script: {sha}, on {CHUNK}:{line}.").into(),
        _ => text.into(),
    }
}

/// What a script has raised: its text, and the line.
fn told(lua: &Lua, fault: &Value) -> mlua::Result<Table> {
    let text = match fault {
        Value::Table(table) => match table.raw_get::<Value>("err")? {
            Value::String(text) => text.to_string_lossy(),
            _ => "ERR unknown error".into(),
        },
        Value::Error(error) => {
            let raised = error.chain().find_map(|cause| cause.downcast_ref::<Raised>());
            raised.map_or_else(|| format!("ERR {error}"), ToString::to_string)
        }
        other => format!("ERR {}", other.to_string()?),
    };
    let told = lua.create_table()?;
    told.raw_set("err", text)?;
    told.raw_set("line", line(lua))?;
    Ok(told)
}

//! Two connections, one to the engine and one to the server under test.

use redeliver::embedded::{Engine, Options};
use redis::{Connection, ConnectionLike as _, ProtocolVersion, Value, cmd};

use crate::fixture::{TestServer, under_test};

/// Scans tell everything at once, so that only the order of what they tell may differ.
const WHOLE: [&str; 8] = [
    "--zset-max-listpack-entries",
    "9999",
    "--zset-max-listpack-value",
    "9999",
    "--hash-max-listpack-entries",
    "9999",
    "--hash-max-listpack-value",
    "9999",
];

/// All keys with all they hold, each as one text. Hashes have no order.
const DUMP: &str = r"#!lua flags=no-writes
local told = {}
for i, key in ipairs(KEYS) do
  local kind, parts = redis.call('TYPE', key).ok, {}
  if kind == 'string' then parts = { redis.call('GET', key) } end
  if kind == 'list' then parts = redis.call('LRANGE', key, 0, -1) end
  if kind == 'zset' then parts = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') end
  if kind == 'hash' then
    local fields = redis.call('HKEYS', key)
    table.sort(fields)
    for _, field in ipairs(fields) do
      parts[#parts + 1] = field
      parts[#parts + 1] = redis.call('HGET', key, field)
    end
  end
  told[i] = kind .. '\31' .. table.concat(parts, '\31')
end
return told";

pub(crate) struct Pair {
    _server: TestServer,
    _engine: Engine,
    dir: tempfile::TempDir,
    url: String,
    /// Whether the server words its errors as the engine does; of others only the code is compared.
    alike: bool,
}

/// Both ends of one comparison.
pub(crate) struct Ends {
    pub(crate) engine: Connection,
    pub(crate) server: Connection,
    alike: bool,
}

/// What came of a command on one side.
#[derive(Debug, PartialEq)]
pub(crate) enum Came {
    Reply(Value),
    Error(String),
}

impl Pair {
    /// `None` where the server under test is the engine itself.
    pub(crate) fn start() -> Option<Self> {
        if under_test::lacks(under_test::Only::Difference) {
            return None;
        }
        let server = TestServer::start(&WHOLE);
        let dir = tempfile::TempDir::with_prefix("rd-engine-").unwrap();
        let socket = dir.path().join("s");
        let entries = WHOLE.chunks(2).filter(|pair| pair[0].ends_with("entries")).flatten();
        let mut options: Vec<_> = entries.copied().collect();
        options.extend(["--unixsocket", socket.to_str().unwrap()]);
        let engine = Engine::start(Options::from_args(options).unwrap()).unwrap();
        let alike = under_test::named().starts_with("redis 7.0.");
        let url = server.url();
        Some(Self { _server: server, _engine: engine, dir, url, alike })
    }

    pub(crate) fn connect(&self, protocol: ProtocolVersion) -> Ends {
        let connect = |url: &str| {
            let info = redis::IntoConnectionInfo::into_connection_info(url).unwrap();
            let settings = info.redis_settings().clone().set_protocol(protocol);
            redis::Client::open(info.set_redis_settings(settings))
                .unwrap()
                .get_connection()
                .unwrap()
        };
        let engine = connect(&format!("unix://{}", self.dir.path().join("s").display()));
        Ends { engine, server: connect(&self.url), alike: self.alike }
    }
}

impl Ends {
    /// Sends the same to both, and says what differs.
    pub(crate) fn same(&mut self, words: &[Vec<u8>]) -> Result<(), String> {
        let unordered = UNORDERED.iter().any(|name| words[0].eq_ignore_ascii_case(name.as_bytes()));
        self.same_but_order(words, unordered)
    }

    /// The same; `unordered` says that the order of what is told may differ.
    pub(crate) fn same_but_order(
        &mut self,
        words: &[Vec<u8>],
        unordered: bool,
    ) -> Result<(), String> {
        let [engine, server] = [&mut self.engine, &mut self.server].map(|end| send(end, words));
        let [engine, server] = [engine, server].map(|came| self.comparable(came, unordered));
        if engine == server {
            return Ok(());
        }
        Err(format!("{}\n  engine {engine:?}\n  server {server:?}", shown(words)))
    }

    pub(crate) fn same_text(&mut self, command: &str) -> Result<(), String> {
        let words: Vec<_> = command.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        self.same(&words)
    }

    /// Compares all that these keys hold.
    pub(crate) fn same_content(&mut self, keys: &[String]) -> Result<(), String> {
        let mut words = vec![b"EVAL".to_vec(), DUMP.into(), keys.len().to_string().into()];
        words.extend(keys.iter().map(|key| key.clone().into_bytes()));
        self.same(&words)
    }

    pub(crate) fn forget(&mut self) {
        for end in [&mut self.engine, &mut self.server] {
            cmd("FLUSHALL").exec(end).unwrap();
        }
    }

    fn comparable(&self, came: Came, unordered: bool) -> Came {
        match came {
            Came::Error(text) if !self.alike => {
                Came::Error(text.split(' ').next().unwrap().to_owned())
            }
            Came::Reply(reply) if unordered => Came::Reply(sorted(reply)),
            other => other,
        }
    }
}

/// Their order is the server's own affair.
const UNORDERED: [&str; 5] = ["HGETALL", "HKEYS", "HSCAN", "ZSCAN", "KEYS"];

fn sorted(reply: Value) -> Value {
    match reply {
        Value::Array(mut parts)
            if matches!(&parts[..], [Value::BulkString(_), Value::Array(_)]) =>
        {
            let page = parts.pop().map(pairs).unwrap();
            Value::Array(vec![parts.remove(0), page])
        }
        // A page of a check: its cursor, how much was seen, and pairs.
        Value::Array(mut parts)
            if matches!(parts[..], [Value::BulkString(_), Value::Int(_), ..]) =>
        {
            let told = pairs(Value::Array(parts.split_off(2)));
            parts.push(told);
            Value::Array(parts)
        }
        Value::Array(mut parts) => {
            parts.sort_by_key(|part| format!("{part:?}"));
            Value::Array(parts)
        }
        Value::Map(mut parts) => {
            parts.sort_by_key(|part| format!("{part:?}"));
            Value::Map(parts)
        }
        other => other,
    }
}

fn pairs(page: Value) -> Value {
    let Value::Array(parts) = page else { return page };
    let mut pairs: Vec<_> = parts.chunks(2).map(|pair| format!("{pair:?}")).collect();
    pairs.sort();
    Value::SimpleString(pairs.join(" "))
}

pub(crate) fn send(end: &mut Connection, words: &[Vec<u8>]) -> Came {
    let mut command = cmd(std::str::from_utf8(&words[0]).unwrap());
    for word in &words[1..] {
        command.arg(&word[..]);
    }
    match end.req_packed_command(&command.get_packed_command()) {
        Ok(Value::ServerError(error)) => Came::Error(worded(&error.into())),
        Ok(reply) => Came::Reply(reply),
        Err(error) => Came::Error(worded(&error)),
    }
}

fn worded(error: &redis::RedisError) -> String {
    let (code, detail) = (error.code(), error.detail());
    format!("{} {}", code.unwrap_or("?"), detail.unwrap_or_default())
}

pub(crate) fn shown(words: &[Vec<u8>]) -> String {
    let words: Vec<_> = words.iter().map(|word| word.escape_ascii().to_string()).collect();
    let mut line = words.join(" ");
    if line.len() > 600 {
        line.replace_range(300..line.len() - 300, " … ");
    }
    line
}

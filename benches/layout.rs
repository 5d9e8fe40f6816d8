//! What would another layout cost? Push, claim and ack of 512 messages, and bytes a message.
//!
//! `ours` is the library's layout, `hash` one hash key for each message, `inline` the payload itself as
//! list entry and ZSET member (nothing could then be found or fenced by id). All three run as scripts
//! of the same shape, so that only the layout differs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_precision_loss,
    reason = "a bench that cannot go on stops"
)]

#[path = "../tests/ops/fixture.rs"]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod fixture;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fixture::TestServer;
use redis::Connection;

const BATCH: usize = 512;
const MEMORY: usize = 50_000;

struct Layout {
    name: &'static str,
    push: &'static str,
    claim: &'static str,
    ack: &'static str,
}

const LAYOUTS: [Layout; 3] = [
    Layout {
        name: "ours",
        push: "local ids, records = {}, {}
            for i = 2, #ARGV do
              ids[#ids + 1] = ARGV[i]
              records[#records + 1] = ARGV[i]
              records[#records + 1] = ARGV[1]
            end
            redis.call('HSET', 'm', unpack(records))
            redis.call('RPUSH', 'r', unpack(ids))",
        claim: "local ids, due = redis.call('LPOP', 'r', ARGV[1]), {}
            for _, id in ipairs(ids) do due[#due + 1] = '1'; due[#due + 1] = id end
            redis.call('ZADD', 'p', unpack(due))
            return { ids, redis.call('HMGET', 'm', unpack(ids)) }",
        ack: "redis.call('ZREM', 'p', unpack(ARGV)); redis.call('HDEL', 'm', unpack(ARGV))",
    },
    Layout {
        name: "hash",
        push: "local ids = {}
            for i = 2, #ARGV do
              ids[#ids + 1] = ARGV[i]
              redis.call('HSET', 'm:' .. ARGV[i], 'payload', ARGV[1], 'max', '3')
            end
            redis.call('RPUSH', 'r', unpack(ids))",
        claim: "local ids, due, records = redis.call('LPOP', 'r', ARGV[1]), {}, {}
            for i, id in ipairs(ids) do
              due[#due + 1] = '1'; due[#due + 1] = id
              records[i] = redis.call('HGET', 'm:' .. id, 'payload')
            end
            redis.call('ZADD', 'p', unpack(due))
            return { ids, records }",
        ack: "redis.call('ZREM', 'p', unpack(ARGV))
            for i, id in ipairs(ARGV) do ARGV[i] = 'm:' .. id end
            redis.call('DEL', unpack(ARGV))",
    },
    Layout {
        name: "inline",
        push: "local entries = {}
            for i = 2, #ARGV do entries[#entries + 1] = ARGV[i] .. ARGV[1] end
            redis.call('RPUSH', 'r', unpack(entries))",
        claim: "local entries, due = redis.call('LPOP', 'r', ARGV[1]), {}
            for _, entry in ipairs(entries) do due[#due + 1] = '1'; due[#due + 1] = entry end
            redis.call('ZADD', 'p', unpack(due))
            return { entries }",
        ack: "redis.call('ZREM', 'p', unpack(ARGV))",
    },
];

fn ids(from: usize, count: usize) -> Vec<String> {
    (from..from + count).map(|i| format!("{i:026}")).collect()
}

fn payload() -> String {
    format!("3\n\n{}", "x".repeat(100))
}

fn eval(connection: &mut Connection, script: &str, argv: &[String]) {
    redis::cmd("EVAL").arg(script).arg(0).arg(argv).query::<redis::Value>(connection).unwrap();
}

fn push(connection: &mut Connection, layout: &Layout, ids: &[String]) {
    eval(connection, layout.push, &[&[payload()], ids].concat());
}

fn used_memory(connection: &mut Connection) -> f64 {
    let info: String = redis::cmd("INFO").arg("memory").query(connection).unwrap();
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    used.trim().parse().unwrap()
}

fn bytes(connection: &mut Connection, layout: &Layout) -> f64 {
    redis::cmd("FLUSHALL").exec(connection).unwrap();
    let before = used_memory(connection);
    for from in (0..MEMORY).step_by(BATCH) {
        push(connection, layout, &ids(from, BATCH.min(MEMORY - from)));
    }
    let used = used_memory(connection) - before;
    redis::cmd("FLUSHALL").exec(connection).unwrap();
    used / MEMORY as f64
}

fn layouts(criterion: &mut Criterion) {
    let server = TestServer::start(&[]);
    let mut connection = server.client().get_connection().unwrap();
    let mut group = criterion.benchmark_group("layout");
    group.throughput(Throughput::Elements(BATCH as u64));
    for layout in LAYOUTS {
        let bytes = bytes(&mut connection, &layout);
        let id = format!("{}/bytes={bytes:.0}", layout.name);
        group.bench_function(id, |bencher| {
            let ids = ids(0, BATCH);
            let members = match layout.name {
                "inline" => ids.iter().map(|id| format!("{id}{}", payload())).collect(),
                _ => ids.clone(),
            };
            bencher.iter(|| {
                push(&mut connection, &layout, &ids);
                eval(&mut connection, layout.claim, &[BATCH.to_string()]);
                eval(&mut connection, layout.ack, &members);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, layouts);
criterion_main!(benches);

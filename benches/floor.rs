//! What do the primitive commands cost without any queue? Every other figure is a ratio to these.
//!
//! `raw` awaits each command's answer, `pipelined` sends 512 messages' commands at once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that cannot go on stops"
)]

#[path = "../tests/ops/fixture.rs"]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod fixture;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fixture::TestServer;
use redis::{Connection, Pipeline};

const PIPELINED: usize = 512;
const PAYLOAD: [u8; 103] = [b'x'; 103];

fn push(pipeline: &mut Pipeline, id: &str) {
    pipeline.cmd("HSET").arg("messages").arg(id).arg(&PAYLOAD).ignore();
    pipeline.cmd("RPUSH").arg("ready").arg(id).ignore();
}

fn claim(pipeline: &mut Pipeline, id: &str) {
    pipeline.cmd("LPOP").arg("ready").ignore();
    pipeline.cmd("HGET").arg("messages").arg(id);
    pipeline.cmd("ZADD").arg("pending").arg(1).arg(id).ignore();
}

fn ack(pipeline: &mut Pipeline, id: &str) {
    pipeline.cmd("ZREM").arg("pending").arg(id).ignore();
    pipeline.cmd("HDEL").arg("messages").arg(id).ignore();
}

fn life(connection: &mut Connection, ids: &[String]) {
    for step in [push, claim, ack] {
        let mut pipeline = Pipeline::new();
        for id in ids {
            step(&mut pipeline, id);
        }
        let _records: Vec<Vec<u8>> = pipeline.query(connection).unwrap();
    }
}

fn floor(criterion: &mut Criterion) {
    let server = TestServer::start(&[]);
    let mut connection = server.client().get_connection().unwrap();
    let ids: Vec<String> = (0..PIPELINED).map(|i| format!("{i:026}")).collect();
    let mut group = criterion.benchmark_group("floor");
    group.bench_function("ping", |bencher| {
        bencher.iter(|| redis::cmd("PING").exec(&mut connection).unwrap());
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("life/raw", |bencher| bencher.iter(|| life(&mut connection, &ids[..1])));
    group.throughput(Throughput::Elements(PIPELINED as u64));
    group.bench_function("life/pipelined=512", |bencher| {
        bencher.iter(|| life(&mut connection, &ids));
    });
    group.finish();
}

criterion_group!(benches, floor);
criterion_main!(benches);

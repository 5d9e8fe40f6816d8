//! The floor: the same messages through the same primitive commands, one command each, pipelined on
//! one connection, with no script, no lease check, no outcome.

use std::time::Instant;

use redis::Pipeline;
use redis::aio::MultiplexedConnection;

use super::Bench;

/// Messages a pipeline, as many as a batch of the library.
const PIPELINE: u32 = 512;

pub(super) struct Floor {
    pub(super) push_per_s: f64,
    pub(super) work_per_s: f64,
}

pub(super) async fn run(bench: &Bench<'_>) -> anyhow::Result<Floor> {
    let keys = Keys::new(bench.queue.name().as_str());
    let mut connection = bench.probe.connection();
    let messages = bench.args.messages;
    let record = [b"3\n\n", vec![b'x'; bench.args.payload as usize].as_slice()].concat();
    let ids: Vec<String> = (0..messages).map(|i| format!("{i:026}")).collect();

    let started = Instant::now();
    for ids in ids.chunks(PIPELINE as usize) {
        let mut pipeline = Pipeline::with_capacity(2 * ids.len());
        for id in ids {
            pipeline.cmd("HSET").arg(&keys.messages).arg(id).arg(&record).ignore();
            pipeline.cmd("RPUSH").arg(&keys.ready).arg(id).ignore();
        }
        pipeline.exec_async(&mut connection).await?;
    }
    let push_per_s = f64::from(messages) / started.elapsed().as_secs_f64();

    let started = Instant::now();
    for ids in ids.chunks(PIPELINE as usize) {
        claim(&mut connection, &keys, ids).await?;
        let mut pipeline = Pipeline::with_capacity(2 * ids.len());
        for id in ids {
            pipeline.cmd("ZREM").arg(&keys.pending).arg(id).ignore();
            pipeline.cmd("HDEL").arg(&keys.messages).arg(id).ignore();
        }
        pipeline.exec_async(&mut connection).await?;
    }
    let work_per_s = f64::from(messages) / started.elapsed().as_secs_f64();
    let all = [&keys.ready, &keys.pending, &keys.messages];
    redis::cmd("UNLINK").arg(&all).exec_async(&mut connection).await?;
    Ok(Floor { push_per_s, work_per_s })
}

async fn claim(
    connection: &mut MultiplexedConnection,
    keys: &Keys,
    ids: &[String],
) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut pipeline = Pipeline::with_capacity(3 * ids.len());
    for id in ids {
        pipeline.cmd("LPOP").arg(&keys.ready).ignore();
        pipeline.cmd("HGET").arg(&keys.messages).arg(id);
        pipeline.cmd("ZADD").arg(&keys.pending).arg(1).arg(id).ignore();
    }
    Ok(pipeline.query_async(connection).await?)
}

struct Keys {
    ready: String,
    pending: String,
    messages: String,
}

impl Keys {
    fn new(queue: &str) -> Self {
        // The tag of the queue's own keys: on a Cluster they are on the same node.
        let key = |name| format!("floor.{{{queue}.0}}.{name}");
        Self { ready: key("ready"), pending: key("pending"), messages: key("messages") }
    }
}

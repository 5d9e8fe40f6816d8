use std::time::{Duration, Instant};

use redeliver::{Durability, Policy, Raw};

use crate::fixture::{Fixture, SECOND, TestServer};
use crate::pair::{Pair, calls, info};

/// What the clients of a server sent, and how many are connected.
fn sent(server: &TestServer) -> (Vec<(&'static str, u64)>, usize) {
    let commands = ["evalsha", "script|load", "hsetnx", "hset", "wait", "config|get"];
    let counted = commands.map(|command| (command, calls(server, command)));
    let mut connection = server.client().get_connection().unwrap();
    let clients: String = redis::cmd("CLIENT").arg("LIST").query(&mut connection).unwrap();
    (counted.into(), clients.lines().count())
}

#[tokio::test]
async fn memory_costs_no_command_and_no_connection_more() {
    let server = TestServer::start(&[]);
    let fixture = Fixture::on(&server, Policy::default()).await;
    let (before, clients) = sent(&server);
    fixture.queue.push(Raw::from("x")).await.unwrap();
    fixture.queue.push(Raw::from("x")).await.unwrap();
    fixture.queue.push_all((0..513).map(|_| Raw::from("x"))).await.unwrap();
    let (counted, after) = sent(&server);
    // The first push enters the registry and loads the script. Inside, a script writes the layout
    // once, and its records and counters once a call.
    let wanted = [
        ("evalsha", 5),
        ("script|load", 1),
        ("hsetnx", 1),
        ("hset", 9),
        ("wait", 0),
        ("config|get", 0),
    ];
    let more =
        counted.iter().zip(before).map(|((name, after), (_, before))| (*name, after - before));
    assert_eq!((more.collect(), after), (Vec::from(wanted), clients));
}

/// Prints what a proof costs: a batch of one and a full one. The fastest says most on a busy machine.
#[tokio::test]
#[ignore = "measures, for docs/benchmarks.md"]
async fn cost_of_each_durability() {
    const BATCHES: u32 = 200;
    for (name, durability, settings) in [
        ("memory", Durability::Memory, ["no", "everysec"]),
        ("replicated", Durability::Replicated(1), ["no", "everysec"]),
        ("memory, under always", Durability::Memory, ["yes", "always"]),
        ("synced, under always", Durability::Synced, ["yes", "always"]),
    ] {
        let pair = Pair::start();
        let fixture =
            pair.queue(Policy::default().durability(durability).proof_timeout(5 * SECOND)).await;
        fixture.redis::<()>(&["CONFIG", "SET", "appendfsync", settings[1]]);
        fixture.redis::<()>(&["CONFIG", "SET", "appendonly", settings[0]]);
        while info(&pair.master, "persistence").contains("aof_rewrite_in_progress:1") {
            tokio::time::sleep(SECOND / 100).await;
        }
        for size in [1, 512] {
            let mut fastest = Duration::MAX;
            for _ in 0..BATCHES {
                let payloads: Vec<_> = (0..size).map(|_| Raw(vec![b'x'; 100])).collect();
                let begun = Instant::now();
                fixture.queue.push_all(payloads).await.unwrap();
                fastest = fastest.min(begun.elapsed());
            }
            eprintln!("{name}: {size} a batch, {fastest:?} the fastest");
        }
    }
}

use std::collections::BTreeMap;

use redeliver::{Policy, Queue, Raw, Settled};

use crate::fixture::{Fixture, TestServer};

/// Every command that the server has executed so far, those of scripts included.
fn calls(fixture: &Fixture) -> BTreeMap<String, u64> {
    let stats: String = fixture.redis(&["INFO", "commandstats"]);
    let line = |line: &str| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
    };
    stats.lines().filter_map(line).filter(|(name, _)| name != "info").collect()
}

async fn cycle(queue: &Queue<Raw>) {
    queue.push(Raw::from("x")).await.unwrap();
    let delivery = queue.claim(1).await.unwrap().pop().unwrap();
    assert_eq!(delivery.ack().await.unwrap(), Settled::Done);
}

/// What 20 messages cost, each pushed, claimed and acked alone: the same commands as before there were
/// partitions. The table stands for itself; a change of it has to be meant.
#[tokio::test]
async fn a_single_partition_costs_what_it_did() {
    let server = TestServer::start(&[]);
    let fixture = Fixture::named("costs", &server, Policy::default()).await;
    cycle(&fixture.queue).await;
    let before = calls(&fixture);
    for _ in 0..20 {
        cycle(&fixture.queue).await;
    }
    let mut spent = calls(&fixture);
    for (name, calls) in before {
        *spent.get_mut(&name).unwrap() -= calls;
    }
    spent.retain(|_, calls| *calls > 0);
    // A look at the number of partitions may fall into it, one in five seconds.
    let looks = spent.remove("hmget").unwrap() - 100;
    assert!(looks.is_multiple_of(2) && looks < 20, "{looks} {spent:?}");
    let expected = [
        ("del", 20),
        ("evalsha", 60),
        ("hdel", 20),
        ("hget", 40),
        ("hlen", 180),
        ("hset", 60),
        ("llen", 180),
        ("lrange", 20),
        ("ltrim", 20),
        ("rpush", 40),
        ("time", 40),
        ("zadd", 20),
        ("zcard", 180),
        ("zmscore", 20),
        ("zrem", 20),
    ];
    assert_eq!(spent, expected.map(|(name, calls)| (name.to_owned(), calls)).into());
}

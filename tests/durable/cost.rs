use redeliver::{Policy, Raw};

use crate::fixture::{Fixture, TestServer};
use crate::pair::calls;

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

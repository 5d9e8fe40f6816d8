//! What a Cluster does that nothing happens to.

use std::time::Duration;

use redeliver::{Message, Queue, Raw, Server};

use crate::cluster::{MASTERS, whole};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_go_their_ways_on_every_node() {
    let cluster = whole().await;
    let server = Server::connect(&cluster.url()).await.unwrap();
    let mut names = Vec::new();
    for owner in cluster.masters() {
        let name = cluster.name_on(owner);
        let queue: Queue<Raw> = server.queue(&name).unwrap();
        queue.push_all(["a", "b", "c"].map(Raw::from)).await.unwrap();
        let later = Message::new(Raw::from("d")).delay(Duration::from_millis(1));
        queue.push(later).await.unwrap();
        let mut claimed = queue.claim(3).await.unwrap();
        let _settled = claimed.remove(0).ack().await.unwrap();
        let _settled = claimed.remove(0).bury("x").await.unwrap();
        while queue.redeliver(10).await.unwrap().promoted == 0 {}
        let counts = queue.counts().await.unwrap();
        assert_eq!((counts.ready, counts.pending, counts.dead, counts.acked), (1, 1, 1, 1));
        assert!(queue.check(|_| {}).await.unwrap().is_clean());
        let url = server.url_of(queue.name()).await.unwrap().unwrap();
        assert!(url.contains(&cluster.nodes[owner].port.to_string()), "{url}");
        names.push(name);
    }
    let listed: Vec<_> = server.queues().await.unwrap();
    assert!(names.iter().all(|name| listed.iter().any(|listed| listed.as_str() == name)));
    assert_eq!(server.urls().await.unwrap().len(), MASTERS);
    // Each node has the scripts that its queues called, and none of those that none called.
    assert!(server.cached_scripts().await.unwrap().iter().any(|cached| *cached));
    assert!(server.cached_scripts().await.unwrap().iter().any(|cached| !*cached));
}

#[tokio::test]
async fn a_node_that_was_named_as_a_single_server_says_how_to_name_it() {
    let cluster = whole().await;
    let (named, other) = (cluster.masters()[0], cluster.masters()[1]);
    let name = cluster.name_on(other);
    let queue: Queue<Raw> =
        Server::open(&cluster.nodes[named].url()).unwrap().queue(&name).unwrap();
    let error = queue.push(Raw::from("x")).await.unwrap_err().to_string();
    assert!(error.contains("redis+cluster://"), "{error}");
}

#[tokio::test]
async fn scripts_that_one_node_lost_are_loaded_there() {
    let cluster = whole().await;
    let server = Server::connect(&cluster.url()).await.unwrap();
    for owner in cluster.masters() {
        let queue: Queue<Raw> = server.queue(&cluster.name_on(owner)).unwrap();
        queue.push(Raw::from("x")).await.unwrap();
        cluster.nodes[owner].ask::<()>(&["SCRIPT", "FLUSH"]);
        queue.push(Raw::from("y")).await.unwrap();
        assert_eq!(queue.counts().await.unwrap().ready, 2);
    }
}

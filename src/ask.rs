//! Asks who serves what: sentinels for a master, or the nodes of a Cluster for their slots.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisError, Value};
use tokio::task::JoinSet;

use crate::connect::Connector;
use crate::fault::Fault;
use crate::slots::{Map, Node};

/// For the connection and for the answer each: there are others to ask.
const LIMIT: Duration = Duration::from_millis(500);
/// For both.
pub(crate) const ASK_LIMIT: Duration = Duration::from_secs(1);

/// Who can be asked.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Sentinel { sentinels: Vec<Connector>, service: String },
    Cluster { seeds: Vec<Node>, server: Connector },
}

/// What is kept from one asking to the next.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    connections: HashMap<String, MultiplexedConnection>,
    /// Of the last master that sentinels named: they number their elections.
    epoch: u64,
}

impl Source {
    pub(crate) async fn ask(&self, known: &Map, memory: &mut Memory) -> Result<Map, Fault> {
        match self {
            Self::Sentinel { sentinels, service } => {
                let (epoch, master) = ask_sentinels(sentinels, service, memory).await?;
                memory.epoch = epoch;
                Ok(Map::of_one(master))
            }
            Self::Cluster { seeds, server } => ask_nodes(seeds, server, known, memory).await,
        }
    }
}

/// One node after the other, those first that are not in doubt: any of them knows, and one that is
/// behind leads to another that knows better.
async fn ask_nodes(
    seeds: &[Node],
    server: &Connector,
    known: &Map,
    memory: &mut Memory,
) -> Result<Map, Fault> {
    let nodes: BTreeSet<_> = known.nodes().into_iter().chain(seeds.iter().cloned()).collect();
    let mut nodes = Vec::from_iter(nodes);
    fastrand::shuffle(&mut nodes);
    nodes.sort_by_key(|node| known.is_doubted(node));
    let mut question = Pipeline::with_capacity(1);
    question.cmd("CLUSTER").arg("SLOTS");
    let mut failed = unavailable("no node of the Cluster is known");
    for node in nodes {
        let (name, connector) = (node.to_string(), server.at(&node));
        let kept = memory.connections.remove(&name);
        match exchange(&connector, kept, &question).await {
            Ok((answers, connection)) => {
                memory.connections.insert(name, connection);
                match first(answers) {
                    Ok(answer) => match Map::read(answer, &node) {
                        Some(map) if !map.nodes().is_empty() => return Ok(map),
                        _ => failed = unavailable("a node knows of no slots"),
                    },
                    Err(fault) => failed = fault,
                }
            }
            Err(fault) => failed = fault,
        }
    }
    Err(failed)
}

/// All of them at once. The latest election counts: a sentinel that was cut off tells of an older one.
async fn ask_sentinels(
    sentinels: &[Connector],
    service: &str,
    memory: &mut Memory,
) -> Result<(u64, Node), Fault> {
    let mut question = Pipeline::with_capacity(2);
    question.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(service);
    question.cmd("SENTINEL").arg("MASTER").arg(service);
    let mut asked = JoinSet::new();
    for sentinel in sentinels {
        let (sentinel, question) = (sentinel.clone(), question.clone());
        let kept = memory.connections.remove(&sentinel.address());
        asked.spawn(async move {
            let exchanged = exchange(&sentinel, kept, &question).await;
            (sentinel.address(), exchanged)
        });
    }
    let mut failed = unavailable("no sentinel answered");
    let mut told = Vec::new();
    while let Some(Ok((address, exchanged))) = asked.join_next().await {
        match exchanged {
            Ok((answers, connection)) => {
                memory.connections.insert(address, connection);
                told.push(master_of(answers));
            }
            Err(fault) => failed = fault,
        }
    }
    let answered = told.len();
    let latest = told.into_iter().flatten().max_by_key(|(epoch, _)| *epoch);
    match latest {
        Some((epoch, _)) if epoch < memory.epoch && answered <= sentinels.len() / 2 => {
            Err(unavailable("the sentinels that answer have missed an election"))
        }
        Some(latest) => Ok(latest),
        None if answered > 0 => {
            Err(Fault::Refused { reason: format!("no sentinel knows a master named {service}") })
        }
        None => Err(failed),
    }
}

/// The epoch of the election, or 0 where it is not told, and whom it made the master.
fn master_of(answers: Vec<Value>) -> Option<(u64, Node)> {
    let mut answers = answers.into_iter();
    let (host, port): (String, u16) = redis::from_redis_value(answers.next()?).ok()?;
    let told: Option<HashMap<String, String>> =
        answers.next().and_then(|told| redis::from_redis_value(told).ok());
    let epoch = told.and_then(|told| told.get("config-epoch")?.parse().ok());
    Some((epoch.unwrap_or(0), Node::new(&host, port)))
}

/// Over the connection that was kept, or a new one if that has died meanwhile.
async fn exchange(
    connector: &Connector,
    kept: Option<MultiplexedConnection>,
    question: &Pipeline,
) -> Result<(Vec<Value>, MultiplexedConnection), Fault> {
    let count = question.len();
    if let Some(mut connection) = kept {
        match connection.send_packed_commands(question, 0, count).await {
            Ok(answers) => return Ok((answers, connection)),
            Err(error) if error.is_timeout() => return Err(Fault::of(&error)),
            Err(_) => {}
        }
    }
    let mut connection = connector.connect_within(LIMIT).await?;
    let answers = connection.send_packed_commands(question, 0, count).await;
    Ok((answers.map_err(|error| Fault::of(&error))?, connection))
}

fn first(answers: Vec<Value>) -> Result<Value, Fault> {
    match answers.into_iter().next() {
        Some(Value::ServerError(error)) => Err(Fault::of(&RedisError::from(error))),
        Some(answer) => Ok(answer),
        None => Err(unavailable("no answer")),
    }
}

fn unavailable(reason: &str) -> Fault {
    Fault::Unavailable { reason: reason.to_owned(), resolve: false }
}

//! A connection beside the library's own, for what only the server itself can tell.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Result;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, RedisError};

use crate::access::AccessArgs;

/// Longer than any of the commands here takes on a healthy server, and than connecting to it does.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(crate) struct Probe(MultiplexedConnection);

/// An answer, or nothing where the user may not ask.
pub(crate) type Look<T> = Option<T>;

impl Probe {
    pub(crate) async fn connect(url: &str, access: &AccessArgs) -> Result<Self> {
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let client = access.client(url)?;
        Ok(Self(client.get_multiplexed_async_connection_with_config(&config).await?))
    }

    pub(super) async fn send<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        command.query_async(&mut self.0.clone()).await
    }

    /// `None` when the user has no right to it, or the server does not know the command.
    pub(super) async fn look<T: FromRedisValue>(&self, command: &Cmd) -> Result<Look<T>> {
        match self.send(command).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.code().is_some() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// All fields of a section of `INFO`.
    pub(crate) async fn info(&self, section: &str) -> Result<Look<HashMap<String, String>>> {
        let text: Look<String> = self.look(redis::cmd("INFO").arg(section)).await?;
        let fields = |text: String| {
            let pairs = text.lines().filter_map(|line| line.trim_end().split_once(':'));
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        Ok(text.map(fields))
    }

    pub(super) async fn config(&self, name: &str) -> Result<Look<String>> {
        let pair: Look<HashMap<String, String>> =
            self.look(redis::cmd("CONFIG").arg("GET").arg(name)).await?;
        Ok(pair.and_then(|mut pair| pair.remove(name)))
    }
}

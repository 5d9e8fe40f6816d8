//! What the server says of itself: CPU, memory, commands, clock.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use redis::aio::MultiplexedConnection;

use crate::access::AccessArgs;

/// Exchanges of which the fastest tells the offset of the server's clock.
const CLOCK_SAMPLES: u32 = 20;

/// A raw connection beside the library's own.
#[derive(Clone)]
pub(super) struct Probe {
    connection: MultiplexedConnection,
    started: Instant,
    server_us_at_start: i64,
    server: String,
}

impl Probe {
    pub(super) async fn connect(url: &str, access: &AccessArgs) -> anyhow::Result<Self> {
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
        let client = access.client(url)?;
        let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        let started = Instant::now();
        let mut probe = Self { connection, started, server_us_at_start: 0, server: String::new() };
        probe.set_clock().await?;
        let version = probe.info("server", "redis_version").await?;
        probe.server = format!("Redis {version}");
        for (name, field) in [("Valkey", "valkey_version"), ("embedded", "redeliver_version")] {
            if let Ok(own) = probe.info("server", field).await {
                probe.server = format!("{name} {own}");
            }
        }
        Ok(probe)
    }

    async fn set_clock(&mut self) -> anyhow::Result<()> {
        let mut fastest = Duration::MAX;
        for _ in 0..CLOCK_SAMPLES {
            let asked = Instant::now();
            let (seconds, micros): (i64, i64) =
                redis::cmd("TIME").query_async(&mut self.connection).await?;
            let trip = asked.elapsed();
            if trip < fastest {
                fastest = trip;
                let middle = asked.duration_since(self.started) + trip / 2;
                self.server_us_at_start = seconds * 1_000_000 + micros - as_us(middle);
            }
        }
        Ok(())
    }

    /// Microseconds since 1970 by the server's clock, from our own monotonic one.
    pub(super) fn server_us(&self) -> i64 {
        self.server_us_at_start + as_us(self.started.elapsed())
    }

    pub(super) fn server(&self) -> &str {
        &self.server
    }

    pub(super) fn connection(&self) -> MultiplexedConnection {
        self.connection.clone()
    }

    async fn info(&self, section: &str, field: &str) -> anyhow::Result<String> {
        let text: String =
            redis::cmd("INFO").arg(section).query_async(&mut self.connection()).await?;
        let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        Ok(value.with_context(|| format!("INFO {section} has no {field}"))?.trim().to_owned())
    }

    /// CPU seconds that the server has used so far.
    pub(super) async fn cpu(&self) -> anyhow::Result<f64> {
        let user: f64 = self.info("cpu", "used_cpu_user").await?.parse()?;
        let system: f64 = self.info("cpu", "used_cpu_sys").await?.parse()?;
        Ok(user + system)
    }

    /// Bytes in use, once what was unlinked has been freed in the background.
    pub(super) async fn memory(&self) -> anyhow::Result<f64> {
        while self.info("memory", "lazyfree_pending_objects").await? != "0" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(self.info("memory", "used_memory").await?.parse()?)
    }

    /// Commands that clients sent so far; those inside scripts are not among them.
    pub(super) async fn client_commands(&self) -> anyhow::Result<f64> {
        let mut calls = 0.0;
        for command in ["cmdstat_evalsha", "cmdstat_blpop"] {
            let stat = self.info("commandstats", command).await.unwrap_or_default();
            let told = stat.split(',').find_map(|field| field.strip_prefix("calls="));
            calls += told.map_or(Ok(0.0), str::parse)?;
        }
        Ok(calls)
    }
}

fn as_us(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

"""The peers: how to run each, and how many messages it can take in reasonable time."""

from dataclasses import dataclass, field

import servers


@dataclass
class Peer:
    name: str
    title: str
    #: Which toolchain it is installed with; see install.py.
    toolchain: str
    #: The driver below `drivers/`, or the sub-command of the Rust program.
    driver: str
    #: How it pushes many messages in the fastest way that it offers.
    bulk: str
    #: Whether its client is asynchronous, so that 1,000 tasks can await their own pushes.
    tasks: bool = True
    server: type = servers.Redis
    #: Messages in W1 and W5, W2, W4.
    ready: int = 50_000
    burst: int = 20_000
    retry: int = 2_000
    settings: str = ""

    def sizes(self, quick):
        if quick:
            return min(self.ready, 1_000), min(self.burst, 500), 100
        return self.ready, self.burst, self.retry


PEERS = [
    Peer("redeliver", "redeliver", "rust", "redeliver", "push_all, 512 a call",
         settings="200 handlers, lease 10 s (default), backoff 1 ms"),
    Peer("bullmq", "BullMQ (Node)", "node", "node/bullmq.mjs", "addBulk of 1,000",
         settings="200 jobs at a time, removeOnComplete, backoff 1 ms"),
    Peer("bullmq-rs", "bullmq-official (Rust)", "rust", "bullmq-rs", "add_bulk of 1,000",
         settings="200 jobs at a time, remove_on_complete, backoff 1 ms"),
    Peer("apalis", "apalis-redis", "rust", "apalis", "push_all of 500",
         ready=7_000, burst=5_000,
         settings="leases and events off, heartbeat 1 s, batches of 100, concurrency 200; W6 as shipped"),
    Peer("rsmq", "rsmq_async", "rust", "rsmq", "send_message_batch of 500",
         settings="receive_message_batch of 100, concurrent deletes, poll 1 s, retry by visibility of 1 ms"),
    Peer("sidekiq", "Sidekiq (open source)", "ruby", "ruby/sidekiq_peer.rb", "push_bulk of 1,000",
         tasks=False, burst=10_000, retry=500,
         settings="10 threads (20 in W6), schedule poll 5 s (default), retry_in 1 s"),
    Peer("dramatiq", "dramatiq", "python", "python/dramatiq_peer.py", "one call a message",
         tasks=False, ready=20_000, burst=5_000, retry=500,
         settings="2 processes of 16 threads (20 in W6), backoff 1 ms"),
    Peer("celery", "Celery", "python", "python/celery_peer.py", "one call a message",
         tasks=False, ready=5_000, burst=2_000, retry=300,
         settings="2 processes (20 in W6), late acks, prefetch 64, countdown 1 ms, no results"),
    Peer("beanstalkd", "beanstalkd (no Redis)", "beanstalkd", "python/beanstalkd_peer.py",
         "100 puts a round trip", tasks=False, server=servers.Beanstalkd,
         settings="1 connection, 100 commands a round trip, whole-second delays rounded up, release 1 s"),
]


@dataclass
class Installed:
    """A peer that can be run."""

    peer: Peer
    command: list
    env: dict = field(default_factory=dict)
    version: str = ""

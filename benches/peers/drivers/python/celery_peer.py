"""Celery: prefork, late acks, prefetch multiplier 64, no results. It has no call for many messages at once."""

import os
import sys
import time

import common
from celery import Celery

app = Celery("celery_peer", broker=os.environ["PEER_URL"])
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    task_default_queue="peers",
    worker_prefetch_multiplier=64,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
)


@app.task(bind=True, name="job", max_retries=5)
def job(self, identity, pad):
    attempt = self.request.retries + 1
    common.write(identity, attempt)
    if not common.succeeds(identity, attempt):
        raise self.retry(countdown=0.001)


def push(args):
    wanted = common.parse(args)
    with app.producer_pool.acquire(block=True) as producer:
        started = time.monotonic()
        for identity, pad, due in common.items(wanted):
            countdown = common.delay_ms(due) / 1000 or None
            job.apply_async((identity, pad), countdown=countdown, producer=producer)
        common.report(wanted, started)


def work():
    # Twenty handlers can only hang at the same time in twenty processes.
    processes = 20 if common.hangs() else 2
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    options = ["--concurrency", str(processes), "--loglevel", "ERROR"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    command = [sys.executable, "-m", "celery", "-A", "celery_peer", "worker"]
    os.execv(sys.executable, command + options + quiet)


if __name__ == "__main__":
    push(sys.argv[2:]) if sys.argv[1] == "push" else work()

"""dramatiq: 2 processes of 16 threads. It has no call for many messages at once."""

import os
import sys
import time

import common
import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import CurrentMessage

broker = RedisBroker(url=os.environ["PEER_URL"])
broker.add_middleware(CurrentMessage())
dramatiq.set_broker(broker)


@dramatiq.actor(max_retries=5, min_backoff=1, max_backoff=1, queue_name="peers")
def job(identity, pad):
    attempt = CurrentMessage.get_current_message().options.get("retries", 0) + 1
    common.write(identity, attempt)
    if not common.succeeds(identity, attempt):
        raise RuntimeError("not yet")


def push(args):
    wanted = common.parse(args)
    started = time.monotonic()
    for identity, pad, due in common.items(wanted):
        job.send_with_options(args=(identity, pad), delay=round(common.delay_ms(due)) or None)
    common.report(wanted, started)


def work():
    folder = os.path.dirname(os.path.abspath(__file__))
    program = os.path.join(os.path.dirname(sys.executable), "dramatiq")
    # Either process may fetch all twenty messages whose handlers are to hang.
    threads = 20 if common.hangs() else 16
    options = ["--processes", "2", "--threads", str(threads), "--path", folder]
    os.execv(program, [program, "dramatiq_peer", *options])


if __name__ == "__main__":
    push(sys.argv[2:]) if sys.argv[1] == "push" else work()

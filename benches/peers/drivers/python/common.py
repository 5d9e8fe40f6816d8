"""What the drivers in Python share: the messages to push, the handler, and the line that it writes."""

import argparse
import json
import os
import time

WARM_UP = 900_000_000
LAST_ATTEMPT = 3
PAYLOAD_BYTES = 100
HANG_SECONDS = 3600

_log = None


def parse(args):
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("--delay-until-ms", dest="due", type=int, default=0)
    parser.add_argument("--delay-ms", type=int, default=0)
    parser.add_argument("--spread-ms", dest="spread", type=int, default=0)
    parser.add_argument("--first-id", dest="first", type=int, default=0)
    push = parser.parse_args(args)
    if push.delay_ms:
        push.due = int(time.time() * 1000) + push.delay_ms
    return push


def items(push):
    """(id, padding, due in ms or 0) of each message."""
    pad = "x" * (PAYLOAD_BYTES - len('{"id":"","pad":""}') - 10)
    for index in range(push.count):
        due = push.due and push.due + push.spread * index / push.count
        yield f"{push.first + index:010}", pad, due


def delay_ms(due):
    return max(0.0, due - time.time() * 1000) if due else 0.0


def report(push, started):
    print(json.dumps({"seconds": time.monotonic() - started, "due_ms": push.due}), flush=True)


def write(identity, attempt):
    global _log
    if _log is None:
        _log = os.open(os.environ["PEER_LOG"], os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(_log, f"{time.time_ns() // 1000:016} {identity} {attempt:04}\n".encode())


def succeeds(identity, attempt):
    """Whether the handler is to succeed; hangs where it is to hang."""
    mode = os.environ.get("PEER_MODE")
    if mode == "hang":
        time.sleep(HANG_SECONDS)
    return mode != "retry" or attempt >= LAST_ATTEMPT or int(identity) >= WARM_UP


def hangs():
    return os.environ.get("PEER_MODE") == "hang"

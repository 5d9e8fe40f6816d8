"""beanstalkd, by a small client of its protocol: up to 100 commands a round trip on one connection."""

import json
import os
import socket
import sys
import time
import math

import common

BULK = 100
#: No other delay than whole seconds is possible; zero is no delay at all.
BACKOFF_SECONDS = 1


class Client:
    def __init__(self):
        host, port = os.environ["PEER_URL"].split("//")[1].split(":")
        self.socket = socket.create_connection((host, int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = self.socket.makefile("rb", buffering=1 << 16)

    def send(self, commands):
        self.socket.sendall(b"".join(commands))

    def line(self):
        line = self.reader.readline()
        if not line:
            raise ConnectionError("the server has closed the connection")
        return line.split()

    def put(self, items):
        """Puts each (body, delay in whole seconds)."""
        head = b"put 0 %d 120 %d\r\n"
        self.send([head % (delay, len(body)) + body + b"\r\n" for body, delay in items])
        for _ in items:
            answer = self.line()
            if answer[0] != b"INSERTED":
                raise RuntimeError(answer)

    def reserve(self, most):
        """Waits for one job, then takes as many more as are ready."""
        self.send([b"reserve\r\n"] + [b"reserve-with-timeout 0\r\n"] * (most - 1))
        jobs = []
        for _ in range(most):
            answer = self.line()
            if answer[0] == b"RESERVED":
                body = self.reader.read(int(answer[2]) + 2)
                jobs.append((answer[1], json.loads(body)["id"]))
        return jobs

    def finish(self, commands):
        self.send(commands)
        for command in commands:
            answer = self.line()
            if answer[0] not in (b"DELETED", b"RELEASED"):
                raise RuntimeError((command, answer))


def whole_seconds(due):
    """Rounded up, so that nothing comes early."""
    return math.ceil(common.delay_ms(due) / 1000)


def push(args):
    wanted = common.parse(args)
    client = Client()
    started = time.monotonic()
    bulk = []
    for identity, pad, due in common.items(wanted):
        body = json.dumps({"id": identity, "pad": pad}, separators=(",", ":")).encode()
        bulk.append((body, whole_seconds(due)))
        if len(bulk) == BULK:
            client.put(bulk)
            bulk = []
    client.put(bulk)
    common.report(wanted, started)


def handled(job, identity, attempts):
    """Runs the handler, and says by which command the job is settled; none for one that hangs."""
    attempts[identity] = attempts.get(identity, 0) + 1
    common.write(identity, attempts[identity])
    if common.hangs():
        return None
    if common.succeeds(identity, attempts[identity]):
        del attempts[identity]
        return b"delete %s\r\n" % job
    return b"release %s 0 %d\r\n" % (job, BACKOFF_SECONDS)


def work():
    client = Client()
    attempts = {}
    most = 1
    while True:
        jobs = client.reserve(most)
        # Asks for more only while there is more, so that an idle worker sends nothing.
        most = min(BULK, 2 * len(jobs))
        settled = [handled(job, identity, attempts) for job, identity in jobs]
        client.finish([command for command in settled if command])


if __name__ == "__main__":
    push(sys.argv[2:]) if sys.argv[1] == "push" else work()

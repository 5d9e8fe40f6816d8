"""One private server, and the drivers that work on it."""

import json
import os
import subprocess
import time

import processes
from processes import Failed

#: Messages from this number on only show that a worker is up.
WARM_UP = 900_000_000
LINE_BYTES = 33
#: A worker that has not handled its first message by then does not work.
WARM_SECONDS = 60
PUSH_SECONDS = 180
SETTLE_SECONDS = 0.7
LOOK_SECONDS = 0.01


class Log:
    """The lines that handlers write: (time in us, id, attempt)."""

    def __init__(self, path):
        self.path = path
        open(path, "wb").close()

    def count(self):
        return os.path.getsize(self.path) // LINE_BYTES

    def lines(self, warm=False):
        with open(self.path) as log:
            fields = (line.split() for line in log)
            lines = [(int(us), int(identity), int(attempt)) for us, identity, attempt in fields]
        return [line for line in lines if warm or line[1] < WARM_UP]


class Session:
    """`with Session(installed) as session`: what it starts ends with it."""

    def __init__(self, installed):
        self.installed = installed
        self.server = installed.peer.server()
        self.folder = self.server.folder.name
        self.worker = None
        self.log = None
        self.workers = 0
        self.warm = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill_worker()
        self.server.stop()

    def env(self, **more):
        return {**os.environ, **self.installed.env, "PEER_URL": self.server.url, **more}

    def push(self, count, *options):
        """Pushes, and returns what the driver reports: seconds, and the first due time in ms."""
        command = [*self.installed.command, "push", str(count), *map(str, options)]
        out = processes.run(command, PUSH_SECONDS, env=self.env(), cwd=self.folder)
        return json.loads(out.strip().splitlines()[-1])

    def push_warm(self):
        self.push(1, "--first-id", WARM_UP + self.warm)
        self.warm += 1

    def start_worker(self, mode="ok", defaults=False):
        self.workers += 1
        self.log = Log(f"{self.folder}/log-{self.workers}")
        env = self.env(PEER_LOG=self.log.path, PEER_MODE=mode)
        if defaults:
            env["PEER_DEFAULTS"] = "1"
        with open(f"{self.folder}/worker-{self.workers}", "wb") as output:
            command = [*self.installed.command, "work"]
            streams = {"stdout": output, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
            self.worker = processes.start(command, env=env, cwd=self.folder, **streams)

    def start_warm_worker(self, mode="ok"):
        """Starts a worker and waits until it has handled a message."""
        self.push_warm()
        self.start_worker(mode)
        self.wait(1, WARM_SECONDS)
        time.sleep(SETTLE_SECONDS)

    def kill_worker(self):
        if self.worker:
            processes.kill(self.worker)
        self.worker = None

    def wait(self, lines, seconds):
        """Waits until the log has so many lines; fails when it has not in time."""
        given_up = time.monotonic() + seconds
        while (found := self.log.count()) < lines:
            if self.worker.poll() is not None:
                raise Failed(f"the worker ended after {found} of {lines}: {self.last_words()}")
            if time.monotonic() > given_up:
                raise Failed(f"{found} of {lines} after {seconds} s")
            time.sleep(LOOK_SECONDS)

    def last_words(self):
        with open(f"{self.folder}/worker-{self.workers}", errors="replace") as output:
            lines = output.read().strip().splitlines()
        return lines[-1][:200] if lines else "no output"

"""Private servers on free loopback ports, and what they say about themselves."""

import os
import socket
import subprocess
import tempfile
import time

import processes

START_SECONDS = 10
TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    scheme = ""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="peers-")
        self.port = free_port()
        self.url = f"{self.scheme}://127.0.0.1:{self.port}"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = processes.start(self.command(), cwd=self.folder.name, **quiet)
        self.connection = self.connect()
        self.reader = self.connection.makefile("rb")

    def connect(self):
        given_up = time.monotonic() + START_SECONDS
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port), timeout=30)
            except OSError:
                if time.monotonic() > given_up or self.process.poll() is not None:
                    raise processes.Failed(f"{self.command()[0]} does not start") from None
                time.sleep(0.02)

    def stop(self):
        self.reader.close()
        self.connection.close()
        processes.kill(self.process)
        self.folder.cleanup()


class Redis(Server):
    scheme = "redis"

    def command(self):
        network = ["--bind", "127.0.0.1", "--port", str(self.port)]
        return ["redis-server", *network, "--save", "", "--appendonly", "no"]

    def info(self):
        self.connection.sendall(b"INFO\r\n")
        length = int(self.reader.readline()[1:])
        text = self.reader.read(length + 2).decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def cpu_us(self):
        info = self.info()
        return (float(info["used_cpu_user"]) + float(info["used_cpu_sys"])) * 1e6

    def memory(self):
        return int(self.info()["used_memory"])

    def commands(self):
        return int(self.info()["total_commands_processed"])


class Beanstalkd(Server):
    scheme = "beanstalk"

    def command(self):
        return ["beanstalkd", "-l", "127.0.0.1", "-p", str(self.port)]

    def cpu_us(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS * 1e6

    def memory(self):
        """Resident memory, as the server does not count its own."""
        with open(f"/proc/{self.process.pid}/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def commands(self):
        return None

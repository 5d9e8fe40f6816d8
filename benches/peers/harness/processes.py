"""Processes of our own: each in a session of its own, and none outlives the harness."""

import atexit
import os
import signal
import subprocess
import sys

_running = []


class Failed(Exception):
    """A step that did not work; the text is for the table."""


def start(command, **options):
    process = subprocess.Popen(command, start_new_session=True, **options)
    _running.append(process)
    return process


def kill(process):
    """Ends a process and all that it started: they share its process group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    if process in _running:
        _running.remove(process)


def run(command, timeout, **options):
    """Runs a command to its end and returns what it printed."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    name = " ".join(map(str, command[:4]))
    try:
        process = start(command, **pipes, **options)
    except OSError as error:
        raise Failed(f"{name}: {error}") from None
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise Failed(f"{name}: not done after {timeout} s") from None
    finally:
        kill(process)
    if process.returncode != 0:
        last = (err.strip() or out.strip() or "no output").splitlines()[-1]
        raise Failed(f"{name}: exit code {process.returncode}: {last[:200]}")
    return out


def kill_all():
    for process in list(_running):
        kill(process)


def end_with_us():
    atexit.register(kill_all)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))

"""The workloads. Each returns named numbers; a `Failed` says why there are none."""

import math
import time
from collections import Counter

from processes import Failed
from session import SETTLE_SECONDS, Session

DRAIN_SECONDS = 120
HOUR_MS = 3_600_000
HELD = 20


def percentile(values, share):
    """Nearest rank."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def lateness_ms(lines, due_ms):
    """How late each first attempt was; `due_ms` maps an id to its due time."""
    return [us / 1000 - due_ms(identity) for us, identity, attempt in lines if attempt == 1]


def spread(name, late):
    shares = {"min": min(late), "p50": percentile(late, 0.5), "p99": percentile(late, 0.99), "max": max(late)}
    return {f"{name}_{share}_ms": value for share, value in shares.items()}


def ready(installed, size, _quick):
    """W1, and the ready half of W5: push in bulk, then work."""
    count = size[0]
    with Session(installed) as session:
        session.push_warm()
        memory, cpu = session.server.memory(), session.server.cpu_us()
        pushed = session.push(count)
        numbers = {
            "push_bulk_per_s": count / pushed["seconds"],
            "push_bulk_cpu_us": (session.server.cpu_us() - cpu) / count,
        }
        time.sleep(SETTLE_SECONDS)
        numbers["ready_bytes"] = (session.server.memory() - memory) / count
        cpu = session.server.cpu_us()
        session.start_worker()
        session.wait(count + 1, DRAIN_SECONDS)
        time.sleep(SETTLE_SECONDS)
        numbers["work_cpu_us"] = (session.server.cpu_us() - cpu) / count
        times = [line[0] for line in session.log.lines(warm=True)]
        numbers["work_per_s"] = count / (max(times) - min(times)) * 1e6
    return numbers


def tasks(installed, size, _quick):
    """W1 by 1,000 tasks that each await their own push."""
    if not installed.peer.tasks:
        return {}
    with Session(installed) as session:
        session.push_warm()
        cpu = session.server.cpu_us()
        pushed = session.push(size[0], "--each")
        return {
            "push_tasks_per_s": size[0] / pushed["seconds"],
            "push_tasks_cpu_us": (session.server.cpu_us() - cpu) / size[0],
        }


def burst(installed, size, _quick):
    """W2: many messages due at the same moment, with a worker up."""
    count = size[1]
    trial = max(1, count // 10)
    with Session(installed) as session:
        trial_s = session.push(trial, "--delay-ms", HOUR_MS)["seconds"]
    with Session(installed) as session:
        session.start_warm_worker()
        # A whole second, as some peers know no others, with time for the push itself.
        due_ms = math.ceil(time.time() + 3 + 2 * trial_s * count / trial) * 1000
        session.push(count, "--delay-until-ms", due_ms)
        if time.time() * 1000 > due_ms:
            raise Failed("the push was not done when its messages were due")
        session.wait(count + 1, due_ms / 1000 - time.time() + DRAIN_SECONDS)
        late = lateness_ms(session.log.lines(), lambda _: due_ms)
        return {**spread("burst", late), "burst_handled": len(late)}


def single(session, number):
    """One message, due in 1 s, to an idle worker."""
    time.sleep(0.3)
    identity = 1_000_000 + number
    before = session.log.count()
    due_ms = session.push(1, "--delay-ms", 1000, "--first-id", identity)["due_ms"]
    session.wait(before + 1, 40)
    return lateness_ms(session.log.lines()[-1:], lambda _: due_ms)[0]


def sparse(installed, _size, quick):
    """W3: idle, then messages spread over some time, then single ones."""
    count, over_ms, idle_s, singles = (100, 4_000, 3, 3) if quick else (500, 20_000, 8, 10)
    with Session(installed) as session:
        session.start_warm_worker()
        time.sleep(2)
        numbers = {}
        if (commands := session.server.commands()) is not None:
            time.sleep(idle_s)
            # One of them is the second INFO.
            numbers["idle_commands_per_s"] = (session.server.commands() - commands - 1) / idle_s
        due_ms = math.ceil(time.time() + 4) * 1000
        session.push(count, "--delay-until-ms", due_ms, "--spread-ms", over_ms)
        session.wait(count + 1, over_ms / 1000 + 60)
        late = lateness_ms(session.log.lines(), lambda number: due_ms + over_ms * number / count)
        numbers.update(spread("sparse", late))
        given_up = time.monotonic() + 60
        late = []
        while len(late) < singles and time.monotonic() < given_up:
            late.append(single(session, len(late)))
        return {**numbers, "single_max_ms": max(late), "single_count": len(late)}


def retry(installed, size, _quick):
    """W4: fail, fail, succeed."""
    count = size[2]
    with Session(installed) as session:
        session.start_warm_worker("retry")
        cpu, started = session.server.cpu_us(), time.monotonic()
        session.push(count)
        session.wait(3 * count + 1, DRAIN_SECONDS)
        seconds = time.monotonic() - started
        time.sleep(SETTLE_SECONDS)
        attempts = Counter(identity for _, identity, _ in session.log.lines())
        exact = sum(1 for times in attempts.values() if times == 3)
        cpu = (session.server.cpu_us() - cpu) / count
        return {"retry_cpu_us": cpu, "retry_s": seconds, "retry_exact": exact}


def scheduled(installed, size, _quick):
    """The other half of W5: messages due in an hour."""
    with Session(installed) as session:
        session.push(1, "--delay-ms", HOUR_MS, "--first-id", 1_000_000)
        time.sleep(SETTLE_SECONDS)
        memory = session.server.memory()
        session.push(size[0], "--delay-ms", HOUR_MS)
        time.sleep(SETTLE_SECONDS)
        return {"scheduled_bytes": (session.server.memory() - memory) / size[0]}


def crash(installed, _size, quick):
    """W6: kill -9 of the worker while its handlers hang, and a new worker at once."""
    watched = 15 if quick else 100
    with Session(installed) as session:
        session.push(HELD)
        session.start_worker("hang", defaults=True)
        session.wait(HELD, 60)
        killed = time.time()
        session.kill_worker()
        session.start_worker(defaults=True)
        given_up = time.monotonic() + watched
        found = {}
        while len(found) < HELD and time.monotonic() < given_up:
            time.sleep(0.1)
            for us, identity, _ in session.log.lines():
                found.setdefault(identity, us / 1e6 - killed)
        numbers = {"crash_back": len(found), "crash_watched_s": watched}
        if len(found) == HELD:
            numbers["crash_s"] = max(found.values())
        return numbers


#: What is repeated, and what is run once because timers rule it.
REPEATED = {"W1": ready, "W1 tasks": tasks, "W2": burst, "W4": retry, "W5 scheduled": scheduled}
ONCE = {"W3": sparse, "W6": crash}

"""Runs every peer through the same workloads, one after another."""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

import install
import processes
import report
import workloads
from peers import PEERS
from processes import Failed

RESULTS = Path(__file__).resolve().parent.parent / "results"


def arguments():
    parser = argparse.ArgumentParser(prog="run.sh", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small N, to see whether everything works")
    parser.add_argument("--only", metavar="PEER,…", help=f"of {','.join(peer.name for peer in PEERS)}")
    parser.add_argument("--runs", type=int, default=3, help="how often W1, W2, W4 and W5 run; the median counts")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where to write")
    parser.add_argument("--note", default="", help="a remark for the results")
    chosen = parser.parse_args()
    names = chosen.only.split(",") if chosen.only else [peer.name for peer in PEERS]
    unknown = set(names) - {peer.name for peer in PEERS}
    if unknown:
        parser.error(f"no peer {', '.join(sorted(unknown))}")
    chosen.peers = [peer for peer in PEERS if peer.name in names]
    return chosen


def say(text):
    print(time.strftime("%H:%M:%S"), text, flush=True)


def load():
    return f"{os.getloadavg()[0]:.1f}"


def machine():
    with open("/proc/meminfo") as meminfo:
        gigabytes = int(meminfo.readline().split()[1]) / 1024**2
    return f"{os.cpu_count()} cores, {gigabytes:.0f} GB"


def attempt(result, step, workload, installed, chosen):
    """One workload of one peer; its failure is a result, too."""
    sizes = result["sizes"]
    try:
        numbers = workload(installed, sizes, chosen.quick)
    except Failed as error:
        result["failures"][step] = str(error)
        say(f"  {step}: {error}")
        return {}
    except (OSError, ValueError, LookupError) as error:
        result["failures"][step] = f"{type(error).__name__}: {error}"
        say(f"  {step}: {error!r}")
        return {}
    say(f"  {step}: " + ", ".join(f"{name} {value:,.1f}" for name, value in numbers.items()))
    return numbers


def measure(installed, result, chosen):
    runs = {}
    for _ in range(chosen.runs):
        for step, workload in workloads.REPEATED.items():
            for name, value in attempt(result, step, workload, installed, chosen).items():
                runs.setdefault(name, []).append(value)
    result["numbers"] = {name: statistics.median(values) for name, values in runs.items()}
    for step, workload in workloads.ONCE.items():
        result["numbers"].update(attempt(result, step, workload, installed, chosen))
    result["runs"] = runs


def main():
    chosen = arguments()
    processes.end_with_us()
    try:
        install.apt("redis-server", "redis-server")
        redis = processes.run(["redis-server", "--version"], 10).split("sha")[0].strip()
    except Failed as error:
        sys.exit(f"no Redis: {error}")
    meta = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "redis": redis, "runs": chosen.runs,
            "quick": chosen.quick, "note": chosen.note}
    ready = []
    results = []
    for peer in chosen.peers:
        say(f"installing {peer.title}")
        result = {"name": peer.name, "title": peer.title, "version": "", "bulk": peer.bulk, "numbers": {},
                  "settings": peer.settings, "sizes": peer.sizes(chosen.quick), "failures": {}}
        results.append(result)
        try:
            installed = install.install(peer)
            result["version"] = installed.version
            ready.append((installed, result))
        except Failed as error:
            result["failures"]["install"] = str(error)
            say(f"  {error}")
    meta["load_start"] = load()
    for installed, result in ready:
        say(installed.peer.title)
        measure(installed, result, chosen)
    meta["load_end"] = load()
    report.write(chosen.results, meta, results)
    say(f"written to {chosen.results}")


if __name__ == "__main__":
    main()

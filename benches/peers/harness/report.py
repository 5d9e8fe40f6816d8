"""What was measured, as a table in Markdown, as JSON, and as charts."""

import json

import charts

#: Per table: (heading, [(column, key of the number, decimals)]).
TABLES = [
    ("W1: push, and handle + acknowledge", [
        ("push/s, bulk", "push_bulk_per_s", 0), ("server CPU µs", "push_bulk_cpu_us", 1),
        ("push/s, 1,000 tasks", "push_tasks_per_s", 0), ("server CPU µs", "push_tasks_cpu_us", 1),
        ("work/s", "work_per_s", 0), ("server CPU µs", "work_cpu_us", 1)]),
    ("W2: N due at the same moment, lateness in ms", [
        ("first", "burst_min_ms", 0), ("p50", "burst_p50_ms", 0), ("p99", "burst_p99_ms", 0),
        ("max", "burst_max_ms", 0)]),
    ("W3: sparse messages, lateness in ms; an idle worker", [
        ("min", "sparse_min_ms", 1), ("p50", "sparse_p50_ms", 1), ("p99", "sparse_p99_ms", 1),
        ("max", "sparse_max_ms", 1), ("single, max", "single_max_ms", 1), ("singles", "single_count", 0),
        ("idle commands/s", "idle_commands_per_s", 1)]),
    ("W4: fail, fail, succeed", [
        ("server CPU µs", "retry_cpu_us", 0), ("exactly 3 attempts", "retry_exact", 0), ("seconds", "retry_s", 1)]),
    ("W5: server memory, bytes a message of 100 bytes", [
        ("ready", "ready_bytes", 0), ("scheduled", "scheduled_bytes", 0)]),
    ("W6: kill -9 while 20 handlers hang", [
        ("handled again", "crash_back", 0), ("all after s", "crash_s", 2), ("watched s", "crash_watched_s", 0)]),
]
#: Which N of (W1 and W5, W2, W4) belongs to a table.
SIZE = {"W1": 0, "W2": 1, "W4": 2, "W5": 0}
#: (file, title, key, decimals, logarithmic, whether more is better).
CHARTS = [
    ("push", "Push, messages a second (bulk)", "push_bulk_per_s", 0, False, True),
    ("push-tasks", "Push, messages a second (1,000 tasks, each awaits its own)", "push_tasks_per_s", 0, False, True),
    ("work", "Handle and acknowledge, messages a second", "work_per_s", 0, False, True),
    ("server-cpu", "Server CPU for take and acknowledge, µs a message", "work_cpu_us", 1, False, False),
    ("burst-lateness", "Burst: lateness p99, ms", "burst_p99_ms", 0, True, False),
    ("sparse-lateness", "Sparse: lateness p99, ms", "sparse_p99_ms", 1, True, False),
    ("memory", "Server memory, bytes a scheduled message", "scheduled_bytes", 0, False, False),
]


def cell(numbers, key, decimals):
    value = numbers.get(key)
    return "–" if value is None else f"{value:,.{decimals}f}"


def row(*cells):
    return f"| {' | '.join(cells)} |"


def table(heading, columns, results):
    workload = heading.split(":")[0]
    size = SIZE.get(workload)
    head = ["peer", *(["N"] if size is not None else []), *(name for name, _, _ in columns)]
    lines = [f"## {heading}", "", row(*head), row("---", *["---:"] * (len(head) - 1))]
    for result in results:
        if not any(key in result["numbers"] for _, key, _ in columns):
            continue
        sizes = [f"{result['sizes'][size]:,}"] if size is not None else []
        cells = (cell(result["numbers"], key, decimals) for _, key, decimals in columns)
        lines.append(row(result["title"], *sizes, *cells))
    return lines + [""]


def settings(results):
    lines = ["## Peers", "", row("peer", "version", "bulk push", "settings"), row(*["---"] * 4)]
    for result in results:
        lines.append(row(result["title"], result["version"], result["bulk"], result["settings"]))
    return lines + [""]


def failures(results):
    lines = ["## Not measured", ""]
    found = [
        f"- {result['title']}, {step}: {reason}"
        for result in results
        for step, reason in result["failures"].items()
    ]
    return lines + (found or ["Nothing: every peer went through every workload."]) + [""]


def markdown(meta, results):
    runs = "1 run" if meta["runs"] == 1 else f"median of {meta['runs']} runs"
    quick = ", **quick: too small to conclude anything from**" if meta["quick"] else ""
    lines = [
        "# Peers side by side", "",
        f"{meta['date']}, {meta['machine']}; {meta['redis']}; {runs}{quick}.", "",
        f"Load average at the start {meta['load_start']}, at the end {meta['load_end']}, our own included. "
        "The [README](../README.md) says how it is measured and what is unfair to whom.", ""]
    if meta["note"]:
        lines += [meta["note"], ""]
    for heading, columns in TABLES:
        lines += table(heading, columns, results)
    return "\n".join(lines + settings(results) + failures(results))


def write(folder, meta, results):
    folder.mkdir(exist_ok=True)
    (folder / "results.json").write_text(json.dumps({"meta": meta, "peers": results}, indent=1) + "\n")
    (folder / "table.md").write_text(markdown(meta, results))
    for name, title, key, decimals, logarithmic, more in CHARTS:
        bars = [(result["title"], result["numbers"].get(key)) for result in results]
        charts.write(folder / f"{name}.svg", title, bars, decimals, logarithmic, more)

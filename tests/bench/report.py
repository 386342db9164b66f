# SPDX-License-Identifier: MIT
"""What the results of tests/bench/run say: rows, ratios, tables by group."""
import statistics

import computer

GROUPS = {  # name: title, the goal against QEMU (times faster, at least), the goal against native (times slower, at most)
    "integer": ("Integer, calls, sorting, chasing, hashing", 1.4, 3.5),
    "floating": ("Floating point and SIMD", 10, 3.5),
    "memory": ("Memory copies and strings", 8, 2),
    "kernel": ("Kernel work", 2, None),
    "code": ("New, generated and mixed code", None, None),
    "threads": ("Two processors", None, None),
    "disk": ("Disk", None, None),
    "network": ("Network", None, None),
}


def cost(row):
    """Seconds for one time, the median of the turns."""
    return statistics.median(seconds / times for seconds, times in zip(row["seconds"], row["times"]))


def systems_of(workload):
    """(native's cost, lodge's, the better QEMU's, its name); None where there is none."""
    costs = {name: cost(row) for name, row in workload["systems"].items()}
    qemus = {name: value for name, value in costs.items() if name.startswith("QEMU")}
    better = min(qemus, key=qemus.get, default=None)
    lodge = next((value for name, value in costs.items() if name.startswith("lodge")), None)
    return costs["native"], lodge, qemus.get(better), better


def means(rows):
    """Geometric means of what lodge is over native, QEMU over native, QEMU over lodge, of those workloads that lodge can do."""
    able = [row for row in rows if row[2]]
    columns = [[row[k] for row in able if row[k]] for k in (2, 3, 4)]
    return [number(statistics.geometric_mean(column) if column else None) for column in columns]


def number(value, suffix=""):
    if value is None:
        return "-"
    return f"{value:.0f}{suffix}" if value >= 100 else f"{value:.1f}{suffix}" if value >= 10 else f"{value:.2f}{suffix}"


def line(name, workload):
    native, lodge, qemu, better = systems_of(workload)
    parts = [f"{name}: native {number(native * 1e6)} us"]
    if lodge:
        parts.append(f"lodge {number(lodge / native)} times as long")
    if qemu:
        parts.append(f"{better} {number(qemu / native)} times")
    return ", ".join(parts + [f"{who} lacks {what}" for who, what in workload["lacks"].items()])


def ratios(workloads):
    """[(name, native, lodge / native, QEMU / native, QEMU / lodge, which QEMU, million instructions a second)]"""
    rows = []
    for name, workload in workloads.items():
        native, lodge, qemu, better = systems_of(workload)
        rate = workload["instructions"] / lodge / 1e6 if lodge and workload["instructions"] else None
        rows.append((name, native, lodge and lodge / native, qemu and qemu / native, qemu and lodge and qemu / lodge, better, rate))
    return rows


def better_qemu(start):
    """The name of the QEMU that is faster in the median, or None."""
    names = [name for name in start if name.startswith("QEMU")]
    return min(names, key=lambda name: statistics.median(start[name]), default=None)


def start_table(start):
    qemu = better_qemu(start)
    lines = ["", "### Start to init", "", "| system | median s | all | times QEMU |", "|---|---|---|---|"]
    for name, times in start.items():
        ratio = f"{statistics.median(times) / statistics.median(start[qemu]):.2f}" if qemu else "-"
        lines.append(f"| {name} | {statistics.median(times):.2f} | {', '.join(f'{t:.2f}' for t in sorted(times))} | {ratio} |")
    return lines


def summary_table(by_group):
    lines = ["", "### Summary", "", "Geometric means of each group's workloads, of those that lodge can do. *Faster than QEMU* is QEMU's time over lodge's: below 1, QEMU is faster.", "",
             "| group | workloads | lodge / native | QEMU / native | faster than QEMU | goals: faster than QEMU, lodge / native |", "|---" * 6 + "|"]
    for group, rows in by_group.items():
        title, faster, slower = GROUPS[group]
        goals = f"{faster or '-'}, {slower or '-'}"
        lines.append(f"| {title} | {sum(1 for row in rows if row[2])} | " + " | ".join(means(rows)) + f" | {goals} |")
    return lines


def group_table(group, rows, workloads):
    rated = any(row[6] for row in rows)
    head = "| workload | native us | lodge / native | QEMU / native | faster than QEMU | QEMU's processor |" + (
        " lodge, million instructions/s |" if rated else "")
    lines = ["", f"### {GROUPS[group][0]}", "", head, "|---" * (7 if rated else 6) + "|"]
    for name, native, lodge, qemu, faster, better, rate in rows:
        lacks = next((f"lacks {what}" for who, what in workloads[name]["lacks"].items() if who.startswith("lodge")), "-")
        cells = [name, number(native * 1e6), number(lodge) if lodge else lacks, number(qemu), number(faster),
                 better.removeprefix("QEMU -cpu ") if better else "-"]
        lines.append("| " + " | ".join(cells + ([number(rate)] if rated else [])) + " |")
    lines.append("| *geometric mean* | | " + " | ".join(means(rows)) +
                 " | |" + (" |" if rated else ""))
    return lines


def pair_lines(pairs):
    if not pairs:
        return []
    medians = {name: statistics.median(values) for name, values in pairs.items()}
    return ["", "Two independent computations over one, median of " + f"{len(pairs['native'])} interleaved pairs: " + ", ".join(
        f"{name} {value:.2f} ({value / medians['native']:.2f} of native's)" for name, value in medians.items()) + "."]


def memory_lines(memory):
    lines = []
    for where, sizes in memory.items():
        lines += ["", f"lodge's memory beyond the guest's RAM (RssAnon + RssFile + page tables) after the workloads on {where}: " +
                  ", ".join(f"{name} {size / 1024:.1f} MiB" for name, size in sizes.items()) +
                  f"; together {sum(sizes.values()) / 1024:.1f} MiB."]
    return lines


def text(results):
    host, workloads = results["host"], results["workloads"]
    by_group = {}
    for group in GROUPS:
        rows = ratios({name: work for name, work in workloads.items() if work["group"] == group})
        if rows:
            by_group[group] = rows
    lines = [f"{results['date']}, {host['processor']}, {host['cores']} cores, load {host['load']:.1f} at the start and "
             f"{host['load_at_end']:.1f} at the end; lodge at {results['lodge']}, engine {results['engine']}; "
             f"{results['qemu'] or 'QEMU is not installed'}. The run took {results['took_s']} s."]
    if by_group:
        lines += summary_table(by_group)
    if results["start_to_init_s"]:
        lines += start_table(results["start_to_init_s"])
    lines += computer.boot_table(results.get("debian_s"))
    for group, rows in by_group.items():
        lines += group_table(group, rows, workloads)
    lines += pair_lines(results["two_computations_over_one"])
    for name, what in results["not_here"].items():
        lines += ["", f"Not run: {name}, since this host lacks {what}."]
    return "\n".join(lines + memory_lines(results["memory_kib"])) + "\n"

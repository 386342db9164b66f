# SPDX-License-Identifier: MIT
"""A picture of the results of tests/bench/run: how many times slower than native lodge and QEMU are, workload by workload."""
import math
from xml.sax.saxutils import escape

import report

LEFT, WIDTH, ROW, TOP = 170, 640, 15, 54
LODGE, TCG, GREY = "#0a7d5a", "#c2571a", "#8a8a8a"
STYLE = ("<style>text{font:11px sans-serif;fill:#333}.title{font-size:14px;font-weight:bold}.group{font-weight:bold}"
         ".end{text-anchor:end}.middle{text-anchor:middle}</style>")


def draw(results):
    groups = {}
    for group, (title, *_) in report.GROUPS.items():
        rows = report.ratios({name: work for name, work in results["workloads"].items() if work["group"] == group})
        if rows:
            groups[title] = rows
    values = [row[k] for rows in groups.values() for row in rows for k in (2, 3) if row[k]]
    decades = max(1, math.ceil(math.log10(max(values, default=10))))
    low = -0.3  # some are faster than native on a busy host
    count = sum(len(rows) + 2 for rows in groups.values())
    height = TOP + ROW * count + 20

    def across(value):
        return LEFT + WIDTH * (max(math.log10(value), low) - low) / (decades - low)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 30} {height}" '
             f'width="{LEFT + WIDTH + 30}" height="{height}">', STYLE, '<rect width="100%" height="100%" fill="#fff"/>',
             '<text class="title" x="10" y="18">Times slower than native (logarithmic; left is better)</text>',
             f'<circle cx="16" cy="33" r="4.5" fill="{LODGE}"/><text x="26" y="37">lodge, engine {escape(results["engine"])}</text>',
             f'<circle cx="176" cy="33" r="4.5" fill="{TCG}"/><text x="186" y="37">QEMU TCG, the better of two processors</text>']
    for power in range(decades + 1):
        x = across(10 ** power)
        parts.append(f'<line x1="{x:.1f}" y1="{TOP - 4}" x2="{x:.1f}" y2="{height - 20}" stroke="#ddd"/>')
        parts.append(f'<text class="middle" x="{x:.1f}" y="{height - 6}">{10 ** power}</text>')
    y = TOP
    for title, rows in groups.items():
        y += ROW
        parts.append(f'<text class="group" x="10" y="{y + 4}">{escape(title)}</text>')
        y += ROW
        for name, _, lodge, qemu, *_ in rows:
            parts.append(f'<text class="end" x="{LEFT - 10}" y="{y + 4}">{escape(name)}</text>')
            if lodge and qemu:
                parts.append(f'<line x1="{across(lodge):.1f}" y1="{y}" x2="{across(qemu):.1f}" y2="{y}" stroke="{GREY}"/>')
            for value, colour in ((qemu, TCG), (lodge, LODGE)):
                if value:
                    parts.append(f'<circle cx="{across(value):.1f}" cy="{y}" r="4.5" fill="{colour}"/>')
            y += ROW
    return "\n".join(parts + ["</svg>"]) + "\n"

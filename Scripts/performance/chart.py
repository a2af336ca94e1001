"""A bar chart of ratios as SVG, readable on light and on dark ground."""

import math
from html import escape

COLOURS = {
    "hp": "#8b949e",
    "kpass": "#2a9d8f",
    "mefs": "#3b82f6",
    "mefs-off": "#8b5cf6",
    "peer": "#e07b39",
}
LABELS = {
    "hp": "hp",
    "kpass": "kpass",
    "mefs": "MEFS",
    "mefs-off": "MEFS, passthrough=off",
    "peer": "best peer",
}
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f }
.small { font-size: 10px; fill: #57606a }
.rule { stroke: #d0d7de } .one { stroke: #57606a }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .small { fill: #9198a1 } .rule { stroke: #3d444d } .one { stroke: #9198a1 }
}
"""
LEFT, WIDTH, RIGHT = 170, 560, 60
BAR, GAP = 7, 9
# Ratios beyond are drawn as if they were these.
LEAST, MOST = 0.001, 10


def place(ratio):
    """Where a ratio is drawn, on a scale of powers of ten."""
    part = math.log10(min(max(ratio, LEAST), MOST) / LEAST) / math.log10(MOST / LEAST)
    return LEFT + WIDTH * part


def draw(groups, title):
    """SVG of `groups`: pairs of a label and a list of (series, ratio to ext4)."""
    top = 64
    heights = [len(bars) * BAR + GAP for _, bars in groups]
    height = top + sum(heights) + 30
    width = LEFT + WIDTH + RIGHT
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
        f' aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        f'<text x="{LEFT}" y="16">{escape(title)}</text>',
    ]
    used = [series for series in COLOURS if any(series == s for _, bars in groups for s, _ in bars)]
    x = LEFT
    for series in used:
        out.append(f'<rect x="{x}" y="27" width="10" height="10" fill="{COLOURS[series]}"/>')
        out.append(f'<text class="small" x="{x + 14}" y="36">{escape(LABELS[series])}</text>')
        x += 28 + 6 * len(LABELS[series])
    bottom = height - 24
    for power in range(-3, 2):
        x = place(10.0**power)
        kind = "one" if power == 0 else "rule"
        out.append(f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="50" y2="{bottom}"/>')
        out.append(
            f'<text class="small" x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">'
            f"{10.0 ** power:g}</text>"
        )
    y = top
    for (label, bars), room in zip(groups, heights):
        middle = y + len(bars) * BAR / 2 + 4
        out.append(
            f'<text x="{LEFT - 8}" y="{middle:.1f}" text-anchor="end">{escape(label)}</text>'
        )
        for index, (series, ratio) in enumerate(bars):
            end = place(ratio)
            above = y + index * BAR
            out.append(
                f'<rect x="{LEFT}" y="{above}" width="{max(end - LEFT, 1):.1f}" height="{BAR - 1}"'
                f' fill="{COLOURS[series]}"><title>{escape(LABELS[series])}: {ratio:.3g}</title></rect>'
            )
            if series == "mefs":
                out.append(f'<text class="small" x="{end + 4:.1f}" y="{above + BAR}">{ratio:.2g}</text>')
        y += room
    out.append("</svg>")
    return "\n".join(out) + "\n"

"""Bar charts as SVG, readable on light and dark ground."""

import math
from html import escape

LABEL, BARS, NUMBER = 180, 460, 100
BAR, STEP, TOP = 18, 28, 58
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: 600 }
.small { font-size: 11px; fill: #59636e }
.ground { fill: #ffffff }
.bar { fill: #8c959f }
.ours { fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .small { fill: #9198a1 }
  .ground { fill: #0d1117 }
  .bar { fill: #656c76 }
  .ours { fill: #4493f8 }
}
"""


def width(value, values, logarithmic):
    """The bar's share of the widest."""
    if not logarithmic:
        return max(0.0, value) / max(values)
    low = min(1.0, *(each for each in values if each > 0))
    return max(0.01, math.log10(max(value, low) / low) / math.log10(max(values) / low))


def bar(index, label, value, share, decimals):
    y = TOP + index * STEP
    middle = y + BAR - 4
    long = BARS * share
    kind = "ours" if label == "redeliver" else "bar"
    return (
        f'<text x="{LABEL - 8}" y="{middle}" text-anchor="end">{escape(label)}</text>'
        f'<rect class="{kind}" x="{LABEL}" y="{y}" width="{long:.1f}" height="{BAR}" rx="2"/>'
        f'<text x="{LABEL + long + 6:.1f}" y="{middle}">{value:,.{decimals}f}</text>'
    )


def chart(title, bars, decimals, logarithmic, more):
    """Bars from the best to the worst; a peer without a number is left out."""
    bars = sorted((each for each in bars if each[1] is not None), key=lambda each: each[1], reverse=more)
    values = [value for _, value in bars]
    high = TOP + STEP * len(bars) + 8
    wide = LABEL + BARS + NUMBER
    hint = ("longer is better" if more else "shorter is better") + (", logarithmic scale" if logarithmic else "")
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" '
        f'role="img"><title>{escape(title)}</title><style>{STYLE}</style>',
        f'<rect class="ground" width="{wide}" height="{high}" rx="6"/>',
        f'<text class="title" x="16" y="26">{escape(title)}</text>',
        f'<text class="small" x="16" y="44">{hint}</text>',
    ]
    for index, (label, value) in enumerate(bars):
        lines.append(bar(index, label, value, width(value, values, logarithmic), decimals))
    return "\n".join(lines + ["</svg>"]) + "\n"


def write(path, title, bars, decimals, logarithmic, more):
    if any(value is not None for _, value in bars):
        path.write_text(chart(title, bars, decimals, logarithmic, more))
    else:
        path.unlink(missing_ok=True)

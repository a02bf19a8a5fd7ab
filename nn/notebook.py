"""HTML tables and small SVG curves for notebooks, written by hand, so that no plotting library is needed.

Every text that comes from outside is escaped: a data set named `<script>` does nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

Line = tuple[NDArray[Any], NDArray[Any]]  # x and y, both (n,)

WIDTH, HEIGHT = 380, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 12, 10, 34
MOST_POINTS = 300
"""The number of points, about, to which a longer line is thinned out."""

# Okabe & Ito (2008), Color Universal Design; the text has the notebook's own colour, for dark themes.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
_DASHES = ("", "6 3", "2 3", "8 3 2 3", "1 3")


def html_table(rows: Iterable[Sequence[object]], headings: Sequence[object] = ()) -> str:
    """Return an HTML table; every cell is escaped.

    >>> html_table([["a<b", 1]])
    '<table style="white-space: nowrap"><tr><td>a&lt;b</td><td>1</td></tr></table>'
    """
    head = [f"<tr>{''.join(f'<th>{escape(str(cell))}</th>' for cell in headings)}</tr>"] if headings else []
    body = [f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows]
    return "".join(['<table style="white-space: nowrap">', *head, *body, "</table>"])


def html_box(kind: str, title: str, inside: str = "") -> str:
    """Return the view of an object: its kind, a title, and HTML that scrolls where it is wider than the page."""
    return f'<div style="overflow-x: auto"><b>{escape(kind)}</b>: {escape(title)}{inside}</div>'


def svg_curves(
    lines: Mapping[str, Line],
    x_label: str,
    y_label: str,
    *,
    log_x: bool = False,
    log_y: bool = False,
    dots: bool = False,
) -> str:
    """Return an SVG picture of lines by name, "" where no point of any is finite (and positive, on a log axis)."""
    thinned = {name: _thinned(*line, log_x, log_y) for name, line in lines.items()}
    kept = {name: line for name, line in thinned.items() if np.isfinite(line[0] * line[1]).any()}
    if not kept:
        return ""
    (x_low, x_high), x_marks = _range([x for x, _ in kept.values()])
    (y_low, y_high), y_marks = _range([y for _, y in kept.values()])
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT + 16 * len(kept)}" role="img" '
        f'font-family="sans-serif" font-size="11" fill="currentColor">',
        f"<title>{escape(y_label)} against {escape(x_label)}</title>",
        f'<path d="M{_LEFT} {_TOP}V{bottom}H{right}" fill="none" stroke="currentColor" stroke-opacity="0.5"/>',
        _text((_LEFT + right) / 2, bottom + 28, x_label, "middle"),
    ]
    for share, value in x_marks:
        anchor = {0.0: "start", 1.0: "end"}.get(share, "middle")
        parts.append(_text(_LEFT + share * (right - _LEFT), bottom + 14, _number(value, log_x), anchor))
    for share, value in y_marks:
        parts.append(_text(_LEFT - 4, bottom - share * (bottom - _TOP - 9), _number(value, log_y), "end"))
    for i, (name, (x, y)) in enumerate(kept.items()):
        across = _LEFT + (right - _LEFT) * (x - x_low) / (x_high - x_low)
        up = bottom - (bottom - _TOP) * (y - y_low) / (y_high - y_low)
        colour, dash = _COLOURS[i % len(_COLOURS)], _DASHES[i % len(_DASHES)]
        style = f'fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"'
        parts.append(f'<path d="{_path(across, up)}" {style}/>')
        if dots:
            pairs = zip(across, up, strict=True)
            parts += [
                f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.5" fill="{colour}"/>' for a, b in pairs if math.isfinite(a * b)
            ]
        level = HEIGHT + 16 * i + 4
        parts.append(f'<path d="M{_LEFT} {level}h24" {style}/>')
        parts.append(_text(_LEFT + 30, level + 4, name, "start"))
    return "".join([*parts, "</svg>"])


def _thinned(x: NDArray[Any], y: NDArray[Any], log_x: bool, log_y: bool) -> Line:
    """Return a line on the axes' scales, with NaN for points that have no place on them."""
    every = max(1, len(x) // MOST_POINTS)
    kept = np.unique(np.append(np.arange(0, len(x), every), len(x) - 1)) if len(x) else np.arange(0)
    return _scaled(np.asarray(x, dtype=np.float64)[kept], log_x), _scaled(np.asarray(y, dtype=np.float64)[kept], log_y)


def _scaled(values: NDArray[np.float64], log: bool) -> NDArray[np.float64]:
    if not log:
        return np.where(np.isfinite(values), values, np.nan)
    usable = np.isfinite(values) & (values > 0)
    return np.where(usable, np.log10(np.where(usable, values, 1.0)), np.nan)


def _range(parts: Sequence[NDArray[np.float64]]) -> tuple[tuple[float, float], list[tuple[float, float]]]:
    """Return the ends of an axis, and its marks: (share of its length, value) of both ends, or of the one value."""
    values = np.concatenate(parts)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return ((low, high), [(0.0, low), (1.0, high)]) if high > low else ((low - 0.5, high + 0.5), [(0.5, low)])


def _path(across: NDArray[np.float64], up: NDArray[np.float64]) -> str:
    """Return the path through the points, interrupted where one is not finite."""
    words, pen_down = [], False
    for a, b in zip(across, up, strict=True):
        if math.isfinite(a * b):
            words.append(f"{'L' if pen_down else 'M'}{a:.1f} {b:.1f}")
            pen_down = True
        else:
            pen_down = False
    return "".join(words)


def _number(value: float, log: bool) -> str:
    return f"{10**value if log else value:.3g}"


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(text)}</text>'

"""The figures of the report, as the plain dicts that plotly.js draws.

Points and lines carry the place of their setting as `customdata`, -1 where its curves are not in the report: the page's
script shows the curves of what is clicked.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tuning.plots.axes import BELOW, LOG_RATIO, Axis, shown, words
from tuning.plots.style import COLOURS, SEQUENTIAL
from tuning.report.material import Material, Point
from tuning.store import DIVERGED

MOST_LINES = 400
MOST_AXES = 8
MOST_BINS = 8
GREY = "#767676"


@dataclass(frozen=True)
class Figure:
    """A figure for plotly.js: traces and layout, with a title, a caption and the text that is read out in its place."""

    title: str
    alt: str
    caption: str
    traces: list[dict[str, Any]]
    layout: dict[str, Any]
    height: int = 460
    width: int = 0  # it does not get narrower than this, in pixels


def heat_map(m: Material) -> Figure | str:
    """Return the best score for each pair of values of two hyper-parameters, or why there is none."""
    first = [name for name in ("learning_rate", "batch_size") if name in m.varying]
    names = [*first, *(name for name in m.varying if name not in first)][:2]
    if len(names) < 2:
        return "It takes two hyper-parameters that were varied."
    (x_texts, x_of), (y_texts, y_of) = (m.axis(name).bins(MOST_BINS) for name in names)
    found: dict[tuple[int, int], list[Point]] = {}
    for point in m.points:
        if all(name in point.params for name in names):
            cell = y_of[point.params[names[1]]], x_of[point.params[names[0]]]
            found.setdefault(cell, []).append(point)
    best = {cell: members[0] for cell, members in found.items() if members[0].rank is not None}
    if not best:
        return "No setting is ranked."
    shape = [[(i, j) for j in range(len(x_texts))] for i in range(len(y_texts))]
    few = len(x_texts) * len(y_texts) <= 150
    trace = {
        "type": "heatmap",
        "x": list(range(len(x_texts))),
        "y": list(range(len(y_texts))),
        "z": [[best[cell].score if cell in best else None for cell in row] for row in shape],
        "text": [[hover(m, best[cell], len(found[cell])) if cell in best else "" for cell in row] for row in shape],
        "customdata": [[place(best[cell]) if cell in best else -1 for cell in row] for row in shape],
        "texttemplate": "%{z:.3f}" if few else "",
        "hovertemplate": "%{text}<extra></extra>",
        "hoverongaps": False,
        "colorscale": SEQUENTIAL.capitalize(),
        "reversescale": not m.larger,
        "xgap": 2,
        "ygap": 2,
        "showscale": len({point.score for point in best.values()}) > 1,
        "colorbar": {"title": {"text": safe(words(m.metric)), "side": "right"}, "thickness": 14},
        **_colour_ends([point.score for point in best.values() if point.score is not None], larger=m.larger),
    }
    empty = {cell: members[0] for cell, members in found.items() if cell not in best}
    marks = {
        "type": "scatter", "mode": "text", "showlegend": False,
        "x": [j for _, j in empty], "y": [i for i, _ in empty],
        "text": ["✕" if point.state == DIVERGED else "–" for point in empty.values()],
        "textfont": {"size": 18, "color": [COLOURS[1] if p.state == DIVERGED else GREY for p in empty.values()]},
        "customdata": [place(point) for point in empty.values()],
        "hovertext": [hover(m, point) for point in empty.values()], "hoverinfo": "text",
    }  # fmt: skip
    clipped = "zmin" in trace
    layout = layout_of(
        xaxis=_level_axis(names[0], x_texts), yaxis=_level_axis(names[1], y_texts), plot_bgcolor="#f1f1f1"
    )
    top = m.points[0]
    alt = (
        f"Heat map of the best {words(m.metric)} for {len(x_texts)} values of {words(names[0])} and {len(y_texts)} of "
        f"{words(names[1])}; the best, {top.score:.4f}, is at {shown(top.params.get(names[0]))} and "
        f"{shown(top.params.get(names[1]))}. {len(empty)} pairs have no setting that completed."
    )
    caption = "Each cell has the best of the settings that share both values"
    caption += ": light is better. " if m.larger else ", and a lower score is better: light is better. "
    caption += "Scores far behind share the darkest colour. " if clipped else ""
    caption += "✕ diverged, – ended before its last epoch; grey was not tried. Click a cell for its curves."
    title = f"{words(names[0]).capitalize()} × {words(names[1])}"
    height, width = max(320, 150 + 38 * len(y_texts)), 70 * len(x_texts) if few else 0
    return Figure(title, alt, caption, [trace, marks] if empty else [trace], layout, height, width)


def parallel_coordinates(m: Material) -> Figure | str:
    """Return a line for each setting through all that was varied to its score, or why there is none."""
    if not m.varying or not m.points:
        return "No hyper-parameter was varied."
    axes = [m.axis(name) for name in reversed(m.varying[:MOST_AXES])]
    scores = sorted(point.score for point in m.points if point.rank is not None and point.score is not None)
    is_log = not m.larger and bool(scores) and scores[-1] > LOG_RATIO * scores[0] > 0
    score_axis = Axis(m.metric, "log" if is_log else "linear", tuple(scores) or (0.0,))
    kinds: dict[str, tuple[list[Point], dict[str, Any]]] = {
        "diverged": ([], {"color": COLOURS[1], "width": 1, "dash": "dot"}),
        "not finished": ([], {"color": GREY, "width": 1, "dash": "dash"}),
        "lower half": ([], {"color": "#c4c4c4", "width": 1}),
        "upper half": ([], {"color": COLOURS[4], "width": 1.2}),
        "best tenth": ([], {"color": COLOURS[0], "width": 2.2}),
    }
    for point in thinned(m.points, MOST_LINES):
        kinds[_class_of(point, len(scores))][0].append(point)
    traces: list[dict[str, Any]] = []
    for kind, (points, line) in kinds.items():
        if points:
            lines = _polylines(m, points, axes, score_axis)
            traces.append({"type": "scatter", "mode": "lines", "name": kind, "line": line, **lines})
    every = [*axes, score_axis]
    layout = layout_of(
        xaxis={
            "tickvals": list(range(len(every))),
            "ticktext": [safe(words(axis.name)) for axis in every],
            "range": [-0.3, len(every) - 0.5],
            "side": "top",
            "showgrid": False,
            "showline": False,
            "fixedrange": True,
        },
        yaxis={"visible": False, "range": [-0.16, 1.05], "fixedrange": True},
        shapes=[_upright(i) for i in range(len(every))],
        annotations=[
            note
            for i, axis in enumerate(every if scores else axes)
            for note in _marks(axis, i, axis is score_axis and not m.larger)
        ],
        showlegend=True,
        legend={"orientation": "h", "y": 0, "yanchor": "top", "x": 0, "traceorder": "reversed"},
        margin={"l": 16, "r": 16, "t": 36, "b": 40},
    )
    left_out = len(m.points) - sum(len(points) for points, _ in kinds.values())
    caption = "A line is a setting; further to the right stands what explains more, at the end the score, best on top."
    caption += " What did not complete, and what a setting does not have, is below the axis."
    unseen = len(m.varying) - len(axes)
    caption += f" {unseen:,} hyper-parameters that explain less are left out." if unseen else ""
    caption += f" {left_out:,} settings of the middle field are left out." if left_out else ""
    caption += " Click a line for its learning curves, or a name in the legend to hide its lines."
    alt = (
        f"Parallel coordinates of {len(m.points) - left_out:,} settings over {', '.join(words(a.name) for a in every)}."
    )
    return Figure("Every setting as a line", alt, caption, traces, layout, 480, 110 * len(every))


def thinned(points: Sequence[Point], most: int) -> list[Point]:
    """Return at most so many points: the better half of them are the best there are, the others are spread evenly."""
    if len(points) <= most:
        return list(points)
    best = most // 2
    step = (len(points) - best) / (most - best)
    return [*points[:best], *(points[best + int(i * step)] for i in range(most - best))]


# -- the parts of parallel coordinates -----------------------------------------------------------------------------


def _class_of(point: Point, ranked: int) -> str:
    if point.rank is None:
        return "diverged" if point.state == DIVERGED else "not finished"
    share = point.rank / ranked
    return "best tenth" if share <= 0.1 or point.rank == 1 else "upper half" if share <= 0.5 else "lower half"


def _polylines(m: Material, points: Sequence[Point], axes: Sequence[Axis], score_axis: Axis) -> dict[str, Any]:
    """Return the lines of some settings as one trace, with gaps between them."""
    x: list[float | None] = []
    y: list[float | None] = []
    places: list[int] = []
    texts: list[str] = []
    for point in points:
        heights = [axis.share(point.params[axis.name]) if axis.name in point.params else BELOW for axis in axes]
        heights.append(score_axis.share(point.score, downward=not m.larger) if point.rank is not None else BELOW)
        x += [*range(len(heights)), None]
        y += [*(round(height, 4) for height in heights), None]
        places += [place(point)] * (len(heights) + 1)
        texts += [hover(m, point)] * (len(heights) + 1)
    return {"x": x, "y": y, "customdata": places, "text": texts, "hovertemplate": "%{text}<extra></extra>"}


def _marks(axis: Axis, i: int, downward: bool = False) -> list[dict[str, Any]]:
    """Return the texts beside one of the upright axes."""
    values, texts = axis.ticks()
    look = {"xref": "x", "yref": "y", "showarrow": False, "xanchor": "left", "xshift": 5, "font": {"size": 12}}
    return [
        {
            **look,
            "x": i,
            "y": axis.share_of(value, downward=downward),
            "text": safe(text),
            "bgcolor": "rgba(255,255,255,0.8)",
        }
        for value, text in zip(values, texts, strict=True)
    ]


def _upright(i: int) -> dict[str, Any]:
    return {
        "type": "line", "x0": i, "x1": i, "y0": 0, "y1": 1, "layer": "below", "line": {"color": GREY, "width": 1},
    }  # fmt: skip


# -- what they share -----------------------------------------------------------------------------------------------


def place(point: Point) -> int:
    """Return what a click on a point leads to."""
    return point.place if point.listed else -1


def hover(m: Material, point: Point, among: int = 1) -> str:
    """Return what a point says to the mouse."""
    text = point.text(m.metric) + (f"\nthe best of {among:,} settings here" if among > 1 else "")
    return safe(text).replace("\n", "<br>")


def safe(text: str) -> str:
    """Return a text for plotly, which reads some HTML in texts."""
    return html.escape(text, quote=False)


def axis_title(name: str) -> dict[str, Any]:
    """Return the title of an axis; without the distance, it is drawn over wide marks."""
    return {"text": safe(words(name)), "standoff": 10}


def _level_axis(name: str, texts: Sequence[str]) -> dict[str, Any]:
    return {
        "title": axis_title(name), "tickvals": list(range(len(texts))), "ticktext": [safe(t) for t in texts],
        "showgrid": False, "tickfont": {"size": 12}, "range": [-0.5, len(texts) - 0.5],
    }  # fmt: skip


def _colour_ends(scores: Sequence[float], *, larger: bool) -> dict[str, float]:
    """Return ends of the colours that leave the good scores apart, where a few bad ones lie far away."""
    if len(scores) < 4:
        return {}
    ordered = sorted(scores, reverse=larger)
    best, middle, worst = ordered[0], ordered[len(ordered) // 2], ordered[-1]
    if middle == best or math.isclose(best, worst) or abs(worst - best) <= 6 * abs(middle - best):
        return {}
    beyond = best + 4 * (middle - best)
    return {"zmin": min(best, beyond), "zmax": max(best, beyond)}


def layout_of(**parts: Any) -> dict[str, Any]:
    """Return a layout in the look of all figures, with these axes and other parts."""
    plain: dict[str, Any] = {
        "font": {"family": "system-ui, sans-serif", "size": 14, "color": "#1a1a1a"},
        "margin": {"l": 64, "r": 16, "t": 36, "b": 52},
        "hovermode": "closest",
        "hoverlabel": {"align": "left", "bgcolor": "#ffffff", "font": {"size": 13}},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
    }
    look = {"gridcolor": "#e4e4e4", "linecolor": "#999999", "zeroline": False, "automargin": True}
    return {**plain, **{name: {**look, **part} if "axis" in name else part for name, part in parts.items()}}

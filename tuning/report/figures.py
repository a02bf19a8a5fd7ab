"""The figures of the report, as the plain dicts that plotly.js draws.

Points and lines carry the place of their setting as `customdata`, -1 where its curves are not in the report: the page's
script shows the curves of what is clicked.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from tuning import charts
from tuning.charts import COLOURS, SEQUENTIAL, ParallelLines, ScoredSetting, words
from tuning.report.material import Material
from tuning.space import shown
from tuning.store import DIVERGED

MOST_LINES = 400
MOST_AXES = 8
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
    if len(m.varied) < 2:
        return "It takes two hyper-parameters that were varied."
    if not m.scores.ranked:
        return "No setting is ranked."
    chart, larger = charts.heat_map(m.scores, names=m.varied), m.scores.larger
    scores = [setting.score for setting in chart.best.values() if setting.score is not None]
    grid = [[chart.best.get((i, j)) for j in range(len(chart.columns))] for i in range(len(chart.rows))]
    among = {setting.place: len(chart.cells[cell]) for cell, setting in chart.best.items()}
    few = len(chart.columns) * len(chart.rows) <= 150
    colours = _colour_ends(scores, larger=larger)
    trace: dict[str, Any] = {
        "type": "heatmap", "x": list(range(len(chart.columns))), "y": list(range(len(chart.rows))),
        "z": [[each and each.score for each in row] for row in grid], "texttemplate": "%{z:.3f}" if few else "",
        "text": [[hover(m, each, among[each.place]) if each else "" for each in row] for row in grid],
        "customdata": [[place(m, each) if each else -1 for each in row] for row in grid],
        "hovertemplate": "%{text}<extra></extra>", "hoverongaps": False, "xgap": 2, "ygap": 2,
        "colorscale": SEQUENTIAL.capitalize(), "reversescale": not larger, "showscale": len(set(scores)) > 1,
        "colorbar": {"title": {"text": safe(words(m.metric)), "side": "right"}, "thickness": 14}, **colours,
    }  # fmt: skip
    empty = chart.unranked
    first = [chart.cells[cell][0] for cell in empty]
    marks = {
        "type": "scatter", "mode": "text", "showlegend": False,
        "x": [j for _, j in empty], "y": [i for i, _ in empty],
        "text": ["✕" if diverged else "–" for diverged in empty.values()],
        "textfont": {"size": 18, "color": [COLOURS[1] if diverged else GREY for diverged in empty.values()]},
        "customdata": [place(m, setting) for setting in first],
        "hovertext": [hover(m, setting) for setting in first], "hoverinfo": "text",
    }  # fmt: skip
    layout = layout_of(
        xaxis=_level_axis(chart.x, chart.columns), yaxis=_level_axis(chart.y, chart.rows), plot_bgcolor="#f1f1f1"
    )
    top = m.scores.settings[0]
    x, y = words(chart.x), words(chart.y)
    alt = (
        f"Heat map of the best {words(m.metric)} for {len(chart.columns)} values of {x} and {len(chart.rows)} of {y}; "
        f"the best, {top.score:.4f}, is at {shown(top.params.get(chart.x))} and {shown(top.params.get(chart.y))}. "
        f"{len(empty)} pairs have no setting that completed."
    )
    caption = "Each cell has the best of the settings that share both values"
    caption += ": light is better. " if larger else ", and a lower score is better: light is better. "
    caption += "Scores far behind share the darkest colour. " if colours else ""
    caption += "✕ diverged, – ended before its last epoch; grey was not tried. Click a cell for its curves."
    height, width = max(320, 150 + 38 * len(chart.rows)), 70 * len(chart.columns) if few else 0
    traces = [trace, marks] if empty else [trace]
    return Figure(f"{x.capitalize()} × {y}", alt, caption, traces, layout, height, width)


def parallel_coordinates(m: Material) -> Figure | str:
    """Return a line for each setting through all that was varied to its score, or why there is none."""
    if not m.varied:
        return "No hyper-parameter was varied."
    settings, ranked = thinned(m.scores.settings, MOST_LINES), len(m.scores.ranked)
    chart = charts.parallel_lines(m.scores, reversed(m.varied[:MOST_AXES]), settings)
    looks: dict[str, dict[str, Any]] = {
        "diverged": {"color": COLOURS[1], "width": 1, "dash": "dot"},
        "not finished": {"color": GREY, "width": 1, "dash": "dash"},
        "lower half": {"color": "#c4c4c4", "width": 1},
        "upper half": {"color": COLOURS[4], "width": 1.2},
        "best tenth": {"color": COLOURS[0], "width": 2.2},
    }
    members: dict[str, list[int]] = {kind: [] for kind in looks}
    for i, setting in enumerate(settings):
        members[_class_of(setting, ranked)].append(i)
    traces = [
        {"type": "scatter", "mode": "lines", "name": kind, "line": looks[kind], **_polylines(m, chart, lines)}
        for kind, lines in members.items()
        if lines
    ]
    axes = len(chart.axes)
    layout = layout_of(
        xaxis={
            "tickvals": list(range(axes)), "ticktext": [safe(words(axis.name)) for axis in chart.axes], "side": "top",
            "range": [-0.3, axes - 0.5], "showgrid": False, "showline": False, "fixedrange": True,
        },
        yaxis={"visible": False, "range": [-0.16, 1.05], "fixedrange": True},
        shapes=[
            {"type": "line", "x0": i, "x1": i, "y0": 0, "y1": 1, "layer": "below", "line": {"color": GREY, "width": 1}}
            for i in range(axes)
        ],
        annotations=[
            _mark(i, height, text)
            for i, marks in enumerate(chart.marks if ranked else chart.marks[:-1]) for height, text in marks
        ],
        showlegend=True,
        legend={"orientation": "h", "y": 0, "yanchor": "top", "x": 0, "traceorder": "reversed"},
        margin={"l": 16, "r": 16, "t": 36, "b": 40},
    )  # fmt: skip
    left_out = len(m.scores.settings) - len(settings)
    caption = "A line is a setting; further to the right stands what explains more, at the end the score, best on top."
    caption += " What did not complete, and what a setting does not have, is below the axis."
    unseen = len(m.varied) - axes + 1
    caption += f" {unseen:,} hyper-parameters that explain less are left out." if unseen else ""
    caption += f" {left_out:,} settings of the middle field are left out." if left_out else ""
    caption += " Click a line for its learning curves, or a name in the legend to hide its lines."
    alt = f"Parallel coordinates of {len(settings):,} settings over {', '.join(words(a.name) for a in chart.axes)}."
    return Figure("Every setting as a line", alt, caption, traces, layout, 480, 110 * axes)


def thinned(settings: Sequence[ScoredSetting], most: int) -> list[ScoredSetting]:
    """Return at most so many settings: the better half of them are the best there are, the others spread evenly."""
    if len(settings) <= most:
        return list(settings)
    best = most // 2
    step = (len(settings) - best) / (most - best)
    return [*settings[:best], *(settings[best + int(i * step)] for i in range(most - best))]


# -- the parts of parallel coordinates -----------------------------------------------------------------------------


def _class_of(setting: ScoredSetting, ranked: int) -> str:
    if setting.rank is None:
        return "diverged" if DIVERGED in setting.state else "not finished"
    share = setting.rank / ranked
    return "best tenth" if share <= 0.1 or setting.rank == 1 else "upper half" if share <= 0.5 else "lower half"


def _polylines(m: Material, chart: ParallelLines, lines: Sequence[int]) -> dict[str, Any]:
    """Return some of the lines as one trace, with gaps between them."""
    along = [*range(len(chart.axes)), None]
    heights = [[*(round(height, 4) for height in chart.heights[i]), None] for i in lines]
    each = [chart.settings[i] for i in lines for _ in along]
    return {"x": along * len(lines), "y": list(chain.from_iterable(heights)), **under_mouse(m, each)}


def _mark(i: int, height: float, text: str) -> dict[str, Any]:
    """Return a text beside one of the upright axes."""
    return {
        "xref": "x", "yref": "y", "x": i, "y": height, "text": safe(text), "showarrow": False, "xanchor": "left",
        "xshift": 5, "font": {"size": 12}, "bgcolor": "rgba(255,255,255,0.8)",
    }  # fmt: skip


# -- what they share -----------------------------------------------------------------------------------------------


def place(m: Material, setting: ScoredSetting) -> int:
    """Return the place of the setting to which a click leads, -1 where its curves are not in the report."""
    return setting.place if setting.place < m.listed else -1


def hover(m: Material, setting: ScoredSetting, among: int = 1) -> str:
    """Return the text of a setting for the mouse."""
    text = setting.text(m.metric) + (f"\nthe best of {among:,} settings here" if among > 1 else "")
    return safe(text).replace("\n", "<br>")


def under_mouse(m: Material, settings: Sequence[ScoredSetting]) -> dict[str, Any]:
    """Return the parts of a trace that show the texts of settings, and lead to their curves."""
    return {
        "customdata": [place(m, setting) for setting in settings],
        "text": [hover(m, setting) for setting in settings],
        "hovertemplate": "%{text}<extra></extra>",
    }


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
        "font": {"family": "system-ui, sans-serif", "size": 14, "color": "#1a1a1a"}, "hovermode": "closest",
        "margin": {"l": 64, "r": 16, "t": 36, "b": 52}, "paper_bgcolor": "#ffffff", "plot_bgcolor": "#ffffff",
        "hoverlabel": {"align": "left", "bgcolor": "#ffffff", "font": {"size": 13}},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    }  # fmt: skip
    look = {"gridcolor": "#e4e4e4", "linecolor": "#999999", "zeroline": False, "automargin": True}
    return {**plain, **{name: {**look, **part} if "axis" in name else part for name, part in parts.items()}}

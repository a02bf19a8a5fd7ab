"""The figure of scores against the learning rate, with bands over repeats and with what diverged."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from tuning.plots.axes import Axis, is_number, shown, words
from tuning.plots.style import COLOURS
from tuning.report.figures import GREY, Figure, axis_title, hover, layout_of, place, safe, thinned
from tuning.report.material import Material, Point
from tuning.space import Value
from tuning.store import DIVERGED

MOST_POINTS = 2000
MOST_RATES = 60
MOST_GROUPS = 6
_DASHES = ("solid", "dash", "dashdot", "dot", "longdash", "longdashdot")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "pentagon", "star")


def learning_rate_curve(m: Material) -> Figure | str:
    """Return scores against the learning rate, or the most important number without one; else why there is none."""
    name = _number_that_varied(m)
    if name is None:
        return "Neither the learning rate nor another number was varied."
    axis = m.axis(name, continuous=True)
    points = [point for point in m.points if name in point.params]
    groups = _groups(m, points, name)
    ranked = [point for point in points if point.rank is not None]
    lines = len(axis.levels) <= MOST_RATES and (len(axis.levels) * 2 <= len(points) or m.varying == [name])
    traces: list[dict[str, Any]] = []
    for k, (label, members) in enumerate(groups.items()):
        best = _best_of_each(members, name) if lines else []
        if best:
            traces += _band(best, axis, name, k)
            traces.append(_scatter(m, best, axis, name, k, label, "joined"))
        drawn = {point.place for point in best}
        rest = [point for point in members if point.rank is not None and point.place not in drawn]
        if rest:
            some = thinned(rest, MOST_POINTS // len(groups))
            traces.append(_scatter(m, some, axis, name, k, label, "faint" if lines else "dots"))
    others = [p for p in points if p.rank is None and p.state != DIVERGED and p.score is not None]
    if others:
        traces.append(_unfinished(m, thinned(others, MOST_POINTS), axis, name))
    lost = [point for point in points if point.state == DIVERGED]
    if lost:
        traces.append(_crosses(m, thinned(lost, MOST_POINTS), axis, name, groups))
    values, texts = axis.ticks()
    low, high = axis.ends
    margin = 0.04 * (high - low) or 0.5
    xaxis = {"tickvals": values, "ticktext": texts, "range": [low - margin, high + margin]}
    ends = _score_ends(m, ranked if len(ranked) > 3 else [*ranked, *others])
    layout = layout_of(
        xaxis={"title": axis_title(name), "anchor": "y2" if lost else "y", **xaxis},
        yaxis={
            "title": axis_title(m.metric),
            "domain": [0.14 if lost else 0, 1],
            **({} if ends is None else {"range": ends}),
        },
    )
    if lost:
        layout["yaxis2"] = {
            "title": {"text": "diverged", "font": {"size": 11}},
            "domain": [0, 0.08],
            "range": [-0.7, len(groups) - 0.3],
            "showticklabels": False,
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
        }
    if not ranked and not others:
        layout["yaxis"] = {"visible": False, "domain": [0.95, 1], "fixedrange": True}
        layout["yaxis2"]["domain"] = [0, 0.9]
    return Figure(
        f"{words(m.metric).capitalize()} against {words(name)}",
        _curve_alt(m, name, ranked, lost, len(axis.levels)),
        _curve_caption(m, lines, len(points), bool(others), bool(lost)) + _cut_text(m, ends),
        traces,
        layout,
        460 if ranked or others else 180,
    )


def _number_that_varied(m: Material) -> str | None:
    names = sorted(m.varying, key=lambda name: name != "learning_rate")
    return next((n for n in names if all(is_number(p.params[n]) for p in m.points if n in p.params)), None)


def _groups(m: Material, points: Sequence[Point], name: str) -> dict[str, list[Point]]:
    """Return the points by the values of a second hyper-parameter, where one has few enough of them."""
    others = sorted((n for n in m.varying if n != name), key=lambda n: ("batch_size", "hidden_units", n).index(n))
    for other in others:
        levels = m.axis(other).levels
        if len(levels) <= MOST_GROUPS:
            groups = {
                f"{words(other)} {shown(level)}": [p for p in points if p.params.get(other) == level]
                for level in levels
            }
            rest = [point for point in points if other not in point.params]
            return {**groups, f"no {words(other)}": rest} if rest else groups
    return {"settings": list(points)}


def _best_of_each(points: Iterable[Point], name: str) -> list[Point]:
    """Return the best ranked point for each value, from the lowest value on."""
    best: dict[Value, Point] = {}
    for point in points:
        if point.rank is not None:
            best.setdefault(point.params[name], point)
    return [best[value] for value in sorted(best)]  # type: ignore[type-var]


def _band(best: Sequence[Point], axis: Axis, name: str, k: int) -> list[dict[str, Any]]:
    """Return the area between the worst and the best repeat or fold of each point."""
    if not all(point.parts for point in best):
        return []
    x = [axis.place(point.params[name]) for point in best]
    low, high = [min(point.parts) for point in best], [max(point.parts) for point in best]
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": x + x[::-1],
            "y": high + low[::-1],
            "fill": "toself",
            "fillcolor": _faint(COLOURS[k % len(COLOURS)]),
            "line": {"width": 0},
            "hoverinfo": "skip",
            "showlegend": False,
            "legendgroup": str(k),
        }
    ]


def _scatter(
    m: Material, points: Sequence[Point], axis: Axis, name: str, k: int, label: str, kind: str
) -> dict[str, Any]:
    """Return points of one group: "joined" by lines, as "dots", or "faint", those behind the best of each value."""
    colour, faint = COLOURS[k % len(COLOURS)], kind == "faint"
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines+markers" if kind == "joined" else "markers",
        "name": safe(label),
        "legendgroup": str(k),
        "showlegend": not faint,
        **_at(m, points, axis, name),
        "y": [point.score for point in points],
        "marker": {"color": colour, "symbol": _SYMBOLS[k % len(_SYMBOLS)], "size": 5 if faint else 9,
                   "opacity": 0.35 if faint else 1},
        "line": {"color": colour, "dash": _DASHES[k % len(_DASHES)], "width": 2.5},
    }  # fmt: skip
    if kind == "dots" and all(point.parts for point in points):
        trace["error_y"] = {
            "type": "data", "symmetric": False, "thickness": 1, "width": 0,
            "array": [max(point.parts) - (point.score or 0.0) for point in points],
            "arrayminus": [(point.score or 0.0) - min(point.parts) for point in points],
        }  # fmt: skip
    return trace


def _at(m: Material, points: Sequence[Point], axis: Axis, name: str) -> dict[str, Any]:
    """Return where points stand from left to right, and what they say to the mouse."""
    return {
        "x": [axis.place(point.params[name]) for point in points],
        "customdata": [place(point) for point in points],
        "text": [hover(m, point) for point in points],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _unfinished(m: Material, points: Sequence[Point], axis: Axis, name: str) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "markers", "name": "ended early", **_at(m, points, axis, name),
        "y": [point.score for point in points],
        "marker": {"color": GREY, "symbol": "circle-open", "size": 8},
    }  # fmt: skip


def _crosses(
    m: Material, points: Sequence[Point], axis: Axis, name: str, groups: dict[str, list[Point]]
) -> dict[str, Any]:
    row_of = {point.place: k for k, members in enumerate(groups.values()) for point in members}
    return {
        "type": "scatter", "mode": "markers", "name": "diverged", "yaxis": "y2", **_at(m, points, axis, name),
        "y": [row_of[point.place] for point in points],
        "marker": {"color": COLOURS[1], "symbol": "x", "size": 8},
    }  # fmt: skip


def _score_ends(m: Material, points: Sequence[Point]) -> list[float] | None:
    """Return ends of an axis that shows the good scores well, should bad ones lie far away from them."""
    scores = sorted((point.score for point in points if point.score is not None), reverse=m.larger)
    if len(scores) < 4:
        return None
    best, middle, worst = scores[0], statistics.median(scores), scores[-1]
    if abs(worst - best) <= 4 * abs(middle - best) or middle == best:
        return None
    beyond = best + (middle - best) * 3
    parts = [part for point in points for part in point.parts if abs(part - best) <= abs(beyond - best)]
    top = (max if m.larger else min)([best, *parts])
    margin = 0.06 * (top - beyond)
    return sorted([beyond - margin, top + margin])


def _cut_text(m: Material, ends: list[float] | None) -> str:
    if ends is None:
        return ""
    beyond = f"below {ends[0]:.3g}" if m.larger else f"above {ends[1]:.3g}"
    return f" Scores {beyond} lie outside; a double click shows all."


def _curve_alt(m: Material, name: str, ranked: Sequence[Point], lost: Sequence[Point], levels: int) -> str:
    text = f"{words(m.metric).capitalize()} of {len(ranked):,} settings at {levels:,} values of {words(name)}."
    if ranked:
        text += f" The best, {ranked[0].score:.4f}, is at {shown(ranked[0].params[name])}."
    if lost:
        least = min(float(point.params[name]) for point in lost)  # type: ignore[arg-type]
        text += f" {len(lost):,} settings diverged, the lowest at {shown(least)}."
    return text


def _curve_caption(m: Material, lines: bool, count: int, others: bool, lost: bool) -> str:
    several = m.study.trials_per_setting > 1
    caption = "Each dot is a setting"
    if lines and m.varying != [_number_that_varied(m)]:
        caption = "Lines go through the best setting at each value, faint dots are the others"
    if several:
        which = (
            "folds and repeats" if m.study.folds and m.study.repeats > 1 else "folds" if m.study.folds else "repeats"
        )
        caption += f"; {'bands' if lines else 'whiskers'} reach from the worst to the best of its {which}"
    caption += ". Crosses diverged." if lost else "."
    caption += " Open circles ended before their last epoch." if others else ""
    caption += f" At most {MOST_POINTS:,} of {count:,} are drawn, the best among them." if count > MOST_POINTS else ""
    return caption + " Click a dot for its learning curves."


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"

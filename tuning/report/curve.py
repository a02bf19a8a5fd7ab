"""The figure of scores against the learning rate, with bands over repeats and with what diverged."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from tuning.charts import COLOURS, Axis, ScoreCurve, ScoredSetting, ScoreLine, score_curve, words
from tuning.report.figures import GREY, Figure, axis_title, layout_of, safe, thinned, under_mouse
from tuning.report.material import Material
from tuning.space import is_number, shown
from tuning.store import DIVERGED

MOST_POINTS = 2000
MOST_RATES = 60
MOST_GROUPS = 6
_DASHES = ("solid", "dash", "dashdot", "dot", "longdash", "longdashdot")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "pentagon", "star")

Trace = dict[str, Any]


def learning_rate_curve(m: Material) -> Figure | str:
    """Return scores against the learning rate, or the most important number without one; else why there is none."""
    settings = m.scores.settings
    names = sorted(m.varied, key=lambda name: name != "learning_rate")
    numbers = (n for n in names if all(is_number(s.params[n]) for s in settings if n in s.params))
    name = next(numbers, None)
    if name is None:
        return "Neither the learning rate nor another number was varied."
    others = sorted((n for n in m.varied if n != name), key=lambda n: ("batch_size", "hidden_units", n).index(n))
    by = next((other for other in others if len(m.scores.axis(other).levels) <= MOST_GROUPS), None)
    chart = score_curve(m.scores, name, by)
    lines = chart.joined and len(chart.axis.levels) <= MOST_RATES
    traces = [trace for k, line in enumerate(chart.lines) for trace in _line(m, chart, line, k, lines)]
    points = [setting for setting in settings if name in setting.params]
    ranked = [point for point in points if point.rank is not None]
    early = [p for p in points if p.rank is None and DIVERGED not in p.state and p.score is not None]
    lost = [point for point in points if DIVERGED in point.state]
    if early:
        circles = {"color": GREY, "symbol": "circle-open", "size": 8}
        traces.append(_scatter(m, thinned(early, MOST_POINTS), chart.axis, "ended early", circles))
    if lost:
        row_of = {setting.place: k for k, line in enumerate(chart.lines) for setting in line.settings}
        some = thinned(lost, MOST_POINTS)
        cross = {"color": COLOURS[1], "symbol": "x", "size": 8}
        rows = [row_of[setting.place] for setting in some]
        traces.append({**_scatter(m, some, chart.axis, "diverged", cross), "yaxis": "y2", "y": rows})
    ends = _score_ends(ranked if len(ranked) > 3 else [*ranked, *early], larger=m.scores.larger)
    return Figure(
        f"{words(m.metric).capitalize()} against {words(name)}",
        _alt(m, chart, ranked, lost),
        _caption(m, name, lines, len(points), bool(early), bool(lost), ends),
        traces,
        _layout(m, chart, ends, scored=bool(ranked or early), lost=bool(lost)),
        460 if ranked or early else 180,
    )


def _line(m: Material, chart: ScoreCurve, line: ScoreLine, k: int, lines: bool) -> list[Trace]:
    """Return the traces of one line: its band, its line through the best at each value, and the other settings."""
    axis, several = chart.axis, bool(m.scores.repeated)
    colour = COLOURS[k % len(COLOURS)]
    look = {"legendgroup": str(k), "line": {"color": colour, "dash": _DASHES[k % len(_DASHES)], "width": 2.5}}
    label = line.label or "settings"
    traces: list[Trace] = []
    best = list(line.best.values()) if lines else []
    if best:
        mark = {"color": colour, "symbol": _SYMBOLS[k % len(_SYMBOLS)], "size": 9, "opacity": 1}
        joined = _scatter(m, best, axis, label, mark)
        if several:
            x, (low, high) = joined["x"], line.band
            red, green, blue = bytes.fromhex(colour.removeprefix("#"))
            traces.append(
                {
                    "type": "scatter", "mode": "lines", "x": x + x[::-1], "y": high + low[::-1], "fill": "toself",
                    "fillcolor": f"rgba({red},{green},{blue},0.18)", "line": {"width": 0}, "hoverinfo": "skip",
                    "showlegend": False, "legendgroup": str(k),
                }
            )  # fmt: skip
        traces.append({**joined, **look, "mode": "lines+markers", "showlegend": True})
    places = {setting.place for setting in best}
    rest = [setting for setting in line.settings if setting.rank is not None and setting.place not in places]
    if rest:
        rest = thinned(rest, MOST_POINTS // len(chart.lines))
        size, opacity = (5, 0.35) if lines else (9, 1)
        mark = {"color": colour, "symbol": _SYMBOLS[k % len(_SYMBOLS)], "size": size, "opacity": opacity}
        traces.append({**_scatter(m, rest, axis, label, mark), **look, "showlegend": not lines})
        if not lines and several:
            above = [max(setting.values) - (setting.score or 0.0) for setting in rest]
            below = [(setting.score or 0.0) - min(setting.values) for setting in rest]
            traces[-1]["error_y"] = {
                "type": "data", "symmetric": False, "thickness": 1, "width": 0, "array": above, "arrayminus": below,
            }  # fmt: skip
    return traces


def _scatter(m: Material, settings: Sequence[ScoredSetting], axis: Axis, name: str, marker: dict[str, Any]) -> Trace:
    """Return a point for each of some settings, with its text for the mouse."""
    return {
        "type": "scatter", "mode": "markers", "name": safe(name), "marker": marker, **under_mouse(m, settings),
        "x": [axis.place(setting.params[axis.name]) for setting in settings],
        "y": [setting.score for setting in settings],
    }  # fmt: skip


def _layout(m: Material, chart: ScoreCurve, ends: list[float] | None, *, scored: bool, lost: bool) -> dict[str, Any]:
    """Return the layout: what diverged has a strip of its own below the scores."""
    values, texts = chart.axis.ticks()
    low, high = chart.axis.ends
    margin = 0.04 * (high - low) or 0.5
    layout = layout_of(
        xaxis={
            "title": axis_title(chart.x), "anchor": "y2" if lost else "y", "tickvals": values,
            "ticktext": texts, "range": [low - margin, high + margin],
        },
        yaxis={
            "title": axis_title(m.metric), "domain": [0.14 if lost else 0, 1],
            **({} if ends is None else {"range": ends}),
        },
    )  # fmt: skip
    if lost:
        layout["yaxis2"] = {
            "title": {"text": "diverged", "font": {"size": 11}}, "domain": [0, 0.08],
            "range": [-0.7, len(chart.lines) - 0.3], "showticklabels": False, "showgrid": False, "zeroline": False,
            "fixedrange": True,
        }  # fmt: skip
    if not scored:
        layout["yaxis"] = {"visible": False, "domain": [0.95, 1], "fixedrange": True}
        layout["yaxis2"]["domain"] = [0, 0.9]
    return layout


def _score_ends(settings: Sequence[ScoredSetting], *, larger: bool) -> list[float] | None:
    """Return ends of an axis that shows the good scores well, should bad ones lie far away from them."""
    scores = sorted((setting.score for setting in settings if setting.score is not None), reverse=larger)
    if len(scores) < 4:
        return None
    best, middle, worst = scores[0], statistics.median(scores), scores[-1]
    if abs(worst - best) <= 4 * abs(middle - best) or middle == best:
        return None
    beyond = best + (middle - best) * 3
    values = [value for setting in settings for value in setting.values if abs(value - best) <= abs(beyond - best)]
    top = (max if larger else min)([best, *values])
    margin = 0.06 * (top - beyond)
    return sorted([beyond - margin, top + margin])


def _alt(m: Material, chart: ScoreCurve, ranked: Sequence[ScoredSetting], lost: Sequence[ScoredSetting]) -> str:
    name, levels = chart.x, len(chart.axis.levels)
    text = f"{words(m.metric).capitalize()} of {len(ranked):,} settings at {levels:,} values of {words(name)}."
    if ranked:
        text += f" The best, {ranked[0].score:.4f}, is at {shown(ranked[0].params[name])}."
    if lost:
        least = min(float(setting.params[name]) for setting in lost)  # type: ignore[arg-type]
        text += f" {len(lost):,} settings diverged, the lowest at {shown(least)}."
    return text


def _caption(m: Material, name: str, lines: bool, count: int, early: bool, lost: bool, ends: list[float] | None) -> str:
    caption = "Each dot is a setting"
    if lines and m.varied != [name]:
        caption = "Lines go through the best setting at each value, faint dots are the others"
    if m.scores.repeated:
        which = " and ".join(["folds"] * bool(m.study.folds) + ["repeats"] * (m.study.repeats > 1))
        caption += f"; {'bands' if lines else 'whiskers'} reach from the worst to the best of its {which}"
    caption += ". Crosses diverged." if lost else "."
    caption += " Open circles ended before their last epoch." if early else ""
    caption += f" At most {MOST_POINTS:,} of {count:,} are drawn, the best among them." if count > MOST_POINTS else ""
    caption += " Click a dot for its learning curves."
    if ends is not None:
        beyond = f"below {ends[0]:.3g}" if m.scores.larger else f"above {ends[1]:.3g}"
        caption += f" Scores {beyond} lie outside; a double click shows all."
    return caption

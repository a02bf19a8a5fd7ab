"""The page of the report as HTML text. Whatever comes from a study is escaped where it enters the page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from itertools import takewhile
from typing import Any

import numpy as np

from tuning.analysis import RULES
from tuning.calls import calls_of
from tuning.charts import COLOURS, importance_shares, words
from tuning.export import (
    RETRAINED,
    SHOWN_RATES,
    Confusion,
    analysis_lines,
    closing_lines,
    rate_cells,
    study_lines,
    verdict,
)
from tuning.report.curve import learning_rate_curve
from tuning.report.figures import Figure, heat_map, parallel_coordinates
from tuning.report.material import KEYS, Material
from tuning.report.pieces import css_class, duration_text, figure_html, table_html, value_cell, whisker
from tuning.space import shown

BEST = 10
_NONE_YET = '<p class="why">No trial is finished yet.</p>'


def page_of(m: Material) -> tuple[str, dict[str, Any]]:
    """Return the body of the page, and the values that its script needs."""
    figures = {"rate": learning_rate_curve(m), "map": heat_map(m), "lines": parallel_coordinates(m)}
    table, trials, confusion = m.table(), m.trials(), m.confusion()
    parts = {
        "best": ("Best settings", _best(m)),
        "rate": ("Learning rate", figure_html("rate", figures["rate"]) + _rates(m)),
        "map": ("Heat map", figure_html("map", figures["map"])),
        "lines": ("Parallel coordinates", figure_html("lines", figures["lines"]) + _importance(m)),
        "curves": ("Learning curves", _curves(m)),
        "verdicts": ("Verdicts", _verdicts(m, trials["rows"])),
        **({} if confusion is None else {"confusion": ("Confusion matrix", _confusion(confusion))}),
        "all": ("All settings", _settings(m, table["columns"])),
        "again": ("Run it again", _again(m)),
    }
    flows = {"best", "all", "again", "verdicts", "confusion"}
    sections = "".join(
        f'<section id="{key}"{css_class("flows" if key in flows else "")} aria-labelledby="{key}-title">'
        f'<h2 id="{key}-title">{title}</h2>{text}</section>'
        for key, (title, text) in parts.items()
    )
    links = "".join(f'<li><a href="#{key}">{title}</a></li>' for key, (title, _) in parts.items())
    version = (m.study.about["environment"] or {}).get("nn-tuning")
    made = f"The study was made with nn-tuning {version}. " if version else ""
    body = (
        '<a class="skip" href="#main">Skip to the results</a><header><p class="kind">nn-tuning report</p>'
        f'<h1>{escape(m.study.definition.data.name)}</h1><p class="lead">{escape(verdict(m.study))}</p>{_cards(m)}'
        f'</header><nav aria-label="Sections"><ul>{links}</ul></nav>'
        '<main id="main"><noscript><p class="why">Figures, curves and the table of all settings need JavaScript, which '
        f"is off; nothing is loaded from a network.</p></noscript>{sections}</main>"
        f"<footer><p>{escape(made)}This file needs no network, and loads nothing.</p></footer>"
    )
    drawn = {name: figure for name, figure in figures.items() if isinstance(figure, Figure)}
    values = {
        "metric": m.metric,
        "larger": m.scores.larger,
        "colours": COLOURS,
        "table": table,
        "trials": trials,
        "figures": {f"figure-{name}": {"traces": f.traces, "layout": f.layout} for name, f in drawn.items()},
    }
    return body, values


def script_json(values: Any) -> str:
    """Return values as JSON that can stand in a script element: without a <, nothing in it can end the element."""
    return json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


# -- sections ------------------------------------------------------------------------------------------------------


def _cards(m: Material) -> str:
    a, study = m.analysis, m.study
    score = "none" if a.best is None else f"{a.best.metrics[m.metric]:.4f}"
    span = (
        f"{a.interval.confidence:.0%} interval {a.interval.low:.4f} to {a.interval.high:.4f}"
        if a.interval
        else f"interval unknown: {a.interval_reason.partition(';')[0]}"
    )
    counts = ", ".join(f"{count:,} {name}" for name, count in a.verdicts.items()) or "none yet"
    tied = "unknown" if a.tied is None else f"{len(a.tied) - 1:,} of {a.ranked - 1:,}"
    optimism = "unknown" if a.optimism.value is None else f"{a.optimism.value:.4f}"
    seconds = sum(row["mean_fit_time"] * row["trials"] for row in m.rows if row["mean_fit_time"] is not None)
    cards = [
        (f"Best {words(m.metric)}", score, span),
        ("Settings", f"{len(m.rows):,}", f"{a.ranked:,} of them ranked"),
        ("Trials", f"{len(study.trials):,}", counts),
        ("Tied with the best", tied, a.tied_reason.partition(";")[0] or "paired differences, 95% for all together"),
        ("Optimism of the best score", optimism, a.optimism.reason.partition(";")[0]),
        ("Epochs trained", f"{a.epochs:,}", f"{duration_text(seconds)} of computing time"),
    ]
    parts = (
        f"<div{css_class('first' if i == 0 else '')}><dt>{escape(name)}</dt><dd>{escape(text)}</dd>"
        f"<dd>{escape(about)}</dd></div>"
        for i, (name, text, about) in enumerate(cards)
    )
    return f'<dl class="cards">{"".join(parts)}</dl>'


def _best(m: Material) -> str:
    lines = [*takewhile(bool, analysis_lines(m.study)), *closing_lines(m.study)]  # the rates have a table of their own
    says = "".join(f"<li>{escape(line)}</li>" for line in lines)
    says = f'<ul class="says">{says}</ul>' if says else ""
    ranked = [row for row in m.rows[:BEST] if row["rank"] is not None]
    if not ranked:
        return f'<p class="why">No setting is ranked: {escape(m.study.describe_states())}.</p>{says}'
    spans = [(row[f"low_{m.metric}"], row[f"mean_{m.metric}"], row[f"high_{m.metric}"]) for row in ranked]
    known = [value for span in spans for value in span if value is not None]
    several = len(known) > len(ranked)  # some interval is known, and not the scores alone
    titles = ["rank", *map(words, m.names), words(m.metric)]
    titles += ["95% interval", ""] if several else []
    titles += ["tied"] if m.analysis.tied is not None else []
    titles += ["verdict"]
    rows = []
    for row, (low, score, high) in zip(ranked, spans, strict=True):
        cells = [str(row["rank"]), *(value_cell(row[f"param_{name}"]) for name in m.names), f"{score:.4f}"]
        if several:
            cells += ["–" if low is None else f"{low:.4f} to {high:.4f}"]
            cells += [whisker(low, score, high, min(known), max(known))]
        cells += [{True: "yes", False: "no", None: "–"}[row["tied"]]] if m.analysis.tied is not None else []
        rows.append([*cells, escape(row["verdict"])])
    table = table_html(titles, rows, "The best settings", first="best", text=("verdict", ""))
    return f"{table}{says}"


def _rates(m: Material) -> str:
    rates = m.analysis.learning_rates
    if len(rates) < 2:
        return ""
    titles = [*map(words, rates[0].group), "best learning rate", "95% interval", "best tried", words(m.metric), ""]
    rows = [[*map(value_cell, rate.group.values()), *rate_cells(rate)] for rate in rates[:SHOWN_RATES]]
    more = len(rates) - SHOWN_RATES
    note = f'<p class="soft">… and {more:,} more groups: nn-tuning show --format json</p>' if more > 0 else ""
    about = "The best learning rate of each group"
    return f"<h3>{about}</h3>{table_html(titles, rows, about, text=('',))}{note}"


def _importance(m: Material) -> str:
    rows = [
        [
            escape(name),
            f'<span class="share"><svg aria-hidden="true" viewBox="0 0 100 6" preserveAspectRatio="none">'
            f'<rect width="{share * 100:.2f}" height="6" fill="{COLOURS[0]}"/></svg>{share:.0%}</span>',
        ]
        for name, share in importance_shares(m.analysis.importance).items()
    ]
    if not rows:
        return ""
    title = "What explains the differences"
    titles = ["hyper-parameter", "share of the variance"]
    return f"<h3>{title}</h3>{table_html(titles, rows, title, text=titles)}"


def _curves(m: Material) -> str:
    if not m.rows:
        return _NONE_YET
    which = "the best setting" if m.rows[0]["rank"] is not None else "the first setting"
    return (
        f"<p>Those of {which}. Click a dot or line in a figure, or a row in the table of all settings, for those of "
        "another. Training loss and score are means over an epoch, in which the parameters move; validation is scored "
        'at its end.</p><div id="best-curves"></div>'
    )


def _confusion(confusion: Confusion | str) -> str:
    """Return the table of what the best setting takes for what, each count on the colour of its share of its class."""
    if isinstance(confusion, str):
        return f'<p class="why">{escape(confusion)}</p>'
    titles, rows = confusion.table()
    cells = [[escape(text) for text in row] for row in rows]
    about = "The commonest mistakes"
    if confusion.whole:
        about = "Rows are true classes, columns what they were taken for"
        shares = confusion.counts / np.maximum(confusion.counts.sum(axis=1, keepdims=True), 1)
        for row, of_class in zip(cells, shares.tolist(), strict=True):
            row[1:] = [
                f'<span class="count" style="--share:{share:.3f}">{text}</span>'
                for text, share in zip(row[1:], of_class, strict=True)
            ]
    note = f"{about}. Validation part, {confusion.outcome}, {RETRAINED}."
    text = () if confusion.whole else ("predicted",)
    return f'{table_html(titles, cells, about, text=(titles[0], *text))}<p class="soft">{escape(note)}</p>'


def _verdicts(m: Material, trials: Iterable[Sequence[Any]]) -> str:
    """Return the counts, and for each verdict the evidence of the best setting that has it, from rows of trials."""
    counts = "".join(f"<li><b>{count:,}</b> {escape(name)}</li>" for name, count in m.analysis.verdicts.items())
    rules = f"<details><summary>The rules</summary><pre>{escape(RULES)}</pre></details>"
    if not counts:
        return f"{_NONE_YET}{rules}"
    found: dict[str, tuple[int, list[str]]] = {}
    for row in trials:
        place, name, *why = (row[KEYS.index(key)] for key in ("place", "verdict", "evidence", "advice"))
        if name not in found or place < found[name][0]:
            found[name] = place, why
    rows = []
    for name in filter(found.__contains__, m.analysis.verdicts):
        place, why = found[name]
        params = m.scores.settings[place].params.items()
        setting = ", ".join(f"{words(key)} {shown(value)}" for key, value in params)
        rows.append([escape(text) for text in (name, setting, *why)])
    titles = ["verdict", "for example", "evidence", "what to try next"]
    table = table_html(titles, rows, "An example of each verdict", text=titles)
    about = "<p>Of each, the setting that comes first. The verdict on every trial stands with its curves.</p>"
    return f'<ul class="counts">{counts}</ul>{about}{table}{rules}'


def _settings(m: Material, columns: Sequence[dict[str, str]]) -> str:
    if not m.rows:
        return _NONE_YET
    head = "".join(
        f'<th scope="col"{css_class("text" if c["kind"] == "text" else "")}'
        f' aria-sort="{"none" if i else "ascending"}">'
        f'<button type="button">{escape(words(c["title"]))}</button></th>'
        for i, c in enumerate(columns)
    )
    cut = f" The best {m.listed:,} of {len(m.rows):,} settings are listed; all are in: nn-tuning show --format csv."
    if m.listed == len(m.rows):
        cut = ""
    return (
        f"<p>A row opens the learning curves of its setting, and its trials with their verdicts.{cut}</p>"
        '<div class="tools"><input type="search" id="search" placeholder="Filter, such as overfit" '
        'aria-label="Show only settings with this text"><p id="said" role="status"></p>'
        '<button type="button" class="button" id="before">Previous</button>'
        '<button type="button" class="button" id="after">Next</button></div>'
        '<div class="scroll"><table id="settings" aria-label="All settings">'
        f"<thead><tr>{head}</tr></thead><tbody></tbody></table></div>"
    )


def _again(m: Material) -> str:
    calls = calls_of(m.study)
    notes = "".join(f"<p>{escape(note)}</p>" for note in calls.notes)
    command = f"<h3>On the command line</h3><pre>{escape(calls.command)}</pre>" if calls.command else ""
    return (
        "<p>This gives the same study, to the last bit on machines of one kind.</p>"
        f"{command}<h3>In Python</h3><pre>{escape(calls.python)}</pre>{notes}<h3>What was run</h3>{_facts(m)}"
    )


def _facts(m: Material) -> str:
    study, d, about = m.study, m.study.definition, m.study.about
    versions = [f"{name} {value}" for name, value in (about["environment"] or {}).items() if value is not None]
    facts = {
        "Study": study_lines(study)[0],
        "Data": ", ".join(filter(None, [d.data.name, d.data.task])),
        "Examples": ", ".join(f"{count:,} {part}" for part, count in (study.sizes or {}).items()),
        "Fingerprint": d.data.fingerprint,
        "Space": "; ".join(f"{name} {text}" for name, text in d.space.items()),
        "Found from": "; ".join(f"{name} {text}" for name, text in (d.auto or {}).items()),
        "Made": str(about["created"] or ""),
        "With": ", ".join(versions),
        "Study file": "" if study.path is None else str(study.path),
    }
    items = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in facts.items() if text)
    return f'<dl class="facts">{items}</dl>'

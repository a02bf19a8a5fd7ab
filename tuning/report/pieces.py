"""Pieces of the report's page: figures, tables and small drawings as HTML; every text is escaped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from tuning.charts import COLOURS
from tuning.report.figures import Figure
from tuning.space import shown


def figure_html(name: str, figure: Figure | str) -> str:
    """Return the place of a figure, which the page's script draws, or why there is none."""
    if isinstance(figure, str):
        return f'<p class="why">There is no figure here. {escape(figure)}</p>'
    style = f"height:{figure.height}px" + (f";min-width:{figure.width}px" if figure.width else "")
    return (
        f'<figure><h3>{escape(figure.title)}</h3><div class="scroll"><div id="figure-{name}" role="img" '
        f'aria-label="{escape(figure.alt)}" style="{style}"></div></div>'
        f"<figcaption>{escape(figure.caption)}</figcaption></figure>"
    )


def table_html(
    titles: Sequence[str], rows: Iterable[Sequence[str]], about: str, first: str = "", text: Sequence[str] = ()
) -> str:
    """Return a table; titles are plain texts, cells are HTML. Columns with a title in `text` stand to the left."""
    left = [css_class("text" if title in text else "") for title in titles]
    head = "".join(f'<th scope="col"{side}>{escape(title)}</th>' for side, title in zip(left, titles, strict=True))
    body = "".join(
        f"<tr{css_class(first if i == 0 else '')}>"
        + "".join(f"<td{side}>{cell}</td>" for side, cell in zip(left, row, strict=True))
        + "</tr>"
        for i, row in enumerate(rows)
    )
    about = escape(about)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{about}"><table aria-label="{about}">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def whisker(low: float | None, score: float, high: float | None, least: float, most: float) -> str:
    """Return a drawing of an interval and its score on the scale of all that are shown."""
    if low is None or high is None or not most > least:
        return ""
    a, b, c = (4 + 92 * (x - least) / (most - least) for x in (low, score, high))
    return (
        '<svg class="whisker" aria-hidden="true" viewBox="0 0 100 12" preserveAspectRatio="none">'
        f'<line x1="{a:.2f}" x2="{c:.2f}" y1="6" y2="6" stroke="{COLOURS[0]}" stroke-width="2.5"/>'
        f'<rect x="{b - 1:.2f}" y="1" width="2" height="10" fill="{COLOURS[1]}"/></svg>'
    )


def value_cell(value: Any) -> str:
    """Return the value of a hyper-parameter as the content of a cell."""
    return "–" if value is None else escape(shown(value))


def css_class(name: str) -> str:
    """Return the attribute for a tag, or nothing where there is no class."""
    return f' class="{name}"' if name else ""


def duration_text(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    if not math.isfinite(seconds) or seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"

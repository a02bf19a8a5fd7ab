"""All experiments on one page: tables, figures and verdicts as one HTML file that opens without a network.

Nothing is loaded from elsewhere, which its content security policy forbids, and there is no script. All text is escaped
where it enters the page. Claims within tolerance are blue, others orange (Okabe & Ito 2008), and say so in words.
"""

from __future__ import annotations

import base64
import contextlib
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from importlib import metadata, resources
from pathlib import PurePath

from tuning.laboratory.findings import HEADINGS, Claim, Findings

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
KINDS = {".png": "image/png", ".gif": "image/gif"}
SMALLER = " These are the quick versions, which are smaller than some of the claims need."
PACKAGES = ("nn-tuning", "numpy", "numba", "matplotlib")
STYLE = """
@media (width > 60rem) { nav ul { white-space: normal; flex-wrap: wrap; } }
table.claims td, table.claims th, table.experiments td, table.experiments th { text-align: left; }
table.claims td:first-child { white-space: normal; min-width: 18rem; }
table.experiments td:first-child { white-space: normal; }
tr.within > td:last-child { background: #eaf4fa; color: #00507d; font-weight: 600; }
tr.outside > td { background: #fdf0e6; }
tr.outside > td:last-child, strong.outside { color: #8f3d00; font-weight: 700; }
img { display: block; max-width: 100%; height: auto; margin: 0.8rem auto; }
details pre { white-space: pre-wrap; }
"""


@dataclass(frozen=True)
class Chapter:
    """An experiment and its findings, or in `failure` the reason why there are none.

    `about` is the experiment in words, `command` runs it alone, and `pictures` are files by name.
    """

    name: str
    about: str
    command: str
    seconds: float
    findings: Findings | None = None
    pictures: dict[str, bytes] = field(default_factory=dict)
    failure: str = ""

    @property
    def title(self) -> str:
        """The title that the experiment gives itself, or its name."""
        return self.findings.title if self.findings else self.name

    @property
    def claims(self) -> Sequence[Claim]:
        """The claims; none where the experiment failed."""
        return self.findings.claims if self.findings else ()

    @property
    def verdict(self) -> str:
        """The number of claims within tolerance, in words.

        >>> Chapter("catapult", "", "", 1.0, failure="ValueError: too wide").verdict
        'failed'
        """
        if self.failure:
            return "failed"
        held = sum(claim.holds for claim in self.claims)
        return f"{held} of {len(self.claims)} within tolerance" if self.claims else "no claims"


def words(name: str) -> str:
    """Return a name of an experiment or of a figure in words."""
    return name.replace("_", " ")


def page(chapters: Sequence[Chapter], command: str, quick: bool = False) -> str:
    """Return the page, made by `command`; with `quick`, it says that the experiments were smaller versions."""
    css = resources.files("tuning").joinpath("report", "page.css").read_text(encoding="utf-8")
    links = "".join(f'<li><a href="#{escape(c.name)}">{escape(words(c.name))}</a></li>' for c in chapters)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>The learning-rate laboratory</title>\n<link rel="icon" href="data:,">\n<style>\n{css}{STYLE}</style>\n'
        f'</head>\n<body>\n<a class="skip" href="#main">Skip to the experiments</a>\n{_header(chapters, quick)}\n'
        f'<nav aria-label="Experiments"><ul>{links}</ul></nav>\n'
        f'<main id="main">\n{_outside(chapters)}{_overview(chapters)}{"".join(map(_chapter, chapters))}</main>\n'
        f"<footer><p>Made by <code>{escape(command)}</code> with {escape(_versions())}.</p></footer>\n"
        "</body>\n</html>\n"
    )


def _versions() -> str:
    """Return the versions of the programs that made the numbers."""
    found = [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):  # a checkout that is not installed has no version
            found.append(f"{name} {metadata.version(name)}")
    return ", ".join(found)


def _header(chapters: Sequence[Chapter], quick: bool) -> str:
    claims = [claim for chapter in chapters for claim in chapter.claims]
    held, failed = sum(claim.holds for claim in claims), sum(bool(chapter.failure) for chapter in chapters)
    cards = (
        ("Claims within tolerance", f"{held} of {len(claims)}", "published or derived, each measured here"),
        ("Outside tolerance", f"{len(claims) - held}", "listed below, and explained in the experiments"),
        ("Experiments", f"{len(chapters)}", f"{failed} failed" if failed else "all ran"),
        ("Time", f"{sum(chapter.seconds for chapter in chapters):.0f} s", "of all experiments, one after another"),
    )
    parts = "".join(
        f'<div class="{"plain" if i else "first"}"><dt>{name}</dt><dd>{text}</dd><dd>{about}</dd></div>'
        for i, (name, text, about) in enumerate(cards)
    )
    return (
        '<header><p class="kind">nn-tuning</p><h1>The learning-rate laboratory</h1>'
        '<p class="lead">Published results about gradient descent, measured here, each beside what the paper says. '
        f"What does not reproduce stands here too.{SMALLER * quick}</p>"
        f'<dl class="cards">{parts}</dl></header>'
    )


def _outside(chapters: Sequence[Chapter]) -> str:
    """Return the claims that do not hold, and the experiments that failed."""
    lines = [
        f'{_link(chapter)}: {escape(what)}: paper {escape(paper)}, here <strong class="outside">{escape(here)}</strong>'
        f", tolerance {escape(tolerance)}"
        for chapter in chapters
        for what, paper, here, tolerance, _ in (claim.cells() for claim in chapter.claims if not claim.holds)
    ]
    lines += [
        f'{_link(c)}: <strong class="outside">failed</strong>: {escape(c.failure)}' for c in chapters if c.failure
    ]
    items = "".join(f"<li>{line}</li>" for line in lines)
    text = f'<ul class="says">{items}</ul>' if lines else "<p>Nothing: every claim is within tolerance.</p>"
    return f'<section id="outside"><h2>What does not reproduce</h2>{text}</section>\n'


def _overview(chapters: Sequence[Chapter]) -> str:
    rows = "".join(
        f'<tr class="{_kind(all(claim.holds for claim in c.claims) and not c.failure)}"><td>{_link(c)}</td>'
        f"<td><code>{escape(c.command)}</code></td><td>{c.seconds:.1f}</td><td>{escape(c.verdict)}</td></tr>"
        for c in chapters
    )
    head = "".join(f'<th scope="col">{title}</th>' for title in ("experiment", "command", "seconds", "claims"))
    return (
        '<section id="overview" class="flows"><h2>The experiments</h2><div class="scroll"><table class="experiments" '
        f'aria-label="The experiments"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>\n'
    )


def _chapter(chapter: Chapter) -> str:
    title = f'<h2 id="{escape(chapter.name)}-title">{escape(chapter.title)}</h2>'
    about = f"<details><summary>What is measured, and how</summary><pre>{escape(chapter.about)}</pre></details>"
    again = f"<p>To run it again, in {chapter.seconds:.1f} s: <code>{escape(chapter.command)}</code></p>"
    if chapter.findings is None:
        body = f'<p class="why"><strong class="outside">Failed:</strong> {escape(chapter.failure)}</p>'
    else:
        notes = "\n".join(chapter.findings.notes).strip("\n")
        body = (
            (_table(chapter) if chapter.claims else "")
            + (f"<pre>{escape(notes)}</pre>" if notes else "")
            + "".join(_picture(chapter, name, content) for name, content in chapter.pictures.items())
        )
    return (
        f'<section id="{escape(chapter.name)}" class="flows" aria-labelledby="{escape(chapter.name)}-title">'
        f"{title}{about}{body}{again}</section>\n"
    )


def _table(chapter: Chapter) -> str:
    rows = []
    for claim in chapter.claims:
        *cells, _ = claim.cells()
        cells.append("✓ within" if claim.holds else "✗ OUTSIDE")
        rows.append(f'<tr class="{_kind(claim.holds)}">{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>')
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in HEADINGS)
    return (
        f'<p>{escape(chapter.verdict)}</p><div class="scroll"><table class="claims" '
        f'aria-label="{escape(chapter.title)}"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _picture(chapter: Chapter, name: str, content: bytes) -> str:
    kind = KINDS[PurePath(name).suffix]
    return (
        f'<figure><img alt="{escape(f"{chapter.title}: {words(PurePath(name).stem)}")}" '
        f'src="data:{kind};base64,{base64.b64encode(content).decode()}"></figure>'
    )


def _link(chapter: Chapter) -> str:
    return f'<a href="#{escape(chapter.name)}">{escape(chapter.title)}</a>'


def _kind(holds: bool) -> str:
    return "within" if holds else "outside"

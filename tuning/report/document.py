"""The report of a study as one HTML file.

Nothing in it is loaded from elsewhere, and its content security policy forbids that: plotly.js is in the file once, and
only the two scripts whose checksums the policy names are run. Texts of the study are escaped where they enter the page,
also in the JSON that the scripts read; the script sets them as text and never as HTML.
"""

from __future__ import annotations

import base64
import hashlib
import os
from html import escape
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from tuning.export import whole
from tuning.report.material import Material
from tuning.report.page import page_of, script_json

if TYPE_CHECKING:
    from tuning.study import Study


def write(study: Study, path: str | os.PathLike[str]) -> Path:
    """Write the report of a study to one HTML file, whole or not at all, and return its path; folders are made.

    It has at most 10,000 trials to be looked at one by one, those of the best settings, and their curves with at most
    500 epochs, fewer where there are many: the file is 5 MB of plotly.js and at most about 10 MB of numbers.

    Raises ValueError where plotly is missing, and where the file can't be written or is a study file.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ModuleNotFoundError as error:
        raise ValueError(
            f'a report needs {error.name}, which is missing; install it with: pip install "nn-tuning[report]"'
        ) from None
    text = _html(Material(study), get_plotlyjs())
    with whole(path, "a report") as file:
        file.write_bytes(text.encode(errors="replace"))  # names of files need not be UTF-8
    return Path(path)


def _html(m: Material, plotly_js: str) -> str:
    body, values = page_of(m)
    here = resources.files("tuning.report")
    style, script = (here.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; script-src {_checksum(plotly_js)} {_checksum(script)}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(m.study.definition.data.name)}: tuning report</title>\n"
        f'<link rel="icon" href="data:,">\n<style>\n{style}</style>\n</head>\n'
        f'<body>\n{body}\n<script type="application/json" id="data">{script_json(values)}</script>\n'
        f"<script>{plotly_js}</script>\n<script>{script}</script>\n</body>\n</html>\n"
    )


def _checksum(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"

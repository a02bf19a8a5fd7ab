"""A study as one HTML file that opens without a network; needs `pip install "nn-tuning[report]"`.

>>> from pathlib import Path
>>> from tempfile import TemporaryDirectory
>>> from tuning import report, sweep
>>> study = sweep("iris", {"learning_rate": [0.01, 0.1, 1.0], "batch_size": [8, 32]}, epochs=5)
>>> with TemporaryDirectory() as folder:
...     report.write(study, Path(folder) / "iris.html").name
'iris.html'
"""

from tuning.report.document import write

__all__ = ["write"]

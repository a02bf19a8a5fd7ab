"""Figures of studies and runs; needs `pip install "nn-tuning[plot]"`.

Every function takes a study or a run, draws on `ax` or on a new figure, and returns the `Axes`.
"""

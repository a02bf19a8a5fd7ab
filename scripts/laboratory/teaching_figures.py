"""The figures that a teacher of gradient descent would show, on bundled data.

    python scripts/laboratory/teaching_figures.py [--quick]
    python scripts/laboratory/teaching_figures.py --readme

- learning_rate_u: the loss against the learning rate, with a band over seeds: a U that ends in a cliff
- heatmap: learning rate and batch size against each other
- learning_curves: how the loss falls at each learning rate
- descent_paths: gradient descent on a loss of two parameters: plain, with momentum, and with too large a rate
- decision_boundary.gif: how the border between two classes forms

With --readme, the three of them that the README shows are written to scripts/figures, and nothing else.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np

from nn import MLP, SGD, Dataset, load_dataset, sharpness, train
from tuning import LogUniform, Study, laboratory, plots, sweep
from tuning.laboratory import Claim, Findings, charts

README_FIGURES = ("learning_rate_u", "heatmap", "descent_paths")
STEPS = 12
LOW, HIGH = 1e-3, 10.0
CLIFF_RATIO = 2.0
"""The largest rate that does not diverge is at most so many times the best (Bengio 2012)."""
FOLDER = Path(__file__).parents[1] / "figures"


def digits_study(seed: int, batch_size: int | list[int], **options: Any) -> Study:
    """Sweep learning rates, and batch sizes where several are given, on the digits."""
    space = {"learning_rate": LogUniform(LOW, HIGH), "batch_size": batch_size, "hidden_units": 32}
    return sweep("digits", space, seed=seed, progress=False, **options)


def rates_to_the_cliff(study: Study) -> tuple[float, float]:
    """Return the learning rate with the lowest mean training loss, and the largest one at which no seed diverged."""
    means: dict[Any, float] = {s.params["learning_rate"]: s.metrics["train_loss"] for s in study.summaries() if s.rank}
    return min(means, key=means.__getitem__), max(means)


def labelled(ax: charts.Axes, **labels: Any) -> charts.Figure:
    """Return the figure that axes are on, after setting their properties."""
    ax.set(**labels)
    return ax.figure  # type: ignore[return-value]


def descent(seed: int, steps: int) -> tuple[charts.Figure, dict[str, float]]:
    """Return a figure of descent on a line's squared error, and loss at the end over loss at the start of each path."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0.6, 0.6, size=(100, 1))
    data = Dataset(x, 1.5 * x[:, 0] - 0.5 + rng.normal(0, 0.2, 100), task="regression")
    model = MLP((1, 1), dtype="float64")
    start = np.array([-2.5, -1.0])
    limit = 2 / sharpness(model, start, data.X, data.y)
    optimizers = {
        "too large, 1.04 x 2/λ": SGD(1.04 * limit),
        "plain, 0.4 x 2/λ": SGD(0.4 * limit),
        "momentum 0.7, 0.2 x 2/λ": SGD(0.2 * limit, momentum=0.7),
    }
    paths, ratios = {}, {}
    for name, optimizer in optimizers.items():
        path = plots.Recorder(start)
        run = train(model, data, optimizer, batch_size="full", epochs=steps, theta=start, callback=path, every_steps=1)
        paths[name] = path
        ratios[name] = model.loss(path.thetas[-1], data.X, data.y) / model.loss(start, data.X, data.y)
    ax = plots.descent_path(run, data, paths, limits=((-4, 5), (-3.5, 4)))
    ax.set_title(f"{steps} steps of gradient descent on a squared error", fontsize=14)
    return labelled(ax), ratios


def forming_boundary(seed: int, quick: bool) -> bytes:
    """Return an animated GIF of the border between two moons."""
    moons = load_dataset("moons", n=300, noise=0.15, seed=seed)
    model = MLP((2, 16, 16, 2), activation="tanh")
    path = plots.Recorder(model.init(seed))
    epochs = 5 if quick else 60
    run = train(model, moons, SGD(0.3), batch_size=16, epochs=epochs, seed=seed, callback=path, every_steps=1)
    return plots.decision_boundary_animation(run, moons, path.thinned(5 if quick else 40), size=6.0)


def run(seed: int, quick: bool) -> Findings:
    """Run the sweeps and draw the figures."""
    points = 9 if quick else 25
    if quick:
        rates = digits_study(seed, 32, points=points, repeats=2, epochs=5)
        sizes = digits_study(seed, [8, 64], points=5, epochs=5)
    else:
        rates = digits_study(seed, 32, points=points, repeats=5, epochs=20)
        sizes = digits_study(seed, [4, 8, 16, 32, 64, 128, 256], points=9, epochs=20)
    best, largest = rates_to_the_cliff(rates)
    paths, ratios = descent(seed, STEPS)
    too_large, plain, momentum = ratios.values()
    figures = {
        # The cliff is cut, so that the U shows.
        "learning_rate_u": labelled(
            plots.learning_rate_curve(rates, "validation_loss"),
            ylim=(None, 10),
            ylabel="validation loss (nats)",
            title="Too low, right, too high: a U with a cliff",
        ),
        "heatmap": labelled(plots.heatmap(sizes), ylabel="batch size (examples)"),
        "learning_curves": labelled(
            plots.learning_curves(rates, "train_loss", top=8),
            ylabel="training loss (nats), mean over the epoch",
            title="Faster with the rate, until it diverges",
        ),
        "descent_paths": paths,
    }
    claims = [
        Claim(f"loss after {STEPS} steps / at the start, 0.4 x 2/λ", "falls", plain, high=1.0),
        Claim(f"loss after {STEPS} steps / at the start, momentum 0.7 and 0.2 x 2/λ", "falls", momentum, high=1.0),
        Claim(f"loss after {STEPS} steps / at the start, 1.04 x 2/λ (Polyak 1964)", "rises", too_large, low=1.0),
    ]
    # On a coarse grid the ratio can only be 1, or more than it may be: that would say nothing.
    step = (HIGH / LOW) ** (1 / (points - 1))
    name = "largest rate without divergence / best rate (Bengio 2012)"
    cliff = [Claim(name, "about 2", largest / best, 1.0, CLIFF_RATIO)] if step < CLIFF_RATIO else []
    notes = [f"digits, batch size 32: training loss is lowest at {best:.3g}; no seed diverges up to {largest:.3g}"]
    if not cliff:
        notes.append(
            f"rates a factor of {step:.1f} apart can't show how near the best lies to the cliff: no claim on it"
        )
    files = {"decision_boundary.gif": forming_boundary(seed, quick)}
    return Findings("Figures for teaching", [*cliff, *claims], figures, notes, files)


def small(png: bytes) -> bytes:
    """Return a picture with 200 colours at most, which is a third of the size."""
    from PIL import Image

    file = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(200).save(file, "png", optimize=True)
    return file.getvalue()


def main() -> int:
    """Run as a script."""
    if sys.argv[1:] != ["--readme"]:
        return laboratory.main(__doc__, run)
    pictures = laboratory.perform(run, 0, False).pictures()
    for name in README_FIGURES:
        path = laboratory.write_whole(FOLDER / f"{name}.png", small(pictures[f"{name}.png"]))
        print(f"figure: {path} ({path.stat().st_size / 1000:.0f} kB)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""The borders between the classes that a classifier with two features predicts, in a picture and in a moving one."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nn.checks import integer, real
from nn.data import Dataset
from nn.run import Run
from tuning.plots import style
from tuning.plots.checks import check_run
from tuning.plots.networks import Path, Recorder, finite_thetas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[Any]

_COLOURS = 64
"""The colours of an animation's palette."""


def decision_boundary(
    run: Run, data: Dataset, *, resolution: int = 200, limits: Any = None, ax: Axes | None = None
) -> Axes:
    """Draw which class a run predicts where, with the examples of a data set that has two features.

    Colours are mixed by the predicted probabilities; the line is where the predicted class changes.

    Args:
        run: The trained classifier.
        data: The examples, raw or a part of the split; raw data are scaled as the run's own were. The axes are in its
            units.
        resolution: Points along each axis at which the class is predicted.
        limits ((low, high), (low, high)): The ends of the two features; by default the examples with a margin.
        ax: Where to draw; by default on a new figure.

    Returns:
        The axes that were drawn on.

    Raises:
        TypeError: Where `run` is no run, or `data` no data set.
        ValueError: Where the data are no classification with two features.

    >>> from nn import MLP, load_dataset, train
    >>> moons = load_dataset("moons")
    >>> ax = decision_boundary(train(MLP((2, 16, 2)), moons, epochs=30), moons)
    >>> style.close(ax)
    """
    check_run(run, data, "decision_boundary")
    if run.task != "classification" or data.classes is None or data.n_features != 2:
        raise ValueError(
            "decision_boundary must get a classification data set with 2 features, but got "
            f"{data.task} with {data.n_features}"
        )
    if run.classes is not None and not np.array_equal(run.classes, data.classes):
        data = data.with_classes(run.classes)
    resolution = integer("resolution", resolution, 8, 2000)
    X = np.asarray(data.X, dtype=np.float64)
    low, high = np.asarray(limits, dtype=np.float64).T if limits is not None else (X.min(axis=0), X.max(axis=0))
    margin = 0.0 if limits is not None else 0.08 * (high - low + 1e-9)
    (x_low, y_low), (x_high, y_high) = low - margin, high + margin
    x, y = np.linspace(x_low, x_high, resolution), np.linspace(y_low, y_high, resolution)
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    shares = _shares(run, data, grid)  # (points, K)
    with style.look():
        ax = style.axes_of(ax)
        from matplotlib.colors import to_rgb

        inks = np.array([to_rgb(_ink(k)) for k in range(shares.shape[1])])
        mixed = (1 - 0.45 * (1 - shares @ inks)).reshape(resolution, resolution, 3)
        ax.imshow(mixed, extent=(x_low, x_high, y_low, y_high), origin="lower", aspect="auto", interpolation="bilinear")
        for k in range(shares.shape[1]):
            lead = shares[:, k] - np.delete(shares, k, axis=1).max(axis=1)
            if lead.min() < 0 < lead.max():
                ax.contour(x, y, lead.reshape(mixed.shape[:2]), levels=[0], colors="black", linewidths=1.2)
        for k, name in enumerate(data.class_names or ()):
            points = X[data.targets == k].T
            dots = ax.scatter(points[0], points[1], s=26, c=_ink(k), marker=style.MARKERS[k % len(style.MARKERS)])
            dots.set(edgecolor="white", linewidth=0.6, zorder=3, label=name)
        names = data.feature_names or ("feature 1", "feature 2")
        scaled = " (scaled)" if data.scaling is not None else ""
        ax.set(xlim=(x_low, x_high), ylim=(y_low, y_high), xlabel=names[0] + scaled, ylabel=names[1] + scaled)
        ax.set_title(f"Predicted class: {run.evaluate(data)['accuracy']:.0%} of the examples right")
        ax.grid(False)
        ax.legend(title="class", loc="upper right", frameon=True, framealpha=0.9, markerscale=1.6)
    return ax


def decision_boundary_animation(
    run: Run, data: Dataset, path: Path, *, seconds: float = 6.0, resolution: int = 100, size: float = 4.0
) -> bytes:
    """Return an animated GIF of the decision boundary as it forms; write it with `Path("a.gif").write_bytes(...)`.

    The last picture stays for a while, then it begins anew.

    Args:
        run: The trained classifier.
        data: The examples, as for `decision_boundary`.
        path (Recorder or array (n, P)): A recorder that `train` had as its callback, or parameters: there is a picture
            of each.
        seconds: The time until the last picture.
        resolution: Points along each axis at which the class is predicted.
        size: The picture's height in inches at 80 dots.

    Returns:
        The content of the GIF.

    Raises:
        TypeError: Where `run` is no run, or `data` no data set.
        ValueError: Where the path does not fit the model, or the data are no classification with two features.
    """
    check_run(run, data, "decision_boundary_animation")
    seconds = real("seconds", seconds, above=0.0)
    thetas = finite_thetas(path, run.model.size, least=1)
    steps = path.steps.tolist() if isinstance(path, Recorder) else range(len(thetas))
    with style.look():
        figure, axes = style.subplots(width=1.2 * size, height=size)
        figure.set_dpi(80)
        from PIL import Image

        pictures = []
        for step, theta in zip(steps, thetas, strict=False):
            axes[0, 0].clear()
            shown = replace(run, theta=theta.astype(run.theta.dtype))
            ax = decision_boundary(shown, data, resolution=resolution, ax=axes[0, 0])
            ax.set_title(f"step {step:,}: {shown.evaluate(data)['accuracy']:.0%} of the examples right")
            figure.canvas.draw()
            picture = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3])  # type: ignore[attr-defined]
            pictures.append(picture)
        style.library().close(figure)
    palette = pictures[-1].quantize(_COLOURS)
    frames = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    each = max(20, round(1000 * seconds / len(frames)))  # milliseconds
    content = io.BytesIO()
    frames[0].save(
        content, "GIF", save_all=True, append_images=frames[1:], duration=[each] * (len(frames) - 1) + [each + 2000],
        loop=0,
    )  # fmt: skip
    return content.getvalue()


def _shares(run: Run, data: Dataset, grid: Array) -> Array:
    """Return the probabilities (points, K) of each class, or 1 for the predicted one where there are none."""
    scaled = data.settled
    if run.model.output != "identity":
        return run.predict_proba(grid, scaled=scaled)
    assert run.classes is not None
    return (run.predict(grid, scaled=scaled)[:, None] == run.classes).astype(np.float64)


def _ink(k: int) -> str:
    return style.COLOURS[k % len(style.COLOURS)]

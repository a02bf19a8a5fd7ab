"""The edge between learning rates that train and rates that diverge is a fractal (Sohl-Dickstein 2024).

    python scripts/laboratory/trainability_boundary.py [--quick]

Surveys the plane of two per-layer rates for five networks and a convex control, zooms into the edges, prints their
dimensions, and saves a figure and a picture of 512 x 512 trainings. About a minute on two cores.
"""

from __future__ import annotations

import io

import numpy as np

from tuning import laboratory
from tuning.laboratory import charts
from tuning.laboratory import trainability_boundary as experiment
from tuning.laboratory.parallel import processes
from tuning.plots import style

SHADES = {"cmap": style.DIVERGING, "vmin": -1, "vmax": 1, "origin": "lower"}


def run(seed: int, quick: bool) -> laboratory.Findings:
    """Measure, and draw the roughest zoom of the first network as a picture."""
    smaller = {"size": 64, "zoom_count": 3, "seeds": 2} if quick else {}
    pixels = 64 if quick else 512
    with processes() as pool:
        measured = experiment.measure(seed=seed, pool=pool, **smaller)
        roughest = int(np.nanargmax(measured.zoomed[0]))
        window = measured.parts[0][roughest].window
        words = f"picture of {pixels} x {pixels} trainings"
        picture = experiment.survey(experiment.network(seed), window, pixels, words, pool)
    notes = [
        f"network {seed + i}: plane {whole:.3f}, zooms " + " ".join(f"{d:.2f}" for d in zoomed)
        for i, (whole, zoomed) in enumerate(zip(measured.whole, measured.zoomed, strict=True))
    ]
    plane, *parts = measured.controlled
    notes.append(f"control: plane {plane:.3f}, zooms " + " ".join(f"{d:.2f}" for d in parts))
    shown = f"picture: zoom {roughest + 1} of network {seed}"
    notes.append(f"{shown}, dimension {picture.dimension:.3f} at {pixels} pixels")
    return laboratory.Findings(
        "Where training works at all (Sohl-Dickstein 2024)",
        experiment.claims(measured),
        {"trainability_boundary": draw(measured, picture)},
        notes,
        {"trainability_boundary_picture.png": paint(picture)},
    )


def shades(pace: experiment.Array) -> experiment.Array:
    """Return the pace in [-1, 1] for a diverging colour map: the faster, the further from 0; by rank on either side.

    Positive is training that works. Ranks spread the shades evenly, whatever the number of steps.
    """
    shade = np.zeros(pace.shape)
    for sign, side in ((1, pace > 0), (-1, pace <= 0)):
        slowness = np.abs(pace[side]).argsort(kind="stable").argsort(kind="stable")
        shade[side] = sign * (1 - 0.95 * slowness / max(len(slowness) - 1, 1))
    return shade


def paint(picture: experiment.Map) -> bytes:
    """Return a map as a PNG file with one pixel for each training."""
    file = io.BytesIO()
    style.library().imsave(file, shades(picture.pace), format="png", **SHADES)
    return file.getvalue()


def draw(measured: experiment.Measured, picture: experiment.Map) -> charts.Figure:
    """Draw the plane, the picture with its axes, and the boxes that the edges meet."""
    figure, axes = style.subplots(1, 3, width=18, height=6.4)
    plane, zoomed, boxes = axes[0]
    show(plane, measured.planes[0], "The whole plane: purple trains, orange does not")
    for part in measured.parts[0]:
        corner, side = part.window[:2], part.window.side
        plane.add_patch(style.library().Rectangle(corner, side, side, fill=False, color="black", linewidth=1.5))
    show(zoomed, picture, f"{experiment.ZOOM} times nearer: darker is faster")
    lines = [
        (f"16-fold zooms, d = {np.median(measured.zoomed):.2f}", [part for parts in measured.parts for part in parts]),
        (f"whole planes, d = {np.median(measured.whole):.2f}", list(measured.planes)),
        (f"convex control, d = {np.median(measured.controlled):.2f}", [measured.control, *measured.control_parts]),
    ]
    for (label, maps), colour, marker in zip(lines, style.COLOURS, "osD", strict=False):
        for i, each in enumerate(maps):
            sides, counts = each.boxes
            known = {"color": colour, "marker": marker, "alpha": 0.6, "linestyle": "-", "linewidth": 1.2}
            boxes.plot(sides / len(each.edge), counts, label=None if i else label, **known)
    boxes.set_xscale("log", base=2)
    boxes.set_yscale("log", base=2)
    boxes.set(xlabel="side of a box (part of the map's side)", ylabel="boxes that the edge meets")
    boxes.set_title("N(s) ∝ s$^{-d}$: the rougher, the steeper")
    boxes.legend(title="medians of d")
    return figure


def show(ax: charts.Axes, part: experiment.Map, title: str) -> None:
    """Draw a map in its place."""
    x, y, side = part.window
    ax.imshow(shades(part.pace), extent=(x, x + side, y, y + side), interpolation="nearest", **SHADES)
    ax.set(xlabel="log$_{10}$ η$_0$, learning rate of the first layer", ylabel="log$_{10}$ η$_1$, of the second layer")
    ax.set_title(title)
    ax.grid(False)


if __name__ == "__main__":
    raise SystemExit(laboratory.main(__doc__, run))

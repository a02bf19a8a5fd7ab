"""The saturated neuron, and digits with 30 hidden units (Nielsen 2015, Neural Networks and Deep Learning).

    python scripts/laboratory/nielsen.py
    python scripts/laboratory/nielsen.py FOLDER

Prints the table of claims and saves nielsen.png: cost and output of one neuron with the quadratic cost and with
cross-entropy. That takes seconds. With FOLDER, which holds MNIST's IDX files, plain or .gz, also his networks on the
images, and nielsen_mnist.png; `python scripts/fetch_datasets.py mnist` downloads the files. With the 10,000 test
images alone, 8,000 of them to train on, that takes about 40 seconds on two cores, with all 70,000 some minutes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nn import Dataset
from tuning import laboratory
from tuning.laboratory import charts
from tuning.laboratory import nielsen as experiment
from tuning.plots import style

COSTS = {"squared_error": "quadratic cost", "cross_entropy": "cross-entropy"}


def run(seed: int, quick: bool, folder: Dataset | None = None) -> laboratory.Findings:
    """Measure, compare, draw; `folder` is what was in it."""
    smaller = {}
    if quick:
        settings = {name: replace(setting, epochs=setting.epochs // 6) for name, setting in experiment.SETTINGS.items()}
        smaller = {"settings": settings, "repeats": 1, "sizes": (200, 1000), "seen": experiment.SEEN // 10}
    measured = experiment.measure(seed, images=folder, **smaller)
    figures = {"nielsen": draw(measured)}
    if measured.digits:
        figures["nielsen_mnist"] = draw_digits(measured.digits)
    return laboratory.Findings(
        "The saturated neuron, and digits with 30 hidden units (Nielsen 2015)",
        experiment.claims(measured),
        figures,
        ["", *neuron_notes(measured), "", *digit_notes(measured.digits, quick)],
    )


def neuron_notes(measured: experiment.Measured) -> list[str]:
    """Return where each neuron ends, in words."""
    lines = [
        "output of the neuron before the first step, and after the last (share of the way of w + b in the first half):"
    ]
    for neuron in measured.neurons:
        first, last = neuron.outputs[0], neuron.outputs[-1]
        lines.append(
            f"  w, b = {neuron.start[0]:g}, {neuron.start[1]:g}   {COSTS[neuron.cost]:<14}   "
            f"η = {neuron.learning_rate:<5g}   {first:.4f}   {last:.4f}   ({neuron.weights_first_half:.2f})"
        )
    return lines


def digit_notes(digits: experiment.Digits | None, quick: bool) -> list[str]:
    """Return the book's table with what came out here, or how to get the images."""
    if digits is None:
        return [
            "The networks on MNIST were left out: they need the folder with its files, as in",
            "  python scripts/laboratory/nielsen.py FOLDER",
            "after `python scripts/fetch_datasets.py mnist`, which prints where it puts them.",
        ]
    lines = [
        f"best accuracy in %, judged on {digits.judged:,} images, of "
        f"{len(next(iter(digits.curves.values())))} starts, beside the book's:"
    ]
    for name, setting in digits.settings.items():
        images = digits.trained_on(name)
        theirs = setting.images or experiment.LARGEST
        found = ", ".join(f"{value:.2f}" for value in digits.curves[name].max(axis=1))
        lines.append(
            f"  {setting.words:<48} {setting.epochs:>3} epochs   {found:<21} with {images:>6,} images   "
            f"{experiment.PUBLISHED[name]:.2f} with {theirs:,}"
        )
    if digits.images < experiment.LARGEST:
        lines += [
            f"With {digits.images:,} training images in place of {experiment.LARGEST:,} the accuracies are not "
            "expected to be the book's, only their order is.",
            "With 1,000 they should be: here they may be better since the same people wrote what is judged on.",
        ]
    if quick:
        lines.append("With --quick the epochs are a sixth of the book's or less.")
    return lines


def draw(measured: experiment.Measured) -> charts.Figure:
    """Return the figure of the neuron: cost by cost function, output."""
    figure, ((quadratic, entropy, output),) = style.subplots(1, 3, width=17, height=5)
    panels = {"squared_error": quadratic, "cross_entropy": entropy}
    starts = list(dict.fromkeys(neuron.start for neuron in measured.neurons))
    fast = max(neuron.learning_rate for neuron in measured.neurons)
    for neuron in measured.neurons:
        start = f"{neuron.start[0]:g}, {neuron.start[1]:g}"
        lines = [(panels[neuron.cost], neuron.costs, f"{start}; η = {neuron.learning_rate:g}")]
        if neuron.learning_rate == fast:
            lines.append((output, neuron.outputs, f"{start}; {COSTS[neuron.cost].split()[0]}"))
        for ax, values, label in lines:
            dash = style.DASHES[len(ax.lines)]
            ax.plot(values, color=style.COLOURS[starts.index(neuron.start)], linestyle=dash, label=label)
    quadratic.set(title="Quadratic cost: the worse, the slower", ylabel="cost, a²/2", ylim=(0, None))
    entropy.set(title="Cross-entropy: the worse, the faster", ylabel="cost, −ln(1 − a) (nats)", ylim=(0, None))
    output.set(title=f"η = {fast:g}: what the neuron says", ylabel="output a (wanted: 0)", ylim=(0, 1))
    steps = len(measured.neurons[0].costs)
    for ax in (quadratic, entropy, output):
        ax.set(xlabel="epoch (one step each)", xlim=(0, steps))
    # Where no curve goes.
    quadratic.legend(title="start w, b; rate", loc="center left", bbox_to_anchor=(0.14, 0.65), fontsize=11)
    entropy.legend(title="start w, b; rate", loc="upper right", fontsize=11)
    output.legend(title="start w, b; cost", loc="center left", bbox_to_anchor=(0.2, 0.64), fontsize=10)
    return figure


def draw_digits(digits: experiment.Digits) -> charts.Figure:
    """Return the figure of the digits: learning curves, beside the book, by size."""
    figure, ((curves, beside, sizes),) = style.subplots(1, 3, width=20, height=6)
    shown = ("quadratic 30", "quadratic 100", "entropy 30", "entropy 100", "decay 100")
    for i, name in enumerate(shown):
        for number, curve in enumerate(digits.curves[name]):
            label = None if number else digits.settings[name].words.removeprefix("784-")
            curves.plot(1 + np.arange(len(curve)), curve, label=label, **charts.look(i, linewidth=1.5))
    curves.set(xlabel="epoch", ylabel="accuracy (%)", ylim=(0, 100))
    curves.set_title("The quadratic cost gets stuck, now and then")
    curves.legend(title="hidden units, outputs, cost; a line for each start", loc="lower right", fontsize=10)
    draw_beside(beside, digits)
    paper = np.array(list(experiment.PUBLISHED_BY_SIZE.items()))
    sizes.plot(*paper.T, label="the book", **charts.look(0, "o"))
    sizes.plot(digits.sizes, digits.by_size, "^", color=style.COLOURS[1], markersize=11, label="here")
    sizes.set_xscale("log")
    sizes.set(xlabel="training images", ylabel="accuracy (%)", title="More images, fewer errors")
    sizes.legend(title="30 hidden units, λ/n = 0.0001", loc="lower right")
    return figure


def draw_beside(ax: charts.Axes, digits: experiment.Digits) -> None:
    """Draw the book's accuracy and those of the starts here, one row for each setting."""
    names = [name for name in digits.settings if not name.startswith("too")]
    rows = np.arange(len(names))
    for row, name in zip(rows, names, strict=True):
        peaks, label = digits.curves[name].max(axis=1), None if row else "here, each start"
        ax.hlines(row, peaks.min(), peaks.max(), color=style.COLOURS[1], linewidth=1.5)
        ax.plot(peaks, np.full(len(peaks), row), "^", color=style.COLOURS[1], label=label)
    book = [experiment.PUBLISHED[name] for name in names]
    ax.plot(book, rows, "o", color=style.COLOURS[0], markersize=9, label="the book")
    ax.set_yticks(rows, [_short(digits, name) for name in names], fontsize=10)
    ax.set(xlabel="best accuracy (%)", ylim=(len(names) - 0.5, -0.5), title="Published, and here")
    ax.legend(loc="lower left")


def _short(digits: experiment.Digits, name: str) -> str:
    setting = digits.settings[name]
    penalty = ", decay" if setting.decay else ""
    book = "" if setting.images else f" (book: {experiment.LARGEST:,})"
    return f"{setting.hidden} units, {setting.cost_in_words}{penalty}\n{digits.trained_on(name):,} images{book}"


if __name__ == "__main__":
    images = laboratory.Argument("folder", experiment.load_images, "with MNIST's IDX files; without, the neuron alone")
    raise SystemExit(laboratory.main(__doc__, run, argument=images))

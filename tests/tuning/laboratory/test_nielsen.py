"""The neuron against its recursion, written out, and the digits' part on the small bundled digits."""

from __future__ import annotations

import math
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nn import SGD, Dataset, load_dataset, train
from tuning import laboratory
from tuning.laboratory import nielsen as experiment
from tuning.laboratory.findings import Findings
from tuning.laboratory.nielsen import Digits, Measured, Setting

SMALL = {name: replace(setting, hidden=setting.hidden // 10, epochs=3) for name, setting in experiment.SETTINGS.items()}


def small_digits() -> Dataset:
    """Pixels between 0 and 1."""
    data = load_dataset("digits")
    return Dataset(np.asarray(data.X) / 16, data.y, task="classification")


@pytest.fixture(scope="module")
def digits() -> Digits:
    small = SMALL | {"few": replace(SMALL["few"], images=120), "few, decay": replace(SMALL["few, decay"], images=120)}
    return experiment.read_digits(small_digits(), 3, settings=small, repeats=2, sizes=(100, 500, 5000), seen=1000)


def output_after(steps: int, start: tuple[float, float], rate: float, slope: str) -> float:
    """The neuron's output, from the derivative of its cost."""
    w, b = start
    for _ in range(steps):
        a = 1 / (1 + math.exp(-w - b))
        step = rate * (a * a * (1 - a) if slope == "squared_error" else a)
        w, b = w - step, b - step
    return 1 / (1 + math.exp(-w - b))


def test_the_saturated_neuron_ends_where_the_book_has_it() -> None:
    ends = [experiment.follow(start, "squared_error", 0.15, 300).outputs[-1] for start in ((0.6, 0.9), (2.0, 2.0))]
    assert [round(float(end), 4) for end in ends] == [0.0940, 0.2028]


@pytest.mark.parametrize("cost", ["squared_error", "cross_entropy"])
@pytest.mark.parametrize(("start", "rate"), [((1.2, -0.3), 0.4), ((-1.0, 4.5), 1.7)])
def test_the_neuron_follows_its_recursion(cost: str, start: tuple[float, float], rate: float) -> None:
    neuron = experiment.follow(start, cost, rate, 40)
    assert neuron.outputs == pytest.approx([output_after(n, start, rate, cost) for n in range(41)], rel=1e-12)
    a = neuron.outputs[:-1]
    assert neuron.costs == pytest.approx(a**2 / 2 if cost == "squared_error" else -np.log(1 - a), rel=1e-12)


@pytest.mark.parametrize("rate", [0.02, 0.05, 0.4])
def test_a_neuron_badly_wrong_starts_slowly_with_the_quadratic_cost_alone(rate: float) -> None:
    """At any learning rate that leaves time to see it."""
    steps = round(60 / rate)
    assert experiment.follow((1.5, 3.0), "cross_entropy", rate, steps).first_slope == 1.0
    slow = experiment.follow((1.5, 3.0), "squared_error", rate, steps)
    assert slow.first_slope < 0.05
    assert experiment.follow((-0.5, 0.0), "squared_error", rate, steps).first_slope > 0.95  # not so wrong


def test_first_half_is_the_share_of_the_way_made_by_then() -> None:
    neuron = experiment.follow((2.0, 2.0), "squared_error", 0.15, 100)
    z = np.log(neuron.outputs / (1 - neuron.outputs))
    assert neuron.weights_first_half == pytest.approx((z[0] - z[50]) / (z[0] - z[100]))
    assert neuron.first_half == pytest.approx(
        (neuron.costs[0] - neuron.costs[50]) / (neuron.costs[0] - neuron.costs[99])
    )


def test_epoch_by_epoch_is_one_training() -> None:
    data = small_digits().subset(np.arange(150))
    setting = Setting(6, "cross_entropy", 0.7, decay=1e-3, epochs=5)
    outputs = experiment.outputs_for(data)
    model = experiment.network(setting, outputs)
    curve = experiment.learn(setting, outputs, data, 4)
    whole = train(
        model, outputs, SGD(0.7), batch_size=experiment.BATCH, epochs=5, theta=experiment.start_of(model, 4), seed=4
    )
    assert len(curve) == 5
    assert curve[-1] == experiment.accuracy(whole, data)
    assert curve[-1] > 2 * curve[0]
    assert experiment.learn(setting, outputs, data, 4, every=5).tolist() == [curve[-1]]


def test_weights_and_biases_start_from_a_standard_normal() -> None:
    model = experiment.network(Setting(100, "squared_error", 3.0), experiment.outputs_for(small_digits()))
    starts = [model.layers(experiment.start_of(model, seed)) for seed in range(40)]
    for layer in zip(*starts, strict=True):
        for values in (np.concatenate([W.ravel() for W, _ in layer]), np.concatenate([b for _, b in layer])):
            assert values.std() == pytest.approx(1, abs=0.1)
            assert abs(values.mean()) < 0.15


def test_a_setting_trains_on_its_first_images_alone() -> None:
    data = small_digits().subset(np.arange(300))
    setting = Setting(8, "squared_error", 3.0, images=60, epochs=2)
    outputs = experiment.outputs_for(data)
    others = experiment.outputs_for(Dataset(np.vstack([data.X[:60], 1 - data.X[60:]]), data.y, task="classification"))
    assert experiment.learn(setting, outputs, data, 1).tolist() == experiment.learn(setting, others, data, 1).tolist()


def test_digits_are_measured_on_images_that_were_not_trained_on(digits: Digits) -> None:
    assert (digits.images, digits.judged) == (1438, 359)
    assert {name: curve.shape for name, curve in digits.curves.items()} == dict.fromkeys(SMALL, (2, 3))
    assert digits.sizes.tolist() == [100, 500]  # there are no 5,000
    assert len(digits.by_size) == 2


def test_the_quadratic_cost_counts_its_best_start_and_cross_entropy_its_median(digits: Digits) -> None:
    curves = {
        "quadratic 30": [[10.0, 60.0], [70.0, 20.0], [5.0, 5.0]],
        "entropy 30": [[80.0, 60.0], [70.0, 20.0], [5.0, 9.0]],
    }
    made = replace(digits, curves={name: np.array(values) for name, values in curves.items()})
    assert (made.best("quadratic 30"), made.last("quadratic 30"), made.spread("quadratic 30")) == (70.0, 60.0, 65.0)
    assert (made.best("entropy 30"), made.spread("entropy 30")) == (70.0, 71.0)


def test_too_slow_a_rate_learns_next_to_nothing_and_too_fast_a_one_nothing(digits: Digits) -> None:
    assert digits.last("too slow") < 30
    assert digits.last("too fast") < 30
    assert digits.best("entropy 30") < digits.best("decay 100")


def test_claims_hold_the_book_to_numbers_only_where_as_many_images_were_trained_on(digits: Digits) -> None:
    measured = experiment.measure()
    assert [claim.holds for claim in experiment.claims(measured)] == [True] * 8
    assert not [claim for claim in experiment.claims(Measured((), digits)) if "images: " in claim.what]
    made = like_the_book(digits)
    table = experiment.claims(Measured((), made))
    assert all(claim.holds for claim in table)
    assert sum("images: " in claim.what for claim in table) == len(made.sizes) + 2
    whole = experiment.claims(Measured((), replace(made, images=experiment.LARGEST)))
    assert sum("images: " in claim.what for claim in whole) == len(made.sizes) + 8


def test_each_number_off_breaks_its_own_claim(digits: Digits) -> None:
    made = like_the_book(digits)

    def broken(**changes: object) -> list[str]:
        return [claim.what for claim in experiment.claims(Measured((), replace(made, **changes))) if not claim.holds]

    def with_curve(name: str, values: list[float]) -> dict[str, object]:
        return {"curves": {**made.curves, name: np.array(values)[:, None]}}

    assert broken() == []
    assert broken(by_size=made.by_size - [0, 0, 3]) == ["30 hidden units, λ/n = 0.0001, 5,000 images: accuracy, %"]
    assert broken(**with_curve("too slow", [40.0, 20.0])) == ["η = 0.001 in the end, %"]
    assert broken(**with_curve("decay 30", [96.9, 96.1, 70.0]))[-1].startswith("spread of the starts")
    assert "weight decay over none, 30 hidden units, points" in broken(**with_curve("decay 30", [95.0, 95.1]))
    slow = replace(experiment.follow((2.0, 2.0), "squared_error", 0.15, 300), costs=np.linspace(0.48, 0.02, 300))
    assert [claim.holds for claim in experiment.claims(Measured((slow,), None))] == [True, False, False]


def like_the_book(digits: Digits) -> Digits:
    """Return accuracies that equal the book's, the quadratic cost scattering its starts."""
    off = {"quadratic 30": 9.0, "quadratic 100": 9.0}
    curves = {name: np.array([[value], [value - off.get(name, 0.0)]]) for name, value in experiment.PUBLISHED.items()}
    sizes = np.array([200, 1000, 5000])
    by_size = np.array([experiment.PUBLISHED_BY_SIZE[size] for size in sizes.tolist()])
    settings = experiment.SETTINGS
    return replace(
        digits, images=8000, settings=settings, curves=curves, sizes=sizes, by_size=by_size, seen=experiment.SEEN
    )


def write_idx(folder: Path, images: np.ndarray, labels: np.ndarray) -> None:
    head = struct.pack(">I", 0x0803) + struct.pack(">III", *images.shape)
    (folder / "t10k-images-idx3-ubyte").write_bytes(head + images.astype(np.uint8).tobytes())
    (folder / "t10k-labels-idx1-ubyte").write_bytes(
        struct.pack(">II", 0x0801, len(labels)) + labels.astype(np.uint8).tobytes()
    )


def test_images_of_another_size_are_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    argument = laboratory.Argument("folder", experiment.load_images, "with images")
    given: list[Dataset | None] = []

    def run(seed: int, quick: bool, folder: Dataset | None = None) -> Findings:
        given.append(folder)
        return Findings("nothing", [])

    write_idx(tmp_path, rng.integers(256, size=(30, 28, 28)), np.arange(30) % 10)
    assert laboratory.main("", run, [str(tmp_path)], argument=argument) == 0
    assert laboratory.main("", run, [], argument=argument) == 0
    assert given[0] is not None
    assert given[0].n_features == 784
    assert given[1] is None
    write_idx(tmp_path, rng.integers(256, size=(30, 8, 8)), np.arange(30) % 10)
    for wrong, why in ((tmp_path, "28 x 28 pixels and ten classes"), (tmp_path / "none", "there is nothing at")):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            laboratory.main("", run, [str(wrong)], argument=argument)
        assert stopped.value.code == 2
        last = capsys.readouterr().err.splitlines()[-1]
        assert "error: argument FOLDER: " in last
        assert why in last
    assert len(given) == 2

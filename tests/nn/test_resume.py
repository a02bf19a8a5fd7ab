"""A run that is continued is, to the last bit, the run that was never interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nn import (
    MLP,
    SGD,
    Adam,
    AdamW,
    Dataset,
    EarlyStopping,
    RMSprop,
    Run,
    TrainState,
    descent,
    load,
    load_dataset,
    train,
)
from nn.schedules import Constant, Cosine, Exponential, OneCycle, Ramp, Step, Triangular, Warmup

SPLIT = load_dataset("iris").split(seed=3)
SINE = load_dataset("sine", n=60, seed=1).split(seed=0)
MODEL = MLP((4, 6, 3), "tanh")
ROWS = len(SPLIT.train)  # 90: with batches of 16, 6 steps an epoch, the last one shorter
LENGTH = 6 * 6
RNG = np.random.default_rng(5)

CASES: dict[str, dict[str, Any]] = {
    "sgd": {},
    "momentum": {"optimizer": SGD(0.05, momentum=0.9)},
    "nesterov": {"optimizer": SGD(0.05, momentum=0.9, nesterov=True)},
    "decay and clipping": {"optimizer": SGD(0.05, momentum=0.5, weight_decay=0.1, clip_norm=0.3)},
    "adam": {"optimizer": Adam(0.01)},
    "adamw": {"optimizer": AdamW(0.01, weight_decay=0.1)},
    "rate multipliers": {"optimizer": Adam(0.01, rate_multipliers=(0.5, 1.0))},
    "constant": {"schedule": Constant()},
    "step": {"schedule": Step(every=7, factor=0.5)},
    "exponential": {"schedule": Exponential(steps=LENGTH)},
    "cosine": {"schedule": Cosine(steps=LENGTH), "optimizer": SGD(0.05, momentum=0.9)},
    "warm-up": {"schedule": Warmup(warmup=9, then=Cosine(steps=LENGTH - 9))},
    "one-cycle": {"schedule": OneCycle(steps=LENGTH), "optimizer": Adam(0.01)},
    "rmsprop": {"optimizer": RMSprop(0.005, momentum=0.9)},
    "triangular": {"schedule": Triangular(half=5)},
    "ramp": {"schedule": Ramp(learning_rate=1e-3, final=0.2, steps=LENGTH)},
    "function": {"schedule": lambda step: 0.1 / (1 + step)},
    "dropout": {"model": MLP((4, 12, 8, 3), dropout=0.3)},
    "float64": {"model": MODEL.replace(dtype="float64", l2=0.01), "optimizer": Adam(0.01)},
    "replacement": {"replacement": True},
    "in order": {"shuffle": False},
    "full batch": {"batch_size": "full"},
    "early stopping": {"early_stopping": EarlyStopping(patience=2, min_delta=0.5), "optimizer": SGD(0.3)},
    "early stopping, not reached": {"early_stopping": EarlyStopping(patience=50)},
    "target": {"target": {"train_accuracy": 0.9}, "optimizer": SGD(0.3)},
    "target, not reached": {"target": {"train_loss": 1e-9}},
    "weights": {"sample_weight": RNG.uniform(0, 2, ROWS), "class_weight": {0: 2.0, 2: 0.5}},
    "regression": {"model": MLP((1, 6, 1), "tanh"), "data": SINE, "optimizer": SGD(0.02, momentum=0.9)},
    "no validation": {"data": SPLIT.train},
    "divergence": {"optimizer": SGD(0.5), "divergence_factor": 6.0, "schedule": Ramp(final=500.0, steps=LENGTH)},
}


def run_of(case: str, epochs: int, **more: Any) -> Run:
    options = {"model": MODEL, "data": SPLIT, "optimizer": SGD(0.1), "batch_size": 16, "seed": 4, "record_steps": True}
    options |= CASES[case] | more
    model, data, optimizer = (options.pop(name) for name in ("model", "data", "optimizer"))
    return train(model, data, optimizer, **{**options, "epochs": epochs})  # type: ignore[arg-type]


def stop_at(step: int) -> dict[str, Any]:
    return {"callback": lambda shown: shown.step == step, "every_steps": 1}


def assert_same(one: Run, other: Run) -> None:
    """Everything that a run reports, and everything that its future depends on, to the last bit."""
    for name in ("status", "reason", "diverged_step", "steps", "epochs"):
        assert getattr(one, name) == getattr(other, name), name
    assert one.theta.dtype == other.theta.dtype
    np.testing.assert_array_equal(one.theta, other.theta)
    courses = [vars(run.history) | {"layers": vars(run.history.layers)} for run in (one, other)]
    np.testing.assert_equal(*courses)
    np.testing.assert_equal(one.metrics, other.metrics)
    mine, others = one.state.to_arrays(), other.state.to_arrays()
    assert mine.keys() == others.keys()
    for name, array in mine.items():
        assert array.dtype == others[name].dtype, name
        np.testing.assert_array_equal(array, others[name], err_msg=name)


def reopened(run: Run, how: str, folder: Path) -> TrainState:
    if how == "arrays":
        return TrainState.from_arrays(run.state.to_arrays())
    if how == "file":
        run.save(folder / "run.npz")
        return load(folder / "run.npz").state
    return run.state


@pytest.mark.parametrize("how", ["state", "arrays", "file"])
@pytest.mark.parametrize("case", CASES)
def test_resume_equals_uninterrupted(case: str, how: str, tmp_path: Path) -> None:
    whole = run_of(case, 6)
    first = run_of(case, 2)
    assert_same(run_of(case, 6, resume=reopened(first, how, tmp_path)), whole)


@pytest.mark.parametrize("case", CASES)
def test_resume_in_the_middle_of_an_epoch_equals_uninterrupted(case: str, tmp_path: Path) -> None:
    whole = run_of(case, 6)
    at = min(8, whole.steps - 1)
    stopped = run_of(case, 6, **stop_at(at))
    if (stopped.status, stopped.reason) == ("stopped", "callback"):
        assert stopped.steps == at
    assert_same(run_of(case, 6, resume=reopened(stopped, "file", tmp_path)), whole)


@pytest.mark.parametrize(
    ("case", "status", "reason"),
    [
        ("sgd", "completed", ""),
        ("divergence", "diverged", ""),
        ("early stopping", "stopped", "early stopping"),
        ("target", "stopped", "target"),
        ("early stopping, not reached", "completed", ""),
    ],
)
def test_the_cases_end_as_they_are_meant_to(case: str, status: str, reason: str) -> None:
    run = run_of(case, 6)
    assert (run.status, run.reason) == (status, reason)
    if status != "completed":
        assert 2 * 6 <= run.steps < LENGTH, "the run must end after the interruption and before the end"


@pytest.mark.parametrize("cuts", [range(1, 36), [5, 6, 7, 30]])
def test_many_interruptions_equal_none(cuts: Any) -> None:
    state = None
    for cut in cuts:
        state = run_of("dropout", 6, resume=state, **stop_at(cut)).state
    assert_same(run_of("dropout", 6, resume=state), run_of("dropout", 6))


@pytest.mark.parametrize("stop", [3, 10, 20])
def test_resume_follows_the_indices_on(stop: int) -> None:
    order = RNG.integers(0, ROWS, (20, 5))
    options: dict[str, Any] = {"indices": order, "epochs": 2, "record_steps": True}
    whole = train(MODEL, SPLIT, SGD(0.1, momentum=0.9), **options)
    first = train(MODEL, SPLIT, SGD(0.1, momentum=0.9), **options, **stop_at(stop))
    assert first.steps == stop
    assert_same(train(MODEL, SPLIT, SGD(0.1, momentum=0.9), **options, resume=first.state), whole)


def test_resume_with_longer_indices_and_rates_goes_on_with_them() -> None:
    order, rates = RNG.integers(0, ROWS, (20, 5)), RNG.uniform(0, 0.2, 20)
    whole = train(MODEL, SPLIT, indices=order, schedule=rates, epochs=2)
    first = train(MODEL, SPLIT, indices=order[:10], schedule=rates[:10], epochs=1)
    assert_same(train(MODEL, SPLIT, indices=order, schedule=rates, epochs=2, resume=first.state), whole)


def test_resume_leaves_the_state_as_it_was() -> None:
    first = run_of("early stopping, not reached", 2)
    before = {name: array.copy() for name, array in first.state.to_arrays().items()}
    run_of("early stopping, not reached", 6, resume=first.state)
    for name, array in first.state.to_arrays().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


def test_resume_of_a_finished_run_changes_nothing() -> None:
    whole = run_of("adam", 6)
    assert_same(run_of("adam", 6, resume=whole.state), whole)


def test_resume_with_a_higher_target_goes_on_to_it() -> None:
    easy, hard = {"train_accuracy": 0.6}, {"train_accuracy": 0.9}
    first = run_of("target", 30, target=easy)
    assert first.reason == "target"
    assert_same(run_of("target", 30, target=hard, resume=first.state), run_of("target", 30, target=hard))


OTHERS: dict[str, dict[str, Any]] = {
    "model": {"model": MODEL.replace(activation="relu")},
    "optimizer": {"optimizer": SGD(0.2)},
    "batches": {"batch_size": 15},
    "seed": {"seed": 5},
    "schedule": {"schedule": Step(every=5)},
    "early_stopping": {"early_stopping": 3},
    "record_steps": {"record_steps": False},
    "divergence_factor": {"divergence_factor": 10.0},
}


@pytest.mark.parametrize("name", OTHERS)
def test_resume_with_other_settings_is_refused(name: str) -> None:
    first = run_of("sgd", 2)
    CASES["other"] = OTHERS[name]
    with pytest.raises(ValueError, match=rf"^resume needs the {name} .*, but got ") as seen:
        run_of("other", 6, resume=first.state)
    assert "\n" not in str(seen.value)
    assert str(seen.value).endswith("theta=run.theta" if name == "model" else "add branch=True")


@pytest.mark.parametrize(
    "other",
    [
        {"data": load_dataset("iris").split(seed=2)},
        {"sample_weight": np.arange(1.0, ROWS + 1)},
        {"class_weight": "balanced", "sample_weight": np.arange(1.0, ROWS + 1)},
        {"data": SPLIT.train},
    ],
)
def test_resume_with_other_data_is_refused(other: dict[str, Any]) -> None:
    first = run_of("sgd", 2)
    CASES["other"] = other
    with pytest.raises(ValueError, match=r"^resume needs the data that the run was started with"):
        run_of("other", 6, resume=first.state)


def test_resume_with_another_course_so_far_is_refused() -> None:
    order, rates = RNG.integers(0, ROWS, (10, 5)), RNG.uniform(0, 0.2, 10)
    first = train(MODEL, SPLIT, indices=order[:5], schedule=rates[:5]).state
    for changed in ({"schedule": rates[::-1]}, {"indices": order[::-1]}):
        with pytest.raises(ValueError, match=r"^resume needs the learning rates and the indices of the 5 steps"):
            train(MODEL, SPLIT, **{"indices": order, "schedule": rates, "epochs": 2, "resume": first, **changed})  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"resume needs the schedule Cosine\(\) over 6 steps, or one with the same lear"
    ):
        train(MODEL, SPLIT, schedule=Cosine(), epochs=4, resume=train(MODEL, SPLIT, schedule=Cosine(), epochs=2).state)


def test_resume_to_fewer_epochs_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^epochs must be at least the 4 that the run has done, but got 3$"):
        run_of("sgd", 3, resume=run_of("sgd", 4).state)


@pytest.mark.parametrize("part", ["theta", "first", "second", "totals"])
def test_a_state_with_arrays_that_do_not_fit_is_refused(part: str) -> None:
    arrays = run_of("adam", 2).state.to_arrays()
    for wrong in (arrays[part][:-1], arrays[part].astype(np.float16)):
        state = TrainState.from_arrays({**arrays, part: wrong})
        with pytest.raises(ValueError, match=rf"^resume needs {part} as float"):
            run_of("adam", 6, resume=state)


@pytest.mark.parametrize("resume", [3, "run.npz", {}])
def test_resume_takes_a_state_only(resume: Any) -> None:
    with pytest.raises(TypeError, match=r"^resume must be the state of a run, run\.state, but got"):
        run_of("sgd", 4, resume=resume)


@pytest.mark.parametrize("damage", ["drop", "json", "extra"])
def test_a_damaged_state_is_refused(damage: str) -> None:
    arrays = run_of("sgd", 2).state.to_arrays()
    if damage == "drop":
        del arrays["totals"]
    else:
        arrays["state"] = np.array("{" if damage == "json" else '{"start_loss": "0x1p0", "best_value": "nan", "x": 1}')
    with pytest.raises(ValueError, match=r"^a training state must have all its parts") as seen:
        TrainState.from_arrays(arrays)
    assert "\n" not in str(seen.value)


@pytest.mark.parametrize("case", CASES)
def test_cutting_a_run_into_kernel_calls_changes_nothing(
    case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = run_of(case, 6)
    assert_same(run_of(case, 6, callback=lambda shown: None, every_steps=4), whole)
    monkeypatch.setattr(descent, "CALL_OPERATIONS", 0)
    assert_same(run_of(case, 6), whole)
    monkeypatch.setattr(descent, "CALL_OPERATIONS", 7 * 6.0 * MODEL.size * 16)
    assert_same(run_of(case, 6, progress=True), whole)
    assert "epoch" in capsys.readouterr().err


def test_a_resumed_run_reaches_further_than_the_first() -> None:
    """The comparison above can fail: another number of epochs is another run."""
    with pytest.raises(AssertionError):
        assert_same(run_of("sgd", 5), run_of("sgd", 6))


def test_a_small_data_set_of_one_batch_resumes() -> None:
    data = Dataset([[0.0], [1.0], [2.0]], [0.1, 0.2, 0.7])
    whole = train(MLP((1, 1)), data, SGD(0.1), batch_size=3, epochs=4)
    first = train(MLP((1, 1)), data, SGD(0.1), batch_size=3, epochs=1)
    assert_same(train(MLP((1, 1)), data, SGD(0.1), batch_size=3, epochs=4, resume=first.state), whole)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Cosine(steps=LENGTH), Cosine(learning_rate=0.1, steps=LENGTH)),
        (Cosine(), Cosine(steps=LENGTH)),
        (None, Constant()),
        (Step(every=50), None),
        (lambda step: 0.1 / (1 + step), lambda t: 0.1 / (t + 1)),
        (Triangular(half=5), Triangular(learning_rate=0.1, half=5)(np.arange(LENGTH))),
    ],
)
def test_schedules_that_agree_so_far_are_equal_whatever_their_names(one: Any, other: Any) -> None:
    first = run_of("sgd", 6, schedule=one, **stop_at(15))
    more = run_of("sgd", 6, schedule=other, resume=first.state)
    np.testing.assert_array_equal(more.theta, run_of("sgd", 6, schedule=other).theta)


# -- branches ------------------------------------------------------------------------------------------------------


def test_a_branch_with_nothing_changed_is_the_run_itself() -> None:
    for case in ("adam", "momentum", "early stopping, not reached", "cosine"):
        assert_same(run_of(case, 6, resume=run_of(case, 2).state, branch=True), run_of(case, 6))


BRANCHES: dict[str, tuple[str, dict[str, Any]]] = {
    "learning rate": ("momentum", {"optimizer": SGD(0.01, momentum=0.9)}),
    "numbers of adam": ("adam", {"optimizer": AdamW(0.02, beta2=0.99, weight_decay=0.1)}),
    "schedule": ("cosine", {"schedule": lambda step: 0.2 / (1 + step)}),
    "seed": ("sgd", {"seed": 9}),
    "momentum begins": ("sgd", {"optimizer": SGD(0.1, momentum=0.9)}),
    "momentum ends": ("momentum", {"optimizer": SGD(0.05)}),
    "the lot": ("rmsprop", {"optimizer": RMSprop(0.001), "seed": 1, "divergence_factor": 5.0, "early_stopping": 9}),
}


@pytest.mark.parametrize("case", BRANCHES)
@pytest.mark.parametrize("at", [12, 15])
def test_a_branch_goes_on_from_theta_and_moments_with_what_is_named(case: str, at: int) -> None:
    former, changed = BRANCHES[case]
    first = run_of(former, 6, **stop_at(at))
    branched = run_of(former, 6, resume=first.state, branch=True, **changed)
    assert branched.steps == LENGTH
    for name in ("train_loss", "validation_loss"):
        done = len(first.history)
        np.testing.assert_array_equal(getattr(branched.history, name)[:done], getattr(first.history, name))
    # What comes after is what a run with these settings from the start does from such a state.
    other = run_of(former, 6, **changed, **stop_at(at)).state
    other.theta[:], other.totals[:], other.start_loss = first.theta, first.state.totals, first.state.start_loss
    for name in ("first", "second"):
        moment, before = getattr(other, name), getattr(first.state, name)
        moment[:] = before if before.size == moment.size else 0
    other.best_theta, other.best_value = np.empty(0, np.float32), float("nan")
    alike = run_of(former, 6, **changed, resume=other)
    np.testing.assert_array_equal(alike.theta, branched.theta)
    np.testing.assert_array_equal(alike.history.train_loss[-2:], branched.history.train_loss[-2:])
    part = run_of(former, 6, resume=first.state, branch=True, **changed, **stop_at(at + 7))
    assert_same(run_of(former, 6, **changed, resume=part.state), branched)


def test_a_branch_with_another_batch_size_keeps_the_means_that_adam_divides_by() -> None:
    first = run_of("adam", 2)
    one = run_of("adam", 3, resume=first.state, branch=True, batch_size="full", optimizer=Adam(1e-12))
    assert (one.steps, one.epochs) == (3, 3)
    for beta, before, after in (
        (0.9, first.state.first, one.state.first),
        (0.999, first.state.second, one.state.second),
    ):
        mean = before / (1 - beta**12)  # after 12 steps; the branch counts 2, and makes one more
        gradient = MODEL.for_task("classification").gradient(first.theta, SPLIT.train.X, SPLIT.train.targets)
        expected = beta * mean * (1 - beta**2) + (1 - beta) * (gradient if beta == 0.9 else gradient**2)
        np.testing.assert_allclose(after, expected, rtol=1e-3, atol=1e-8)
    with pytest.raises(ValueError, match=r"^branch with other batches must start where an epoch ends, but .* 8 steps"):
        run_of("adam", 6, resume=run_of("adam", 6, **stop_at(8)).state, branch=True, batch_size=8)


def test_a_branch_follows_other_metrics_from_there_on() -> None:
    first = run_of("sgd", 2, metrics=["validation_f1_macro"], record_steps=False)
    more = run_of("sgd", 4, resume=first.state, branch=True, metrics=["train_f1_macro", "validation_f1_macro"])
    np.testing.assert_array_equal(more.history.validation_f1_macro[:2], first.history.validation_f1_macro)
    assert np.isnan(more.history.train_f1_macro).tolist() == [True, True, False, False]
    assert np.isnan(more.history.step_loss).tolist() == [True] * 12 + [False] * 12  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("case", "changed", "law"),
    [
        ("adam", {"optimizer": SGD(0.1)}, r"^branch needs an optimizer with the moments of the run's, Adam\(.* SGD\("),
        ("sgd", {"optimizer": Adam(0.1)}, r"^branch needs an optimizer with the moments of the run's, SGD\("),
        ("sgd", {"model": MODEL.replace(activation="relu")}, r"^resume needs the model .* theta=run.theta$"),
        ("sgd", {"data": SPLIT.train}, r"^resume needs the data .* theta=run.theta$"),
        ("sgd", {"branch": 1}, r"^branch must be True or False"),
        ("sgd", {"resume": None}, r"^branch must be .*, and True only with resume=run.state, but got True$"),
    ],
)
def test_what_a_branch_cannot_change_is_refused(case: str, changed: dict[str, Any], law: str) -> None:
    CASES["other"] = {**CASES[case], **{n: v for n, v in changed.items() if n in ("model", "data", "optimizer")}}
    more = {n: v for n, v in changed.items() if n in ("branch", "resume")}
    with pytest.raises(ValueError, match=law) as seen:
        run_of("other", 6, **{"resume": run_of(case, 2).state, "branch": True, **more})
    assert "\n" not in str(seen.value)
    diverged = run_of("divergence", 6)
    with pytest.raises(ValueError, match=r"^branch needs a run that did not diverge, but this one did in step \d+$"):
        run_of("divergence", 6, resume=diverged.state, branch=True)


# -- a schedule that a callback changes ----------------------------------------------------------------------------


def test_what_a_callback_does_to_a_schedule_counts_from_the_next_step_on() -> None:
    rate, seen = {"now": 0.1}, []

    def halve(shown: Any) -> None:
        seen.append(shown.learning_rate)
        if shown.step in (8, 20):
            rate["now"] /= 2

    changed = run_of("momentum", 6, schedule=lambda step: rate["now"], callback=halve, every_steps=4)
    rates = np.repeat([0.1, 0.05, 0.025], [8, 12, 16])
    np.testing.assert_array_equal(changed.theta, run_of("momentum", 6, schedule=rates).theta)
    assert seen == rates[3::4].tolist()
    more = run_of("momentum", 7, schedule=np.append(rates, np.zeros(6)), resume=changed.state)
    np.testing.assert_array_equal(more.history.train_loss[:6], changed.history.train_loss)


def test_a_callback_that_spoils_a_schedule_is_told() -> None:
    rate = {"now": 0.1}
    with pytest.raises(ValueError, match=r"^schedule must be a number >= 0, but got -1"):
        run_of("sgd", 6, schedule=lambda step: rate["now"], callback=lambda shown: rate.update(now=-1.0))

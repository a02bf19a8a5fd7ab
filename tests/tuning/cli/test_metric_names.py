"""The names of metrics, wherever one is given: in Python, on the command line and in sweep files."""

from __future__ import annotations

from pathlib import Path

import pytest

from nn import MLP, EarlyStopping, load_dataset, train
from nn.metrics import METRICS
from tuning import sweep
from tuning.charts import ScoredStudy
from tuning.cli import main


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("acuracy", "validation_accuracy"),
        ("test_accuracy", "validation_accuracy"),
        ("train_acuracy", "train_accuracy"),
        ("trian_loss", "train_loss"),
    ],
)
def test_an_unknown_metric_is_refused_with_the_nearest_name_wherever_it_is_named(
    written: str, meant: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "diabetes" if "r2" in meant else "iris"
    data = load_dataset(name)
    model = MLP((data.n_features, 2, data.n_outputs))
    study = sweep(data, {"learning_rate": [0.1]}, epochs=1, metric=meant)
    (tmp_path / "sweep.toml").write_text(f'data = "{name}"\nmetric = "{written}"\n[space]\nlearning_rate = 0.1\n')
    hint = f"did you mean '{meant}'"
    for call in (
        lambda: sweep(data, {"learning_rate": [0.1]}, metric=written),
        lambda: train(model, data.split(), target={written: 1.0}),
        lambda: train(model, data.split(), metrics=written),
        lambda: train(model, data.split(), early_stopping=EarlyStopping(metric=written)),
        lambda: ScoredStudy.of(study, written),
    ):
        with pytest.raises(ValueError, match=hint):
            call()
    for command in (
        ["sweep", "--config", str(tmp_path / "sweep.toml")],
        ["sweep", name, "--learning-rate", "0.1", "--metric", written],
        ["train", name, "--metrics", written],
    ):
        assert main(command) == 2
        assert hint in capsys.readouterr().err


@pytest.mark.parametrize("written", [*METRICS, "val_loss"])
def test_a_metric_without_its_part_is_that_of_validation_wherever_it_is_named(
    written: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metric = METRICS[written.removeprefix("val_")]
    meant, name = f"validation_{metric.name}", "iris" if "classification" in metric.tasks else "diabetes"
    data = load_dataset(name)
    model = MLP((data.n_features, 2, data.n_outputs))
    study = sweep(data, {"learning_rate": [0.01]}, epochs=1, metric=written)
    assert study.metric == meant
    assert ScoredStudy.of(study, written).metric == meant
    easy = 1e9 if not metric.larger_is_better else -1e9
    for options in (
        {"target": {written: easy}},
        {"early_stopping": EarlyStopping(metric=written)},
        {"metrics": written},
    ):
        run = train(model, data.split(), epochs=2, **options)  # type: ignore[arg-type]
        assert meant in run.history.metrics()
        assert (run.reason == "target") == ("target" in options)
    assert main(["sweep", name, "--learning-rate", "0.01", "--epochs", "1", "--metric", written]) == 0
    assert main(["train", name, "--epochs", "1", "--metrics", written]) == 0
    assert capsys.readouterr().out.count(f"validation {metric.shown}") >= 2

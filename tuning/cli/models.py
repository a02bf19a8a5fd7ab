"""`nn-tuning test`: what a study ends in is scored on the test part and saved."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

from tuning.cli.train import check_output, scores_line
from tuning.export import seen_before, tested_model, trained_text
from tuning.final import networks_of
from tuning.study import Study


def test_command(values: argparse.Namespace) -> None:
    """Print the scores of a study on its test part; fit all rows in the same way, and save that, where asked for."""
    if values.save is not None:
        check_output("save", values.save, (".npz",))
    study = Study.open(values.study)
    before = study.tested
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is printed below
        print(scores_line(study.test(values.data)))
    assert study.tested is not None
    print(tested_model(study.tested))
    if before is not None:
        print(seen_before(before))
    if values.save is not None:
        try:
            save_final(study, values.data, values.save)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("the scores are saved, the model is not") from None


def save_final(study: Study, data: Any, path: Path) -> None:
    """Fit all rows of a study, save the model, and say so."""
    model = study.final_run(data)
    model.save(path)
    rows = f"all {sum(study.sizes.values()):,} rows" if study.sizes else "all rows"
    print(f"saved: {path}, {trained_text(networks_of(model), rows, study.final_epochs)}")

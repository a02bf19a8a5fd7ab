"""Train 784-128-10 on the MNIST files in a folder and print the accuracy on images that it has not seen.

    python scripts/mnist.py FOLDER
    python scripts/mnist.py FOLDER --epochs 20 --seed 1

The folder holds the IDX files under their own names, plain or .gz; `python scripts/fetch_datasets.py` downloads them.
A fifth of all images found is the test, stratified: 2,000 of the 10,000 where only the t10k files are there.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from nn import MLP, SGD, load_dataset, train
from nn.schedules import Cosine


def main() -> int:
    """Read the arguments, train, print."""
    parser = argparse.ArgumentParser(description="Train 784-128-10 on the MNIST files in a folder.")
    parser.add_argument("folder", type=Path, help="with the IDX files, plain or .gz")
    parser.add_argument("--epochs", type=int, default=20, help="passes over the training images (20)")
    parser.add_argument("--seed", type=int, default=0, help="of the split, the start and the batches (0)")
    asked = parser.parse_args()
    if not asked.folder.is_dir():
        parser.error(f"FOLDER must be a folder with the MNIST files, but there is none at {str(asked.folder)!r}")
    try:
        # Pixels lie between 0 and 1 already; standardising would blow up those that are hardly ever inked.
        split = load_dataset(asked.folder).split(validation=0.0, test=0.2, seed=asked.seed, scale=False)
        began = time.perf_counter()
        run = train(
            MLP((784, 128, 10), dropout=0.2),
            split,
            SGD(learning_rate=0.05, momentum=0.9),
            batch_size=32,
            epochs=asked.epochs,
            schedule=Cosine(),
            seed=asked.seed,
            progress=sys.stderr.isatty(),
        )
    except (OSError, TypeError, ValueError) as error:
        parser.error(str(error))
    seconds = time.perf_counter() - began
    assert split.test is not None
    accuracy = run.evaluate(split.test)["accuracy"]
    print(
        f"{len(split.train):,} images, {run.epochs} epochs in {seconds:.1f} s: "
        f"accuracy {accuracy:.4f} on {len(split.test):,} unseen images"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

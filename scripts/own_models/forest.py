"""Asks whether a network is better than a forest: `python scripts/own_models/forest.py`; needs scikit-learn.

Both are searched on the same folds, so that their best settings can be compared in pairs.
"""

from sklearn.ensemble import RandomForestClassifier

from tuning import Study, sweep
from tuning.analysis import Comparison

FOREST = {
    "n_estimators": [10, 50, 100, 200],
    "max_depth": [None, 10, 20],
    "min_samples_split": [2, 5],
    "min_samples_leaf": [1, 2],
}
NETWORK = {"learning_rate": [0.05, 0.1, 0.2], "hidden_units": [32, 64]}


def main(data: str = "digits", forest: dict = FOREST, network: dict = NETWORK) -> tuple[Study, Comparison]:
    trees = sweep(data, forest, model=RandomForestClassifier(), folds=5)
    return trees, sweep(data, network, folds=5).compare(trees)


if __name__ == "__main__":
    study, comparison = main()
    print(study.table(5))
    print(comparison)

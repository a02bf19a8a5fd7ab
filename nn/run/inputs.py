"""From what a user has to what a network takes: columns by name, encoded and scaled as the training part was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.checks import warn
from nn.data import Dataset, Encoding, LazyRows, Scaling, Table, is_frame, numbers_of, table_of_array, table_of_frame

Array = NDArray[Any]

_FAR = (
    4.0  # the root mean square of standardised features is 1 in training, and beyond this nowhere in a quarter of all
)
_FEW = 10  # the spread of fewer rows says nothing


@dataclass(frozen=True, eq=False)
class Inputs:
    """How the features of a run are made from raw ones.

    Attributes:
        encoding: How a table's columns become features; None where training had an array.
        scaling: The scaling of the features; None where they were not scaled.
        spread: Where they were not, the mean and spread that the features had in training.
        names: The names of the features; None where they had none.
        others: The names of columns that may be there too: those of the targets, and those that were dropped.
    """

    encoding: Encoding | None
    scaling: Scaling | None
    spread: Scaling | None
    names: Sequence[str] | None
    others: Sequence[str] = ()

    def of(self, X: Any) -> Array | LazyRows:
        """Return the features that the network takes for raw inputs: an array, a data frame or a table.

        Warns, in one line, where the inputs look as if they were not raw. Raises ValueError or TypeError for what does
        not fit.
        """
        features = self._encoded(X)
        self._warn_of_units(features)
        return features if self.scaling is None else self.scaling.transform(features)

    def dataset(self, data: Dataset) -> Dataset:
        """Return a data set as the network takes it. Raises ValueError for one that was encoded or scaled otherwise."""
        if data.settled:
            scaled = self.scaling is not None and data.scaling is not None and self.scaling.equals(data.scaling)
            encoded = self.encoding is not None and self.encoding.equals(data.encoding)
            if not (scaled or self.scaling is data.scaling) or not (encoded or self.encoding is data.encoding):
                raise ValueError(
                    "the data must be raw or scaled as the run's own was, but was scaled with other statistics; "
                    "give the data that was not split yet, or a part of the same split"
                )
            return data
        features = self._encoded(self._named(data))
        self._warn_of_units(features)
        raw = data.with_features(features, self.encoding, None if self.names is None else tuple(self.names))
        return raw if self.scaling is None else raw.scaled_by(self.scaling)

    def _named(self, data: Dataset) -> Any:
        """Return the table of raw data; where it is an array, with or without names, what can be matched."""
        if data.table is not None:
            return data.table
        known = data.feature_names
        if known is None or self.names is None or isinstance(data.X, LazyRows) or known == tuple(self.names):
            return data.X
        return table_of_array(data.X, known)

    def _encoded(self, X: Any) -> Array | LazyRows:
        if is_frame(X):
            X = table_of_frame(X, None if self.encoding is None else self.encoding.kinds)
        if isinstance(X, Table):
            X = X.without(self.others)
        if self.encoding is not None:
            return self.encoding.transform(self.encoding.match(X))
        return numbers_of(X, self.names) if isinstance(X, Table) else X

    def _warn_of_units(self, features: Array | LazyRows) -> None:
        """Warn where raw inputs are expected and scaled ones seem to be given, or the other way round."""
        known = self.scaling or self.spread
        if known is None or isinstance(features, LazyRows) or np.shape(features)[1:] != known.mean.shape:
            return
        sample = np.asarray(features)[:: 1 + len(features) // 10_000]
        if not len(sample) or sample.dtype.kind not in "biuf" or not np.isfinite(sample).all():
            return
        with np.errstate(over="ignore", invalid="ignore"):
            z = (sample - known.mean) / known.std
            far = np.quantile(np.sqrt(np.mean(z**2, axis=0)), 0.75) > _FAR
            unlike = far or not _standard(z.mean(axis=0), z.std(axis=0))
            standard = _standard(sample.mean(axis=0), sample.std(axis=0))
        if len(sample) < _FEW:
            unlike, standard = far, np.abs(sample).max() < 4
        if self.scaling is None:
            if far and _standard(known.mean, known.std):
                warn(
                    "the inputs are far outside of those of training, which had mean 0 and spread 1 by a scaling that "
                    "the run does not know; scale them in the same way",
                )
        elif standard and unlike:
            warn(
                "the inputs look as if they were scaled already (mean 0 and spread 1), but raw ones are expected; "
                "pass scaled=True, or a part of the split, which knows its scaling",
            )


def _standard(mean: Array, std: Array) -> bool:
    """Return whether most columns have a mean near 0 and a spread near 1; those that are constant say nothing."""
    varying = std > 0
    near = (np.abs(mean) < 0.6) & (std > 0.4) & (std < 2.5)
    return bool(varying.any() and near[varying].mean() > 2 / 3)

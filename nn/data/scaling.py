"""Standardisation: mean 0 and standard deviation 1, by the statistics of the training part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from nn._arrays import as_array, chunk_slices, feature_dtype
from nn.data.lazy import LazyRows, standardise

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scaling:
    """Means and standard deviations, all float64: of features (D,) and, in regression, of targets (K,).

    z = (x - mean) / std, with std the root of the mean squared deviation; 1 for a constant column.

    >>> scaling = Scaling.fit(np.array([[0.0, 7.0], [2.0, 7.0]]))
    >>> scaling.transform(np.array([[4.0, 7.0]]))
    array([[3., 0.]])
    """

    mean: Floats
    std: Floats
    target_mean: Floats | None = None
    target_std: Floats | None = None

    @classmethod
    def fit(
        cls, X: NDArray[Any] | LazyRows, Y: Floats | None = None, leave: NDArray[np.bool_] | None = None
    ) -> Scaling:
        """Return the scaling of features X (N, D) and, where given, of targets Y (N, K).

        Features of which `leave` (D,) is True are left as they are.
        """
        mean, std = _moments("feature", X)
        if leave is not None:
            mean[leave], std[leave] = 0.0, 1.0
        if Y is None:
            return cls(mean, std)
        return cls(mean, std, *_moments("target", Y))

    def to_json(self) -> dict[str, list[float] | None]:
        """Return the statistics as plain values."""
        return {
            name: None if (own := getattr(self, name)) is None else own.tolist() for name in self.__dataclass_fields__
        }

    def equals(self, other: Scaling) -> bool:
        """Return whether the other scaling has the same statistics."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__)
        return all(a is b or (a is not None and b is not None and np.array_equal(a, b)) for a, b in pairs)

    @overload
    def transform(self, X: LazyRows) -> LazyRows: ...
    @overload
    def transform(self, X: Any) -> NDArray[Any]: ...
    def transform(self, X: Any) -> NDArray[Any] | LazyRows:
        """Return X (N, D) scaled: float32 stays float32, else float64; mapped rows stay mapped."""
        if not isinstance(X, LazyRows):
            X = as_array("X", X)
            X = X.astype(feature_dtype(X.dtype), order="C", copy=False)
        if X.ndim != 2 or X.shape[1] != len(self.mean):
            raise ValueError(f"X must have the {len(self.mean)} features of the scaling, but got shape {X.shape}")
        return X.scaled(self.mean, self.std) if isinstance(X, LazyRows) else standardise(X, self.mean, self.std)

    def transform_targets(self, Y: Any) -> Floats:
        """Return targets (N, K), or (N,) where K is 1, scaled; as they are where targets are not scaled."""
        values = self._target_array(Y)
        if self.target_mean is None or self.target_std is None:
            return values
        return (values - self.target_mean) / self.target_std

    def inverse_targets(self, Y: Any) -> Floats:
        """Return scaled targets or predictions (N, K), or (N,) where K is 1, in their own units again."""
        values = self._target_array(Y)
        if self.target_mean is None or self.target_std is None:
            return values
        return values * self.target_std + self.target_mean

    def inverse(self, X: Any) -> NDArray[Any]:
        """Return scaled features (N, D) in their own units again."""
        return np.asarray(X * self.std + self.mean, dtype=X.dtype)

    def then(self, after: Scaling) -> Scaling:
        """Return one scaling that has the effect of this one and then `after`."""
        mean, std = self.mean + self.std * after.mean, self.std * after.std
        if self.target_mean is None or self.target_std is None:
            return Scaling(mean, std, after.target_mean, after.target_std)
        if after.target_mean is None or after.target_std is None:
            return Scaling(mean, std, self.target_mean, self.target_std)
        target_mean = self.target_mean + self.target_std * after.target_mean
        return Scaling(mean, std, target_mean, self.target_std * after.target_std)

    def _target_array(self, Y: Any) -> Floats:
        values = np.asarray(as_array("targets", Y), dtype=np.float64)
        if self.target_mean is not None:
            columns = len(self.target_mean)
            if not (values.ndim == 2 and values.shape[1] == columns) and not (values.ndim == 1 and columns == 1):
                raise ValueError(f"targets must have {columns} columns, but got shape {values.shape}")
        return values


def _moments(kind: str, X: NDArray[Any] | LazyRows) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of every column in one pass over pieces of the rows.

    Pieces are merged by the update of Chan, Golub and LeVeque (1979). Everything is counted from the first
    row, so that a constant column gives exactly 0 however many rows it has.
    """
    first: Floats | None = None
    count = 0
    for piece in X.chunks() if isinstance(X, LazyRows) else (X[s] for s in chunk_slices(len(X), 8 * X.shape[1])):
        if first is None:
            first = piece[0].astype(np.float64)
            mean, squares = np.zeros_like(first), np.zeros_like(first)
        with np.errstate(over="ignore", invalid="ignore"):
            from_first = piece - first
            here = from_first.mean(axis=0)
            from_first -= here
            total = count + len(piece)
            step = here - mean
            mean += step * (len(piece) / total)
            squares += np.einsum("ij,ij->j", from_first, from_first) + step**2 * (count * len(piece) / total)
        count = total
    assert first is not None, "arrays without rows are refused before"
    with np.errstate(over="ignore", invalid="ignore"):
        mean = first + mean
        std = np.sqrt(squares / count)
    wide = ~(np.isfinite(std) & np.isfinite(mean))
    if wide.any():
        raise ValueError(
            f"{kind} {int(np.argmax(wide))} must have a spread below 1e150 to be standardised, but has more; "
            "rescale it first, or pass scale=False"
        )
    # A spread below the resolution of the numbers is rounding, and dividing by it would blow it up.
    std[std <= 4 * np.finfo(np.float64).eps * np.abs(mean)] = 1.0
    return mean, std

"""The order in which a grid is gone through so that any first part of it knows the whole range."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from operator import mul

_BASES = (2, 3)
"""Those of the sequences of van der Corput; by turns, so that two axes of one length do not go hand in hand."""


def spread(length: int, base: int = 2) -> list[int]:
    """Return the numbers below `length` in the order of their reversed digits (van der Corput 1935).

    After n of them, neighbours are at most 3 · (length + 1)/(n + 1) apart, the ends counted.

    >>> spread(9)
    [0, 8, 4, 2, 6, 1, 5, 3, 7]
    """
    found = [0]
    step = 1
    while step < length:
        step *= base
    while step > 1:
        step //= base
        found += [start + k * step for k in range(1, base) for start in found if start + k * step < length]
    return found


def even_order(lengths: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield the places of a grid with axes of these lengths, each once, such that all axes are covered from the start.

    The longest axis is gone through again and again in the order of `spread`, and every other beside it: after n
    places, an axis has had as many different values as there can be, min(n, its length). In each passage the shorter
    ones are shifted against the longest and against each other, so that pairs of values soon differ.

    >>> list(even_order([2, 3]))
    [(0, 0), (1, 2), (0, 1), (1, 0), (0, 2), (1, 1)]
    """
    order = sorted(range(len(lengths)), key=lambda axis: -lengths[axis])
    orders = [spread(lengths[axis], _BASES[i % len(_BASES)]) for i, axis in enumerate(order)]
    longest, *others = (len(each) for each in orders)
    # The shift of each axis is its own digit of the row's number, and the digits before it: it changes in every row.
    weights = [[1 + others[j:i].count(length) for j in range(i + 1)] for i, length in enumerate(others)]
    for row in range(math.prod(others)):
        digits = [row // math.prod(others[:i]) % length for i, length in enumerate(others)]
        shifts = [0, *(sum(map(mul, each, digits)) for each in weights)]
        for along in range(longest):
            places = [0] * len(order)
            for axis, each, shift in zip(order, orders, shifts, strict=True):
                places[axis] = each[(along + shift) % len(each)]
            yield tuple(places)

"""The rules on what was recorded of each layer: dead units and vanishing gradients."""

from __future__ import annotations

import numpy as np

from tuning.analysis.curves import Curves, Found

DEAD_SHARE = 0.9
FAINT = 1e-3


def died(c: Curves) -> Found:
    """Find relu layers whose units fire for no training example."""
    if "dead" not in c.layers or c.layers["dead"].shape[2] == 0:
        return nowhere(c)
    share = np.nan_to_num(c.layers["dead"][:, -c.end :].mean(axis=1))  # (T, layers); NaN where it is not relu
    worst = share.argmax(axis=1)
    most = share.max(axis=1)

    def words(i: int) -> str:
        return f"{most[i]:.0%} of the units of hidden layer {worst[i] + 1} fire for no training example"

    return Found(most >= DEAD_SHARE, words, {"share": most, "layer": worst + 1})


def fades(c: Curves) -> Found:
    """Find layers whose gradient is faint beside that of others."""
    if "gradient_norm" not in c.layers or c.layers["gradient_norm"].shape[2] < 3:
        return nowhere(c)
    norms = np.median(c.layers["gradient_norm"], axis=1)  # (T, layers)
    most = norms.max(axis=1)
    share = np.divide(norms.min(axis=1), most, out=np.ones(len(most)), where=most > 0)
    layer = norms.argmin(axis=1) + 1

    def words(i: int) -> str:
        return f"the gradient of layer {layer[i]} is {share[i]:.1g} of the largest of a layer, and the loss stays high"

    return Found((share < FAINT) & (c.level > 0.5 * c.start), words, {"share": share, "layer": layer})


def nowhere(c: Curves) -> Found:
    """Find nothing."""
    return Found(np.zeros(len(c.L), bool), lambda i: "")

"""What else than a network of `nn` can be tuned: a function of one's own, and any estimator of scikit-learn's kind.

A function is called as `objective(params, seed, epochs)` and may take fewer of them; the first argument that is neither
`seed` nor `epochs` gets the setting, a dict. It returns

- a number: the metric; or a dict of numbers, one of which is the metric; or
- an iterator of such, as a function with `yield` does, one an epoch: then there are curves, and halving ends poor
  settings early. A setting that goes on is run again from its seed, and must give the same metrics.

In its place, a class or an object may have `start(params, seed, epochs)`, which may take fewer too, and `step()`, which
returns the metrics of one more epoch. With `state()`, arrays, numbers, texts or bytes, also in dicts and lists, and
`restore(state)`, a setting that goes on is trained from where it was. Each trial has its own copy of the object.

What an objective raises, a call of `sys.exit`, a metric that is no finite number and a process that dies are failed
trials, with the error in `trial.error` and `trial.traceback`. Names ending in accuracy, score, r2, auc and the like say
that more is better, those in loss, error, mae, rmse, time and the like that less is, as for `nn.Metric`.

Its trials run in processes, since Python code holds the lock of its interpreter; where no other process can import it,
as in a notebook, in threads, which a warning says. NumPy and PyTorch may start threads in each of them: where that is
slow, set `OMP_NUM_THREADS=1` before Python starts. A study knows a function by its name and its source, with all that
`tuning.objectives.code` says, and an estimator by its class, parameters and version.

>>> from tuning import sweep
>>> def objective(params, seed, epochs):
...     error = 1.0
...     for epoch in range(epochs):
...         error *= abs(1 - params["rate"])
...         yield {"error": error}
>>> study = sweep(space={"rate": [0.1, 0.5, 1.5]}, objective=objective, metric="error", epochs=2, n_jobs=1)
>>> study.best.params, study.trials[0].curves["error"]
({'rate': 0.5}, array([0.9 , 0.81]))
"""

from tuning.objectives.estimators import EstimatorObjective
from tuning.objectives.functions import FunctionObjective
from tuning.objectives.given import check_fits, check_given, check_place, checked_epochs, given_metric, prepared
from tuning.objectives.protocol import TrialObjective

"""What training gives: a `Run` with its `History`, and the `TrainState` that it can be continued from; several runs
that answer together are an `Ensemble`."""

from nn.run.answers import measures
from nn.run.ensemble import Ensemble
from nn.run.file import load
from nn.run.history import History, LayerHistory
from nn.run.run import Run
from nn.run.state import TrainState

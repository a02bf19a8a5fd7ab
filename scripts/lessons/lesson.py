# %% [markdown]
# # How a network learns, and what the learning rate does
#
# Run this lesson as a script, or cell by cell in an editor that knows `# %%`, or as a notebook, which
# `jupytext --to ipynb scripts/lessons/lesson.py` makes of it. It takes some seconds. Figures need
# `pip install "nn-tuning[plot]"`; they go to runs/figures, and a notebook shows them.
#
# A network is a function with many numbers in it, its parameters theta. To learn is to change them until the outputs
# fit the data. That goes round in a circle of four steps: **initialise** theta at random, **train** it for a while,
# **evaluate** it on examples that it has not seen, **adjust** what we chose by hand, and begin anew.
#
# The data are 1,797 pictures of handwritten digits, 8 x 8 points each. We hold out two parts: *validation*, which we
# look at when we adjust, and *test*, which we look at once, at the very end.

# %%
from pathlib import Path

from nn import MLP, SGD, load_dataset, train
from tuning import LogUniform, plots, sweep

figures = Path("runs/figures")
figures.mkdir(parents=True, exist_ok=True)
split = load_dataset("digits").split(validation=0.2, test=0.2, seed=0)
print(
    f"{len(split.train):,} examples to train on, {len(split.validation)} for validation, {len(split.test)} for the test"
)

# %% [markdown]
# ## Initialise
#
# Theta is drawn at random. Ten classes, so who guesses is right once in ten times, and has a loss of about ln 10 = 2.3.

# %%
model = MLP(layer_sizes=(64, 32, 10), activation="relu").for_task("classification")
theta = model.init(seed=0)
print(f"{model.size:,} parameters; loss before training {model.loss(theta, split.train.X, split.train.y):.2f}")

# %% [markdown]
# ## Train
#
# The gradient points to where the loss rises fastest. We go a step the other way, again and again:
# **theta ← theta − learning_rate · gradient**. One step by hand, on all the training data:

# %%
for learning_rate in (0.01, 0.1, 1.0, 10.0):
    stepped = theta - learning_rate * model.gradient(theta, split.train.X, split.train.y)
    after = model.loss(stepped, split.train.X, split.train.y)
    print(f"learning rate {learning_rate:5}: loss after one step {after:8.2f}")

# %% [markdown]
# Too small a step hardly helps; too large a one jumps over the valley and lands higher than it began. `train` makes
# many steps, each on 32 examples drawn from the training part: twenty times through all of them are 20 *epochs*.

# %%
run = train(model, split, SGD(learning_rate=0.1), batch_size=32, epochs=20, seed=0)
for epoch in (0, 4, 19):
    print(f"epoch {epoch + 1:2}: training loss {run.history.train_loss[epoch]:.3f}")

# %% [markdown]
# ## Evaluate
#
# What counts is how the network does on examples that it has not seen.

# %%
for name, part in (("training", split.train), ("validation", split.validation)):
    scores = run.evaluate(part)
    print(f"{name:10} loss {scores['loss']:.3f}  accuracy {scores['accuracy']:.3f}")
plots.learning_curves(run).figure.savefig(figures / "lesson_curves.png")

# %% [markdown]
# ## Adjust: the learning rate
#
# Which learning rate is best? We try nineteen, from 0.001 to 10, each from five random starts. The figure is a U that
# ends in a cliff: on the left the steps are so small that twenty epochs are not enough, on the right the loss rises
# without bound. The best rate is not far from the cliff.

# %%
study = sweep("digits", {"learning_rate": LogUniform(1e-3, 10.0)}, points=19, repeats=5, progress=False)
for summary in sorted(study.summaries(), key=lambda each: each.params["learning_rate"])[::3]:
    loss = f"{summary.metrics['validation_loss']:8.3f}" if summary.rank else "       -"
    print(f"learning rate {summary.params['learning_rate']:7.3f}: validation loss {loss}  {summary.state}")
print(f"best: learning rate {study.best.params['learning_rate']:.3f}, ", end="")
print(f"validation accuracy {study.best.metrics['validation_accuracy']:.3f}")
plots.learning_rate_curve(study, "validation_loss").figure.savefig(figures / "lesson_learning_rate.png")

# %% [markdown]
# ## Underfitting and overfitting
#
# A network that is too small can't even fit what it was trained on: it *underfits*. One that is large, trained for long
# on few examples, learns them by heart: the training loss goes on falling while the validation loss rises. It
# *overfits*. Here are forty noisy training examples, two moons: one hidden unit; 64 of them; and 64 again, but stopped
# once the validation loss has not fallen for 30 epochs, with the parameters of its best epoch.

# %%
moons = load_dataset("moons", n=400, noise=0.3, seed=0).split(validation=0.8, test=0.1, seed=0)
for name, hidden_units, patience in (("underfit", 1, None), ("overfit", 64, None), ("stopped", 64, 30)):
    small = MLP((2, hidden_units, 2), activation="tanh")
    optimizer = SGD(learning_rate=0.1, momentum=0.9)
    fit = train(small, moons, optimizer, batch_size=8, epochs=300, seed=0, early_stopping=patience)
    lowest = int(fit.history.validation_loss.argmin()) + 1
    losses = "  ".join(f"{part} {fit.metrics[part]:.3f}" for part in ("train_loss", "validation_loss"))
    print(f"{name:9} {hidden_units:2} hidden units, {fit.epochs:3} epochs: {losses}  lowest after epoch {lowest}")
    ax = plots.decision_boundary(fit, moons.train)
    ax.set_title(f"{name}: {hidden_units} hidden units, {fit.epochs} epochs")
    ax.figure.savefig(figures / f"lesson_{name}.png")

# %% [markdown]
# ## The test, once
#
# All choices are made. The best setting of the sweep meets the test part, which nothing above has looked at.

# %%
print({name: round(value, 3) for name, value in study.test().items()})

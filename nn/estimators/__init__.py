"""scikit-learn's protocol over the same training: drop-in for the estimators of `sklearn.neural_network`.

Needs `pip install "nn-tuning[sklearn]"`.
"""

from nn.estimators.mlp import MLPClassifier, MLPRegressor

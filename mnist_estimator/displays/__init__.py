"""Pictures of the data and of a classifier's results, by scikit-learn's Display protocol."""

from mnist_estimator.displays._class_distribution import ClassDistributionDisplay
from mnist_estimator.displays._digits import DigitsDisplay
from mnist_estimator.displays._misclassified import MisclassifiedDisplay
from mnist_estimator.displays._training_history import TrainingHistoryDisplay

__all__ = [
    "ClassDistributionDisplay",
    "DigitsDisplay",
    "MisclassifiedDisplay",
    "TrainingHistoryDisplay",
]

"""Pictures of digits, of any size and kind, made into images like MNIST's."""

from mnist_estimator.images._recipe import prepare_digits as prepare_digits

__all__ = ["prepare_digits"]

"""How good a model is: likelihoods as Keras metrics, distances between sets of images."""

from keras_gud.metrics.features import Features, FeatureStatistics
from keras_gud.metrics.frechet import frechet_distance, frechet_over_seeds
from keras_gud.metrics.inception import published
from keras_gud.metrics.likelihood import BitsPerDim, LikelihoodMetric, NegativeElbo
from keras_gud.metrics.score import Score
from keras_gud.metrics.spectrum import radial_spectrum, spectrum_distance

__all__ = [
    "BitsPerDim",
    "FeatureStatistics",
    "Features",
    "LikelihoodMetric",
    "NegativeElbo",
    "Score",
    "frechet_distance",
    "frechet_over_seeds",
    "published",
    "radial_spectrum",
    "spectrum_distance",
]

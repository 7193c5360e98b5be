"""Evaluation: likelihoods as Keras metrics, and distances between sets of images."""

from keras_gud.metrics.features import Features, FeatureStatistics
from keras_gud.metrics.frechet import frechet_distance, frechet_over_seeds
from keras_gud.metrics.inception import fid_and_kid
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
    "fid_and_kid",
    "frechet_distance",
    "frechet_over_seeds",
    "radial_spectrum",
    "spectrum_distance",
]

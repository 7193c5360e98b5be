"""Priors: the mean that is removed and the scale S that is divided out (paper secs. 4.1, 4.4).

The prior's covariance is ``U^T S^2 U``; in the components ``z0 = S^-1 (U phi - U mean)`` it is the
identity. The mean is always removed (paper app. B).
"""

from keras_gud.core.registry import discover
from keras_gud.priors.prior import Prior, registry
from keras_gud.priors.scales import Isotropic, Matching, Scaled
from keras_gud.priors.spectra import OffsetNoise, PowerLaw

discover(__name__)
get = registry.get

__all__ = [
    "Isotropic",
    "Matching",
    "OffsetNoise",
    "PowerLaw",
    "Prior",
    "Scaled",
    "get",
]

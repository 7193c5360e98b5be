"""Which path is best: what a path costs, its best speed, and its best direction (DESIGN sec. 3.11).

With C the posterior covariance of the components of z0 given z, in units of their noise,
``C_ij = alpha_i/sigma_i Cov(z0_i, z0_j | z) alpha_j/sigma_j``, the bound of an ancestral sampler of
T steps exceeds that of infinitely many by::

    gap(T)  = 1/(4T) int_0^1 sum_ij gamma_i' E[C_ij^2] gamma_j' dt       energy of the path
    best    = 1/(4T) (int_0^1 sqrt(sum_ij gamma_i' E[C_ij^2] gamma_j') dt)^2    at constant speed

It is an energy under the metric ``E[C_ij^2]``: the best path between two states is a geodesic.
"""

from keras_gud.paths.cost import PathCost, cost
from keras_gud.paths.information import groups_of
from keras_gud.paths.optimize import optimize, warp
from keras_gud.paths.recommend import Recommendation, recommend

__all__ = ["PathCost", "Recommendation", "cost", "groups_of", "optimize", "recommend", "warp"]

"""Each numbered equation of the paper and where it is computed; no Sphinx is needed to read it.

Places are names of objects, so that lines are those of the code as it is.
"""

import importlib
import inspect
import re
from dataclasses import dataclass
from pathlib import Path

import keras_gud

ROOT = Path(keras_gud.__file__).parent


@dataclass(frozen=True)
class Equation:
    """One equation of the paper.

    Attributes:
        number: Its number.
        section: Where it stands.
        title: What it says.
        latex: The equation, in the signs of the code and with the paper's slips corrected.
        code: Names of the functions and classes that compute it, within `keras_gud`.
        note: What is special, e.g. what was corrected.
    """

    number: int
    section: str
    title: str
    latex: str
    code: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True)
class Place:
    """Lines of a file of the package."""

    path: Path
    first: int
    last: int

    @property
    def file(self) -> str:
        """The file, as ``keras_gud/...``."""
        return self.path.relative_to(ROOT.parent).as_posix()

    def __str__(self) -> str:
        return f"{self.file}:{self.first}"


def place_of(name: str) -> Place:
    """Where an object is defined.

    Args:
        name: Its module and its name in that, ``"schedules.linear:Linear.path"``, or a module.

    Raises:
        AttributeError: if there is no such object.

    Example:

    >>> str(place_of("schedules.linear:Linear.path")).split(":")[0]
    'keras_gud/schedules/linear.py'
    """
    module, _, inside = name.partition(":")
    found = importlib.import_module(f"keras_gud.{module}")
    for part in inside.split(".") if inside else ():
        found = getattr(found, part)
    found = inspect.unwrap(getattr(found, "fget", found))
    lines, first = inspect.getsourcelines(found)
    first = max(first, 1)  # 0 for modules
    return Place(Path(inspect.getsourcefile(found)), first, first + len(lines) - 1)


def mentions() -> dict[int, list[Place]]:
    """The lines of the package that name an equation of the paper, by its number."""
    pattern = re.compile(r"\beqs?\. (\d+)(?:(-| and )(\d+))?", re.IGNORECASE)
    others = re.compile(r"\(20\d\d, eqs?\.|Eq\. 6 there|Chan et al\.")
    found: dict[int, list[Place]] = {}
    for path in sorted(ROOT.rglob("*.py")):
        for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if others.search(text):  # another paper's number
                continue
            for first, between, last in pattern.findall(text):
                numbers = [int(n) for n in (first, last) if n and int(n) <= len(EQUATIONS)]
                if between == "-" and len(numbers) == 2:
                    numbers = range(numbers[0], numbers[1] + 1)
                for number in numbers:
                    found.setdefault(number, []).append(Place(path, line, line))
    return found


EQUATIONS = (
    Equation(
        1, "3.1", "The forward process, in general",
        r"d\phi = \mathbf{f}(\phi, t)\,dt + \mathbf{G}(\phi, t)\,d\mathbf{w}",
        ("diffusion.noising_state",),
        "The code has the linear case that is diagonal in components, eqs. 7, 8 and 13.",
    ),
    Equation(
        2, "3.1", "Its reverse",
        r"d\phi = \left(\mathbf{f} - \nabla\cdot(\mathbf{G}\mathbf{G}^T) - \mathbf{G}\mathbf{G}^T"
        r"\nabla_\phi \log p_t(\phi)\right)dt + \mathbf{G}\,d\bar{\mathbf{w}}",
        ("samplers.sampler:Sampler",),
        "Computed in components, eq. 9.",
    ),
    Equation(
        3, "3.1", "The Fokker-Planck equation of its density",
        r"\frac{\partial p}{\partial t} = -\sum_i \frac{\partial (f_i p)}{\partial \phi_i}"
        r" + \frac{1}{2}\sum_{ij} \frac{\partial^2}{\partial \phi_i \partial \phi_j}"
        r"\left(\sum_k G_{ik} G_{jk}\, p\right)",
        ("diffusion.noised_gaussian:moments", "likelihood.divergence:FlowWithDivergence.__call__"),
        "Solved in closed form for Gaussian data, and along the probability flow for any others.",
    ),
    Equation(
        4, "3.3", "Standard diffusion, forward",
        r"d\phi = -\frac{1}{2}\beta(t)\,\phi\,dt + \sqrt{\beta(t)}\,d\mathbf{w}",
        ("schedules.scalar:VP", "schedules.scalar:Cosine"),
        "One gamma for all components.",
    ),
    Equation(
        5, "3.3", "Standard diffusion, reverse",
        r"d\phi = \left[-\frac{1}{2}\beta(t)\,\phi - \beta(t)\nabla_\phi\log p_t(\phi)\right]dt"
        r" + \sqrt{\beta(t)}\,d\bar{\mathbf{w}}",
        ("samplers.euler_maruyama:EulerMaruyama.step",),
    ),
    Equation(
        6, "3.3", "Denoising score matching",
        r"\mathcal{L} = \mathbb{E}\,\lambda(t)\left\| s_\theta(\phi(t), t)"
        r" - \nabla\log p_t(\phi(t)|\phi(0))\right\|^2",
        ("diffusion.loss:weighted_error", "training.denoising_loss:DenoisingLoss.per_example"),
        "The scalar case of eq. 11.",
    ),
    Equation(
        7, "4.1", "Simultaneously diagonal F and G",
        r"\mathbf{F} = M^{-1}\tilde{\mathbf{F}}M, \quad"
        r" \mathbf{G} = M^{-1}\sqrt{\beta}, \quad M = S^{-1}U",
        ("bases.basis:Basis", "priors.prior:Prior.call"),
        "U is the basis, and S the scale of the prior.",
    ),
    Equation(
        8, "4.1", "The components decouple",
        r"d\chi_i = \tilde{F}_i(t)\chi_i\,dt + \sqrt{\beta_i(t)}\,dw",
        ("diffusion.noising_state:NoisingState.add_noise",),
        "Given by its solution, with F = -beta/2 (eq. 13).",
    ),
    Equation(
        9, "4.1", "The reverse process of a component",
        r"d\chi_i = \left(\tilde{F}_i\chi_i - \beta_i\nabla_{\chi_i}\log p_t(\chi)\right)dt"
        r" + \sqrt{\beta_i}\,d\bar{w}",
        (
            "samplers.euler_maruyama:EulerMaruyama.step",
            "samplers.exponential:DPMSolver._stochastic_step",
        ),
    ),
    Equation(
        10, "4.1", "The process in the data's axes, and the covariance of its noise",
        r"d\phi = U^{-1}\tilde{\mathbf{F}}U\phi\,dt + \sqrt{\beta'}\,dw', \quad"
        r" \Sigma_\mathrm{prior} = U^{-1}S^2U",
        ("priors.prior:Prior.inverse", "models.sampling:to_data"),
    ),
    Equation(
        11, "4.1", "The loss",
        r"\mathcal{L}_\mathrm{GUD} = \mathbb{E}\sum_i \lambda_i(t)\left| s_{i,\theta}(\chi(t), t)"
        r" - \nabla_{\chi_i}\log p_t(\chi(t)|\chi(0))\right|^2",
        ("diffusion.loss:weighted_error", "diffusion.weighting:unit_weight"),
        "Written for eps; sigma_i^2 on the score is 1 on eps. Frozen components carry no loss.",
    ),
    Equation(
        12, "4.1", "The model's density in T steps",
        r"\tilde{p}(\chi(0)) = \int \prod_k d\chi(\tfrac{k}{T}) \prod_\ell"
        r" p(\chi(\tfrac{\ell}{T})|\chi(\tfrac{\ell+1}{T}))\,\tilde{p}(\chi(1))",
        ("samplers.sampler:Sampler.advance", "paths.cost:PathCost.gap"),
        "Sampled step by step; `PathCost.gap` is what T steps lose in the bound of it.",
    ),
    Equation(
        13, "4.2", "Finite-variance diffusion",
        r"d\chi_i = -\frac{1}{2}\beta_i(t)\chi_i\,dt + \sqrt{\beta_i(t)}\,dw",
        ("diffusion.noising_state:NoisingState.beta",),
    ),
    Equation(
        14, "4.2", "Amplitudes of signal and noise",
        r"\alpha_i(t) = \exp\left(-\frac{1}{2}\int_0^t \beta_i(s)\,ds\right), \quad"
        r" \sigma_i^2 = 1 - \alpha_i^2",
        (
            "diffusion.noising_state:NoisingState.alpha",
            "diffusion.noising_state:NoisingState.sigma",
        ),
        "From gamma: alpha^2 = sigmoid(-gamma). gamma(0) is finite, so that alpha(0) is just below"
        " 1.",
    ),
    Equation(
        15, "4.2", "Variance of a noised component",
        r"\mathrm{Var}(\chi_i(t)) = \alpha_i^2\,\Sigma_{ii} + \sigma_i^2",
        (
            "diffusion.noising_state:NoisingState.marginal_variance",
            "diffusion.noised_gaussian:moments",
        ),
        "The printed bracket is at the wrong place.",
    ),
    Equation(
        16, "4.2", "Signal-to-noise ratio",
        r"\mathrm{SNR}_i(t) = \Sigma_{ii}\,\alpha_i^2/\sigma_i^2",
        ("diffusion.noising_state:NoisingState.snr",),
    ),
    Equation(
        17, "4.2", "The noising state",
        r"\mathrm{snr}_i(t) = \alpha_i^2/\sigma_i^2 = e^{-\gamma_i(t)}",
        ("diffusion.noising_state:NoisingState",),
    ),
    Equation(
        18, "5.1", "Linear schedules",
        r"\gamma_i(t) = \gamma_{\min,i} + t\,\Delta\gamma",
        ("schedules.linear:Linear.path",),
    ),
    Equation(
        19, "5.1", "The ends",
        r"\tilde\gamma_\mathrm{denoise} = -\min_i\log\mathrm{SNR}_i(0), \quad"
        r" \tilde\gamma_\mathrm{noise} = -\max_i\log\mathrm{SNR}_i(1)",
        (
            "schedules.end_points:ClippedSchedule.fit_statistics",
            "schedules.end_points:paper_gamma_noise",
            "schedules.end_points:least_gamma_noise",
        ),
        "In appendix B the printed log of sigma_min^2 has to be its logit.",
    ),
    Equation(
        20, "5.1", "Offsets and slope of linear schedules",
        r"\gamma_{\min,i} = \tilde\gamma_\mathrm{denoise} + \log\Sigma_i + a(l_i - l_{\max}), \quad"
        r" \Delta\gamma = \tilde\gamma_\mathrm{noise} - \tilde\gamma_\mathrm{denoise}"
        r" + a(l_{\max} - l_{\min})",
        ("schedules.linear:Linear.path",),
    ),
    Equation(
        21, "B", "Sequential schedules",
        r"\gamma_i(t) = \mathrm{clip}\left(\gamma_{\min} + (t - t_i)"
        r"\frac{\gamma_{\max} - \gamma_{\min}}{1 - b}\right), \quad t_i = b\frac{L - i}{L - 1}",
        (
            "schedules.sequential:Sequential.path",
            "schedules.sequential:Sequential._intervals",
        ),
    ),
    Equation(
        22, "B", "Levels of wavelets and columns in each",
        r"\gamma_{ij}(t) = \mathrm{clip}\left(\gamma_{\min} + (\gamma_{\max} - \gamma_{\min})"
        r"\frac{s_i - c_{ij}}{1 - b}\right), \quad"
        r" s_i = \mathrm{clip}_{0,1}\left(\frac{t - c_i}{1 - a}\right)",
        ("schedules.hierarchical:Hierarchical.path",),
        "Printed as t - c_i/(1 - a); and level 1 has to be the coarsest.",
    ),
    Equation(
        23, "B", "The score in components and in the data's axes",
        r"\nabla_\chi \log p_t(\chi) = S\,U\,\nabla_\phi\log p_t(\phi)",
        ("models.sampling:score",),
        "Printed with the adjoint of U.",
    ),
    Equation(
        24, "B", "Finite-variance diffusion, again",
        r"d\chi_i = -\frac{1}{2}\beta_i(t)\chi_i\,dt + \sqrt{\beta_i(t)}\,dw",
        ("diffusion.noising_state:NoisingState.beta",),
        "The same as eq. 13.",
    ),
    Equation(
        25, "B", "The probability flow",
        r"d\chi_i = -\frac{1}{2}\beta_i(t)\left(\chi_i + \nabla_{\chi_i}\log p_t(\chi)\right)dt",
        ("diffusion.noising_state:probability_flow", "samplers.runge_kutta:Flow.__call__"),
    ),
    Equation(
        26, "D", "Haar transform of one level",
        r"LL_{i,j} = \tfrac{1}{\sqrt{2}}(L_{i,2j} + L_{i,2j+1}), \;"
        r" LH_{i,j} = \tfrac{1}{\sqrt{2}}(L_{i,2j} - L_{i,2j+1}), \;\ldots",
        ("bases.haar:Haar._analyse",),
    ),
    Equation(
        27, "D", "The details of a level",
        r"HF^{(n)} = \mathrm{concat}(LH^{(n)}, HL^{(n)}, HH^{(n)})",
        ("bases.haar:Haar.make_coordinates",),
        "They share a `band`; `orientation` tells them apart.",
    ),
    Equation(
        28, "D", "The next level",
        r"X^{(n)} = LL^{(n)}",
        ("bases.haar:Haar._analyse", "bases.haar:Haar._replace_corner"),
    ),
)  # fmt: skip

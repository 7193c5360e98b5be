"""Changes the equations one at a time and looks whether the tests notice.

    python benchmarks/mutations.py                      # all of them, in a copy of the repository
    python benchmarks/mutations.py --only alpha --only score
    python benchmarks/mutations.py --list

Each mutation replaces a piece of source, and the tests of its folder run as in `make test` on
torch, up to the first that fails. Exit status 1 if all of them pass with some mutation, 2 if they
fail without any.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("keras_gud", "tests", "benchmarks", "examples")
FILES = ("README.md", "setup.cfg", "pyproject.toml")
TIMEOUT = 1800.0  # seconds; tests that hang have noticed too


@dataclass(frozen=True)
class Mutation:
    """One change of an equation.

    Attributes:
        name: Its name, for `--only`.
        file: The file, below `keras_gud/`.
        text: Source that occurs there exactly once.
        replacement: What takes its place.
        tests: Folders or files of tests, below `tests/`, that should notice.
    """

    name: str
    file: str
    text: str
    replacement: str
    tests: tuple[str, ...]

    def source(self, root: Path = ROOT) -> str:
        """The whole file, changed.

        Raises:
            ValueError: if the text does not occur exactly once.
        """
        source = (root / "keras_gud" / self.file).read_text()
        found = source.count(self.text)
        if found != 1:
            raise ValueError(
                f"Expected the text of mutation {self.name!r} once in keras_gud/{self.file}. "
                f"Received: {found} times {self.text!r}."
            )
        return source.replace(self.text, self.replacement)


def _in(file: str, *changes: tuple[str, str, str], also: tuple[str, ...] = ()) -> list[Mutation]:
    """Mutations ``(name, text, replacement)`` of one file, noticed by the tests of its folder."""
    tests = (file.split("/")[0], *also)
    return [Mutation(name, file, text, new, tests) for name, text, new in changes]


MUTATIONS = [
    # -- diffusion: eqs. 11, 13 to 17, 25 ---------------------------------------------------------
    *_in(
        "diffusion/noising_state.py",
        (
            "alpha",
            "return ops.exp(-0.5 * ops.softplus(self.gamma))",
            "return ops.exp(-0.5 * ops.softplus(-self.gamma))",
        ),
        (
            "beta",
            "return ops.sigmoid(self.gamma) * self.dgamma_dt",
            "return ops.sigmoid(-self.gamma) * self.dgamma_dt",
        ),
        ("snr", "return variance * ops.exp(-self.gamma)", "return variance * ops.exp(self.gamma)"),
        (
            "marginal variance, as printed in eq. 15",
            "ops.sigmoid(-self.gamma) * variance + ops.sigmoid(self.gamma)",
            "ops.sigmoid(self.gamma) * variance + ops.sigmoid(-self.gamma)",
        ),
        (
            "add noise",
            "return self.alpha * z0 + self.sigma * eps",
            "return self.sigma * z0 + self.alpha * eps",
        ),
        ("capped", "held = self.gamma > gamma", "held = self.gamma < gamma"),
        ("score", "return -eps / state.sigma", "return eps / state.sigma"),
        (
            "flow",
            "return -0.5 * state.beta * (z + score_from_eps(eps, state))",
            "return -state.beta * (z + score_from_eps(eps, state))",
        ),
        (
            "z0",
            "return (z - state.sigma * eps) / state.alpha",
            "return (z - state.alpha * eps) / state.sigma",
        ),
    ),
    *_in(
        "diffusion/prediction.py",
        (
            "v prediction",
            "return state.sigma * z + state.alpha * output",
            "return state.sigma * z - state.alpha * output",
        ),
        (
            "wiener gain",
            "gain = ops.sqrt(state.alpha**2 * variance / state.marginal_variance(variance))",
            "gain = ops.sqrt(variance / state.marginal_variance(variance))",
        ),
    ),
    *_in(
        "diffusion/weighting.py",
        ("likelihood weight", "return 0.5 * state.dgamma_dt", "return state.dgamma_dt"),
        ("min-SNR", "ops.minimum(5.0 / state.snr", "ops.maximum(5.0 / state.snr"),
    ),
    *_in(
        "diffusion/loss.py",
        ("frozen components", "state.dgamma_dt > 0.0", "state.dgamma_dt >= 0.0"),
        ("sum or mean", "return size * weighted_error(", "return weighted_error("),
        also=("likelihood",),
    ),
    *_in(
        "diffusion/noised_gaussian.py",
        (
            "noised covariance",
            "* ops.expand_dims(covariance, -3) * alpha[:, None, :]",
            "* ops.expand_dims(covariance, -3)",
        ),
        (
            "log determinant",
            "-0.5 * ops.sum(white**2, axis=-1) - log_det - constant",
            "-0.5 * ops.sum(white**2, axis=-1) + log_det - constant",
        ),
        (
            "diagonal density",
            "(ops.square(z) / variance + ops.log(2.0 * math.pi * variance))",
            "(ops.square(z) / variance + ops.log(math.pi * variance))",
        ),
        also=("likelihood",),
    ),
    *_in(
        "diffusion/guidance.py",
        (
            "guidance off by one",
            "return eps_null + guidance * (eps_label - eps_null)",
            "return eps_label + guidance * (eps_label - eps_null)",
        ),
        also=("models/test_labels.py",),
    ),
    *_in(
        "diffusion/data_scaling.py",
        (
            "log S",
            '"log_scale": -xp.sum(counted * xp.log(scale), axis=axes)',
            '"log_scale": xp.sum(counted * xp.log(scale), axis=axes)',
        ),
        ("log alpha", '"log_alpha": xp.sum(', '"log_alpha": -xp.sum('),
        ("log data scale", '"data_scaling": -xp.sum(', '"data_scaling": xp.sum('),
        ("dequantisation", "* (dequantise() - 0.5)", "* dequantise()"),
        ("dequantisation noise", "** 2 / 12.0", "** 2 / 6.0"),
        also=("models/test_likelihood_methods.py", "models/test_evaluate.py"),
    ),
    # -- schedules: eqs. 18 to 22, and those of the literature ------------------------------------
    *_in(
        "schedules/linear.py",
        (
            "linear, eq. 18",
            "+ log_variance + a * (l - l_max)",
            "+ log_variance + a * (l - l_min)",
        ),
        ("ordering", "by_variance = -np.log(data_variance)", "by_variance = np.log(data_variance)"),
    ),
    *_in(
        "schedules/end_points.py",
        (
            "end point",
            "NOISED_GAMMA - log_variance - offset",
            "NOISED_GAMMA + log_variance - offset",
        ),
        (
            "paper's gamma_noise",
            "least_gamma_noise(log_variance.reshape(1, -1), 0.0)",
            "least_gamma_noise(0.0 * log_variance.reshape(1, -1), 0.0)",
        ),
        (
            "eq. 19, first",
            "low = self.gamma_denoise + log_variance.min()",
            "low = self.gamma_denoise + log_variance.max()",
        ),
        ("eq. 19, last", "high = ratio + log_variance.max()", "high = ratio - log_variance.max()"),
        also=("presets",),
    ),
    *_in(
        "schedules/function.py",
        (
            "rate, start",
            "total = math.log1p(math.exp(self.gamma_min)) + integral",
            "total = math.exp(0.5 * self.gamma_min) + integral",
        ),
        ("rate, slope", "return gamma, beta / -ops.expm1(-total)", "return gamma, beta"),
        (
            "amplitudes",
            'return logit if self.gives == "sigma" else -logit',
            'return logit if self.gives == "alpha" else -logit',
        ),
    ),
    *_in(
        "schedules/sequential.py",
        ("window", "b = last / (last + self.window)", "b = last / (last + 1.0 + self.window)"),
        (
            "sequential off by one, eq. 21",
            '(last - ops.arange(self.n_groups, dtype="float32"), 0) / last',
            '(last - ops.arange(self.n_groups, dtype="float32"), 0) / self.n_groups',
        ),
        ("sequential, length", "return b * ahead, 1.0 - b", "return b * ahead, 1.0 + b"),
    ),
    *_in(
        "schedules/hierarchical.py",
        (
            "hierarchical, as printed in eq. 22",
            "snap((t - a * ops.expand_dims(self.level_ahead, 0)) / (1.0 - a))",
            "snap(t - a * ops.expand_dims(self.level_ahead, 0) / (1.0 - a))",
        ),
        (
            "hierarchical, order of columns",
            "(last - group_column) / np.maximum(last, 1)",
            "group_column / np.maximum(last, 1)",
        ),
        ("hierarchical, slope", "/ ((1.0 - a) * (1.0 - b))", "/ (1.0 - a)"),
    ),
    *_in(
        "schedules/clipping.py",
        (
            "closed interval",
            "active = ops.logical_and(u >= 0.0, u <= 1.0)",
            "active = ops.logical_and(u > 0.0, u < 1.0)",
        ),
        (
            "clipped curve",
            "active = ops.logical_and(gamma >= low, gamma <= high)",
            "active = gamma >= low",
        ),
    ),
    *_in(
        "schedules/scalar.py",
        ("cosine", "gamma = 2.0 * ops.log(ops.tan(near))", "gamma = ops.log(ops.tan(near))"),
        ("vp", "self.beta_min * t + 0.5 * growth * t**2", "self.beta_min * t + growth * t**2"),
        ("sub-vp, slope", "(2.0 - decayed) / decayed", "(1.0 - decayed) / decayed"),
        ("edm", "missing = -math.expm1(low)", "missing = math.expm1(low)"),
    ),
    *_in(
        "schedules/frequencies.py",
        ("blurring", "- 2.0 * ops.log(kept)", "- ops.log(kept)"),
        (
            "renormalization",
            "ops.max(k) - self.gamma_min / self.sharpness",
            "ops.min(k) - self.gamma_min / self.sharpness",
        ),
        also=("presets",),
    ),
    *_in(
        "schedules/shortest_path.py",
        (
            "shortest path",
            "/ ops.expm1((1.0 - t) * log_power)",
            "/ ops.expm1((1.0 + t) * log_power)",
        ),
        also=("presets",),
    ),
    *_in(
        "schedules/warp.py",
        ("warp, speed", "/ (t**k + (1.0 - t) ** k) ** 2", "/ (t**k + (1.0 - t) ** k)"),
    ),
    *_in(
        "schedules/learned.py",
        ("learned", "(powers) ** (1.0 / _CRITERIA", "(powers) ** (1.0 * _CRITERIA"),
        ("learned, importance", "(self.first)[1] / share", "(self.first)[1] * share"),
    ),
    Mutation(
        "learned, first time",
        "training/denoising_loss.py",
        "state.dgamma_dt / rarer",
        "state.dgamma_dt",
        ("models/test_evaluate.py",),
    ),
    *_in(
        "schedules/staggered.py",
        ("staggered, length", "i), 1.0 - ops.abs(offset)", "i), 1.0 + 0.0 * ops.abs(offset)"),
        ("staggered, order", "(offset >= 0.0, 1.0 - i, i)", "(offset >= 0.0, i, 1.0 - i)"),
        ("staggered, rate", "members * speed * slope", "members * slope"),
    ),
    *(
        Mutation(name, "diffusion/missing.py", text, new, ("diffusion/test_missing.py",))
        for name, text, new in (
            ("missing, rate", "ops.zeros_like(state.dgamma_dt), state", "state.dgamma_dt, state"),
            ("missing, level", "ops.where(missing, last, state.gamma)", "state.gamma"),
            ("missing, variance", "ops.sqrt(variance) * noise", "variance * noise"),
        )
    ),
    *(
        Mutation(name, "training/power_profile.py", text, new, ("training/test_power_profile.py",))
        for name, text, new in (
            ("width of an average", "16.0 - square, 12.0 - square", "16.0 - square, 12.0"),
            ("product of profiles", "/ (k + other_k + 1) *", "/ (k + other_k + 2) *"),
        )
    ),
    Mutation(
        "share of a step",
        "training/power_average.py",
        "(count, 1.5)) * (k + 1.0)",
        "(count, 1.5)) * k",
        ("training/test_power_average.py",),
    ),
    Mutation(
        "detail, blur",
        "backbones/detail.py",
        "0.25 * (before + after)",
        "0.2 * (before + after)",
        ("backbones/test_detail.py",),
    ),
    Mutation(
        "detail, distance",
        "backbones/detail.py",
        "distance=2**j",
        "distance=1",
        ("backbones/test_detail.py",),
    ),
    Mutation(
        "stages, rate",
        "tasks/staged.py",
        "moves * now.dgamma_dt",
        "now.dgamma_dt",
        ("tasks/test_in_order.py",),
    ),
    # -- samplers: eqs. 9 and 25 ------------------------------------------------------------------
    *_in(
        "samplers/euler_maruyama.py",
        ("reverse SDE, drift", "b * (0.5 * z + score)", "b * (z + score)"),
        ("reverse SDE, noise", "ops.sqrt(b) * draw()", "b * draw()"),
    ),
    *_in(
        "samplers/predictor_corrector.py",
        ("langevin", "ops.sqrt(2.0 * size) * draw(k)", "ops.sqrt(size) * draw(k)"),
    ),
    *_in(
        "samplers/one_step.py",
        ("draws apart", "draw_at(i + k * _DRAWS_APART)", "draw_at(i)"),
    ),
    *_in(
        "samplers/exponential.py",
        ("ancestral noise", "gained = -ops.expm1(-2.0 * h)", "gained = -ops.expm1(-h)"),
        (
            "stochastic, order 2",
            "* (estimate - estimates[1])",
            "* (estimates[1] - estimate)",
        ),
        (
            "exponential step",
            "return target.sigma / first.sigma * z + target.alpha * total",
            "return target.alpha / first.alpha * z + target.alpha * total",
        ),
        (
            "corrector",
            "start, (at_before, at_now, *at_earlier), (before,",
            "start, (at_now, at_before, *at_earlier), (before,",
        ),
    ),
    *_in(
        "samplers/multistep.py",
        ("moments", "exact = h**k - k * results[-1]", "exact = h**k - results[-1]"),
        (
            "divided differences",
            "_nonzero(nodes[j + k] - nodes[j])",
            "_nonzero(nodes[j + 1] - nodes[j])",
        ),
    ),
    *_in(
        "samplers/tableaus.py",
        ("rk4", "(1 / 6, 1 / 3, 1 / 3, 1 / 6)", "(1 / 3, 1 / 6, 1 / 3, 1 / 6)"),
        ("tsit5", "0.4798896504144996", "0.4798896504244996"),
        ("embedded", "(-5 / 72, 1 / 12, 1 / 9, -1 / 8)", "(-5 / 72, 1 / 12, 1 / 9, 1 / 8)"),
    ),
    *_in(
        "samplers/solver.py",
        ("accepted error", "accept = error <= 1.0", "accept = error <= 100.0"),
    ),
    *_in(
        "samplers/spacing.py",
        (
            "spacing",
            "return end + (begin - end) * SPACINGS[spacing](left)",
            "return begin - (begin - end) * SPACINGS[spacing](1.0 - left)",
        ),
    ),
    # -- likelihood -------------------------------------------------------------------------------
    *_in(
        "likelihood/elbo.py",
        ("prior KL", "variance - 1.0 - ops.log(variance)", "variance - 1.0 + ops.log(variance)"),
        ("reconstruction", "math.e) + state.gamma +", "math.e) - state.gamma +"),
        (
            "times of the bound",
            '(ops.cast(j, "float32") + offset) / draws',
            '(ops.cast(j, "float32") + offset) / (draws + 1)',
        ),
    ),
    *_in(
        "likelihood/divergence.py",
        ("divergence", "(1.0 - diagonal / state.sigma)", "(1.0 - diagonal / state.alpha)"),
        (
            "hutchinson",
            "_divergence(self.probes[0] * change, state)",
            "_divergence(change, state)",
        ),
        (
            "given components",
            "ops.where(self.mask, 0.0, moving.dgamma_dt)",
            "moving.dgamma_dt",
        ),
    ),
    *_in(
        "likelihood/ode.py",
        ("nats per dimension", "integral * math.prod(z.shape[1:])", "integral"),
        (
            "standard error",
            "integrals.std(axis=1, ddof=1) / math.sqrt(probes)",
            "integrals.std(axis=1, ddof=1) / probes",
        ),
    ),
]


def run_tests(root: Path, tests: Iterable[str]) -> str | None:
    """The first test that fails in a copy of the repository, or `None` if all pass."""
    environment = os.environ | {
        "KERAS_BACKEND": "torch",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        "PYTHONPATH": str(root),
        # Compiled files are matched by time and size, which a change of sign may leave as they are.
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-m", "pytest", "-m", "not slow", "-x", "-q", "--tb=no"]
    command += ["-p", "no:cacheprovider", *(f"tests/{name}" for name in tests)]
    try:
        run = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, timeout=TIMEOUT
        )
    except subprocess.TimeoutExpired:
        return f"no end within {TIMEOUT:g} s"
    if run.returncode == 0:
        return None
    found = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", run.stdout, flags=re.MULTILINE)
    if run.returncode not in (1, 2) or not found:
        raise RuntimeError(f"pytest ended with {run.returncode}:\n{run.stdout}{run.stderr}")
    return found.group(1)


def noticed_by(root: Path, mutation: Mutation) -> str | None:
    """The first test that fails with a mutation, or `None`; the copy is as before afterwards."""
    path = root / "keras_gud" / mutation.file
    before, after = path.read_text(), mutation.source(root)
    path.write_text(after)
    try:
        return run_tests(root, mutation.tests)
    finally:
        path.write_text(before)


def copy_repository(target: Path):
    """What the tests need of the repository, without compiled files."""
    for name in FOLDERS:
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, target / name)


def chosen(names: list[str] | None) -> list[Mutation]:
    """The mutations of these names, or all."""
    known = {mutation.name: mutation for mutation in MUTATIONS}
    unknown = sorted(set(names or ()) - set(known))
    if unknown:
        raise SystemExit(f"Expected names of mutations, as `--list` has them. Received: {unknown}.")
    return [known[name] for name in names or known]


def main(arguments: list[str] | None = None) -> int:
    """Prints a table of mutations and the tests that notice them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", metavar="NAME", help="may be given repeatedly")
    parser.add_argument("--list", action="store_true", help="list the mutations and run nothing")
    parser.add_argument(
        "--no-baseline", action="store_true", help="do not run the tests without a mutation first"
    )
    options = parser.parse_args(arguments)
    mutations = chosen(options.only)
    for mutation in mutations:
        mutation.source()  # a text that is not there ends the run before it begins
    if options.list:
        for mutation in mutations:
            print(f"{mutation.name:36} {mutation.file:32} {mutation.replacement}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        copy_repository(root)
        if not options.no_baseline:
            tests = dict.fromkeys(name for mutation in mutations for name in mutation.tests)
            failed = run_tests(root, tests)
            if failed:
                print(f"Without any mutation, this fails: {failed}")
                return 2
        print("| mutation | file | change | caught by | s |\n|---|---|---|---|---|")
        survived = 0
        for mutation in mutations:
            begin = time.perf_counter()
            test = noticed_by(root, mutation)
            seconds = time.perf_counter() - begin
            survived += test is None
            change = f"`{mutation.text}` -> `{mutation.replacement}`"
            caught = "**SURVIVED**" if test is None else f"`{test}`"
            row = [mutation.name, f"`{mutation.file}`", change, caught, f"{seconds:.0f}"]
            print(f"| {' | '.join(row)} |", flush=True)
    print(f"\n{len(mutations) - survived} of {len(mutations)} caught.")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())

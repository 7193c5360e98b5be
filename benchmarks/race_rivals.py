"""What a user might pick instead, as its documentation has it, trained for given seconds.

Each contestant is a function ``(data, seconds, batch, seed) -> (draw, facts)``, where ``draw(n)``
returns n samples in the data's own units.
"""

import importlib.machinery
import importlib.util
import itertools
import sys
import time
import types

import numpy as np
from peers import diffusers_unet
from race_data import RaceData

from keras_gud import backend

# Solver steps of samplers that are given a number of them.
STEPS = 50


def _batches(data: RaceData, batch: int, rng: np.random.Generator):
    """Endless float batches in [-1, 1], channels first."""
    import torch

    low, high = data.unit_range
    x = 2.0 * (data.train.astype("float32") - low) / (high - low) - 1.0
    x = torch.from_numpy(np.moveaxis(x, -1, 1).copy())
    while True:
        for rows in rng.permutation(len(x))[: len(x) // batch * batch].reshape(-1, batch):
            yield x[rows]


def _train(network, loss_of, data, seconds, batch, seed, lr, decay):
    """Adam and an average of the weights, until the time is over; returns the steps taken."""
    import torch

    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    averages = [p.detach().clone() for p in network.parameters()]
    steps, start = 0, time.monotonic()
    for x in _batches(data, batch, np.random.default_rng(seed)):
        optimizer.zero_grad()
        loss_of(x).backward()
        optimizer.step()
        steps += 1
        with torch.no_grad():
            # A young average follows the weights, in every library of this kind.
            rate = max(1.0 - decay, 9.0 / (10.0 + steps))
            torch._foreach_lerp_(averages, list(network.parameters()), rate)
        if time.monotonic() - start >= seconds:
            break
    with torch.no_grad():
        for p, average in zip(network.parameters(), averages, strict=True):
            p.copy_(average)
    network.eval()
    return {"steps": steps, "parameters": sum(p.numel() for p in network.parameters())}


def _to_data(x, data: RaceData) -> np.ndarray:
    low, high = data.unit_range
    x = np.moveaxis(x.numpy(), 1, -1)
    raw = low + (x + 1.0) / 2.0 * (high - low)
    if data.train.dtype != np.uint8:
        return raw.astype("float32")
    return np.clip(np.round(raw), 0, 255).astype("uint8")


def diffusers(data: RaceData, seconds: float, batch: int, seed: int):
    """diffusers: `UNet2DModel`, cosine schedule, v, and its SDE-DPM-Solver++."""
    import torch

    _import_torchvision()
    from diffusers import DDPMScheduler, DPMSolverMultistepScheduler

    torch.manual_seed(seed)
    network = diffusers_unet(*data.train.shape[2:])
    kwargs = {"beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction"}
    noise = DDPMScheduler(1000, **kwargs)

    def loss_of(x):
        t = torch.randint(0, 1000, (len(x),))
        eps = torch.randn_like(x)
        target = noise.get_velocity(x, eps, t)
        return torch.mean((network(noise.add_noise(x, eps, t), t).sample - target) ** 2)

    facts = _train(network, loss_of, data, seconds, batch, seed, lr=5e-4, decay=0.999)
    solver = DPMSolverMultistepScheduler(1000, algorithm_type="sde-dpmsolver++", **kwargs)

    @torch.no_grad()
    def draw(n):
        samples = []
        for _ in range(0, n, 100):
            solver.set_timesteps(STEPS)
            x = torch.randn(100, *np.moveaxis(data.train[:1], -1, 1).shape[1:])
            for t in solver.timesteps:
                x = solver.step(network(x, t).sample, t, x).prev_sample
            samples.append(x)
        return _to_data(torch.cat(samples)[:n], data)

    return draw, facts


def lucidrains(data: RaceData, seconds: float, batch: int, seed: int):
    """denoising-diffusion-pytorch: its `Unet` and `GaussianDiffusion`, v, min-SNR, DDIM."""
    import torch

    _import_torchvision()
    from denoising_diffusion_pytorch import GaussianDiffusion, Unet

    torch.manual_seed(seed)
    channels, size = data.train.shape[-1], data.train.shape[1]
    network = Unet(dim=24, dim_mults=(1, 2, 2), channels=channels, flash_attn=False)
    diffusion = GaussianDiffusion(
        network,
        image_size=size,
        objective="pred_v",
        min_snr_loss_weight=True,
        sampling_timesteps=STEPS,
        auto_normalize=False,
    )
    facts = _train(diffusion, diffusion, data, seconds, batch, seed, lr=5e-4, decay=0.999)

    def draw(n):
        samples = [diffusion.sample(batch_size=100) for _ in range(0, n, 100)]
        return _to_data(torch.cat(samples)[:n], data)

    return draw, facts | {"parameters": sum(p.numel() for p in network.parameters())}


def _import_torchvision() -> None:
    """Lets the rivals import torchvision: one beside a CPU build of torch, or none at all.

    They need it for nothing but the loading of files.
    """
    if importlib.util.find_spec("torchvision") is not None:
        backend.import_torchvision()
    else:
        stub = types.ModuleType("torchvision")
        stub.transforms = stub.utils = types.SimpleNamespace()
        stub.__spec__ = importlib.machinery.ModuleSpec("torchvision", None)
        sys.modules["torchvision"] = stub


def edm(data: RaceData, seconds: float, batch: int, seed: int):
    """The recipe of EDM (arXiv:2206.00364) around diffusers' U-Net: its weights, noise and Heun."""
    import torch

    _import_torchvision()
    torch.manual_seed(seed)
    network = diffusers_unet(*data.train.shape[2:])
    low, high = data.unit_range
    std = float(2.0 * data.train.astype("float64").std() / (high - low))

    def denoise(x, sigma):
        sigma = sigma.reshape(-1, 1, 1, 1)
        total = torch.sqrt(sigma**2 + std**2)
        out = network(x / total, torch.log(sigma.flatten()) / 4.0 * 250.0).sample
        return std**2 / total**2 * x + sigma * std / total * out

    def loss_of(x):
        sigma = torch.exp(-1.2 + 1.2 * torch.randn(len(x), 1, 1, 1))
        weight = (sigma**2 + std**2) / (sigma * std) ** 2
        return torch.mean(weight * (denoise(x + sigma * torch.randn_like(x), sigma) - x) ** 2)

    facts = _train(network, loss_of, data, seconds, batch, seed, lr=1e-3, decay=0.999)

    @torch.no_grad()
    def draw(n):
        steps = STEPS // 2  # two evaluations each
        ramp = torch.linspace(80.0 ** (1 / 7), 0.002 ** (1 / 7), steps, dtype=torch.float64) ** 7
        sigmas = torch.cat([ramp, torch.zeros(1, dtype=torch.float64)]).float()
        samples = []
        for _ in range(0, n, 100):
            x = sigmas[0] * torch.randn(100, *np.moveaxis(data.train[:1], -1, 1).shape[1:])
            for now, then in itertools.pairwise(sigmas):
                slope = (x - denoise(x, now.expand(len(x)))) / now
                y = x + (then - now) * slope
                if then > 0:
                    slope = (slope + (y - denoise(y, then.expand(len(y)))) / then) / 2.0
                    y = x + (then - now) * slope
                x = y
            samples.append(x)
        return _to_data(torch.cat(samples)[:n], data)

    return draw, facts


RIVALS = {"diffusers": diffusers, "denoising-diffusion-pytorch": lucidrains, "edm": edm}

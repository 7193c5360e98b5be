"""Hand-written PyTorch networks of the sizes of ours, and their training step: the yardstick there.

Channels last in memory, fused attention and optimizer, compiled: what a careful user would write.
They are told one gamma for each example, as ours are on the default path.
"""

import itertools
import math

import numpy as np
import torch
from peers import batches_of, size_of
from torch import nn
from torch.nn import functional

from keras_gud.backbones.norm import group_count

DTYPES = {"float32": None, "bfloat16": torch.bfloat16}


def features(gamma):
    """Gamma, its sine and cosine at four periods: ``(batch,)`` -> ``(batch, 9)``."""
    periods = 2 * math.pi / torch.tensor([40.0, 20.0, 10.0, 5.0], device=gamma.device)
    angles = gamma[:, None] * periods
    return torch.cat([gamma[:, None] / 10, angles.sin(), angles.cos()], dim=1)


class Embedding(nn.Sequential):
    """From gamma to the global vector."""

    def __init__(self, dim):
        super().__init__(nn.Linear(9, dim), nn.SiLU(), nn.Linear(dim, dim), nn.SiLU())

    def forward(self, gamma):
        return super().forward(features(gamma))


def norm(width):
    return nn.GroupNorm(group_count(width), width)


def convolution(inputs, width, **kwargs):
    return nn.Conv2d(inputs, width, 3, padding=1, **kwargs)


class Block(nn.Module):
    """Norm, SiLU, conv, FiLM norm, SiLU, conv, plus the input."""

    def __init__(self, inputs, width, dim):
        super().__init__()
        self.norm_in, self.norm_out = norm(inputs), norm(width)
        self.conv_in, self.conv_out = convolution(inputs, width), convolution(width, width)
        nn.init.zeros_(self.conv_out.weight)
        self.film = nn.Linear(dim, 2 * width)
        self.skip = nn.Identity() if inputs == width else nn.Conv2d(inputs, width, 1)

    def forward(self, x, vector):
        h = self.conv_in(functional.silu(self.norm_in(x)))
        scale, shift = self.film(vector)[:, :, None, None].chunk(2, dim=1)
        return self.skip(x) + self.conv_out(functional.silu(self.norm_out(h) * (1 + scale) + shift))


class Attention(nn.Module):
    """Fused self-attention on ``(batch, N, width)``."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)

    def forward(self, x):
        batch, n, width = x.shape
        q, k, v = (
            part.reshape(batch, n, self.heads, -1).transpose(1, 2)
            for part in self.qkv(x).chunk(3, dim=-1)
        )
        found = functional.scaled_dot_product_attention(q, k, v)
        return self.out(found.transpose(1, 2).reshape(batch, n, width))


class SpatialAttention(nn.Module):
    """Residual attention among the positions of an image, which are embedded."""

    def __init__(self, positions, width, heads):
        super().__init__()
        self.norm, self.attention = norm(width), Attention(width, heads)
        self.position = nn.Parameter(torch.randn(positions, width))

    def forward(self, x):
        flat = self.norm(x).flatten(2).transpose(1, 2) + self.position
        return x + self.attention(flat).transpose(1, 2).reshape(x.shape)


class UNet(nn.Module):
    """Levels of residual blocks, self-attention at the coarsest, skips from each level."""

    def __init__(self, shape, widths, blocks, heads, embedding_dim, patch=1):
        super().__init__()
        size, _, channels = shape
        self.patch, self.embed = patch, Embedding(embedding_dim)
        values, last = channels * patch**2, len(widths) - 1
        coarsest = -(-size // (patch * 2**last))

        def level(inputs, width):
            sizes = [inputs, *[width] * (blocks - 1)]
            return nn.ModuleList([Block(n, width, embedding_dim) for n in sizes])

        before = (widths[0], *widths[:-1])
        self.stem = convolution(values, widths[0])
        self.down = nn.ModuleList([level(*pair) for pair in zip(before, widths, strict=True)])
        self.attend = SpatialAttention(coarsest**2, widths[-1], heads)
        self.shrink = nn.ModuleList([convolution(w, w, stride=2) for w in widths[:-1]])
        pairs = list(zip(widths[1:], widths[:-1], strict=True))
        self.narrow = nn.ModuleList([nn.Conv2d(*pair, 1) for pair in pairs])
        self.up = nn.ModuleList([level(2 * w, w) for w in widths[:-1]])
        self.norm, self.head = norm(widths[0]), convolution(widths[0], values)
        nn.init.zeros_(self.head.weight)

    def forward(self, z, gamma):
        vector = self.embed(gamma)
        x, skips = self.stem(functional.pixel_unshuffle(z, self.patch)), []
        for i, blocks in enumerate(self.down):
            for j, block in enumerate(blocks):
                x = block(x, vector)
                if j == 0 and i == len(self.down) - 1:
                    x = self.attend(x)
            if i < len(self.shrink):
                skips.append(x)
                x = self.shrink[i](x)
        for i in reversed(range(len(skips))):
            x = functional.interpolate(self.narrow[i](x), scale_factor=2.0)
            size = skips[i].shape[-1]
            x = torch.cat([x[:, :, :size, :size], skips[i]], dim=1)
            for block in self.up[i]:
                x = block(x, vector)
        return functional.pixel_shuffle(self.head(functional.silu(self.norm(x))), self.patch)


class TransformerBlock(nn.Module):
    """Attention and an MLP with adaptive norms."""

    def __init__(self, width, heads, dim):
        super().__init__()
        self.attention, self.film = Attention(width, heads), nn.Linear(dim, 6 * width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x, vector):
        shift, scale, gate, *others = self.film(vector)[:, None].chunk(6, dim=-1)
        x = x + (1 + gate) * self.attention(modulate(x, shift, scale))
        shift, scale, gate = others
        return x + (1 + gate) * self.mlp(modulate(x, shift, scale))


def modulate(x, shift, scale):
    return functional.rms_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift


class DiT(nn.Module):
    """A transformer of patches, conditioned on one gamma."""

    def __init__(self, shape, width, blocks, heads, embedding_dim, patch):
        super().__init__()
        size, _, channels = shape
        values = channels * patch**2
        self.patch, self.embed = patch, Embedding(embedding_dim)
        self.stem, self.head = nn.Linear(values, width), nn.Linear(width, values)
        self.position = nn.Parameter(torch.randn((size // patch) ** 2, width))
        self.film = nn.Linear(embedding_dim, 2 * width)
        self.blocks = nn.ModuleList(
            [TransformerBlock(width, heads, embedding_dim) for _ in range(blocks)]
        )

    def forward(self, z, gamma):
        vector = self.embed(gamma)
        patches = functional.pixel_unshuffle(z, self.patch)
        x = self.stem(patches.flatten(2).transpose(1, 2)) + self.position
        for block in self.blocks:
            x = block(x, vector)
        x = self.head(modulate(x, *self.film(vector)[:, None].chunk(2, dim=-1)))
        return functional.pixel_shuffle(x.transpose(1, 2).reshape(patches.shape), self.patch)


def device():
    return "cuda" if torch.cuda.is_available() else "cpu"


def make_network(network, shape):
    """The plain network of the size of ours, on the device."""
    kind, arguments = size_of(network)
    made = {"unet": UNet, "dit": DiT}[kind](shape, **arguments)
    return made.to(device(), memory_format=torch.channels_last)


def make_step(network, x, steps, dtype, compiled=True):
    """A training step: loss, gradient, Adam, average of the weights.

    Args:
        network: Ours, the size of which it has.
        x: 8-bit images ``(steps * batch, size, size, channels)``.
        steps: Steps in one run.
        dtype: ``"float32"`` or ``"bfloat16"``, the latter by autocast.
        compiled: Whether to compile the loss and its gradient.

    Returns:
        A function that runs the steps, the number of parameters, the FLOPs of one step.
    """
    from torch.utils.flop_counter import FlopCounterMode

    plain = make_network(network, x.shape[1:])
    weights = list(plain.parameters())
    optimizer = torch.optim.Adam(weights, lr=5e-4, fused=device() == "cuda")
    averages = [w.detach().clone() for w in weights]
    batches = torch.from_numpy(np.moveaxis(batches_of(x, steps), -1, 2).copy()).to(device())

    def loss_of(batch):
        t = torch.rand(len(batch), device=batch.device)
        gamma = -7.0 + 13.0 * t
        eps = torch.randn_like(batch)
        alpha, sigma = (torch.sigmoid(g).sqrt()[:, None, None, None] for g in (-gamma, gamma))
        on = DTYPES[dtype] is not None
        with torch.autocast(device(), dtype=DTYPES[dtype] or torch.bfloat16, enabled=on):
            output = plain(alpha * batch + sigma * eps, gamma)
        return torch.mean((output.float() - eps) ** 2)

    counter = FlopCounterMode(display=False)
    with counter:
        loss_of(batches[0]).backward()
    loss_and = torch.compile(loss_of) if compiled else loss_of

    def run():
        for batch in batches:
            optimizer.zero_grad()
            loss = loss_and(batch)
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                torch._foreach_lerp_(averages, weights, 1e-3)
        return loss.item()

    return run, sum(w.numel() for w in weights), counter.get_total_flops()


def make_sampler(network, shape, n, steps, compiled=True):
    """A plain loop of DDIM over the compiled network; a function that draws n samples."""
    plain = make_network(network, shape).eval()
    call = torch.compile(plain) if compiled else plain
    gammas = torch.linspace(6.0, -7.0, steps + 1, device=device())

    @torch.no_grad()
    def run():
        z = torch.randn(n, shape[-1], *shape[:-1], device=device())
        for gamma, following in itertools.pairwise(gammas):
            eps = call(z, gamma.expand(n))
            clean = (z - torch.sigmoid(gamma).sqrt() * eps) / torch.sigmoid(-gamma).sqrt()
            z = torch.sigmoid(-following).sqrt() * clean + torch.sigmoid(following).sqrt() * eps
        return z.cpu()

    return run

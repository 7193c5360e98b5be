"""Plain Flax NNX networks of the sizes of ours, and their training step: the yardstick on jax."""

import jax
import jax.numpy as jnp
from flax import nnx
from peers import make_jax_step, size_of

from keras_gud.backbones.norm import group_count

# What lists of modules have to be from Flax 0.12 on.
LIST = getattr(nnx, "List", list)


class Embedding(nnx.Module):
    """From gamma to the global vector."""

    def __init__(self, dim, rngs):
        self.first, self.second = nnx.Linear(9, dim, rngs=rngs), nnx.Linear(dim, dim, rngs=rngs)

    def __call__(self, gamma):
        angles = gamma[:, None] * 2 * jnp.pi / jnp.array([40.0, 20.0, 10.0, 5.0])
        found = [gamma[:, None] / 10, jnp.sin(angles), jnp.cos(angles)]
        return nnx.silu(self.second(nnx.silu(self.first(jnp.concatenate(found, axis=1)))))


def norm(width, rngs):
    return nnx.GroupNorm(width, num_groups=group_count(width), rngs=rngs)


class Block(nnx.Module):
    """Norm, SiLU, conv, FiLM norm, SiLU, conv, plus the input."""

    def __init__(self, inputs, width, dim, dtype, rngs):
        zeros = nnx.initializers.zeros
        self.norm_in, self.norm_out = norm(inputs, rngs), norm(width, rngs)
        self.conv_in = nnx.Conv(inputs, width, (3, 3), dtype=dtype, rngs=rngs)
        self.conv_out = nnx.Conv(width, width, (3, 3), kernel_init=zeros, dtype=dtype, rngs=rngs)
        self.film = nnx.Linear(dim, 2 * width, rngs=rngs)
        narrow = nnx.Linear(inputs, width, dtype=dtype, rngs=rngs) if inputs != width else None
        self.skip = narrow

    def __call__(self, x, vector):
        h = self.conv_in(nnx.silu(self.norm_in(x)))
        scale, shift = jnp.split(self.film(vector)[:, None, None, :], 2, axis=-1)
        h = self.conv_out(nnx.silu(self.norm_out(h) * (1.0 + scale) + shift))
        return h + (x if self.skip is None else self.skip(x))


class Attention(nnx.Module):
    """Self-attention on ``(batch, N, width)``."""

    def __init__(self, width, heads, dtype, rngs):
        self.heads = heads
        self.qkv = nnx.Linear(width, 3 * width, dtype=dtype, rngs=rngs)
        self.out = nnx.Linear(
            width, width, kernel_init=nnx.initializers.zeros, dtype=dtype, rngs=rngs
        )

    def __call__(self, x):
        batch, n, width = x.shape
        parts = jnp.split(self.qkv(x), 3, axis=-1)
        q, k, v = (part.reshape(batch, n, self.heads, -1) for part in parts)
        return self.out(jax.nn.dot_product_attention(q, k, v).reshape(batch, n, width))


class UNet(nnx.Module):
    """Levels of residual blocks, self-attention at the coarsest, skips from each level."""

    def __init__(self, shape, widths, blocks, heads, embedding_dim, dtype, rngs, patch=1):
        size, _, channels = shape
        self.patch, self.embed = patch, Embedding(embedding_dim, rngs)
        values, last = channels * patch**2, len(widths) - 1
        coarsest = -(-size // (patch * 2**last))

        def convolution(inputs, width, **kwargs):
            return nnx.Conv(inputs, width, (3, 3), dtype=dtype, rngs=rngs, **kwargs)

        def level(inputs, width):
            sizes = [inputs, *[width] * (blocks - 1)]
            return LIST([Block(n, width, embedding_dim, dtype, rngs) for n in sizes])

        before = (widths[0], *widths[:-1])
        self.stem = convolution(values, widths[0])
        self.down = LIST([level(*pair) for pair in zip(before, widths, strict=True)])
        self.attention = Attention(widths[-1], heads, dtype, rngs)
        self.attention_norm = norm(widths[-1], rngs)
        self.position = nnx.Param(jax.random.normal(rngs.params(), (coarsest**2, widths[-1])))
        self.shrink = LIST([convolution(w, w, strides=2) for w in widths[:-1]])
        pairs = list(zip(widths[1:], widths[:-1], strict=True))
        self.narrow = LIST([nnx.Linear(*pair, dtype=dtype, rngs=rngs) for pair in pairs])
        self.up = LIST([level(2 * w, w) for w in widths[:-1]])
        self.norm = norm(widths[0], rngs)
        self.head = convolution(widths[0], values, kernel_init=nnx.initializers.zeros)

    def attend(self, x):
        flat = self.attention_norm(x).reshape(len(x), -1, x.shape[-1]) + self.position
        return x + self.attention(flat).reshape(x.shape)

    def __call__(self, z, gamma):
        vector = self.embed(gamma)
        x, skips = self.stem(to_patches(z, self.patch)), []
        for i, blocks in enumerate(self.down):
            for j, block in enumerate(blocks):
                x = block(x, vector)
                x = self.attend(x) if j == 0 and i == len(self.down) - 1 else x
            if i < len(self.shrink):
                skips.append(x)
                x = self.shrink[i](x)
        for i in reversed(range(len(skips))):
            x = jnp.repeat(jnp.repeat(self.narrow[i](x), 2, axis=1), 2, axis=2)
            size = skips[i].shape[1]
            x = jnp.concatenate([x[:, :size, :size], skips[i]], axis=-1)
            for block in self.up[i]:
                x = block(x, vector)
        return from_patches(self.head(nnx.silu(self.norm(x))), self.patch)


class TransformerBlock(nnx.Module):
    """Attention and an MLP with adaptive norms."""

    def __init__(self, width, heads, dim, dtype, rngs):
        self.attention = Attention(width, heads, dtype, rngs)
        self.film = nnx.Linear(dim, 6 * width, rngs=rngs)
        self.wide = nnx.Linear(width, 4 * width, dtype=dtype, rngs=rngs)
        self.narrow = nnx.Linear(4 * width, width, dtype=dtype, rngs=rngs)

    def __call__(self, x, vector):
        shift, scale, gate, *others = jnp.split(self.film(vector)[:, None], 6, axis=-1)
        x = x + (1 + gate) * self.attention(modulate(x, shift, scale))
        shift, scale, gate = others
        return x + (1 + gate) * self.narrow(nnx.gelu(self.wide(modulate(x, shift, scale))))


def modulate(x, shift, scale):
    square = jnp.mean(jnp.square(x.astype("float32")), axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(square + 1e-6) * (1 + scale) + shift


class DiT(nnx.Module):
    """A transformer of patches, conditioned on one gamma."""

    def __init__(self, shape, width, blocks, heads, embedding_dim, patch, dtype, rngs):
        size, _, channels = shape
        values = channels * patch**2
        self.patch, self.embed = patch, Embedding(embedding_dim, rngs)
        self.stem = nnx.Linear(values, width, dtype=dtype, rngs=rngs)
        self.head = nnx.Linear(width, values, dtype=dtype, rngs=rngs)
        self.position = nnx.Param(jax.random.normal(rngs.params(), ((size // patch) ** 2, width)))
        self.film = nnx.Linear(embedding_dim, 2 * width, rngs=rngs)
        self.blocks = LIST(
            [TransformerBlock(width, heads, embedding_dim, dtype, rngs) for _ in range(blocks)]
        )

    def __call__(self, z, gamma):
        vector, patches = self.embed(gamma), to_patches(z, self.patch)
        x = self.stem(patches.reshape(len(z), -1, patches.shape[-1])) + self.position
        for block in self.blocks:
            x = block(x, vector)
        x = self.head(modulate(x, *jnp.split(self.film(vector)[:, None], 2, axis=-1)))
        return from_patches(x.reshape(patches.shape), self.patch)


def to_patches(x, patch):
    n, size, _, channels = x.shape
    x = x.reshape(n, size // patch, patch, size // patch, patch, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(n, size // patch, size // patch, -1)


def from_patches(x, patch):
    n, size, _, values = x.shape
    x = x.reshape(n, size, size, patch, patch, values // patch**2)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(n, size * patch, size * patch, -1)


def make_network(network, shape, dtype):
    """The plain network of the size of ours."""
    kind, arguments = size_of(network)
    dtype = {"float32": None, "bfloat16": jnp.bfloat16}[dtype]
    return {"unet": UNet, "dit": DiT}[kind](shape, dtype=dtype, rngs=nnx.Rngs(0), **arguments)


def make_step(network, x, steps, dtype, compiled=True):
    """A training step as that of `plain_torch`; always compiled."""

    def loss_of(plain, batch, key):
        key_t, key_eps = jax.random.split(key)
        gamma = -7.0 + 13.0 * jax.random.uniform(key_t, (len(batch),))
        eps = jax.random.normal(key_eps, batch.shape)
        alpha, sigma = (jnp.sqrt(jax.nn.sigmoid(g))[:, None, None, None] for g in (-gamma, gamma))
        return jnp.mean((plain(alpha * batch + sigma * eps, gamma) - eps) ** 2)

    return make_jax_step(make_network(network, x.shape[1:], dtype), loss_of, x, steps)


def make_sampler(network, shape, n, steps, compiled=True):
    """DDIM in one compiled loop; a function that draws n samples."""
    graph, weights = nnx.split(make_network(network, shape, "float32"))
    gammas = jnp.linspace(6.0, -7.0, steps + 1)

    @jax.jit
    def loop(weights, key):
        plain = nnx.merge(graph, weights)

        def step(i, z):
            gamma, following = gammas[i], gammas[i + 1]
            eps = plain(z, jnp.full((n,), gamma))
            roots = [jnp.sqrt(jax.nn.sigmoid(g)) for g in (-gamma, gamma, -following, following)]
            return roots[2] * (z - roots[1] * eps) / roots[0] + roots[3] * eps

        return jax.lax.fori_loop(0, steps, step, jax.random.normal(key, (n, *shape)))

    return lambda: jax.device_get(loop(weights, jax.random.key(0)))

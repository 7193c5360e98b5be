"""A plain Flax NNX U-Net with the blocks of `keras_gud.backbones.UNet`: the yardstick on jax."""

import jax
import jax.numpy as jnp
from flax import nnx


class Attention(nnx.Module):
    """Residual attention from the positions to themselves or to tokens, positions embedded."""

    def __init__(self, positions, width, context, heads, rngs):
        self.norm = nnx.GroupNorm(width, num_groups=width // 4, rngs=rngs)
        self.position = nnx.Param(jax.random.normal(rngs.params(), (positions, width)))
        self.query = nnx.Linear(width, width, use_bias=False, rngs=rngs)
        self.key = nnx.Linear(context, width, use_bias=False, rngs=rngs)
        self.value = nnx.Linear(context, width, rngs=rngs)
        self.out = nnx.Linear(width, width, kernel_init=nnx.initializers.zeros, rngs=rngs)
        self.heads = heads

    def __call__(self, x, context=None):
        batch, width = x.shape[0], x.shape[-1]
        flat = self.norm(x).reshape(batch, -1, width) + self.position
        context = flat if context is None else context

        def split(h):
            return h.reshape(batch, -1, self.heads, width // self.heads)

        query, key, value = map(split, (self.query(flat), self.key(context), self.value(context)))
        found = jax.nn.dot_product_attention(query, key, value).reshape(batch, -1, width)
        return x + self.out(found).reshape(x.shape)


class Block(nnx.Module):
    """Norm, SiLU, conv, FiLM norm, SiLU, conv, plus the input."""

    def __init__(self, inputs, width, embedding_dim, rngs):
        self.norm_in = nnx.GroupNorm(inputs, num_groups=inputs // 4, rngs=rngs)
        self.norm_out = nnx.GroupNorm(width, num_groups=width // 4, rngs=rngs)
        self.conv_in = nnx.Conv(inputs, width, (3, 3), rngs=rngs)
        self.conv_out = nnx.Conv(
            width, width, (3, 3), kernel_init=nnx.initializers.zeros, rngs=rngs
        )
        self.film = nnx.Linear(embedding_dim, 2 * width, rngs=rngs)
        self.skip = nnx.Conv(inputs, width, (1, 1), rngs=rngs) if inputs != width else None

    def __call__(self, x, vector):
        h = self.conv_in(nnx.silu(self.norm_in(x)))
        scale, shift = jnp.split(self.film(vector)[:, None, None, :], 2, axis=-1)
        h = self.conv_out(nnx.silu(self.norm_out(h) * (1.0 + scale) + shift))
        return h + (x if self.skip is None else self.skip(x))


class UNet(nnx.Module):
    """Three levels; the two coarser ones attend to the tokens, the coarsest to itself too."""

    def __init__(self, size, widths, embedding_dim, heads, rngs):
        one, two, three = widths
        half, quarter = (size + 1) // 2, (size + 3) // 4
        told = embedding_dim // 2
        block = lambda inputs, width: Block(inputs, width, embedding_dim, rngs)  # noqa: E731
        attend = lambda edge, width, context: Attention(  # noqa: E731
            edge**2, width, context, heads, rngs
        )
        self.token_in = nnx.Linear(10, told, rngs=rngs)
        self.merge = nnx.Linear(told + 4 * size, embedding_dim, rngs=rngs)
        self.squeeze = nnx.Linear(told, 4, rngs=rngs)
        self.vector_out = nnx.Linear(embedding_dim, embedding_dim, rngs=rngs)
        self.stem = nnx.Conv(2, one, (3, 3), rngs=rngs)
        self.down1, self.down2, self.middle = block(one, one), block(one, two), block(two, three)
        self.cross2, self.cross3 = attend(half, two, told), attend(quarter, three, told)
        self.within = attend(quarter, three, three)
        self.shrink1 = nnx.Conv(one, one, (3, 3), strides=2, rngs=rngs)
        self.shrink2 = nnx.Conv(two, two, (3, 3), strides=2, rngs=rngs)
        self.narrow2 = nnx.Conv(three, two, (1, 1), rngs=rngs)
        self.narrow1 = nnx.Conv(two, one, (1, 1), rngs=rngs)
        self.up2, self.up1 = block(2 * two, two), block(2 * one, one)
        self.cross_up = attend(half, two, told)
        self.norm = nnx.GroupNorm(one, num_groups=one // 4, rngs=rngs)
        self.head = nnx.Conv(one, 1, (3, 3), kernel_init=nnx.initializers.zeros, rngs=rngs)

    def embed(self, gamma):
        """Tokens and a global vector from ``(batch, columns)``."""
        place = jnp.linspace(-1.0, 1.0, gamma.shape[1]) * jnp.ones_like(gamma)
        periods = 2 * jnp.pi / jnp.array([40.0, 20.0, 10.0, 5.0])
        angles = gamma[..., None] * periods
        features = jnp.concatenate(
            [gamma[..., None] / 10, jnp.sin(angles), jnp.cos(angles), place[..., None]], axis=-1
        )
        tokens = nnx.silu(self.token_in(features))
        flat = self.squeeze(tokens).reshape(len(tokens), -1)
        vector = nnx.silu(self.merge(jnp.concatenate([tokens.mean(axis=1), flat], axis=-1)))
        return tokens, nnx.silu(self.vector_out(vector))

    def __call__(self, z, gamma):
        tokens, vector = self.embed(gamma)
        level = jnp.broadcast_to(gamma[:, None, :, None] / 10, z.shape)
        one = self.down1(self.stem(jnp.concatenate([z, level], axis=-1)), vector)
        two = self.cross2(self.down2(self.shrink1(one), vector), tokens)
        x = self.within(self.cross3(self.middle(self.shrink2(two), vector), tokens))
        x = self.up2(jnp.concatenate([grow(self.narrow2(x), two), two], axis=-1), vector)
        x = self.cross_up(x, tokens)
        x = self.up1(jnp.concatenate([grow(self.narrow1(x), one), one], axis=-1), vector)
        return self.head(nnx.silu(self.norm(x)))


def grow(x, like):
    """Every position twice, cropped to the size of `like`."""
    x = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
    return x[:, : like.shape[1], : like.shape[2]]

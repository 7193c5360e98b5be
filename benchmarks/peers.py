"""The same training step in other libraries: loss, gradient, Adam, average of the weights.

Each maker takes the 8-bit images ``(steps * batch, 28, 28, 1)`` and the number of steps, and
returns a function that runs these steps, the number of parameters and the FLOPs of one step.
"""

import numpy as np


def batches_of(x, steps: int):
    """Float batches in [-1, 1]."""
    return (x.astype("float32") / 127.5 - 1.0).reshape(steps, -1, *x.shape[1:])


def size_of(network) -> tuple[str, dict]:
    """Kind and sizes of a network of ours, for a plain one of about the same arithmetic.

    Args:
        network: A `UNet`, an `NCSNpp` (which becomes a plain U-Net) or a `DiT`.
    """
    config = network.get_config()
    kind = "unet" if "widths" in config else "dit"
    names = ["width" if kind == "dit" else "widths", "blocks", "heads", "embedding_dim"]
    return kind, {name: config[name] for name in names} | {"patch": config.get("patch", 1)}


def diffusers_unet(size: int, channels: int):
    """`UNet2DModel` of diffusers, of about as many levels and parameters as our small networks."""
    from diffusers import UNet2DModel

    return UNet2DModel(
        sample_size=size,
        in_channels=channels,
        out_channels=channels,
        block_out_channels=(32, 64, 64),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        norm_num_groups=8,
        attention_head_dim=32,
    )


def make_diffusers(x, steps: int):
    """`UNet2DModel` of diffusers, PyTorch as it comes: eager, channels first."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    network = diffusers_unet(size=28, channels=1)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-4)
    averages = [p.detach().clone() for p in network.parameters()]
    batches = torch.from_numpy(np.moveaxis(batches_of(x, steps), -1, 2).copy())

    def loss_of(batch):
        t = torch.rand(len(batch))
        gamma = (-7.0 + 13.0 * t)[:, None, None, None]
        eps = torch.randn_like(batch)
        z = torch.sigmoid(-gamma).sqrt() * batch + torch.sigmoid(gamma).sqrt() * eps
        return torch.mean((network(z, 1000.0 * t).sample - eps) ** 2)

    def run():
        for batch in batches:
            optimizer.zero_grad()
            loss = loss_of(batch)
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                torch._foreach_lerp_(averages, list(network.parameters()), 1e-3)
        return loss.item()

    counter = FlopCounterMode(display=False)
    with counter:
        loss_of(batches[0]).backward()
    return run, sum(p.numel() for p in network.parameters()), counter.get_total_flops()


def make_jax_step(network, loss_of, x, steps: int):
    """A compiled step of a Flax NNX network; `loss_of(network, batch, key)` is its loss."""
    import jax
    import optax
    from flax import nnx

    graph, weights, rest = nnx.split(network, nnx.Param, ...)
    optimizer = optax.adam(5e-4)
    state = [weights, jax.tree.map(lambda w: w.copy(), weights), optimizer.init(weights), rest]
    batches = [jax.device_put(batch) for batch in batches_of(x, steps)]

    def step(weights, averages, moments, rest, batch, key):
        def loss_fn(weights):
            network = nnx.merge(graph, weights, rest, copy=True)
            loss = loss_of(network, batch, key)
            return loss, nnx.state(network, nnx.Not(nnx.Param))

        (loss, rest), gradients = jax.value_and_grad(loss_fn, has_aux=True)(weights)
        updates, moments = optimizer.update(gradients, moments, weights)
        weights = optax.apply_updates(weights, updates)
        averages = jax.tree.map(lambda a, w: a + 1e-3 * (w - a), averages, weights)
        return loss, (weights, averages, moments, rest)

    key = jax.random.key(0)
    compiled = jax.jit(step, donate_argnums=(0, 1, 2, 3)).lower(*state, batches[0], key).compile()

    def run():
        nonlocal state, key
        for batch in batches:
            key, now = jax.random.split(key)
            loss, state = compiled(*state, batch, now)
        return float(loss)

    parameters = sum(w.size for w in jax.tree.leaves(weights))
    return run, parameters, compiled.cost_analysis()["flops"]


def make_flax(x, steps: int):
    """A plain Flax NNX U-Net with the blocks of ours (`flax_unet.py`)."""
    import jax
    import jax.numpy as jnp
    from flax import nnx
    from flax_unet import UNet

    network = UNet(size=28, widths=(32, 64, 128), embedding_dim=288, heads=4, rngs=nnx.Rngs(0))

    def loss_of(network, batch, key):
        key_t, key_eps = jax.random.split(key)
        t = jax.random.uniform(key_t, (len(batch),))
        # As ours: every column has a gamma of its own, b = 0.5.
        start = 0.5 * jnp.linspace(1.0, 0.0, 28)
        gamma = -7.0 + 12.0 * jnp.clip((t[:, None] - start) / 0.5, 0.0, 1.0)
        eps = jax.random.normal(key_eps, batch.shape)
        alpha, sigma = (jnp.sqrt(jax.nn.sigmoid(g))[:, None, :, None] for g in (-gamma, gamma))
        out = network(alpha * batch + sigma * eps, gamma)
        active = ((gamma > -7.0) & (gamma < 5.0))[:, None, :, None]
        return jnp.mean(active * (out - eps) ** 2)

    return make_jax_step(network, loss_of, x, steps)


def make_official(x, steps: int):
    """The U-Net, process and loss of the official code's training tutorial, 32 base channels."""
    import sys
    import types

    if "torchvision" not in sys.modules:  # the tutorial's helpers load MNIST with it; we do not
        stub = types.ModuleType("torchvision")
        stub.datasets = stub.transforms = None
        sys.modules["torchvision"] = stub
    import gud
    import jax
    import jax.numpy as jnp
    from flax import nnx
    from utils import UNet

    variance = np.random.default_rng(0).uniform(0.1, 1.0, 28 * 28)
    space = gud.FourierSpace((28, 28), scale=jnp.sqrt(variance))
    schedule = gud.soft_conditioning_schedule(
        labels=-np.log(variance), gamma_min_target=-7, gamma_max_target=7, softness=1
    )
    network = UNet((28, 28), rngs=nnx.Rngs(0), base_channels=32, channel_multipliers=(1, 2, 4))

    def loss_of(network, batch, key):
        key_t, key_eps = jax.random.split(key)
        batch = space.wrap(data=batch.reshape(len(batch), 28 * 28, 1))
        t = (jnp.arange(len(batch)) + jax.random.uniform(key_t, (len(batch),))) / len(batch)
        state = schedule(t, shape=batch.shape)
        noised, eps = gud.ou_process(key_eps, batch, state)
        out = noised.space.wrap(data=network(state.t, noised.data))
        return jnp.mean(jnp.abs(out.comp_white + noised.comp_white - eps.comp_white) ** 2)

    return make_jax_step(network, loss_of, x, steps)


MAKERS = {"diffusers": make_diffusers, "flax": make_flax, "official": make_official}

"""`model.push("hf://user/name")`: a model and its card on Hugging Face's hub.

Methods of `GUDModel`, which sets them as its attributes.
"""

import tempfile
from pathlib import Path

import keras

from keras_gud.backend import to_numpy
from keras_gud.core.arguments import require_built
from keras_gud.persistence import hub
from keras_gud.version import __version__


def push(
    model: keras.Model,
    address: str,
    *,
    about: str = "",
    license: str | None = None,
    private: bool = False,
    message: str = "Upload a model",
) -> None:
    """Uploads the model, as `save` writes it, with a card of its own facts.

    ``keras_gud.load(address)`` loads it. Who uploads has to be logged in, ``hf auth login``.

    Args:
        address: ``"hf://user/name"``; the repository is made if it does not exist.
        about: What only you know: what it was trained on, what for, and what it is not good for;
            Markdown.
        license: Its identifier on the hub, e.g. ``"apache-2.0"``.
        private: Whether a new repository is private.
        message: Of the commit.

    Raises:
        ValueError: for a model that has not been adapted to data, or another address.
        ImportError: without huggingface_hub (``pip install ".[hub]"``).
    """
    require_built(model, "it is uploaded")
    repository, _ = hub.parse(address)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / hub.MODEL)
        text = card(model, repository, about, license)
        (Path(folder) / hub.CARD).write_text(text, encoding="utf-8")
        hub.upload(Path(folder), address, private, message)


def card(
    model: keras.Model, repository: str = "user/name", about: str = "", license: str | None = None
) -> str:
    """The model card that `push` uploads, Markdown with the head that the hub reads.

    Args:
        repository: ``"user/name"``.
        about: As in `push`.
        license: As in `push`.

    Example:

    >>> import keras_gud
    >>> import numpy as np
    >>> model = keras_gud.GUD(backbone="tiny")
    >>> model.adapt(np.random.default_rng(0).normal(size=(64, 4)), verbose=0)
    >>> print(card(model))  # doctest: +ELLIPSIS
    ---
    library_name: keras
    ...
    """
    require_built(model, "it has a card")
    data = model.data_space
    images = len(model.data_shape) == 3
    head = ["library_name: keras", "tags: [keras, keras-gud, diffusion]"]
    head += ["pipeline_tag: unconditional-image-generation"] if images else []
    head += [f"license: {license}"] if license else []
    kind = "float32" if data.kind == "float" else data.kind
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    facts = [
        f"Data: {kind} of shape {model.data_shape}" + (", latents" if _latent(model) else ""),
        f"Trained for {float(to_numpy(model.ema.count.value)):.0f} steps; samples are of weights "
        f"averaged with decay {model.ema.decay:g}",
        f"Prediction {model.objective.prediction!r}; paths that it was trained on: "
        f"{len(model.views)}",
        f"Written by keras_gud {__version__} with Keras {keras.__version__}",
    ]
    facts += [] if model.classes is None else [f"Classes: {model.classes}, as integers from 0"]
    labels = "" if model.classes is None else ", labels=0"
    use = f'import keras_gud\n\nmodel = keras_gud.load("hf://{repository}")\n'
    use += f"samples = model.sample(16{labels})"
    told = about.strip() or "What it was trained on has not been said."
    name = repository.split("/")[-1]
    return "\n".join(
        ["---", *head, "---", f"# {name}", "", told, "", "```python", use, "```", ""]
        + [f"- {fact}." for fact in facts]
        + ["", "```", *lines, "```", ""]
    )


def _latent(model: keras.Model) -> bool:
    return hasattr(model.data_space, "autoencoder")

"""A model in one line.

`GUDModel` sets it as its `__repr__`.
"""

import keras


def in_one_line(model: keras.Model) -> str:
    """The parts of a model, the size of its network and the shape of its data.

    Example:

    >>> import keras_gud
    >>> keras_gud.GUD(basis="haar", schedule="hierarchical")
    <GUD: basis=Haar, prior=Isotropic, schedule=Hierarchical, backbone='small', no data seen>
    """
    parts = ("basis", "prior", "schedule")
    said = [f"{name}={type(getattr(model, name)).__name__}" for name in parts]
    if model.region:
        said.append(f"further paths={len(model.region)}")
    if model.classes is not None:
        said.append(f"classes={model.classes}")
    if model.built:
        size = model.network.count_params()
        network = type(model.network).__name__
        said.append(f"backbone={network} of {size / 1e6:.3g}M weights")
        said.append(f"data_shape={model.data_shape}")
    else:
        backbone = model.backbone
        name = repr(getattr(backbone, "identifier", type(backbone).__name__))
        said += [f"backbone={name}", "no data seen"]
    return f"<{type(model).__name__}: {', '.join(said)}>"

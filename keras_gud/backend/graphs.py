"""Functions of tensors as files that other programs run, without Keras and this package."""

import importlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

import keras

Function: TypeAlias = Callable[..., Any]
# What each backend writes. Of jax, TensorFlow has to be installed for its own format.
FORMATS = {
    "jax": ("jax", "tf_saved_model"),
    "tensorflow": ("tf_saved_model",),
    "torch": ("onnx",),
}
# What each of them needs.
PACKAGES = {"jax": ("jax",), "tf_saved_model": ("tensorflow",), "onnx": ("onnx", "onnxscript")}
_PLATFORMS = ("cpu", "cuda", "tpu")


def save_jax(function: Function, names: tuple[str, str], path: Path) -> None:
    """Writes a function ``(seed, rows) -> samples`` as `jax.export` serialises it.

    Args:
        function: Of an int32 scalar and int32 ``(n,)`` with any n; its variables become constants.
        names: Those of the arguments; jax passes them by position.
        path: The file.
    """
    jax = importlib.import_module("jax")
    export = importlib.import_module("jax.export")
    (n,) = export.symbolic_shape("n")
    arguments = [jax.ShapeDtypeStruct(shape, "int32") for shape in ((), (n,))]
    exported = export.export(jax.jit(function), platforms=_PLATFORMS)(*arguments)
    path.write_bytes(exported.serialize())


def save_tensorflow(
    function: Function,
    names: tuple[str, str],
    path: Path,
    variables: Iterable[keras.Variable] = (),
) -> None:
    """Writes a function ``(seed, rows) -> samples`` as a SavedModel.

    It is its attribute `sample` and, as ``{"samples": samples}``, its default signature. A function
    of jax is converted by `jax2tf`.

    Args:
        function: As in `save_jax`.
        names: As in `save_jax`; those of the signature.
        path: The folder.
        variables: The variables that the function reads, on tensorflow.
    """
    tf = importlib.import_module("tensorflow")
    specs = [
        tf.TensorSpec(shape, tf.int32, name)
        for shape, name in zip(((), (None,)), names, strict=True)
    ]
    if keras.backend.backend() == "jax":
        convert = importlib.import_module("jax.experimental.jax2tf").convert
        shapes = ["()", "(n,)"]
        function = convert(
            function, polymorphic_shapes=shapes, native_serialization_platforms=_PLATFORMS
        )
    module = tf.Module()
    module.read = [v.value for v in variables]  # what the graph reads has to be tracked
    module.sample = tf.function(function, input_signature=specs, autograph=False)
    served = tf.function(
        lambda *arguments: {"samples": module.sample(*arguments)},
        input_signature=specs,
        autograph=False,
    )
    tf.saved_model.save(module, str(path), signatures=served)


def save_onnx(function: Function, arguments: tuple[Any, ...], path: Path) -> None:
    """Writes a function of torch tensors as a graph of ONNX.

    Args:
        function: Of tensors; those with axes have a row for each example, of any number.
        arguments: An example of them, with two rows or more.
        path: The file.
    """
    torch = importlib.import_module("torch")
    rows = torch.export.Dim("n")
    shapes = tuple({0: rows} if len(x.shape) else {} for x in arguments)

    forward = {"forward": lambda module, *arguments: function(*arguments)}
    module = type("Graph", (torch.nn.Module,), forward)().eval()
    with torch.no_grad():
        torch.onnx.export(
            module, arguments, path, dynamo=True, dynamic_shapes=(shapes,), verbose=False
        )

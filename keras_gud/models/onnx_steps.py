"""A sampler as three graphs of ONNX, and beside them the loop over its steps in NumPy."""

import inspect
import json
from pathlib import Path
from typing import Any

from keras import ops

from keras_gud.backend import graphs
from keras_gud.models import onnx_sampler

_ROWS = 2  # in the examples that the graphs are traced with; they take any number


def save(graph: Any, folder: Path) -> None:
    """Writes ``begin.onnx``, ``step.onnx``, ``finish.onnx``, and ``sampler.py`` that runs them.

    Args:
        graph: A `SamplerGraph`.
        folder: Where to; created if it does not exist.

    Raises:
        ImportError: without onnx and onnxscript.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seed, rows = ops.zeros((), "int32"), ops.zeros((_ROWS,), "int32")

    def begin(seed, rows):
        return tuple(graph.begin(graph.given(seed, rows)))

    def step(i, seed, rows, *carry):
        return tuple(graph.advance_once(i, carry, graph.given(seed, rows)))

    def finish(seed, rows, z):
        return graph.finish(z, graph.given(seed, rows))

    carry = begin(seed, rows)
    graphs.save_onnx(begin, (seed, rows), folder / "begin.onnx")
    graphs.save_onnx(step, (ops.ones((), "int32"), seed, rows, *carry), folder / "step.onnx")
    graphs.save_onnx(finish, (seed, rows, carry[0]), folder / "finish.onnx")
    (folder / "sampler.json").write_text(json.dumps({"steps": graph.steps}))
    (folder / "sampler.py").write_text(inspect.getsource(onnx_sampler))

"""Samples by the graphs of a folder, with NumPy and onnxruntime alone.

`export_sampler` copies this file beside the graphs: ``load()(seed, rows)``.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def load(folder: str | Path | None = None) -> Callable[[int, Any], Any]:
    """A function ``(seed, rows) -> samples``, NumPy ``(n, ...)``.

    Args:
        folder: That of ``begin.onnx``, ``step.onnx`` and ``finish.onnx``; default: that of this
            file. The rows are labels ``(n,)``, or the numbers of the samples, ``range(n)``.
    """
    import numpy as np
    import onnxruntime

    folder = Path(__file__).parent if folder is None else Path(folder)
    steps = json.loads((folder / "sampler.json").read_text())["steps"]
    names = "begin", "step", "finish"
    graphs = {name: onnxruntime.InferenceSession(folder / f"{name}.onnx") for name in names}

    def run(name: str, *values: Any) -> list[Any]:
        inputs = [each.name for each in graphs[name].get_inputs()]
        return graphs[name].run(None, dict(zip(inputs, values, strict=True)))

    def sample(seed: int, rows: Any) -> Any:
        given = np.asarray(seed, "int32"), np.asarray(rows, "int32")
        carry = run("begin", *given)
        for i in range(steps):
            carry = run("step", np.asarray(i, "int32"), *given, *carry)
        return run("finish", *given, carry[0])[0]

    return sample

"""Graphs in OpenVINO, on the processor: an extra, often faster on Intel's."""

import sys
from collections.abc import Sequence
from pathlib import Path
from threading import local
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoprior.core.errors import FolderError

from .engine import Arrays, library

# Its default is half precision where the processor has it, which is beyond 1e-4.
_EXACT = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
_TELEMETRY = "openvino_telemetry"


class OpenVinoEngine:
    """See `engine.Engine`."""

    def __init__(self, path: Path, threads: int) -> None:
        openvino = _silent_openvino()
        try:
            model = openvino.Core().compile_model(
                str(path), "CPU", _EXACT | {"INFERENCE_NUM_THREADS": threads}
            )
        except RuntimeError as error:
            reason = " ".join(str(error).split()[:40])
            raise FolderError(f"{path} cannot be run: {reason}.") from error
        self._model: Any = model
        self._own = local()  # a request serves one thread at a time
        # A value has several names where the engine has folded what follows it; its node keeps the first.
        self.inputs = {each.node.friendly_name: _count(each.partial_shape) for each in model.inputs}
        self._places = {name: place for place, each in enumerate(model.outputs) for name in each.names}
        self.outputs = list(self._places)

    def run(self, given: Arrays, wanted: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Some of the outputs for these inputs."""
        if not hasattr(self._own, "request"):
            self._own.request = self._model.create_infer_request()
        found = self._own.request.infer(dict(given), share_inputs=True)
        return {name: np.array(found[self._places[name]]) for name in wanted}


def _count(shape: Any) -> int | None:
    return int(shape[0].get_length()) if len(shape) and shape[0].is_static else None


def _silent_openvino() -> Any:
    """OpenVINO, which would otherwise report that it was imported to its makers.

    Its own stand-in for the absent telemetry is used instead. Where somebody has imported it before, that is
    their choice.
    """
    if _TELEMETRY in sys.modules:
        return library("openvino", "openvino")
    sys.modules[_TELEMETRY] = None  # pyright: ignore[reportArgumentType]  (how an import is made to fail)
    try:
        return library("openvino", "openvino")
    finally:
        del sys.modules[_TELEMETRY]

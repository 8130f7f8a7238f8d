"""Graphs in onnxruntime, on the processor."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sonoprior.core.errors import FolderError

from .engine import Arrays, library

_FATAL = 4


class OnnxRuntimeEngine:
    """See `engine.Engine`."""

    def __init__(self, path: Path, threads: int) -> None:
        runtime = library("onnxruntime", "runtime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = _FATAL  # what matters is raised
        # Threads that wait by spinning would take the cores from what comes after: overlay and search.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session: Any = runtime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors share no class but this one
            if not type(error).__module__.startswith("onnxruntime"):
                raise
            raise FolderError(f"{path} cannot be run: {str(error).splitlines()[0]}.") from error
        self.inputs = {each.name: _count(each.shape) for each in self._session.get_inputs()}
        self.outputs = [each.name for each in self._session.get_outputs()]

    def run(self, given: Arrays, wanted: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Some of the outputs for these inputs."""
        found = self._session.run(list(wanted), dict(given))
        return dict(zip(wanted, found, strict=True))


def _count(shape: Sequence[int | str | None]) -> int | None:
    return shape[0] if shape and isinstance(shape[0], int) else None

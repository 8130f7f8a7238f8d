"""What runs a graph. Every engine gives the same numbers within 1e-4."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sonoprior.core.cores import cores
from sonoprior.core.errors import MissingExtraError, SonopriorError
from sonoprior.core.registry import Registry

Arrays = Mapping[str, NDArray[np.generic]]

ENGINES = Registry(
    "engines",
    {
        "onnxruntime": "sonoprior.runtime.onnxruntime_engine:OnnxRuntimeEngine",
        "openvino": "sonoprior.runtime.openvino_engine:OpenVinoEngine",
    },
)


class Engine(Protocol):
    """A graph that is ready to run. Several threads may run it at once.

    Attributes:
        inputs: what it reads, each name with its first axis: a number of frames, or None for any.
        outputs: the names of what it gives; it may have some of its own besides.
    """

    inputs: Mapping[str, int | None]
    outputs: Sequence[str]

    def __init__(self, path: Path, threads: int) -> None:
        """Open a graph.

        Args:
            path: an ONNX file, which was checked to be the one that was exported.
            threads: to compute with.

        Raises:
            FolderError: if it cannot be read.
        """
        ...

    def run(self, given: Arrays, wanted: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Some of the outputs for these inputs."""
        ...


def open_engine(name: str, path: Path, threads: int | None) -> Engine:
    """A graph in the engine of a name.

    Args:
        name: see `ENGINES`.
        path: an ONNX file.
        threads: to compute with; as many as there are cores if None.

    Raises:
        SonopriorError: if there is no such engine.
        MissingExtraError: if it is not installed.
        FolderError: if the file cannot be read.
    """
    return ENGINES.load(name)(path, cores() if threads is None else threads)


def library(name: str, extra: str) -> Any:
    """The library of an engine.

    Raises:
        MissingExtraError: if it is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"running a bundle needs {name}, which comes with the extra '{extra}'; install it with"
            f" pip install 'sonoprior[{extra}]'."
        ) from error


def checked_threads(threads: int | None) -> int | None:
    """A number of threads to compute with.

    Raises:
        SonopriorError: if it is not a whole number of 1 or more.
    """
    if threads is not None and (isinstance(threads, bool) or threads < 1):
        raise SonopriorError(f"threads must be a whole number of 1 or more, but got {threads}.")
    return threads

"""A module as an ONNX file that gives the same numbers, or no file at all."""

import logging
import warnings
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx_ir.passes.common import NameFixPass
from torch import Tensor, nn

from sonoprior.core.errors import ModelError

Arrays = dict[str, NDArray[Any]]
BATCH = "batch"
_NOISY = ("torch.onnx", "onnxscript", "onnx_ir", "torch.fx.experimental.symbolic_shapes")


def write_onnx(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    path: Path,
    what: str,
    free: Sequence[str] = (BATCH,),
) -> None:
    """Write a module as ONNX, for batches of every size.

    The file says nothing of the machine that wrote it, and the same module gives the same bytes.

    Args:
        module: in eval mode; takes the inputs in this order and gives a tensor for each output.
        inputs: example of every input by name, its first axis the batch of 2 or more.
        outputs: the names of what it gives.
        path: the file to write.
        what: the module in words, for messages: "the network".
        free: the first axes of every input, by a name, that may have any size.

    Raises:
        ModelError: if it holds an operation that ONNX has no word for, or whose shape the batch decides.
    """
    try:
        with _quietly():
            program = torch.onnx.export(
                module,
                tuple(inputs.values()),
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=tuple(dict(enumerate(free)) for _ in inputs),
                dynamo=True,
                verbose=False,
            )
            assert program is not None  # the exporter of graphs gives one
            NameFixPass()(program.model)  # an inner value may be called like an output
            program.save(path, external_data=False)
        _strip(path)
        onnx.checker.check_model(path, full_check=True)
    except (torch.onnx.OnnxExporterError, onnx.checker.ValidationError) as error:
        raise ModelError(f"{what} cannot be written as ONNX: {_reason(error)}.") from error


@contextmanager
def _quietly() -> Generator[None, None, None]:
    """Without the exporter's remarks on its own workings."""
    loggers = [logging.getLogger(name) for name in _NOISY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _strip(path: Path) -> None:
    """Remove where each operation stood in the source: paths of the machine that wrote the file."""
    model = onnx.load(path)
    model.graph.doc_string = ""
    del model.metadata_props[:], model.graph.metadata_props[:]
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        part.doc_string = ""
        del part.metadata_props[:]
    for function in model.functions:
        for node in function.node:
            del node.metadata_props[:]
    path.write_bytes(model.SerializeToString(deterministic=True))


def _reason(error: BaseException) -> str:
    """The first line of what lies at the bottom of an error."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")[:300]


def run_onnx(path: Path, inputs: Mapping[str, Tensor]) -> Arrays:
    """What a file gives for some inputs, by name.

    Raises:
        ModelError: if it cannot be run.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        found = session.run(None, {name: value.numpy() for name, value in inputs.items()})
    except Exception as error:  # onnxruntime's own errors share no class but this one
        if not type(error).__module__.startswith("onnxruntime"):
            raise
        raise ModelError(f"{path.name} cannot be run: {_reason(error)}.") from error
    return {of.name: np.asarray(value) for of, value in zip(session.get_outputs(), found, strict=True)}


def check_onnx(
    path: Path, module: nn.Module, inputs: Mapping[str, Tensor], tolerance: float, what: str
) -> None:
    """Refuse a file that gives other numbers than its module: for the whole batch, and for one image of it.

    Args:
        path: the file.
        module: as it was written.
        inputs: by name, of the same batch.
        tolerance: the largest difference, as a share of an output's largest value where that is above 1.
        what: the module in words, for messages.

    Raises:
        ModelError: naming the output that differs most, and by how much.
    """
    for count in (len(next(iter(inputs.values()))), 1):
        some = {name: value[:count] for name, value in inputs.items()}
        with torch.no_grad():
            wanted = module(*some.values())
        for (name, found), tensor in zip(run_onnx(path, some).items(), wanted, strict=True):
            apart = difference(found, tensor.numpy())
            if not apart <= tolerance:
                raise ModelError(
                    f"{what} gives other numbers as ONNX than as it was trained: '{name}' differs by"
                    f" {apart:.2g}, and {tolerance:g} is allowed; the exported file was not kept."
                )


def difference(found: NDArray[Any], wanted: NDArray[Any]) -> float:
    """The largest difference of two arrays, as a share of the largest value where that is above 1.

    Infinite for arrays of other shapes, not a number where one of them is not.
    """
    if found.shape != wanted.shape:
        return float("inf")
    if not wanted.size:
        return 0.0
    apart = np.abs(found.astype(np.float64) - wanted.astype(np.float64)).max()
    return float(apart / max(1.0, float(np.abs(wanted).max())))

"""Where training stands after an epoch, in one safetensors file that is written whole.

Plain values stand as JSON in the file's own header: a kill can never leave weights of one epoch beside
the log of another. Nothing is pickled.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sonoprior.core.errors import FolderError
from sonoprior.core.folder import refuse_newer, whole_file

FORMAT = 1
State = dict[str, Tensor]
_PARTS = ("weights", "best", "optimiser", "texts")


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        epochs: finished epochs.
        best_epoch: the epoch, counted from 1, whose weights are kept; 0 before the first.
        best_value: the monitored metric of that epoch.
        rows: the log, one row an epoch.
    """

    epochs: int = 0
    best_epoch: int = 0
    best_value: float = float("nan")
    rows: list[dict[str, float]] = field(default_factory=list[dict[str, float]])


@dataclass
class Checkpoint:
    """Progress with the tensors of the same moment: weights, best weights, optimiser state.

    Attributes:
        progress: how far the run is.
        weights: of the experiment.
        best: of the network, in the epoch that is kept so far.
        optimiser: see `optimiser_state`.
        texts: of the text side, in that epoch; empty without one.
    """

    progress: Progress
    weights: State
    best: State
    optimiser: State
    texts: State = field(default_factory=dict[str, Tensor])

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        tensors = {
            f"{part}/{name}": tensor.detach().cpu().contiguous()
            for part in _PARTS
            for name, tensor in getattr(self, part).items()
        }
        header = {"format": FORMAT, "progress": asdict(self.progress), "checks": checks(tensors)}
        write_tensors(path, tensors, {"sonoprior": json.dumps(header)})

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Read a checkpoint.

        Raises:
            FolderError: if it is damaged or newer than this version.
        """
        header, tensors = _read(path)
        refuse_newer(path, "checkpoint", header.get("format"), FORMAT)
        if header["checks"] != checks(tensors):
            raise _damaged(path, "its tensors differ from what was written")
        parts: dict[str, State] = {part: {} for part in _PARTS}
        for key, tensor in tensors.items():
            part, _, name = key.partition("/")
            parts[part][name] = tensor
        return cls(Progress(**header["progress"]), **parts)


def write_tensors(path: Path, tensors: State, metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file, whole or not at all.

    Raises:
        FolderError: if it cannot be written; what was there before stays.
    """
    plain = {name: tensor.contiguous() for name, tensor in tensors.items()}
    with whole_file(path) as temporary:
        try:
            save_file(plain, temporary, metadata=metadata)
        except SafetensorError as error:
            raise FolderError(f"cannot write {path}: {error}.") from error


def read_tensors(path: Path) -> State:
    """The tensors of a safetensors file, by name.

    Raises:
        FolderError: if it is damaged.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise FolderError(f"{path} is damaged: {error}.") from error


def checks(tensors: State) -> dict[str, int]:
    """A checksum of each tensor, by which damage that leaves a file readable is seen."""
    return {
        name: crc32(tensor.reshape(-1).view(torch.uint8).numpy().data) for name, tensor in tensors.items()
    }


def _read(path: Path) -> tuple[dict[str, Any], State]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
        return json.loads(metadata["sonoprior"]), tensors
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, why: str) -> FolderError:
    return FolderError(
        f"the checkpoint {path} is damaged: {why}; remove it and resume, and the run starts again from its"
        " first epoch."
    )


def optimiser_state(optimiser: torch.optim.Optimizer) -> State:
    """The tensors of an optimiser, by "parameter.name"."""
    state = optimiser.state_dict()["state"]
    return {f"{index}.{key}": value for index, values in state.items() for key, value in values.items()}


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: State) -> None:
    """Put the tensors of `optimiser_state` back, laid out in memory as their parameters are.

    A file keeps no order of the axes, and a fused step goes through memory without asking for it.
    """
    state: dict[int, State] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict(optimiser.state_dict() | {"state": state})
    for parameter, values in optimiser.state.items():
        for key, tensor in values.items():
            if tensor.shape == parameter.shape:
                values[key] = torch.empty_like(parameter).copy_(tensor)


def copied(module: nn.Module) -> State:
    """A copy of a module's state that later steps do not change."""
    return {name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}

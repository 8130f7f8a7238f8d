"""Weights from a file, a run or the hub; nothing is unpickled."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.layers.pos_embed import resample_abs_pos_embed
from timm.models import adapt_input_conv  # pyright: ignore[reportPrivateImportUsage]
from torch import Tensor, nn

from sonoprior.core.checks import listed
from sonoprior.core.errors import ModelError
from sonoprior.core.folder import kind_of, require
from sonoprior.core.strict_yaml import load_yaml

State = dict[str, Tensor]

# How `training.run` writes a run; a test holds the two together.
RUN, RUN_FORMAT = "run", 1
_RECIPE, _WEIGHTS, _METRICS = "recipe.yaml", "weights.safetensors", "metrics.json"
_BACKBONE, _NORMALISATION = "backbone.", ("mean", "std")


@dataclass(frozen=True)
class Weights:
    """Weights that were read, and what is known of them.

    Attributes:
        state: tensors by name, as in the backbone.
        source: where they came from, for messages.
        normalisation: mean and standard deviation that the backbone learnt with, of a run's weights; None of
            others, which leave them to the backbone.
    """

    state: State
    source: str
    normalisation: tuple[float, float] | None = None

    @property
    def of_run(self) -> bool:
        """Whether a run of the project learnt them."""
        return self.normalisation is not None


def read_weights(path: Path) -> Weights:
    """The weights of a backbone: a file of anybody's, a run folder, or the weights file of a run.

    Raises:
        ModelError: if there is no such file or run, it is damaged or holds anything but tensors, or the run
            is not finished.
        FolderError: if the run was written by a newer version.
    """
    if not path.exists():
        raise ModelError(
            f"weights must be 'none', 'hub', a file or the folder of a run, but there is no {path}."
        )
    if path.is_dir():
        _check_run(path)
        path /= _WEIGHTS
    state = read_state(path)
    own = {*_NORMALISATION} <= state.keys() and all(
        name in _NORMALISATION or name.startswith(_BACKBONE) for name in state
    )
    if not own:
        return Weights(state, str(path))
    architecture = _architecture(path.parent)
    said = f" (a run with '{architecture}')" if architecture else " (of a run)"
    backbone = {
        name.removeprefix(_BACKBONE): value for name, value in state.items() if name not in _NORMALISATION
    }
    return Weights(backbone, f"{path}{said}", (float(state["mean"]), float(state["std"])))


def _check_run(folder: Path) -> None:
    found = kind_of(folder)
    if found != RUN:
        marked = f"is marked as '{found}'" if found else "is none"
        raise ModelError(
            f"weights must be 'none', 'hub', a file or the folder of a run, but {folder} {marked}."
        )
    require(folder, RUN, RUN_FORMAT)
    if not (folder / _METRICS).is_file():
        raise ModelError(
            f"the run {folder} is not finished, so that no other can begin with its weights; resume it first."
        )


def _architecture(run: Path) -> str | None:
    """The backbone that the recipe beside a weights file names; None where there is no recipe."""
    recipe = load_yaml((run / _RECIPE).read_bytes()) if (run / _RECIPE).is_file() else None
    model = recipe.get("model") if isinstance(recipe, dict) else None
    return model.get("backbone") if isinstance(model, dict) else None


def read_state(path: Path) -> State:
    """Tensors by name from a safetensors file, or from a state dict that `torch.save` wrote.

    Raises:
        ModelError: if the file is missing or damaged, or holds anything but tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise ModelError(
            f"{path} holds more than tensors and is not opened; save `model.state_dict()`, or safetensors."
        ) from error
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as weights: {error}.") from error
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ModelError(f"{path} must hold a state dict, tensors by name, but holds something else.")
    return content


def load_weights(backbone: nn.Module, weights: Weights, last: Sequence[str], name: str) -> None:
    """Load weights into a backbone of one input channel.

    Three input channels are summed into one, the positions of patches are brought to the size of the images,
    and a last layer of another shape is left out. The last layer of a run is its heads, whose columns may
    mean something else in another run even where there are as many; so it is always left out.

    Args:
        backbone: the module to fill.
        weights: what to fill it with.
        last: the names of its last layers.
        name: of the backbone, for messages.

    Raises:
        ModelError: if names or shapes do not fit.
    """
    own = backbone.state_dict()
    state = {
        key: _to_size(key, _to_channels(value, own[key]), own[key], backbone) if key in own else value
        for key, value in weights.state.items()
    }
    replaced = {
        key
        for key in {*own, *state}
        if _within(key, last) and (weights.of_run or not _same_shape(key, state, own))
    }
    fitted = {key: value for key, value in state.items() if key not in replaced}
    missing = [key for key in own if key not in fitted and key not in replaced]
    unknown = [key for key in fitted if key not in own]
    misshapen = [key for key in fitted if key in own and not _same_shape(key, fitted, own)]
    if missing or unknown or misshapen:
        raise ModelError(
            f"{weights.source} does not fit the backbone '{name}': missing {listed(missing, 4) or 'none'};"
            f" unknown {listed(unknown, 4) or 'none'}; of another shape {listed(misshapen, 4) or 'none'}."
        )
    backbone.load_state_dict(fitted, strict=False)


def _within(name: str, layers: Sequence[str]) -> bool:
    return any(name.startswith(f"{layer}.") for layer in layers)


def _same_shape(name: str, state: State, own: State) -> bool:
    return name in state and name in own and state[name].shape == own[name].shape


def _to_channels(value: Tensor, own: Tensor) -> Tensor:
    """A first convolution made for colour, as the same convolution for grey."""
    is_first = value.ndim == own.ndim == 4 and (value.shape[1], own.shape[1]) == (3, 1)
    return adapt_input_conv(1, value) if is_first else value


def _to_size(name: str, value: Tensor, own: Tensor, backbone: nn.Module) -> Tensor:
    """A vision transformer's embedding of positions, interpolated to another number of patches."""
    grid = getattr(getattr(backbone, "patch_embed", None), "grid_size", None)
    if name != "pos_embed" or grid is None or value.ndim != 3 or value.shape == own.shape:
        return value
    return resample_abs_pos_embed(value, list(grid), num_prefix_tokens=own.shape[1] - grid[0] * grid[1])

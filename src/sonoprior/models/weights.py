"""Weights from a file or the hub; nothing is unpickled."""

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

State = dict[str, Tensor]


def read_state(path: Path) -> State:
    """Tensors by name from a safetensors file, or from a state dict that `torch.save` wrote.

    Raises:
        ModelError: if the file is missing or damaged, or holds anything but tensors.
    """
    if not path.is_file():
        raise ModelError(f"weights must be 'none', 'hub' or a file, but there is no file {path}.")
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


def load_state(backbone: nn.Module, state: State, source: str, classifier: str | None) -> None:
    """Load weights into a backbone of one input channel.

    Three input channels are summed into one, the positions of patches are brought to the size of the images,
    and a classifier for other classes is left out.

    Args:
        backbone: the module to fill.
        state: tensors by name.
        source: where they came from, for messages.
        classifier: the name of the classifier layer, if it is known.

    Raises:
        ModelError: if names or shapes do not fit.
    """
    own = backbone.state_dict()
    fitted = {
        name: _to_size(name, _to_channels(value, own[name]), own[name], backbone) if name in own else value
        for name, value in state.items()
    }
    replaced = {
        name
        for name in own
        if classifier and name.startswith(f"{classifier}.") and not _same_shape(name, fitted, own)
    }
    fitted = {name: value for name, value in fitted.items() if name not in replaced}
    missing = [name for name in own if name not in fitted and name not in replaced]
    unknown = [name for name in fitted if name not in own]
    misshapen = [name for name in fitted if name in own and not _same_shape(name, fitted, own)]
    if missing or unknown or misshapen:
        raise ModelError(
            f"{source} does not fit the backbone: missing {listed(missing, 4) or 'none'}; unknown"
            f" {listed(unknown, 4) or 'none'}; of another shape {listed(misshapen, 4) or 'none'}."
        )
    backbone.load_state_dict(fitted, strict=False)


def _same_shape(name: str, state: State, own: State) -> bool:
    return name in state and state[name].shape == own[name].shape


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

"""The network of a run: normalisation and a backbone, with its tap."""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import timm
import torch
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from torch import Tensor, nn

from sonoprior.core.checks import listed
from sonoprior.core.errors import ModelError

from .catalogue import last_layers, tap_path
from .spec import ModelSpec
from .taps import Tap
from .weights import load_weights, read_weights

# Mean and standard deviation of ImageNet's grey values, for backbones that do not bring their own.
_MEAN, _STD = 0.449, 0.226


class Network(nn.Module):
    """A backbone that takes grey images as they are, in [0, 1].

    The normalisation stands inside, so that no user of the network can forget it.

    Args:
        backbone: (B, 1, H, W) to outputs (B, K): logits, embeddings, or both (see `Heads`).
        mean: the grey value that becomes 0.
        std: the difference in grey values that becomes 1.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: nn.Module, mean: float = _MEAN, std: float = _STD) -> None:
        super().__init__()
        self.backbone = backbone
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("std", torch.tensor(std))
        self._still: tuple[str, ...] = ()

    def forward(self, images: Tensor) -> Tensor:
        """Outputs (B, K) of images (B, 1, H, W) with values in [0, 1]."""
        return self.backbone((images - self.mean) / self.std)

    def keep_still(self, modules: Sequence[str]) -> None:
        """Leave these modules, and all inside them, in eval mode whatever mode the network is put into."""
        self._still = tuple(modules)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Training mode, or eval mode, but for what is kept still."""
        super().train(mode)
        for name in self._still:
            self.get_submodule(name).eval()
        return self


def build_network(spec: ModelSpec, outputs: int, size: int | None = None) -> tuple[Network, Tap]:
    """The network that a recipe asks for, with its tap.

    Args:
        spec: backbone, weights and tap.
        outputs: K, how many numbers the last layer gives.
        size: the side of its images, for backbones that are built for one size (vision transformers), which
            take their own where None.

    Raises:
        ModelError: if the backbone, its weights or the tap cannot be had.
        FolderError: if the weights are of a run that a newer version wrote.
    """
    backbone = _own_module(spec, outputs) if ":" in spec.backbone else _timm_module(spec, outputs, size)
    mean, std = _normalisation(backbone)
    if spec.weights not in {"none", "hub"}:
        weights = read_weights(Path(spec.weights))
        load_weights(backbone, weights, last_layers(backbone), spec.backbone)
        mean, std = weights.normalisation or (mean, std)
    network = Network(backbone, mean, std)
    tap = Tap(f"backbone.{tap_path(backbone, spec.tap)}")
    tap.module(network)
    return network, tap


def _normalisation(backbone: nn.Module) -> tuple[float, float]:
    """The grey value that becomes 0, and the difference that becomes 1, as the backbone's makers say."""
    config: dict[str, Any] = getattr(backbone, "pretrained_cfg", {})
    return _grey(config.get("mean"), _MEAN), _grey(config.get("std"), _STD)


def _grey(channels: tuple[float, ...] | None, otherwise: float) -> float:
    return sum(channels) / len(channels) if channels else otherwise


def _timm_module(spec: ModelSpec, outputs: int, size: int | None) -> nn.Module:
    if not timm.is_model(spec.backbone):
        close = timm.list_models(f"*{spec.backbone.split('_')[0]}*")
        raise ModelError(
            f"backbone must be a timm name or 'module:callable', but got '{spec.backbone}'."
            + (f" Near are {listed(close, 5)}." if close else "")
        )
    try:
        return timm.create_model(
            spec.backbone,
            pretrained=spec.weights == "hub",
            num_classes=outputs,
            in_chans=1,
            drop_rate=spec.dropout,
            **_built_for(spec.backbone, size),
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise ModelError(
            f"the weights of '{spec.backbone}' cannot be fetched from the hub; set model.weights to a"
            " safetensors file that you fetched elsewhere (model.given, for weights that are 'given'), or to"
            " 'none' to train from scratch."
        ) from error


def _built_for(backbone: str, size: int | None) -> dict[str, Any]:
    """The image size, as an argument for those backbones that are built for one."""
    config = timm.get_pretrained_cfg(backbone)
    return {"img_size": size} if size and config is not None and config.fixed_input_size else {}


def _own_module(spec: ModelSpec, outputs: int) -> nn.Module:
    module_name, _, attribute = spec.backbone.partition(":")
    if spec.weights == "hub":
        raise ModelError(f"the hub has no weights for your own backbone '{spec.backbone}'; name a file.")
    try:
        build: Callable[..., object] = getattr(import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise ModelError(f"backbone '{spec.backbone}' cannot be imported: {error}.") from error
    module = build(num_classes=outputs, in_chans=1)
    if not isinstance(module, nn.Module):
        raise ModelError(f"backbone '{spec.backbone}' must return a torch module, but gave {type(module)}.")
    return module

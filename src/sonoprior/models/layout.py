"""How a layer's output is laid out, and the feature map (B, C, h, w) in it.

Convolutional networks give maps. A vision transformer gives tokens (B, N, C): a few of its own (class,
registers) and then one for each patch, row by row. Some networks (Swin) give maps with channels last.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isqrt
from typing import Any

import torch
from torch import Tensor, nn

from sonoprior.core.errors import ModelError


@dataclass(frozen=True)
class Maps:
    """(B, C, h, w), as attribution reads it."""

    def features(self, output: Tensor) -> Tensor:
        """The feature map in an output."""
        return output

    def output(self, features: Tensor, _original: Tensor) -> Tensor:
        """The output that holds this feature map."""
        return features


@dataclass(frozen=True)
class ChannelsLast:
    """(B, h, w, C)."""

    def features(self, output: Tensor) -> Tensor:
        """The feature map in an output."""
        return output.movedim(-1, 1)

    def output(self, features: Tensor, _original: Tensor) -> Tensor:
        """The output that holds this feature map."""
        return features.movedim(1, -1)


@dataclass(frozen=True)
class Tokens:
    """(B, prefix + height * width, C); class and register tokens stand before those of the patches.

    Attributes:
        prefix: how many tokens belong to no patch.
        height: rows of patches.
        width: columns of patches.
    """

    prefix: int
    height: int
    width: int

    def features(self, output: Tensor) -> Tensor:
        """The tokens of the patches as a map; the others are left out."""
        return output[:, self.prefix :].mT.unflatten(2, (self.height, self.width))

    def output(self, features: Tensor, original: Tensor) -> Tensor:
        """The tokens with this map in the places of the patches, and the other tokens as they were."""
        return torch.cat([original[:, : self.prefix], features.flatten(2).mT], dim=1)


Layout = Maps | ChannelsLast | Tokens


def layout_of(model: nn.Module, layer: str, output: Any) -> Layout:
    """How the output of a layer of a model is laid out.

    Where timm says nothing of the model, tokens are taken for a square of patches, with a class token if one
    is left over.

    Raises:
        ModelError: if there is no feature map in it.
    """
    above = list(_enclosing(model, layer))
    if isinstance(output, Tensor) and output.ndim == 4:
        return ChannelsLast() if any(_says_channels_last(module) for module in above) else Maps()
    tokens = _tokens(above, output.shape[1]) if isinstance(output, Tensor) and output.ndim == 3 else None
    if tokens is None:
        came = f"{tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        raise ModelError(
            f"tap '{layer}' must give a feature map (B, C, h, w) or a token for each patch (B, N, C), but"
            f" gives {came}."
        )
    return tokens


def _enclosing(model: nn.Module, layer: str) -> Iterator[nn.Module]:
    """The modules around a layer, the nearest first."""
    steps = layer.split(".")
    for depth in range(len(steps) - 1, -1, -1):
        yield model.get_submodule(".".join(steps[:depth]))


def _says_channels_last(module: nn.Module) -> bool:
    return getattr(module, "output_fmt", None) == "NHWC"  # an enum of text in timm


def _tokens(above: list[nn.Module], count: int) -> Tokens | None:
    """The layout of so many tokens: as the model says, else a square, else a class token and a square."""
    said = next((module for module in above if hasattr(module, "num_prefix_tokens")), None)
    prefixes = (0, 1) if said is None else (int(said.num_prefix_tokens),)  # pyright: ignore[reportArgumentType]
    grid = getattr(getattr(said, "patch_embed", None), "grid_size", None)
    for prefix in prefixes:
        patches = count - prefix
        if grid is not None and grid[0] * grid[1] == patches:
            return Tokens(prefix, *grid)
        side = isqrt(max(patches, 0))
        if side > 1 and side * side == patches:
            return Tokens(prefix, side, side)
    return None

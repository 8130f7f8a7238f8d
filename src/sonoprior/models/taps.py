"""A tap: the place in a network where features are read and attribution is guided."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from sonoprior.core.checks import listed, nearest
from sonoprior.core.errors import ModelError


@dataclass
class Captured:
    """What a tap saw in one forward pass.

    Attributes:
        features: the tapped feature map, (B, C, h, w), on the graph that leads to the outputs.
    """

    _features: list[Tensor] = field(default_factory=list[Tensor])

    @property
    def features(self) -> Tensor:
        """The feature map of the last forward pass.

        Raises:
            ModelError: if the tapped layer was not called.
        """
        if not self._features:
            raise ModelError("the tapped layer was not called in this forward pass.")
        return self._features[-1]

    def keep(self, features: Tensor) -> None:
        """Remember one feature map."""
        self._features.append(features)


class Tap:
    """A named layer of a model whose output, a feature map (B, C, h, w), is captured.

    The tap holds the *name* of the layer, so it serves any copy of the model (a moving average, a
    distributed replica). Capture is scoped: after it no hook stays behind, also not after an error.

    Args:
        layer: the layer's path, as in `model.named_modules()`.
    """

    def __init__(self, layer: str) -> None:
        self.layer = layer

    def module(self, model: nn.Module) -> nn.Module:
        """The tapped layer of a model.

        Raises:
            ModelError: if the model has no such layer.
        """
        layers = dict(model.named_modules())
        if self.layer not in layers or not self.layer:
            names = [name for name in layers if name]
            hint = nearest(self.layer, names) or f" Known are {listed(names)}."
            raise ModelError(f"tap must name a layer of the network, but got '{self.layer}'.{hint}")
        return layers[self.layer]

    @contextmanager
    def capture(
        self, model: nn.Module, then: Callable[[], None] | None = None
    ) -> Generator[Captured, None, None]:
        """Capture the tapped features of the forward passes inside the `with`.

        The network goes on with a clone, so that an in-place operation after the tap does not change what
        was captured, nor what its gradient means.

        Args:
            model: the model, or any copy of it.
            then: called when the layer has run, before what follows it.

        Raises:
            ModelError: if the layer does not exist, or its output is not a feature map.
        """
        captured = Captured()

        def hook(_layer: nn.Module, _inputs: Any, output: Any) -> Tensor:
            features = _feature_map(output, self.layer)
            if torch.is_grad_enabled() and not features.requires_grad:
                features = features.detach().requires_grad_()  # a frozen stem: the graph begins here
            captured.keep(features)
            if then is not None:
                then()
            return features.clone()

        handle = self.module(model).register_forward_hook(hook)
        try:
            yield captured
        finally:
            handle.remove()


def _feature_map(output: Any, layer: str) -> Tensor:
    if not isinstance(output, Tensor) or output.ndim != 4:
        came = f"{tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        raise ModelError(f"tap '{layer}' must give a feature map (B, C, h, w), but gives {came}.")
    return output


def channels_and_size(model: nn.Module, tap: Tap, images: Tensor) -> tuple[int, int, int]:
    """Channels, height and width of the tapped map for images of this shape."""
    with inference(model), torch.no_grad(), tap.capture(model) as captured:
        model(images)
    _, channels, height, width = captured.features.shape
    return channels, height, width


@contextmanager
def inference(model: nn.Module) -> Generator[None, None, None]:
    """Put every module into eval mode, and each back into its own mode afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training

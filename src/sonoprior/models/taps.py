"""A tap: the place in a network where features are read and attribution is guided."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from sonoprior.core.checks import listed, nearest
from sonoprior.core.errors import ModelError

from .layout import Layout, layout_of


@dataclass(frozen=True)
class _Seen:
    features: Tensor
    output: Tensor
    layout: Layout


@dataclass
class Captured:
    """What a tap saw in one forward pass.

    Attributes:
        features: the tapped feature map, (B, C, h, w), on the graph that leads to the outputs. Of a vision
            transformer it is made of the tokens of the patches.
    """

    _seen: list[_Seen] = field(default_factory=list[_Seen])

    @property
    def features(self) -> Tensor:
        """The feature map of the last forward pass.

        Raises:
            ModelError: if the tapped layer was not called.
        """
        return self._last.features

    def output(self, features: Tensor, rows: Tensor | slice) -> Tensor:
        """What the layer would have given with this map (n, C, h, w) for the images `rows` (n,)."""
        return self._last.layout.output(features, self._last.output[rows])

    def keep(self, features: Tensor, output: Tensor, layout: Layout) -> None:
        """Remember one feature map, and the output that it stands in."""
        self._seen.append(_Seen(features, output, layout))

    @property
    def _last(self) -> _Seen:
        if not self._seen:
            raise ModelError("the tapped layer was not called in this forward pass.")
        return self._seen[-1]


class Tap:
    """A named layer of a model whose output, a feature map or the tokens of patches, is captured.

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
        was captured, nor what its gradient means. Tokens that belong to no patch go on as they are.

        Args:
            model: the model, or any copy of it.
            then: called when the layer has run, before what follows it.

        Raises:
            ModelError: if the layer does not exist, or its output holds no feature map.
        """
        captured = Captured()

        def hook(_layer: nn.Module, _inputs: Any, output: Any) -> Tensor:
            layout = layout_of(model, self.layer, output)
            features = layout.features(output)
            if torch.is_grad_enabled() and not features.requires_grad:
                features = features.detach().requires_grad_()  # a frozen stem: the graph begins here
            captured.keep(features, output, layout)
            if then is not None:
                then()
            return layout.output(features.clone(), output)

        handle = self.module(model).register_forward_hook(hook)
        try:
            yield captured
        finally:
            handle.remove()


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

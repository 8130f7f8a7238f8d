"""Convolution and batch normalisation with the derivatives that a guided step needs.

A guided step differentiates twice: the attribution is the gradient of the outputs with respect to the
tapped features, and the loss differentiates through that gradient. Two operators deserve better than what
autograd does by itself.

- *Batch normalisation.* In training mode the gradient runs through the statistics, so that the images of a
  batch attribute to each other. For the attribution the statistics are constants: each image's map is its
  own, and is the map that inference will show. For the classification loss the gradient stays complete.
- *Convolution.* The derivative of a convolution's input gradient is one convolution and one weight
  gradient. Autograd's general formula reaches the same values by way of slower kernels. And images without
  a prior need no attribution, so that their rows are left out of the work.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_aten = torch.ops.aten


@dataclass
class Pass:
    """Which derivative is being taken, shared by the operators of one forward pass.

    Attributes:
        attributing: true while the attribution is taken, false in the ordinary backward pass.
        rows: the images (n,) whose attribution is wanted; None for all.
        images: how many there are in the batch, where rows are given.
        detached: whether batch statistics are constants for the attribution.
    """

    attributing: bool = False
    rows: Tensor | None = None
    images: int = 0
    detached: bool = True

    def on_rows(self, gradient: Tensor, derive: Callable[[Tensor], Tensor]) -> Tensor:
        """Apply a linear map to the wanted rows of a gradient; the other rows are zero.

        Where the rows are not images, as those of windows that an image is cut into, all of them are wanted.
        """
        if self.rows is None or len(gradient) != self.images:
            return derive(gradient)
        derived = derive(gradient[self.rows])
        return derived.new_zeros(len(gradient), *derived.shape[1:]).index_copy(0, self.rows, derived)


class AttributedOperators(TorchFunctionMode):
    """While it is entered, convolutions and batch normalisations are the ones of this module."""

    def __init__(self, state: Pass) -> None:
        super().__init__()
        self.state = state

    def __torch_function__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.conv2d:
            return _conv2d(self.state, *args, **kwargs)
        if func is functional.batch_norm and self.state.detached:
            return _batch_norm(self.state, *args, **kwargs)
        return func(*args, **kwargs)


def _conv2d(
    state: Pass,
    input: Tensor,  # noqa: A002  the names of torch's own arguments
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    if isinstance(padding, str):
        return torch.conv2d(input, weight, bias, stride, padding, dilation, groups)
    images, weight, bias = _as_autocast_would(input, weight, bias)
    if _covers(images, weight, padding, groups):
        # A kernel as large as its input is a matrix product; as a convolution it takes three times as long.
        return functional.linear(images.flatten(1), weight.flatten(1), bias)[:, :, None, None]
    geometry = (_pair(stride), _pair(padding), _pair(dilation), False, [0, 0], groups)
    return _Convolution.apply(images, weight, bias, state, geometry)  # pyright: ignore[reportReturnType]


def _as_autocast_would(
    images: Tensor, weight: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """A convolution's arguments in the precision that `torch.autocast` would take, which overlooks these."""
    kind = images.device.type
    if not torch.is_autocast_enabled(kind) or images.dtype == torch.float64:
        return images, weight, bias
    dtype = torch.get_autocast_dtype(kind)
    return images.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)


def _covers(images: Tensor, weight: Tensor, padding: Any, groups: int) -> bool:
    return images.shape[1:] == weight.shape[1:] and groups == 1 and _pair(padding) == [0, 0]


def _pair(value: Any) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


class _Convolution(Function):
    @staticmethod
    def forward(
        ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None, state: Pass, geometry: tuple[Any, ...]
    ) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.state, ctx.geometry, ctx.has_bias = state, geometry, bias is not None
        return _aten.convolution(images, weight, bias, *geometry)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        images, weight = ctx.saved_tensors
        if ctx.state.attributing:
            shape = images.shape[1:]
            derive = lambda rows: _InputGradient.apply(rows, weight, shape, ctx.geometry)  # noqa: E731
            return ctx.state.on_rows(gradient, derive), None, None, None, None
        needed = [*ctx.needs_input_grad[:2], ctx.has_bias and ctx.needs_input_grad[2]]
        sizes = [weight.shape[0]] if ctx.has_bias else None
        derived = _aten.convolution_backward(gradient, images, weight, sizes, *ctx.geometry, needed)
        return *derived, None, None


class _InputGradient(Function):
    """The gradient of a convolution with respect to its input; linear in the gradient and the weight."""

    @staticmethod
    def forward(
        ctx: Any, gradient: Tensor, weight: Tensor, shape: torch.Size, geometry: tuple[Any, ...]
    ) -> Tensor:
        ctx.save_for_backward(gradient, weight)
        ctx.geometry = geometry
        like = gradient.new_empty(1).expand(len(gradient), *shape)  # only its shape is read
        return _aten.convolution_backward(gradient, like, weight, None, *geometry, [True, False, False])[0]

    @staticmethod
    def backward(ctx: Any, second: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        gradient, weight = ctx.saved_tensors
        for_gradient = _aten.convolution(second, weight, None, *ctx.geometry)
        if not ctx.needs_input_grad[1]:
            return for_gradient, None, None, None
        arguments = (gradient, second.contiguous(), weight, None, *ctx.geometry, [False, True, False])
        return for_gradient, _aten.convolution_backward(*arguments)[1], None, None


def _batch_norm(  # noqa: PLR0913, PLR0917  torch's own arguments
    state: Pass,
    input: Tensor,  # noqa: A002  the names of torch's own arguments
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    running = (running_mean, running_var)
    if not training:
        return functional.batch_norm(input, *running, weight, bias, training, momentum, eps)
    settings = (running, momentum, eps)
    return _BatchNorm.apply(input, weight, bias, state, settings)  # pyright: ignore[reportReturnType]


class _BatchNorm(Function):
    @staticmethod
    def forward(
        ctx: Any,
        images: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        state: Pass,
        settings: tuple[Any, ...],
    ) -> Tensor:
        (mean, var), momentum, eps = settings
        output, batch_mean, inverse_std = torch.native_batch_norm(
            images, weight, bias, mean, var, True, momentum, eps
        )
        ctx.save_for_backward(images, weight, batch_mean, inverse_std)
        ctx.state, ctx.eps = state, eps
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        images, weight, mean, inverse_std = ctx.saved_tensors
        if ctx.state.attributing:
            scale = inverse_std if weight is None else weight * inverse_std
            return gradient * scale.view(1, -1, 1, 1).to(gradient.dtype), None, None, None, None
        needed = [bool(need) for need in ctx.needs_input_grad[:3]]
        derived = _aten.native_batch_norm_backward(
            gradient, images, weight, None, None, mean, inverse_std, True, ctx.eps, needed
        )
        return *derived, None, None

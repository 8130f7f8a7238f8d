"""The attribution of a tap as a graph that needs no autograd, for programs without torch.

Where average pooling and a linear layer follow the tap, its gradient has a closed form. Elsewhere the
backward pass of the tail is traced into an ordinary forward graph; what stands before the tap is left out of
it, unless the tail reads it too (the class token of a transformer, a residual path around the tap).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch._decomp import core_aten_decompositions
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functionalize
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from sonoprior.cases.loading.shrink import averaged
from sonoprior.core.errors import ModelError
from sonoprior.models.head import linear_after_average
from sonoprior.models.heads import Heads
from sonoprior.models.onnx_file import difference, run_onnx, write_onnx
from sonoprior.models.taps import Tap, inference

from .allocation import Allocation
from .gradients import Method, attributed_columns, attribution
from .guided import replay
from .maps import attribution_maps

How = Literal["closed form", "graph"]
MAP, WEIGHTS, SQUARES, MAPS = "map", "weights", "squares", "maps"
READ: tuple[str, ...] = (MAP, WEIGHTS, SQUARES)
TOLERANCE = 1e-3
"""By how much a graph's maps may differ from autograd's, as a share of the largest value of a map."""

_aten = torch.ops.aten


@dataclass(frozen=True)
class Attributed:
    """What is attributed, and to which maps.

    Attributes:
        network: (B, 1, H, W) in [0, 1] to its outputs, in eval mode.
        tap: where the attribution is read.
        heads: which outputs are what.
        method: see `attribution.gradients`.
        allocation: see `Allocation`.
        priors: P, how many maps the channels are allocated to; the mean of the free ones comes after them.
    """

    network: nn.Module
    tap: Tap
    heads: Heads
    method: Method = "grad_input"
    allocation: str = "half"
    priors: int = 1

    @property
    def width(self) -> int:
        """W, the outputs that are attributed: logits, or the leaf's embedding, or clusters."""
        columns = attributed_columns(self.heads)
        return columns.stop - columns.start

    def outputs_weights(self, weights: Tensor) -> Tensor:
        """Weights (B, W) of the attributed outputs as weights of all."""
        return self.heads.only(attributed_columns(self.heads), weights)

    def maps(self, features: Tensor, gradient: Tensor) -> Tensor:
        """(B, P + 1, h, w), of features and their gradient, (B, C, h, w) each."""
        strategy, found = Allocation.parse(self.allocation), attribution(features, gradient, self.method)
        allocated = strategy.allocate(found, self.priors).mean(2)
        return torch.cat([allocated, strategy.free(found, self.priors)[:, None]], 1)


class ClosedForm(nn.Module):
    """For outputs W mean(f) + b the gradient is, at every position, the chosen rows of W over h w.

    Args:
        of: what is attributed.
        head: the linear layer after average pooling.
    """

    rows: Tensor

    def __init__(self, of: Attributed, head: nn.Linear) -> None:
        super().__init__()
        self.of = (of,)  # in a tuple, so that the network is no part of this module
        self.register_buffer("rows", head.weight.detach()[attributed_columns(of.heads)].clone())

    def forward(self, map: Tensor, weights: Tensor) -> Tensor:  # noqa: A002 (the name in the bundle)
        """Of a map (B, C, h, w) and weights (B, W), maps (B, P + 1, h, w)."""
        height, width = map.shape[2:]
        gradient = (weights @ self.rows / (height * width))[:, :, None, None]
        return self.of[0].maps(map, gradient.expand_as(map))


@dataclass(frozen=True)
class Written:
    """A module that gives maps, and what it reads.

    Attributes:
        module: the tensors of `inputs` to maps (B, P + 1, h, w).
        inputs: those of "map", "weights" and "squares" that it reads, in order.
        how: whether the gradient has a closed form, or its graph was traced.
    """

    module: nn.Module
    inputs: Sequence[str]
    how: How


def written_out(of: Attributed, squares: Tensor, area: Tensor) -> Written:
    """The attribution as a module without autograd.

    Args:
        of: what is attributed.
        squares: uint8 (B, 1, S, S), examples, B of 2 or more.
        area: (size, S), by which squares are averaged to what the network sees (`area_weights`).

    Raises:
        ModelError: if what follows the tap cannot be traced, because what it does depends on what it sees.
    """
    images = averaged(squares, area)
    head = linear_after_average(of.network, of.tap, images)
    if head is not None:
        linear = of.network.get_submodule(head)
        assert isinstance(linear, nn.Linear)  # that is what was looked for
        return Written(ClosedForm(of, linear), (MAP, WEIGHTS), "closed form")
    with inference(of.network):
        graph = _traced(of, _examples(of, squares, images), area)
    inputs = _drop_unread(graph, READ)
    return Written(graph, inputs, "graph")


def _examples(of: Attributed, squares: Tensor, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    with torch.no_grad(), of.tap.capture(of.network) as captured:
        of.network(images)
    return captured.features, torch.ones(len(squares), of.width), squares


def _traced(of: Attributed, examples: tuple[Tensor, ...], area: Tensor) -> GraphModule:
    """The tail and its backward pass as one graph, whose batch may have any size."""

    def attribute(features: Tensor, weights: Tensor, squares: Tensor) -> Tensor:
        images = averaged(squares, area)
        features = features.detach().requires_grad_()
        with torch.no_grad(), of.tap.capture(of.network) as captured:
            of.network(images)
        with _PlainPooling():
            outputs = replay(of.network, of.tap, images, captured.output(features, slice(None)))
        gradient = torch.autograd.grad(outputs, features, of.outputs_weights(weights))[0]
        return of.maps(features.detach(), gradient)

    fake = FakeTensorMode(shape_env=ShapeEnv(), allow_non_fake_inputs=True)
    shapes = [_any_batch(example) for example in examples]
    inputs = [fake.from_tensor(of, symbolic_context=by) for of, by in zip(examples, shapes, strict=True)]
    try:
        with fake:
            graph = _trace(attribute, inputs, _in_plain_words())
            # What was written in place is written anew, so that what nobody reads can be left out.
            return _trace(functionalize(graph, remove="mutations"), inputs)
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(
            f"the attribution at '{of.tap.layer}' cannot be traced: {reason[0].rstrip('.')}."
        ) from error


def _trace(function: Any, inputs: Sequence[Tensor], words: dict[Any, Any] | None = None) -> GraphModule:
    tracer = make_fx(function, words, tracing_mode="symbolic", _allow_non_fake_inputs=True)
    return tracer(*inputs)


def _any_batch(example: Tensor) -> StatelessSymbolicContext[..., Any]:
    """The first axis has one size that all inputs share; the others are what they are."""
    return StatelessSymbolicContext([DimDynamic.DUCK] + [DimDynamic.STATIC] * (example.ndim - 1))


def _drop_unread(graph: GraphModule, names: Sequence[str]) -> tuple[str, ...]:
    """Leave out what nobody reads, inputs too; the names of those that stay."""
    graph.graph.eliminate_dead_code()
    kept: list[str] = []
    places = [node for node in graph.graph.nodes if node.op == "placeholder"]
    for name, node in zip(names, places, strict=True):
        if node.users:
            kept.append(name)
        else:
            graph.graph.erase_node(node)
    graph.recompile()
    graph.delete_all_unused_submodules()
    for name in set(dict(graph.named_parameters())) | set(dict(graph.named_buffers())):
        if not any(node.target == name for node in graph.graph.nodes):
            delattr(graph, name)
    return tuple(kept)


class _PlainPooling(TorchFunctionMode):
    """While it is entered, average pooling reads its map in the usual order of memory.

    For a map with its channels last torch writes the pooled map's place in memory by hand, which no other
    program has a word for.
    """

    def __torch_function__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is functional.adaptive_avg_pool2d and args:
            args = (args[0].contiguous(), *args[1:])
        return func(*args, **(kwargs or {}))


def _in_plain_words() -> dict[Any, Any]:
    """Derivatives in terms of operations that have a forward meaning."""
    return dict(core_aten_decompositions()) | {
        _aten.convolution_backward.default: _convolution_backward,
        _aten.avg_pool2d_backward.default: _avg_pool2d_backward,
        _aten._adaptive_avg_pool2d_backward.default: _adaptive_avg_pool2d_backward,
        _aten.max_pool2d_with_indices_backward.default: _max_pool2d_backward,
    }


def _convolution_backward(  # noqa: PLR0913, PLR0917 (torch's own arguments)
    gradient: Tensor,
    images: Tensor,
    weight: Tensor,
    _bias: Any,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    _output_padding: Any,
    groups: int,
    wanted: Sequence[bool],
) -> Any:
    """The input's gradient is a transposed convolution; what the strides left over is padded."""
    if transposed or wanted[1] or wanted[2]:
        return NotImplemented
    reached = [
        (size - 1) * step - 2 * pad + apart * (kernel - 1) + 1
        for size, step, pad, apart, kernel in zip(
            gradient.shape[2:], stride, padding, dilation, weight.shape[2:], strict=True
        )
    ]
    left = [size - end for size, end in zip(images.shape[2:], reached, strict=True)]
    back = _aten.convolution(gradient, weight, None, stride, padding, dilation, True, left, groups)
    return back, None, None


def _avg_pool2d_backward(
    gradient: Tensor,
    images: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    include_pad: bool,
    divisor: int | None,
) -> Any:
    """Averaging is linear, and along each axis by itself."""
    if divisor is not None:
        return NotImplemented
    axes = zip(images.shape[2:], _pair(kernel), _pair(stride or kernel), _pair(padding), strict=True)
    rows, columns = (
        functional.avg_pool1d(torch.eye(size)[:, None], wide, step, pad, ceil_mode, include_pad)[:, 0]
        for size, wide, step, pad in axes
    )
    return rows @ gradient @ columns.T


def _adaptive_avg_pool2d_backward(gradient: Tensor, images: Tensor) -> Tensor:
    rows, columns = (
        functional.adaptive_avg_pool1d(torch.eye(size)[:, None], bins)[:, 0]
        for size, bins in zip(images.shape[2:], gradient.shape[2:], strict=True)
    )
    return rows @ gradient @ columns.T


def _pair(value: Sequence[int]) -> Sequence[int]:
    return [*value, *value] if len(value) == 1 else value


def _max_pool2d_backward(gradient: Tensor, images: Tensor, *settings: Any) -> Tensor:
    """What reaches a maximum goes to the place that it was found at."""
    places = settings[-1]
    back = torch.zeros_like(images).flatten(2)
    return back.scatter_add(2, places.flatten(2), gradient.flatten(2)).view_as(images)


def write_attribution(of: Attributed, squares: Tensor, area: Tensor, path: Path) -> Written:
    """Write the attribution as ONNX, if it gives the maps of autograd.

    Args:
        of: what is attributed.
        squares: uint8 (B, 1, S, S), examples, B of 3 or more.
        area: see `written_out`.
        path: the file.

    Raises:
        ModelError: if it cannot be traced or written, or gives other maps.
    """
    made = written_out(of, squares, area)
    what = f"the attribution at '{of.tap.layer}'"
    examples = _examples(of, squares, averaged(squares, area))
    inputs = dict(zip(READ, examples, strict=True))
    write_onnx(made.module, {name: inputs[name] for name in made.inputs}, [MAPS], path, what)
    _check_maps(of, made, squares, area, path)
    return made


def _check_maps(of: Attributed, made: Written, squares: Tensor, area: Tensor, path: Path) -> None:
    """Refuse a file whose maps are not those of autograd, for the whole batch, and for one image of it."""
    for count in (len(squares), 1):
        some = squares[:count]
        images = averaged(some, area)
        examples = dict(zip(READ, _examples(of, some, images), strict=True))
        found = run_onnx(path, {name: examples[name] for name in made.inputs})[MAPS]
        looked = attribution_maps(
            of.network,
            of.tap,
            images,
            priors=of.priors,
            method=of.method,
            heads=of.heads,
            allocation=of.allocation,
        )
        wanted = torch.cat([looked.allocated, looked.free[:, None]], 1)
        largest = wanted.abs().max()
        scale = 1 / largest if largest > 0 else torch.ones(())
        apart = difference(found * scale.numpy(), (wanted * scale).numpy())
        if not apart <= TOLERANCE:
            raise ModelError(
                f"the attribution at '{of.tap.layer}' gives other maps without autograd: they differ by"
                f" {apart:.2g} of the largest value, and {TOLERANCE:g} is allowed."
            )

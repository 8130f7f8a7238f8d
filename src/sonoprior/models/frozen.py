"""Leaving a part of a network as it is: its parameters, its running statistics and its dropout."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from sonoprior.core.errors import ModelError

from .catalogue import last_layers, tap_path
from .network import Network
from .taps import inference

NOTHING, BACKBONE = "nothing", "backbone"


def freeze(network: Network, frozen: str, size: int) -> None:
    """Leave a part of a network as it is, from now on and also in training mode.

    What comes before what is found by running the network once, not by the order of its layers: frozen are
    the parameters that the named feature map is made with, and the modules that are through when it is there.
    Those stay in eval mode, so that batch normalisation keeps its running statistics and nothing is dropped.
    Dropout that stands right before the last layer belongs to that layer, and goes on.

    Args:
        network: what is going to be trained, before anything copies it or collects its parameters.
        frozen: "nothing"; "backbone", all but the last layer; or all up to and with a tap, by its name
            ("stage2") or path.
        size: the side of its images.

    Raises:
        ModelError: if there is no such tap, the forward pass does not call it, or nothing would be left to
            be trained.
    """
    if frozen == NOTHING:
        return
    part = _all_but_last(network, size) if frozen == BACKBONE else _up_to(network, frozen, size)
    for parameter in part.parameters:
        parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ModelError(f"frozen must leave something to be trained, but '{frozen}' is the whole network.")
    network.keep_still(part.modules)


@dataclass(frozen=True)
class _Part:
    parameters: list[nn.Parameter]
    modules: list[str]


def _up_to(network: Network, tap: str, size: int) -> _Part:
    besides = (NOTHING, BACKBONE)
    path = f"backbone.{tap_path(network.backbone, tap, setting='frozen', besides=besides)}"
    seen = _watched(network, path, size)
    if seen is None:
        raise ModelError(f"frozen must name a layer that the forward pass calls, but it calls no '{tap}'.")
    return _Part(seen.parameters, seen.after)


def _all_but_last(network: Network, size: int) -> _Part:
    last = [f"backbone.{name}" for name in last_layers(network.backbone)]
    seen = _watched(network, last[0], size)
    if seen is None:
        raise ModelError(f"frozen 'backbone' needs a forward pass that calls the last layer, '{last[0]}'.")
    learning = {id(parameter) for name in last for parameter in network.get_submodule(name).parameters()}
    parameters = [parameter for parameter in network.parameters() if id(parameter) not in learning]
    return _Part(parameters, _without_end(network, seen.before))


def _without_end(network: Network, modules: list[str]) -> list[str]:
    """Modules in the order of their run, without those at the end that hold nothing: pooling and dropout."""
    holding = [index for index, name in enumerate(modules) if network.get_submodule(name).state_dict()]
    return modules[: holding[-1] + 1] if holding else []


@dataclass(frozen=True)
class _Watched:
    """What one forward pass shows of a layer.

    Attributes:
        before: the modules that were through when it was called.
        after: those that were through when it was, itself included.
        parameters: those that its output is made with.
    """

    before: list[str]
    after: list[str]
    parameters: list[nn.Parameter]


def _watched(network: Network, layer: str, size: int) -> _Watched | None:
    """Run the network once, in eval mode; None if it does not call the layer."""
    through: list[str] = []
    before: list[str] = []
    watched: list[_Watched] = []

    def begin(*_: Any) -> None:
        before[:] = through

    def end(_module: nn.Module, _inputs: Any, output: Any) -> None:
        watched.append(_Watched(list(before), list(through), list(_parameters_behind(output))))

    with ExitStack() as hooks, inference(network), torch.enable_grad():
        for name, module in network.named_modules():
            hooks.callback(module.register_forward_hook(_adding(through, name)).remove)
        hooks.callback(network.get_submodule(layer).register_forward_pre_hook(begin).remove)
        hooks.callback(network.get_submodule(layer).register_forward_hook(end).remove)
        network(torch.zeros(2, 1, size, size))
    return watched[-1] if watched else None


def _adding(through: list[str], name: str) -> Callable[..., None]:
    return lambda *_: through.append(name)


def _parameters_behind(output: Any) -> Iterator[nn.Parameter]:
    """The parameters on the graph that leads to a layer's output."""
    outputs = output if isinstance(output, tuple | list) else [output]
    waiting = [each.grad_fn for each in outputs if isinstance(each, Tensor)]
    known: set[Node] = set()
    while waiting:
        node = waiting.pop()
        if node is None or node in known:
            continue
        known.add(node)
        parameter = getattr(node, "variable", None)
        if isinstance(parameter, nn.Parameter):
            yield parameter
        waiting += [before for before, _ in node.next_functions]

"""Which taps a backbone has, by the names that recipes use."""

from collections.abc import Iterator, Sequence

from torch import nn

from sonoprior.core.checks import listed
from sonoprior.core.errors import ModelError

_STEMS = ("stem", "act1", "conv_stem", "bn1")


def named_taps(backbone: nn.Module) -> dict[str, str]:
    """The taps that have a name of their own: "default", "last" and "stage1", "stage2", ...

    The stages are the feature maps that timm names for a backbone, the stem left out; of a vision
    transformer they are its blocks. "default" is the place that the method notes name: near the end and not
    directly before a max-pool, which is the last but one stage, or, where a net is a chain of convolutions
    (VGG), the activation after the last but one of them. Of a transformer it is the last but one block:
    after the last one the class token alone may be read. A backbone that timm does not describe has no
    names; its taps are given by path.
    """
    info = getattr(getattr(backbone, "feature_info", None), "info", None) or getattr(
        backbone, "feature_info", None
    )
    paths = [entry["module"] for entry in info or [] if "module" in entry]
    if not paths:
        return {}
    stages = [path for path in paths if path not in _STEMS]
    taps = {f"stage{number}": path for number, path in enumerate(stages, start=1)}
    chained = _activation_of_last_but_one_convolution(backbone)
    default = chained or (stages[-2] if len(stages) > 1 else stages[-1])
    return {"default": default} | taps | {"last": stages[-1]}


def tap_path(backbone: nn.Module, tap: str, *, setting: str = "tap", besides: Sequence[str] = ()) -> str:
    """The path of a tap given by name or by path.

    Args:
        backbone: whose tap.
        tap: its name, or the path of a submodule.
        setting: what is set to it, for the message.
        besides: what else that setting may be, for the message.

    Raises:
        ModelError: if it is neither.
    """
    names = named_taps(backbone)
    if tap in names:
        return names[tap]
    if tap and tap in dict(backbone.named_modules()):
        return tap
    known = [*besides, *names]
    raise ModelError(
        f"{setting} must be one of {listed(known)}, or the path of a submodule, but got '{tap}'."
        if known
        else f"{setting} must be the path of a submodule, but got '{tap}'."
    )


def last_layers(backbone: nn.Module) -> tuple[str, ...]:
    """The names of the layers that give the outputs.

    They are those that timm names. Of a backbone that it does not describe, it is the last module with
    parameters of its own.
    """
    named = getattr(backbone, "pretrained_cfg", {}).get("classifier") or ()
    layers = dict(backbone.named_modules())
    known = tuple(name for name in ([named] if isinstance(named, str) else named) if name in layers)
    with_parameters = [
        name for name, layer in layers.items() if any(True for _ in layer.parameters(recurse=False))
    ]
    return known or tuple(with_parameters[-1:])


def _activation_of_last_but_one_convolution(backbone: nn.Module) -> str | None:
    """The tap of nets whose features are one chain of layers, as in VGG."""
    chain = getattr(backbone, "features", None)
    if not isinstance(chain, nn.Sequential):
        return None
    convolutions = [index for index, layer in enumerate(chain) if isinstance(layer, nn.Conv2d)]
    if len(convolutions) < 2:
        return None
    between = range(convolutions[-2] + 1, convolutions[-1])
    return f"features.{max(between, default=convolutions[-2])}"


def list_taps(backbone: nn.Module) -> Iterator[tuple[str, str]]:
    """Name and path of every named tap, each path once, in the order of the net."""
    seen: dict[str, list[str]] = {}
    for name, path in named_taps(backbone).items():
        seen.setdefault(path, []).append(name)
    order = {path: position for position, path in enumerate(dict(backbone.named_modules()))}
    for path in sorted(seen, key=lambda path: order.get(path, 0)):
        yield ", ".join(sorted(seen[path], key=lambda name: (name == "default", name))), path

"""What every named tap of a backbone can do."""

from typing import Literal

import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from sonoprior.core.checks import at_least
from sonoprior.core.errors import ModelError
from sonoprior.models.catalogue import list_taps
from sonoprior.models.network import build_network
from sonoprior.models.spec import ModelSpec
from sonoprior.models.taps import Tap, inference

from .diagnosis import Diagnosis, diagnose
from .guided import guided_pass

Exported = Literal["closed form", "graph", "no"]
_CLASSES = 3


class TapSurvey(BaseModel):
    """What one tap can do.

    Attributes:
        tap: its names in recipes.
        layer: its path in the backbone.
        channels: of the tapped map.
        height: of the tapped map.
        width: of the tapped map.
        guided: whether the loss can be differentiated through its attribution.
        exported: how its attribution can be computed without autograd.
        remarks: what makes guidance degenerate or impossible there.
    """

    tap: str
    layer: str
    channels: int
    height: int
    width: int
    guided: bool
    exported: Exported
    remarks: list[str]


def survey_taps(backbone: str, size: int = 224) -> list[TapSurvey]:
    """Try every named tap of a backbone on two images of this side.

    Raises:
        ModelError: if the backbone cannot be had, or is not one of timm.
    """
    at_least("size", size, 16, ModelError)
    if ":" in backbone:
        raise ModelError(
            f"backbone '{backbone}' is your own and has no named taps; give a layer's path as tap."
        )
    network, _ = build_network(ModelSpec(backbone=backbone, tap="last"), _CLASSES, size)
    images = torch.rand(2, 1, size, size, generator=torch.Generator().manual_seed(0))
    return [_survey(network, name, path, images) for name, path in list_taps(network.backbone)]


def _survey(network: nn.Module, name: str, path: str, images: Tensor) -> TapSurvey:
    tap = Tap(f"backbone.{path}")
    found = diagnose(network, tap, images)
    remarks = [] if found.guided else [f"{found.reason}."]
    return TapSurvey(
        tap=name,
        layer=path,
        channels=found.channels,
        height=found.size[0],
        width=found.size[1],
        guided=found.guided,
        exported=_exported(network, tap, images, found),
        remarks=remarks + found.warnings("grad_input") + _degenerate_for_grad(found),
    )


def _degenerate_for_grad(found: Diagnosis) -> list[str]:
    return ["Use 'grad_input': 'grad' is constant here."] if found.closed_head else []


def _exported(network: nn.Module, tap: Tap, images: Tensor, found: Diagnosis) -> Exported:
    """Whether the attribution can be written as a graph without autograd, which must give the same map."""
    if found.closed_head is not None:
        return "closed form"

    def attribute(inputs: Tensor) -> Tensor:
        logits, guided = guided_pass(network, tap, inputs, "mixed")
        return guided.attribute(logits).detach()

    with inference(network), torch.enable_grad():
        try:
            graph = make_fx(attribute)(images)
        except RuntimeError:  # data-dependent control flow after the tap cannot be traced
            return "no"
        same = torch.allclose(graph(images), attribute(images), rtol=1e-3, atol=1e-6)
    return "graph" if same else "no"

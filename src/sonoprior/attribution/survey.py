"""What every named tap of a backbone can do."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import torch
from pydantic import BaseModel
from torch import Tensor

from sonoprior.cases.loading.letterbox import cache_side
from sonoprior.cases.loading.shrink import area_weights
from sonoprior.core.checks import at_least
from sonoprior.core.errors import ModelError
from sonoprior.core.progress import track
from sonoprior.models.catalogue import list_taps
from sonoprior.models.heads import Heads
from sonoprior.models.network import Network, build_network
from sonoprior.models.spec import ModelSpec
from sonoprior.models.taps import Tap, inference

from .diagnosis import Diagnosis, diagnose
from .without_autograd import Attributed, write_attribution

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
        exported: how its attribution can be computed without autograd, in a bundle.
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
    """Try every named tap of a backbone on a few images of this side; its attribution is really exported.

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
    taps = list(list_taps(network.backbone))
    return [_survey(network, name, path, images) for name, path in track(taps, "trying taps")]


def _survey(network: Network, name: str, path: str, images: Tensor) -> TapSurvey:
    tap = Tap(f"backbone.{path}")
    found = diagnose(network, tap, images)
    exported, why = _exported(network, tap, images.shape[-1])
    remarks = [*([] if found.guided else [f"{found.reason}."]), *([why] if why else [])]
    return TapSurvey(
        tap=name,
        layer=path,
        channels=found.channels,
        height=found.size[0],
        width=found.size[1],
        guided=found.guided,
        exported=exported,
        remarks=remarks + found.warnings("grad_input") + _degenerate_for_grad(found),
    )


def _degenerate_for_grad(found: Diagnosis) -> list[str]:
    return ["Use 'grad_input': 'grad' is constant here."] if found.closed_head else []


def _exported(network: Network, tap: Tap, size: int) -> tuple[Exported, str]:
    """How the attribution can be written without autograd, tried by writing it; or "no", and why."""
    side = cache_side(size)
    draws = torch.Generator().manual_seed(0)
    squares = torch.randint(0, 256, (3, 1, side, side), dtype=torch.uint8, generator=draws)
    with TemporaryDirectory(prefix="sonoprior-") as folder, inference(network):
        try:
            written = write_attribution(
                Attributed(network, tap, Heads(_CLASSES)),
                squares,
                area_weights(side, size),
                Path(folder) / "overlay.onnx",
            )
        except ModelError as error:
            return "no", str(error)
    return written.how, ""

"""Losses that compare cases with proxies: one learned point a class.

The proxies are parameters of the loss; they are thrown away after training. (The library annotates nothing,
and its whole-number defaults are taken for its types: hence the notes to the type checker.)
"""

import math
from typing import Any, ClassVar

import torch
from pytorch_metric_learning import losses
from pytorch_metric_learning.losses.base_metric_loss_function import BaseMetricLossFunction
from pytorch_metric_learning.reducers import DoNothingReducer
from torch import Tensor
from torch.nn import functional

from .base import Term
from .inputs import check_labels
from .metric_loss_settings import ArcFaceSettings, CosFaceSettings, SoftmaxSettings, SphereFaceSettings
from .metric_losses import MetricLoss
from .terms import counted

# Nearer to 1 the derivative of the arc cosine is not finite in single precision.
_NEARLY_ONE = 1 - 1e-6


class ProxyLoss(MetricLoss):
    """The base of losses over proxies: a cross-entropy a case.

    Args:
        loss: the library's, with proxies in its parameters.
        classes: how many proxies there are.
    """

    has_proxies: ClassVar[bool] = True

    def __init__(self, loss: BaseMetricLossFunction, classes: int) -> None:
        super().__init__()
        self.loss, self.classes = loss, classes

    def compare(self, embeddings: Tensor, labels: Tensor) -> Term:
        """The sum over cases, and their number."""
        check_labels(labels, self.classes)
        found: Tensor = self.loss(embeddings, labels)["loss"]["losses"]
        return Term(found.sum(), counted(len(labels), labels))


def _with_margin(margin: float, scale: float) -> dict[str, Any]:
    """What the library's losses with a margin have in common."""
    return {"margin": margin, "scale": scale, "reducer": DoNothingReducer()}


class Softmax(ProxyLoss):
    """Normalised softmax: -log of the softmax of cos(x, w_c) / temperature, at the label.

    Source: Zhai and Wu, "Classification is a strong baseline for deep metric learning", BMVC 2019, eq 2.
    """

    def __init__(self, settings: SoftmaxSettings, classes: int, dimension: int) -> None:
        super().__init__(
            losses.NormalizedSoftmaxLoss(
                classes, dimension, temperature=settings.temperature, reducer=DoNothingReducer()
            ),
            classes,
        )


class ArcFace(ProxyLoss):
    """The cosine of the label becomes cos(angle + margin).

    Where angle + margin passes pi it becomes cos(angle) - margin sin(margin), as the authors' code has it.

    Source: Deng et al., "ArcFace: additive angular margin loss for deep face recognition", CVPR 2019, eq 3.
    """

    def __init__(self, settings: ArcFaceSettings, classes: int, dimension: int) -> None:
        margin = _with_margin(math.degrees(settings.margin), settings.scale)
        loss = _ArcFaceWithGradient(classes, dimension, **margin)
        super().__init__(loss, classes)


class _ArcFaceWithGradient(losses.ArcFaceLoss):
    def get_angles(self, cosine_of_target_classes: Tensor) -> Tensor:
        """Angles with a gradient that stays finite where a case lies on its proxy."""
        return torch.acos(cosine_of_target_classes.clamp(-_NEARLY_ONE, _NEARLY_ONE))


class CosFace(ProxyLoss):
    """The cosine of the label becomes cos(angle) - margin.

    Source: Wang et al., "CosFace: large margin cosine loss for deep face recognition", CVPR 2018, eq 4.
    """

    def __init__(self, settings: CosFaceSettings, classes: int, dimension: int) -> None:
        loss = losses.CosFaceLoss(classes, dimension, **_with_margin(settings.margin, settings.scale))
        super().__init__(loss, classes)


class SphereFace(ProxyLoss):
    """The cosine of the label becomes (-1)^k cos(m angle) - 2k, for the angle in [k pi/m, (k+1) pi/m].

    Source: Liu et al., "SphereFace: deep hypersphere embedding for face recognition", CVPR 2017, eq 7.
    """

    def __init__(self, settings: SphereFaceSettings, classes: int, dimension: int) -> None:
        loss = losses.SphereFaceLoss(classes, dimension, **_with_margin(settings.margin, settings.scale))
        super().__init__(loss, classes)
        self.normalised = settings.normalised

    def compare(self, embeddings: Tensor, labels: Tensor) -> Term:
        """The sum over cases, and their number."""
        return super().compare(functional.normalize(embeddings) if self.normalised else embeddings, labels)

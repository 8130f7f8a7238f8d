"""Attribution of a feature map: the gradient of the outputs, gradient times input, or class activation.

Source: thesis on privileged information, section 2.3.1, eqs 2.1, 2.3 and 2.4; class activation maps after
Zhou et al., "Learning deep features for discriminative localization", CVPR 2016, for any map as Selvaraju et
al., "Grad-CAM", ICCV 2017, eqs 1 and 2 before their ReLU.
"""

from typing import Literal

import torch
from torch import Tensor

from sonoprior.models.heads import Heads

Method = Literal["grad", "grad_input", "grad_cam"]
Target = Literal["sum", "label", "predicted"]


def target_weights(logits: Tensor, target: Target, labels: Tensor | None = None) -> Tensor:
    """How much each logit counts in the output that is differentiated: (n, K).

    Args:
        logits: (n, K); logits and not probabilities, whose sum is constant.
        target: "sum" of the logits (as printed), the logit of the "label", or of the "predicted" class.
        labels: (n,) class numbers, for "label"; an image without a label (-1) attributes nothing.
    """
    if target == "sum":
        return torch.ones_like(logits)
    if target == "predicted":
        chosen = logits.detach().argmax(1)
    elif labels is None:
        raise ValueError("target 'label' needs the labels, but got none.")
    else:
        chosen = labels
    weights = torch.zeros_like(logits)
    return weights.scatter(1, chosen.clamp(min=0)[:, None], (chosen >= 0).to(logits.dtype)[:, None])


def several_weights(logits: Tensor, target: Target, shown: Tensor | None = None) -> Tensor:
    """The same where each logit is a decision of its own, so that several count or none does: (n, C).

    Args:
        logits: (n, C).
        target: "sum" of the logits, of those of the labels that the image shows ("label"), or of those above
            0, whose probability is more than a half ("predicted").
        shown: (n, C) of 1, 0, and -1 for unknown, for "label".
    """
    if target == "sum":
        return torch.ones_like(logits)
    if target == "predicted":
        return (logits.detach() > 0).to(logits.dtype)
    if shown is None or shown.shape != logits.shape:
        came = None if shown is None else tuple(shown.shape)
        raise ValueError(
            f"target 'label' needs to know which labels are shown, {tuple(logits.shape)}, but got {came}."
        )
    return (shown == 1).to(logits.dtype)


def head_weights(
    outputs: Tensor, target: Target, heads: Heads | None, labels: Tensor | None = None
) -> Tensor:
    """How much each output counts in what is attributed: (B, width).

    Args:
        outputs: (B, width).
        target: see `target_weights`, or `several_weights` where an image may show several labels. Only "sum"
            where there are no logits: over the leaf's embedding, or over the clusters where there is none.
        heads: which outputs are what; logits all of them where None.
        labels: for the target "label": (B,) class numbers, or (B, C) where an image may show several.
    """
    if heads is None:
        return target_weights(outputs, target, labels)
    columns = attributed_columns(heads)
    weights = several_weights if heads.classifies and heads.several else target_weights
    return heads.only(columns, weights(outputs[:, columns], target, labels))


def attributed_columns(heads: Heads) -> slice:
    """The outputs that are attributed: the logits, or the leaf's embedding, or the clusters."""
    if heads.classifies:
        return slice(0, heads.classes)
    if heads.embeds:
        return heads.columns(heads.levels[0])
    return slice(heads.width - heads.clusters, heads.width)


def attribution(features: Tensor, gradient: Tensor, method: Method) -> Tensor:
    """Eq 2.3, |gradient|, eq 2.4, |gradient| times the features, or what each adds to Grad-CAM.

    All (n, C, h, w). The mean over the channels of the last is Grad-CAM; before average pooling and a linear
    layer it is CAM, but for a factor.
    """
    if method == "grad":
        return gradient.abs()
    if method == "grad_input":
        return gradient.abs() * features
    return gradient.mean((2, 3), keepdim=True) * features

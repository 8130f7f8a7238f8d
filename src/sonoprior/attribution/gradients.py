"""Attribution of a feature map: the gradient of the outputs, or gradient times input.

Source: thesis on privileged information, section 2.3.1, eqs 2.1, 2.3 and 2.4.
"""

from typing import Literal

import torch
from torch import Tensor

from sonoprior.models.heads import Heads

Method = Literal["grad", "grad_input"]
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


def head_weights(
    outputs: Tensor, target: Target, heads: Heads | None, labels: Tensor | None = None
) -> Tensor:
    """How much each output counts in what is attributed: (B, K + L D).

    Args:
        outputs: (B, K + L D).
        target: see `target_weights`; only "sum" where there are no logits, over the leaf's embedding.
        heads: which outputs are what; logits all of them where None.
        labels: (B,), for the target "label".
    """
    if heads is None:
        return target_weights(outputs, target, labels)
    columns = slice(0, heads.classes) if heads.classifies else heads.columns(heads.levels[0])
    return heads.only(columns, target_weights(outputs[:, columns], target, labels))


def attribution(features: Tensor, gradient: Tensor, method: Method) -> Tensor:
    """Eq 2.3, |gradient|, or eq 2.4, |gradient| times the features; all (n, C, h, w)."""
    return gradient.abs() if method == "grad" else gradient.abs() * features

"""Heads whose gradient has a closed form: average pooling and a linear layer."""

import torch
from torch import Tensor, nn

from .taps import Tap, inference


def linear_after_average(model: nn.Module, tap: Tap, images: Tensor) -> str | None:
    """The name of the linear layer, if the logits are its values at the average of the tapped map.

    Nothing is assumed of the architecture: the claim is checked by its consequence, that in eval mode
    `logits == linear(features.mean((2, 3)))`, for every linear layer that fits.

    Args:
        model: (B, ...) images to (B, K) logits.
        tap: where the feature map (B, C, h, w) is read.
        images: a few images, two are enough.
    """
    with inference(model), torch.no_grad(), tap.capture(model) as captured:
        logits = model(images)
    pooled = captured.features.mean((2, 3))
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear) and layer.weight.shape == (logits.shape[-1], pooled.shape[1]):
            with torch.no_grad():
                claimed = layer(pooled)
            if torch.allclose(claimed, logits, rtol=1e-3, atol=1e-4 * float(logits.abs().max())):
                return name
    return None

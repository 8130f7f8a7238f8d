"""Said before a run trains: whether its bundle will be able to show where it looks, at the guided tap."""

import warnings

import torch

from sonoprior.attribution.without_autograd import Attributed, written_out
from sonoprior.cases.loading.letterbox import cache_side
from sonoprior.cases.loading.shrink import area_weights
from sonoprior.core.errors import ModelError
from sonoprior.models.heads import Heads
from sonoprior.models.network import build_network

from .assemble import without_weights
from .log import TrainingWarning
from .recipe import Recipe

_CLASSES = 3


def warn_of_tap(recipe: Recipe) -> None:
    """Warn if the attribution at the tap of a recipe cannot be traced into a graph of its own.

    That takes seconds, and is asked of recipes that guide, in any variant. Whether ONNX has a word for
    everything in the graph too is what `sonoprior models taps` tries.

    Raises:
        ModelError: if the backbone or the tap cannot be had.
    """
    if recipe.guidance is None:
        return
    size = recipe.data.size
    network, tap = build_network(without_weights(recipe.model), _CLASSES, size)
    side = cache_side(size)
    draws = torch.Generator().manual_seed(0)
    squares = torch.randint(0, 256, (2, 1, side, side), dtype=torch.uint8, generator=draws)
    try:
        written_out(Attributed(network.eval(), tap, Heads(_CLASSES)), squares, area_weights(side, size))
    except ModelError as error:
        warnings.warn(
            TrainingWarning(
                f"a bundle of this run will show where it looks at the last map, not at '{recipe.model.tap}':"
                f" {error} Taps that can be exported are listed by `sonoprior models taps"
                f" {recipe.model.backbone}`."
            ),
            stacklevel=2,
        )

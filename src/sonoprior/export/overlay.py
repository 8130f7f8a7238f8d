"""Where a run looks, as a graph of its own beside the network's."""

from dataclasses import replace
from pathlib import Path

from sonoprior.attribution.without_autograd import Attributed, write_attribution
from sonoprior.bundle.manifest import OVERLAY, Overlay
from sonoprior.cases.loading.letterbox import cache_side
from sonoprior.cases.loading.shrink import area_weights
from sonoprior.core.errors import ModelError
from sonoprior.models.catalogue import named_taps
from sonoprior.models.network import Network
from sonoprior.models.taps import Tap
from sonoprior.training.predictor import Predictor

from .graph import example_squares

FREE = "free channels"
ALL = "attribution"
"""The name of the one map where channels belong to no prior: the mean over all of them."""


def export_overlay(predictor: Predictor, folder: Path) -> tuple[Overlay | None, Tap, str]:
    """Write `overlay.onnx`: of the run's tap, or else of the last map, or none.

    Returns:
        What the bundle says of it, or None; the tap whose map the network's graph has to give; and why there
        is no overlay, empty where there is one.
    """
    asked = _asked(predictor)
    try:
        return _written(predictor, asked, folder), asked.tap, ""
    except ModelError as error:
        reason = str(error)
    last = _last(predictor, asked)
    if last is None:
        return None, asked.tap, reason
    try:
        found = _written(predictor, last, folder)
    except ModelError as error:
        return None, asked.tap, f"{reason} Nor can the last map be used: {error}"
    said = f"{reason} Shown is the last map, where no channel was guided by a prior."
    return (
        found.model_copy(update={"asked": asked.tap.layer, "reason": said, "maps": [ALL, FREE]}),
        last.tap,
        "",
    )


def _asked(predictor: Predictor) -> Attributed:
    model = predictor.model
    return Attributed(
        network=model.network,
        tap=model.tap,
        heads=model.heads,
        method=model.attribution.method,
        allocation=model.attribution.allocation,
        priors=max(1, len(predictor.priors)),
    )


def _last(predictor: Predictor, asked: Attributed) -> Attributed | None:
    """The same at the last map that the backbone names, all channels as one; None if it names no other."""
    network = predictor.model.network
    assert isinstance(network, Network)  # runs are built of these
    path = named_taps(network.backbone).get("last")
    tap = Tap(f"backbone.{path}")
    if path is None or tap.layer == asked.tap.layer:
        return None
    return replace(asked, tap=tap, allocation="mean", priors=1)


def _written(predictor: Predictor, of: Attributed, folder: Path) -> Overlay:
    size = predictor.recipe.data.size
    side = cache_side(size)
    try:
        written = write_attribution(of, example_squares(side), area_weights(side, size), folder / OVERLAY)
    except ModelError:
        (folder / OVERLAY).unlink(missing_ok=True)
        raise
    return Overlay(
        asked=of.tap.layer,
        tap=of.tap.layer,
        how=written.how,
        method=of.method,
        target=predictor.recipe.attributed,
        width=of.width,
        maps=[*(predictor.priors or [ALL]), FREE],
    )

"""What a network gives on some cases: predictions, where it looked, and metrics with intervals."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sonoprior.attribution.maps import attribution_maps
from sonoprior.cases.loading.batch import Batch
from sonoprior.cases.loading.cache import Cache
from sonoprior.cases.loading.loader import Loader
from sonoprior.metrics import Mean, weighted
from sonoprior.metrics.bootstrap import Interval, interval
from sonoprior.metrics.classification import SCALARS, Scalar, class_f1
from sonoprior.metrics.localisation import MEASURES, area
from sonoprior.models.taps import Tap, inference
from sonoprior.objectives.privileged_attribution import to_resolution
from sonoprior.objectives.settings import AttributionSettings

from .parts import Parts

Floats = NDArray[np.float64]
LOCALISATION = ("inside", "pointing", "correlation", "area")


@dataclass(frozen=True)
class Model:
    """A trained network and what its outputs and maps mean.

    Attributes:
        network: images (B, 1, H, W) in [0, 1] to logits (B, K).
        tap: where its attribution is read.
        level: the label level.
        classes: the K classes.
        attribution: how its attribution is measured.
        device: where the network is.
    """

    network: nn.Module
    tap: Tap
    level: str
    classes: Sequence[str]
    attribution: AttributionSettings
    device: torch.device


@dataclass(frozen=True)
class Evaluation:
    """What was measured, as it stands in a run folder.

    Attributes:
        predictions: case, part, group, label, predicted, confidence, p.<class>...
        localisation: case, part, label, prior, inside, pointing, correlation, area; one row for each case
            and prior that is present and not empty.
        metrics: part to metric to {"value", "low", "high"}; None where a number is not defined.
    """

    predictions: pd.DataFrame
    localisation: pd.DataFrame
    metrics: dict[str, dict[str, dict[str, float | None]]]


def evaluate(
    model: Model, cache: Cache, parts: Parts, groups: NDArray[np.str_], batch_size: int
) -> Evaluation:
    """Measure a network on the labelled cases of some parts.

    Args:
        model: the network.
        cache: the cases.
        parts: name to positions in the case set, all of known label.
        groups: (n,) the group of every case of the set; intervals draw whole groups.
        batch_size: images at a time.
    """
    predictions, localisation = [], []
    for part, positions in parts.items():
        loader = in_order(cache, positions, batch_size, model.level)
        predictions.append(_predictions(model, loader, cache, positions, part, groups))
        localisation.append(_localisation(model, loader, cache, part))
    predicted, localised = pd.concat(predictions), pd.concat(localisation)
    return Evaluation(predicted, localised, measured(predicted, localised, model.classes))


def in_order(cache: Cache, positions: NDArray[np.int64], batch_size: int, level: str) -> Loader:
    """A loader that gives the cases once, as they are, one after the other."""
    return Loader(
        cache, positions, batch_size=batch_size, augment=None, sampling="order", seed=0, levels=[level]
    )


def probabilities(
    network: nn.Module, loader: Loader, level: str, device: torch.device
) -> tuple[NDArray[np.int64], Floats]:
    """Labels (n,) and class probabilities (n, K) of a loader's cases, in its order, in eval mode."""
    labels: list[Tensor] = []
    given: list[Tensor] = []
    with inference(network), torch.no_grad():
        for batch in loader.epoch(0):
            labels.append(batch[f"label.{level}"])
            given.append(softmax(network(batch["image"].to(device))))
    return torch.cat(labels).numpy(), torch.cat(given).numpy()


def softmax(logits: Tensor) -> Tensor:
    """Class probabilities in double precision on the CPU, so that their sum is one to the last digits."""
    return logits.detach().cpu().double().softmax(1)


def _predictions(
    model: Model,
    loader: Loader,
    cache: Cache,
    positions: NDArray[np.int64],
    part: str,
    groups: NDArray[np.str_],
) -> pd.DataFrame:
    labels, given = probabilities(model.network, loader, model.level, model.device)
    classes = np.array(model.classes)
    columns: dict[str, Any] = {
        "case": [cache.case_set.ids[at] for at in positions],
        "part": part,
        "group": groups[positions],
        "label": classes[labels],
        "predicted": classes[given.argmax(1)],
        "confidence": given.max(1),
    }
    return pd.DataFrame(columns | {f"p.{name}": given[:, at] for at, name in enumerate(classes)})


def _localisation(model: Model, loader: Loader, cache: Cache, part: str) -> pd.DataFrame:
    rows = [row for batch in loader.epoch(0) if cache.priors for row in _looked(model, batch, cache)]
    table = pd.DataFrame(rows, columns=["case", "label", "prior", *LOCALISATION])
    table.insert(1, "part", part)
    return table


def _looked(model: Model, batch: Batch, cache: Cache) -> Iterable[tuple[Any, ...]]:
    """Rows for the priors of a batch that are present and not empty."""
    drawn = batch.present["prior"] & (batch["prior"].amax((2, 3)) > 0)
    with_prior = drawn.any(1)
    if not with_prior.any():
        return []
    settings = model.attribution
    maps = attribution_maps(
        model.network,
        model.tap,
        batch["image"][with_prior].to(model.device),
        priors=len(cache.priors),
        method=settings.method,
        # The label's own map would need the label, which nobody has when the model is used.
        target="sum" if settings.target == "sum" else "predicted",
        allocation=settings.allocation,
    ).allocated.cpu()
    outlines = to_resolution(batch["prior"][with_prior], *maps.shape[2:])
    pairs = drawn[with_prior]
    return _rows(model, cache, batch, maps[pairs], outlines[pairs], with_prior, pairs)


def _rows(
    model: Model,
    cache: Cache,
    batch: Batch,
    maps: Tensor,
    outlines: Tensor,
    with_prior: Tensor,
    pairs: Tensor,
) -> Iterable[tuple[Any, ...]]:
    images, priors = pairs.nonzero(as_tuple=True)
    cases = [cache.case_set.ids[at] for at in batch["index"][with_prior][images].tolist()]
    labels = [model.classes[at] for at in batch[f"label.{model.level}"][with_prior][images].tolist()]
    names = [cache.priors[at] for at in priors.tolist()]
    measures = [measure(maps.numpy(), outlines.numpy()) for measure in MEASURES.values()]
    return zip(cases, labels, names, *measures, area(outlines.numpy()), strict=True)


def measured(
    predictions: pd.DataFrame, localisation: pd.DataFrame, classes: Sequence[str]
) -> dict[str, dict[str, dict[str, float | None]]]:
    """Every metric of every part, with intervals that draw whole groups.

    Args:
        predictions: see `Evaluation`.
        localisation: see `Evaluation`.
        classes: the K classes, in the order of the probabilities.
    """
    group = dict(zip(predictions["case"], predictions["group"], strict=True))
    return {
        str(part): _classified(rows, classes)
        | _localised(localisation.loc[localisation["part"] == part], group)
        for part, rows in predictions.groupby("part", sort=False)
    }


def _classified(rows: pd.DataFrame, classes: Sequence[str]) -> dict[str, dict[str, float | None]]:
    labels = np.array([list(classes).index(name) for name in rows["label"]])
    given = rows[[f"p.{name}" for name in classes]].to_numpy(np.float64)
    scalars = dict(SCALARS) | {f"f1.{name}": _f1_of(at) for at, name in enumerate(classes)}
    return {
        name: _plain(interval(scalar, rows["group"].to_numpy(), labels, given))
        for name, scalar in scalars.items()
    }


def _f1_of(at: int) -> Scalar:
    def in_bulk(weights: Floats, labels: NDArray[np.int64], given: Floats) -> Floats:
        counts = weighted.confusion(weights, labels, given)
        both = counts[:, at, :].sum(1) + counts[:, :, at].sum(1)
        return np.divide(2 * counts[:, at, at], both, out=np.full(len(both), np.nan), where=both > 0)

    return Scalar("F1", lambda labels, given: float(class_f1(labels, given)[at]), in_bulk)


def _localised(rows: pd.DataFrame, group: Mapping[str, str]) -> dict[str, dict[str, float | None]]:
    """The mean over the cases that have an outline; a case's number is the mean over its priors."""
    if rows.empty:
        return {}
    cases = pd.DataFrame(rows.groupby("case", sort=True)[list(MEASURES)].mean())
    groups = [group[str(case)] for case in cases.index]
    return {name: _plain(interval(Mean(), groups, cases[name].to_numpy(np.float64))) for name in MEASURES}


def _plain(found: Interval) -> dict[str, float | None]:
    """Numbers for JSON, which knows no NaN."""
    return {name: None if np.isnan(value) else value for name, value in found._asdict().items()}

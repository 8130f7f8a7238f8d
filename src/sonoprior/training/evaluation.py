"""What a network gives on some cases: predictions, where it looked, and metrics with intervals."""

from collections.abc import Iterator, Mapping, Sequence
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
from sonoprior.metrics.bootstrap import interval
from sonoprior.metrics.classification import SCALARS, Scalar, class_f1
from sonoprior.metrics.localisation import MEASURES, area
from sonoprior.models.taps import Tap, inference
from sonoprior.objectives.privileged_attribution import to_resolution
from sonoprior.objectives.settings import AttributionSettings

from .parts import Parts

Floats = NDArray[np.float64]
LOCALISATION = (*MEASURES, "area")


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
    predicted = pd.concat(
        [_predictions(model, cache, part, parts[part], groups, batch_size) for part in parts]
    )
    looked = [row for part in parts for row in _looked(model, cache, part, parts[part], batch_size)]
    localised = pd.DataFrame(looked, columns=["case", "part", "label", "prior", *LOCALISATION])
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
    cache: Cache,
    part: str,
    positions: NDArray[np.int64],
    groups: NDArray[np.str_],
    batch_size: int,
) -> pd.DataFrame:
    loader = in_order(cache, positions, batch_size, model.level)
    labels, given = probabilities(model.network, loader, model.level, model.device)
    classes = np.array(model.classes)
    columns: dict[str, Any] = {
        "case": np.array(cache.case_set.ids)[positions],
        "part": part,
        "group": groups[positions],
        "label": classes[labels],
        "predicted": classes[given.argmax(1)],
        "confidence": given.max(1),
    }
    return pd.DataFrame(columns | {f"p.{name}": given[:, at] for at, name in enumerate(classes)})


def _looked(
    model: Model, cache: Cache, part: str, positions: NDArray[np.int64], batch_size: int
) -> Iterator[tuple[Any, ...]]:
    """One row for each case and prior that is present and not empty."""
    with_prior = positions[cache.present[positions].any(axis=1)]
    if not len(with_prior):
        return
    ids, classes, priors = np.array(cache.case_set.ids), np.array(model.classes), np.array(cache.priors)
    for batch in in_order(cache, with_prior, batch_size, model.level).epoch(0):
        drawn = batch.present["prior"] & (batch["prior"].amax((2, 3)) > 0)
        at, prior = drawn.nonzero(as_tuple=True)  # each (n,), one entry a pair
        if not len(at):
            continue
        cases, labels = ids[batch["index"][at].numpy()], classes[batch[f"label.{model.level}"][at].numpy()]
        measures = _measures(model, batch, at, prior)
        yield from zip(cases, [part] * len(at), labels, priors[prior.numpy()], *measures, strict=True)


def _measures(model: Model, batch: Batch, at: Tensor, prior: Tensor) -> list[Floats]:
    """What `LOCALISATION` names, (n,) each, for the pairs of an image and a prior."""
    settings, outlines = model.attribution, batch["prior"]
    maps = attribution_maps(
        model.network,
        model.tap,
        batch["image"].to(model.device),
        priors=outlines.shape[1],
        method=settings.method,
        # The label's own map would need the label, which nobody has when the model is used.
        target="sum" if settings.target == "sum" else "predicted",
        allocation=settings.allocation,
    ).allocated.cpu()
    looked = maps[at, prior].numpy()
    wanted = to_resolution(outlines, *maps.shape[2:])[at, prior].numpy()
    return [*(measure(looked, wanted) for measure in MEASURES.values()), area(wanted)]


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
        name: interval(scalar, rows["group"].to_numpy(), labels, given).plain()
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
    return {name: interval(Mean(), groups, cases[name].to_numpy(np.float64)).plain() for name in MEASURES}

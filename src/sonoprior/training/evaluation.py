"""What a network gives on some cases: predictions, where it looked, and metrics with intervals."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sonoprior.attribution.gradients import Target
from sonoprior.attribution.maps import attribution_maps
from sonoprior.cases.loading.batch import Batch
from sonoprior.cases.loading.cache import Cache
from sonoprior.cases.loading.loader import Loader
from sonoprior.metrics import Mean, weighted
from sonoprior.metrics.bootstrap import interval
from sonoprior.metrics.classification import SCALARS, Scalar, class_f1
from sonoprior.metrics.localisation import MEASURES, area
from sonoprior.models.heads import Heads
from sonoprior.models.taps import Tap, inference
from sonoprior.objectives.privileged_attribution import to_resolution
from sonoprior.objectives.settings import AttributionSettings

from .hierarchy_settings import RetrievalSettings
from .parts import Parts
from .retrieval_evaluation import Known, Part, retrieval_metrics, retrieval_table

Floats = NDArray[np.float64]
Metrics = dict[str, dict[str, dict[str, float | None]]]
LOCALISATION = (*MEASURES, "area")


@dataclass(frozen=True)
class Model:
    """A trained network and what its outputs and maps mean.

    Attributes:
        network: images (B, 1, H, W) in [0, 1] to outputs (B, K + L D).
        tap: where its attribution is read.
        level: the label level.
        classes: the K classes.
        heads: which outputs are what.
        attribution: how its attribution is measured.
        device: where the network is.
    """

    network: nn.Module
    tap: Tap
    level: str
    classes: Sequence[str]
    heads: Heads
    attribution: AttributionSettings
    device: torch.device

    @property
    def target(self) -> Target:
        """What is attributed where no label is known: nobody has it when the model is used."""
        if not self.heads.classifies or self.attribution.target == "sum":
            return "sum"
        return "predicted"


@dataclass(frozen=True)
class Given:
    """What a network gives for n cases.

    Attributes:
        positions: (n,) in the case set.
        probabilities: (n, K); None for a network that only embeds.
        embeddings: (n, d) of length 1; None for a network that only classifies.
    """

    positions: NDArray[np.int64]
    probabilities: Floats | None
    embeddings: NDArray[np.float32] | None


@dataclass(frozen=True)
class Asked:
    """How retrieval is measured.

    Attributes:
        known: what is known of the cases of the set.
        settings: of the recipe.
        train: (m,) positions of the training cases, for a gallery of these.
    """

    known: Known
    settings: RetrievalSettings
    train: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Evaluation:
    """What was measured, as it stands in a run folder.

    Attributes:
        predictions: case, part, group, label, and with logits predicted, confidence, p.<class>...
        localisation: case, part, label, prior, inside, pointing, correlation, area; one row for each case
            and prior that is present and not empty.
        metrics: part to metric to {"value", "low", "high"}; None where a number is not defined.
        retrieval: one row a case, see `retrieval_table`; None without embeddings.
        embeddings: by part (n, d), rows as those of `retrieval`.
    """

    predictions: pd.DataFrame
    localisation: pd.DataFrame
    metrics: Metrics
    retrieval: pd.DataFrame | None = None
    embeddings: Mapping[str, NDArray[np.float32]] = field(default_factory=dict[str, NDArray[np.float32]])


def evaluate(
    model: Model,
    cache: Cache,
    parts: Parts,
    groups: NDArray[np.str_],
    batch_size: int,
    asked: Asked | None = None,
) -> Evaluation:
    """Measure a network on the labelled cases of some parts.

    Args:
        model: the network.
        cache: the cases.
        parts: name to positions in the case set, all of known label.
        groups: (n,) the group of every case of the set; intervals draw whole groups.
        batch_size: images at a time.
        asked: how retrieval is measured, for a network that embeds.
    """

    def seen(positions: NDArray[np.int64]) -> Given:
        return given(model.network, model.heads, in_order(cache, positions, batch_size, ()), model.device)

    found = {part: seen(parts[part]) for part in parts}
    labels = cache.case_set.labels(model.level)
    ids = np.array(cache.case_set.ids)
    predicted = pd.concat([_predictions(model, part, of, ids, groups, labels) for part, of in found.items()])
    looked = [row for part in parts for row in _looked(model, cache, part, parts[part], batch_size)]
    localised = pd.DataFrame(looked, columns=["case", "part", "label", "prior", *LOCALISATION])
    metrics = measured(predicted, localised, model.classes)
    if asked is None or not model.heads.embeds:
        return Evaluation(predicted, localised, metrics)
    retrieved = _retrieved(found, asked, seen)
    for part, of in retrieval_metrics(retrieved).items():
        metrics[part] |= of
    embeddings = {part: of.embeddings for part, of in found.items() if of.embeddings is not None}
    return Evaluation(predicted, localised, metrics, retrieved, embeddings)


def in_order(
    cache: Cache,
    positions: NDArray[np.int64],
    batch_size: int,
    levels: Sequence[str] | Mapping[str, NDArray[np.int64]],
) -> Loader:
    """A loader that gives the cases once, as they are, one after the other."""
    return Loader(
        cache, positions, batch_size=batch_size, augment=None, sampling="order", seed=0, levels=levels
    )


def given(network: nn.Module, heads: Heads, loader: Loader, device: torch.device) -> Given:
    """What a network gives for a loader's cases, in its order, in eval mode."""
    positions: list[Tensor] = []
    outputs: list[Tensor] = []
    with inference(network), torch.no_grad():
        for batch in loader.epoch(0):
            positions.append(batch["index"])
            outputs.append(network(batch["image"].to(device)).cpu())
    every = torch.cat(outputs)
    return Given(
        torch.cat(positions).numpy(),
        softmax(heads.logits(every)).numpy() if heads.classifies else None,
        heads.compared(every).float().numpy() if heads.embeds else None,
    )


def softmax(logits: Tensor) -> Tensor:
    """Class probabilities in double precision on the CPU, so that their sum is one to the last digits."""
    return logits.detach().cpu().double().softmax(1)


def _predictions(
    model: Model,
    part: str,
    found: Given,
    ids: NDArray[np.str_],
    groups: NDArray[np.str_],
    labels: NDArray[np.int64],
) -> pd.DataFrame:
    classes, positions, chances = np.array(model.classes), found.positions, found.probabilities
    columns: dict[str, Any] = {
        "case": ids[positions],
        "part": part,
        "group": groups[positions],
        "label": classes[labels[positions]],
    }
    if chances is not None:
        columns |= {"predicted": classes[chances.argmax(1)], "confidence": chances.max(1)}
        columns |= {f"p.{name}": chances[:, at] for at, name in enumerate(classes)}
    return pd.DataFrame(columns)


def _retrieved(
    found: Mapping[str, Given], asked: Asked, seen: Callable[[NDArray[np.int64]], Given]
) -> pd.DataFrame:
    """What each case finds, in its part or among the training cases."""
    parts = {part: _part(of) for part, of in found.items()}
    train = asked.train if asked.settings.gallery == "train" else None
    return retrieval_table(parts, asked.known, asked.settings, None if train is None else _part(seen(train)))


def _part(found: Given) -> Part:
    assert found.embeddings is not None  # a network with heads that embed gives them
    return Part(found.embeddings, found.positions)


def _looked(
    model: Model, cache: Cache, part: str, positions: NDArray[np.int64], batch_size: int
) -> Iterator[tuple[Any, ...]]:
    """One row for each case and prior that is present and not empty."""
    with_prior = positions[cache.present[positions].any(axis=1)]
    if not len(with_prior):
        return
    ids, classes, priors = np.array(cache.case_set.ids), np.array(model.classes), np.array(cache.priors)
    for batch in in_order(cache, with_prior, batch_size, [model.level]).epoch(0):
        drawn = batch.present["prior"] & (batch["prior"].amax((2, 3)) > 0)
        at, prior = drawn.nonzero(as_tuple=True)  # each (n,), one entry a pair
        if not len(at):
            continue
        cases, labels = ids[batch["index"][at].numpy()], classes[batch[f"label.{model.level}"][at].numpy()]
        measures = _measures(model, batch, at, prior)
        yield from zip(cases, [part] * len(at), labels, priors[prior.numpy()], *measures, strict=True)


def _measures(model: Model, batch: Batch, at: Tensor, prior: Tensor) -> list[Floats]:
    """What `LOCALISATION` names, (n,) each, for the pairs of an image and a prior."""
    outlines = batch["prior"]
    maps = attribution_maps(
        model.network,
        model.tap,
        batch["image"].to(model.device),
        priors=outlines.shape[1],
        method=model.attribution.method,
        target=model.target,
        heads=model.heads,
        allocation=model.attribution.allocation,
    ).allocated.cpu()
    looked = maps[at, prior].numpy()
    wanted = to_resolution(outlines, *maps.shape[2:])[at, prior].numpy()
    return [*(measure(looked, wanted) for measure in MEASURES.values()), area(wanted)]


def measured(predictions: pd.DataFrame, localisation: pd.DataFrame, classes: Sequence[str]) -> Metrics:
    """Every metric of every part, with intervals that draw whole groups.

    Args:
        predictions: see `Evaluation`.
        localisation: see `Evaluation`.
        classes: the K classes, in the order of the probabilities.
    """
    group = dict(zip(predictions["case"], predictions["group"], strict=True))
    return {
        str(part): (_classified(rows, classes) if "predicted" in predictions else {})
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

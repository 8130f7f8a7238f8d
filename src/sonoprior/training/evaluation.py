"""What a network gives on some cases: predictions, where it looked, and metrics with intervals."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sonoprior.attribution.gradients import Target
from sonoprior.attribution.maps import attribution_maps
from sonoprior.bundle.decider import Decider
from sonoprior.cases.combinations import members_named
from sonoprior.cases.loading.batch import Batch
from sonoprior.cases.loading.cache import Cache
from sonoprior.cases.loading.loader import Loader
from sonoprior.metrics import Mean, metric_named
from sonoprior.metrics.bootstrap import Interval, interval
from sonoprior.metrics.catalogue import ASSIGNED, DECISIONS, MACRO_F1, OF_CLASSES
from sonoprior.metrics.classification import SCALARS
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
USED = "clusters_used"


@dataclass(frozen=True)
class Model:
    """A trained network and what its outputs and maps mean.

    Attributes:
        network: images (B, 1, H, W) in [0, 1] to its outputs.
        tap: where its attribution is read.
        level: the label level.
        classes: the K classes.
        heads: which outputs are what.
        attribution: how its attribution is measured.
        target: what is attributed, see `Recipe.attributed`.
        device: where the network is.
        singles: the C single classes of the level.
        decider: what decides on them, for a network that does; None until it is learnt on validation cases.
    """

    network: nn.Module
    tap: Tap
    level: str
    classes: Sequence[str]
    heads: Heads
    attribution: AttributionSettings
    target: Target
    device: torch.device
    singles: Sequence[str] = ()
    decider: Decider | None = None


@dataclass(frozen=True)
class Given:
    """What a network gives for n cases.

    Attributes:
        positions: (n,) in the case set.
        probabilities: (n, K) of which the sum is one; (n, C), where each class is a decision of its own; None
            for a network without logits.
        embeddings: (n, d) of length 1; None for a network that does not embed.
        clusters: (n,) the most probable cluster; None for a network without.
    """

    positions: NDArray[np.int64]
    probabilities: Floats | None
    embeddings: NDArray[np.float32] | None
    clusters: NDArray[np.int64] | None = None


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
        predictions: case, part, group, label, and where classes are named predicted, confidence and
            p.<class>..., of single classes where each is decided on; and `cluster`, where clusters decide.
        localisation: case, part, label, prior, inside, pointing, correlation, area; one row for each case
            and prior that is present and not empty.
        metrics: part to metric to {"value", "low", "high"}; None where a number is not defined.
        retrieval: one row a case, see `retrieval_table`; None without embeddings.
        embeddings: by part (n, d), rows as those of `retrieval`.
        decider: what decided on the single classes, if anything did.
    """

    predictions: pd.DataFrame
    localisation: pd.DataFrame
    metrics: Metrics
    retrieval: pd.DataFrame | None = None
    embeddings: Mapping[str, NDArray[np.float32]] = field(default_factory=dict[str, NDArray[np.float32]])
    decider: Decider | None = None


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
        model: the network. Where it decides on single classes and has no decider yet, that is learnt from the
            part "validation".
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
    if decides(model.heads) and model.decider is None:
        of = found["validation"]
        shown = cache.case_set.members(model.level)[labels[of.positions]]
        model = replace(model, decider=fitted(of, model.heads, model.singles, shown))
    predicted = pd.concat([_predictions(model, part, of, ids, groups, labels) for part, of in found.items()])
    looked = [row for part in parts for row in _looked(model, cache, part, parts[part], batch_size)]
    localised = pd.DataFrame(looked, columns=["case", "part", "label", "prior", *LOCALISATION])
    decided = model.decider is not None
    metrics = measured(predicted, localised, model.singles if decided else model.classes, decided=decided)
    if asked is None or not model.heads.embeds:
        return Evaluation(predicted, localised, metrics, decider=model.decider)
    retrieved = _retrieved(found, asked, seen)
    for part, of in retrieval_metrics(retrieved).items():
        metrics[part] |= of
    embeddings = {part: of.embeddings for part, of in found.items() if of.embeddings is not None}
    return Evaluation(predicted, localised, metrics, retrieved, embeddings, model.decider)


def decides(heads: Heads) -> bool:
    """Whether single classes are decided on one by one: by logits of their own, or by clusters alone."""
    return heads.several or (heads.clusters > 0 and not heads.classifies)


def fitted(found: Given, heads: Heads, singles: Sequence[str], shown: NDArray[np.bool_]) -> Decider:
    """What decides on single classes, learnt from validation cases that show classes (n, C)."""
    if found.probabilities is not None:
        return Decider.of_probabilities(singles, shown, found.probabilities)
    assert found.clusters is not None  # a network that decides gives either
    return Decider.of_clusters(singles, shown, found.clusters, heads.clusters)


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
        probabilities_of(heads, every).numpy() if heads.classifies else None,
        heads.compared(every).float().numpy() if heads.embeds else None,
        heads.cluster_logits(every).argmax(1).numpy() if heads.clusters else None,
    )


def probabilities_of(heads: Heads, outputs: Tensor) -> Tensor:
    """Class probabilities in double precision on the CPU: their sum is one, or each stands alone."""
    logits = heads.logits(outputs)
    return logits.detach().cpu().double().sigmoid() if heads.several else softmax(logits)


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
    if model.decider is not None:
        columns |= _decisions(found, model.decider)
    elif chances is not None:
        columns |= {"predicted": classes[chances.argmax(1)], "confidence": chances.max(1)}
        columns |= {f"p.{name}": chances[:, at] for at, name in enumerate(classes)}
    return pd.DataFrame(columns)


def _decisions(found: Given, decider: Decider) -> dict[str, Any]:
    scores = decider.scores(found.probabilities, found.clusters)
    columns = {"predicted": decider.names(scores), "confidence": decider.confidence(scores)}
    assigned = {} if decider.clusters is None else {"cluster": found.clusters}
    return columns | assigned | {f"p.{name}": scores[:, at] for at, name in enumerate(decider.classes)}


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


def measured(
    predictions: pd.DataFrame, localisation: pd.DataFrame, classes: Sequence[str], *, decided: bool = False
) -> Metrics:
    """Every metric of every part, with intervals that draw whole groups.

    Args:
        predictions: see `Evaluation`.
        localisation: see `Evaluation`.
        classes: the classes, in the order of the probabilities.
        decided: whether each of them was decided on by itself.
    """
    group = dict(zip(predictions["case"], predictions["group"], strict=True))
    return {
        str(part): (_named(rows, classes, decided) if "predicted" in predictions else {})
        | _localised(localisation.loc[localisation["part"] == part], group)
        for part, rows in predictions.groupby("part", sort=False)
    }


def _named(rows: pd.DataFrame, classes: Sequence[str], decided: bool) -> dict[str, dict[str, float | None]]:
    return _decided(rows, classes) if decided else _classified(rows, classes)


def _decided(rows: pd.DataFrame, classes: Sequence[str]) -> dict[str, dict[str, float | None]]:
    groups = rows["group"].to_numpy()
    shown, predicted = (members_named(rows[column], classes) for column in ("label", "predicted"))
    found = {
        name: interval(metric_named(name).statistic, groups, shown, predicted)
        for name in (*DECISIONS, MACRO_F1)
    }
    found |= _by_class(groups, shown, predicted, classes)
    if "cluster" in rows:
        found |= _clustered(rows)
    return {name: of.plain() for name, of in found.items()}


def _by_class(
    groups: NDArray[Any], shown: NDArray[np.bool_], predicted: NDArray[np.bool_], classes: Sequence[str]
) -> dict[str, Interval]:
    """F1, precision and recall of each class, of what cases (n, C) show and what they are taken for."""
    return {
        f"{measure}.{name}": interval(of.statistic, groups, shown[:, [at]], predicted[:, [at]])
        for measure, of in OF_CLASSES.items()
        for at, name in enumerate(classes)
    }


def _clustered(rows: pd.DataFrame) -> dict[str, Interval]:
    """How far clusters are label combinations, and how many of them a case fell into."""
    groups, clusters = rows["group"].to_numpy(), rows["cluster"].to_numpy()
    _, labels = np.unique(rows["label"].to_numpy(np.str_), return_inverse=True)
    found = {name: interval(of.statistic, groups, labels, clusters) for name, of in ASSIGNED.items()}
    return found | {USED: Interval(len(np.unique(clusters)), np.nan, np.nan)}


def _classified(rows: pd.DataFrame, classes: Sequence[str]) -> dict[str, dict[str, float | None]]:
    labels = np.array([list(classes).index(name) for name in rows["label"]])
    given = rows[[f"p.{name}" for name in classes]].to_numpy(np.float64)
    groups, alone = rows["group"].to_numpy(), np.eye(len(classes), dtype=np.bool_)
    found = {name: interval(scalar, groups, labels, given) for name, scalar in SCALARS.items()}
    found |= _by_class(groups, alone[labels], alone[given.argmax(axis=1)], classes)
    return {name: of.plain() for name, of in found.items()}


def _localised(rows: pd.DataFrame, group: Mapping[str, str]) -> dict[str, dict[str, float | None]]:
    """The mean over the cases that have an outline; a case's number is the mean over its priors."""
    if rows.empty:
        return {}
    cases = pd.DataFrame(rows.groupby("case", sort=True)[list(MEASURES)].mean())
    groups = [group[str(case)] for case in cases.index]
    return {name: interval(Mean(), groups, cases[name].to_numpy(np.float64)).plain() for name in MEASURES}

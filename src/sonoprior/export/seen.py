"""What a network gives for the cases that it was trained and measured on, part by part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.loading.cache import Cache
from sonoprior.core.progress import bar
from sonoprior.training.parts import case_groups, read_parts
from sonoprior.training.predictor import Predictor

from .confidence import Seen
from .graph import EMBEDDING, FEATURES, LOGITS, ExportedNetwork
from .unfamiliarity import Unfamiliarity

Floats = NDArray[np.float32]
_AT_A_TIME = 32
_READ = (LOGITS, EMBEDDING, FEATURES)


@dataclass(frozen=True)
class SeenPart:
    """A part of the case set, in the order of its positions.

    Attributes:
        positions: (n,) in the case set.
        outputs: by name (n, ...), logits (where there are any), embedding and features.
        labels: (n,) class numbers, -1 for unknown.
        shown: (n, C) bool, which single classes each case shows; none where nothing is known.
        groups: (n,) the patient, exam or group of near-duplicates.
    """

    positions: NDArray[np.int64]
    outputs: Mapping[str, Floats]
    labels: NDArray[np.int64]
    shown: NDArray[np.bool_]
    groups: NDArray[np.str_]


def seen_parts(graph: ExportedNetwork, predictor: Predictor, case_set: CaseSet) -> dict[str, SeenPart]:
    """Run the exported network over every part of a run's split."""
    parts = {name: of for name, of in read_parts(predictor.folder / "split.csv", case_set).items() if len(of)}
    level, groups = predictor.model.level, case_groups(predictor.recipe.split, case_set)
    labels, members = case_set.labels(level), case_set.members(level)
    with (
        TemporaryDirectory(prefix="sonoprior-") as folder,
        bar("reading the cases of the run", sum(map(len, parts.values()))) as tick,
    ):
        cache = Cache.build(case_set, Path(folder), size=predictor.recipe.data.size, priors=None)
        return {
            name: SeenPart(
                positions=of,
                outputs=_outputs(graph, cache, of, tick),
                labels=labels[of],
                shown=members[labels[of]] & (labels[of] >= 0)[:, None],
                groups=groups[of],
            )
            for name, of in parts.items()
        }


def _outputs(
    graph: ExportedNetwork, cache: Cache, positions: NDArray[np.int64], tick: Any
) -> dict[str, Floats]:
    places = {name: graph.outputs().index(name) for name in _READ if name in graph.outputs()}
    found: dict[str, list[Floats]] = {name: [] for name in places}
    for start in range(0, len(positions), _AT_A_TIME):
        batch = positions[start : start + _AT_A_TIME]
        squares = torch.from_numpy(np.ascontiguousarray(cache.images[batch])[:, None])
        with torch.no_grad():
            outputs = graph(squares)
        for name, at in places.items():
            found[name].append(outputs[at].numpy())
        tick(len(batch))
    return {name: np.concatenate(of) for name, of in found.items()}


def class_means(train: SeenPart, classes: Sequence[str]) -> tuple[list[str], torch.Tensor]:
    """The classes that have training cases, K of them, and their mean embeddings (K, D) of length 1."""
    named = [number for number in range(len(classes)) if (train.labels == number).any()]
    embeddings = train.outputs[EMBEDDING]
    means = np.stack([embeddings[train.labels == number].mean(axis=0) for number in named])
    length = np.linalg.norm(means, axis=1, keepdims=True)
    return [classes[number] for number in named], torch.from_numpy(means / np.maximum(length, 1e-12))


def for_confidence(
    part: SeenPart, logits: Floats, classes: NDArray[np.int64] | None, unfamiliarity: Unfamiliarity
) -> Seen:
    """A part's cases of known class, as `fit_confidence` reads them.

    Args:
        part: of the split.
        logits: (n, K) that the bundle gives for it; (n, 0) where it names nothing.
        classes: (K,) the class numbers that are named one by one; None where a case may show several classes.
        unfamiliarity: as it stands in the graph.
    """
    known = part.labels >= 0 if classes is None else np.isin(part.labels, classes)
    with torch.no_grad():
        strange = unfamiliarity(torch.from_numpy(part.outputs[FEATURES][known])).numpy()
    labels = part.shown[known] if classes is None else np.searchsorted(classes, part.labels[known])
    return Seen(logits[known], labels, part.groups[known], strange)

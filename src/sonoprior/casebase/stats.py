"""What a case base holds, in numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sonoprior.bundle.manifest import Manifest

from .store import Store, Vectors

_LABEL = "label."


@dataclass(frozen=True)
class Stats:
    """What a base holds.

    Attributes:
        cases: how many.
        groups: patients, or what takes their place where they are unknown.
        exams: that are known.
        sets: cases by case set.
        labels: cases by class, by level.
        bundle: the name of the bundle in use.
        space: what identifies the space of its embeddings.
        dimension: of an embedding.
        index: the setting.
        simulated: whether the bundle was trained on simulated images.
        size: bytes on disk.
    """

    cases: int
    groups: int
    exams: int
    sets: Mapping[str, int]
    labels: Mapping[str, Mapping[str, int]]
    bundle: str
    space: str
    dimension: int
    index: str
    simulated: bool
    size: int


def stats_of(folder: Path, store: Store, vectors: Vectors, manifest: Manifest, setting: str) -> Stats:
    """The numbers of a base in a folder."""
    facts = store.facts()
    return Stats(
        cases=len(vectors.ids),
        groups=len(np.unique(vectors.groups)),
        exams=len(np.unique(vectors.exams[vectors.exams >= 0])),
        sets=facts.get("set", {}),
        labels={name.removeprefix(_LABEL): texts for name, texts in facts.items() if name.startswith(_LABEL)},
        bundle=manifest.name,
        space=vectors.space.id,
        dimension=vectors.space.dimension,
        index=setting,
        simulated=manifest.simulated,
        size=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
    )

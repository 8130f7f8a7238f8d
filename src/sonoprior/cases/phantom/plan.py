"""Who is in which part of a case set, and how many frames each patient gives."""

from dataclasses import dataclass

import numpy as np

from sonoprior.core.randomness import generator

from .settings import PARTS, PhantomSettings


@dataclass(frozen=True)
class Visit:
    """One patient of a case set: her number, her part of the split, and how many frames she gives."""

    number: int
    part: str
    frames: int


def visits(settings: PhantomSettings) -> list[Visit]:
    """The patients of a case set; the parts' frames add up to the split's shares to the frame."""
    rng = generator(settings.seed, "visits")
    people = _portions(settings.patients, settings.patients)
    frames = _portions(settings.total, settings.patients)
    parts = [part for part, count in people.items() for _ in range(count)]
    counts = [count for part in PARTS for count in _shared(rng, frames[part], people[part])]
    order = rng.permutation(settings.patients)
    return [Visit(number, parts[i], counts[i]) for number, i in enumerate(order)]


def _portions(total: int, patients: int) -> dict[str, int]:
    """A total by the shares of the parts; with fewer than three patients all of it is for training."""
    if patients < len(PARTS):
        return {"train": total} | dict.fromkeys(list(PARTS)[1:], 0)
    portions = {part: max(round(total * share), 1) for part, share in PARTS.items()}
    portions["test"] = max(total - portions["train"] - portions["validation"], 1)
    portions["train"] = total - portions["validation"] - portions["test"]
    return portions


def _shared(rng: np.random.Generator, total: int, people: int) -> list[int]:
    """A total divided among people as unevenly as exams are long; everybody gets at least one."""
    if not people:
        return []
    weights = rng.gamma(5.0, 1.0, people)
    ends = np.round(np.cumsum(weights) / weights.sum() * (total - people)).astype(int)
    return [int(count) + 1 for count in np.diff(ends, prepend=0)]

"""Who is in which part of a case set, and how many frames each patient gives."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sonoprior.core.randomness import generator

from .settings import PARTS, PhantomSettings


@dataclass(frozen=True)
class Visit:
    """One patient of a case set.

    Attributes:
        number: of the patient.
        part: of the split.
        frames: how many she gives.
        labelled: whether anybody says what they show.
    """

    number: int
    part: str
    frames: int
    labelled: bool = True


def visits(settings: PhantomSettings) -> list[Visit]:
    """The patients of a case set; the parts' frames add up to the split's shares to the frame."""
    rng = generator(settings.seed, "visits")
    people = _portions(settings.patients, settings.patients)
    frames = _portions(settings.total, settings.patients)
    parts = [part for part, count in people.items() for _ in range(count)]
    counts = [count for part in PARTS for count in _shared(rng, frames[part], people[part])]
    order = rng.permutation(settings.patients)
    return [Visit(number, parts[i], counts[i]) for number, i in enumerate(order)]


def exam_visits(
    seed: int, patients: int, parts: Mapping[str, float], unlabelled: float, frames: tuple[int, float, int]
) -> list[Visit]:
    """The patients of a case set whose exams are as long as they happen to be.

    Args:
        seed: of the population.
        patients: how many.
        parts: the shares of train, validation and test among those who are labelled.
        unlabelled: share of the patients whom nobody labelled; they are for training.
        frames: the fewest, the mean and the most of an exam; between them a gamma law of shape 9.
    """
    rng = generator(seed, "visits")
    without = round(patients * unlabelled)
    people = _portions(patients - without, patients - without, parts)
    who = [(part, True) for part, count in people.items() for _ in range(count)]
    who += [("train", False)] * without
    least, mean, most = frames
    lengths = np.clip(np.round(rng.gamma(9.0, mean / 9.0, patients)), least, most).astype(int)
    order = rng.permutation(patients)
    return [Visit(number, who[i][0], int(lengths[number]), who[i][1]) for number, i in enumerate(order)]


def _portions(total: int, patients: int, parts: Mapping[str, float] = PARTS) -> dict[str, int]:
    """A total by the shares of the parts; with fewer than three patients all of it is for training."""
    if patients < len(parts):
        return {"train": total} | dict.fromkeys(list(parts)[1:], 0)
    portions = {part: max(round(total * share), 1) for part, share in parts.items()}
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

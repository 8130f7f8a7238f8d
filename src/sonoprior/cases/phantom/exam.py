"""An exam: the machine, the operator's habits, and which frames are taken of a patient."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonoprior.core.errors import DataError
from sonoprior.core.randomness import generator

from .burnt_in import Habits, draw_habits
from .patient import ABDOMINAL, Patient, draw_patient
from .probes import Probe
from .vendors import VENDORS, Vendor
from .views import VIEWS, View

Shares = NDArray[np.float64]
_LINEAR = 0.5  # of the abdominal exams of slim patients
_SLIM_MM = 27.0  # of abdominal wall
QUALITIES = ("standard", "off-plane", "between views")


@dataclass(frozen=True)
class Shot:
    """One frame to be taken.

    Attributes:
        view: what the operator aims at.
        quality: one of `QUALITIES`.
        other: the view on the way to which a frame between views was taken.
    """

    view: View
    quality: str = "standard"
    other: View | None = None


@dataclass(frozen=True)
class Exam:
    """One exam of one patient.

    Attributes:
        seed: of the population.
        number: of the patient.
        patient: herself.
        style: the machine.
        probe: on it.
        habits: what the pictures carry.
        mean_grey: how bright the operator likes them, of 255.
        ticks: how deep she looks, in ticks of the ruler.
    """

    seed: int
    number: int
    patient: Patient
    style: Vendor
    probe: Probe
    habits: Habits
    mean_grey: float
    ticks: int


def draw_exam(seed: int, number: int, abdominal_share: float = ABDOMINAL) -> Exam:
    """The exam of patient `number` of a population; everything of it follows from the arguments."""
    rng = generator(seed, "exam", number)
    style = VENDORS[int(rng.integers(len(VENDORS)))]
    patient = draw_patient(seed, number, abdominal_share)
    kind = _abdominal_probe(patient, rng) if patient.abdominal else "endocavity"
    return Exam(
        seed=seed,
        number=number,
        patient=patient,
        style=style,
        probe=style.probes[kind],
        habits=draw_habits(rng, style),
        mean_grey=float(rng.uniform(46, 74)),
        ticks=int(rng.integers(6, 9) if kind == "convex" else rng.integers(8, 11)),
    )


def _abdominal_probe(patient: Patient, rng: np.random.Generator) -> str:
    """A flat probe sees less deep: it is used on slim patients only."""
    slim = sum(patient.around.wall_mm) < _SLIM_MM
    return "linear" if slim and rng.random() < _LINEAR else "convex"


def draw_shots(exam: Exam, count: int, weights: Mapping[str, float], unlabelled: float) -> list[Shot]:
    """Which frames an exam takes.

    Args:
        exam: of whom.
        count: how many frames of the eight classes; views of no class come on top.
        weights: of the views by name; empty for how often each occurs in real exams.
        unlabelled: share of frames, on top, that miss their plane or were taken between two views.
    """
    rng = generator(exam.seed, "shots", exam.number)
    known = [view for view in VIEWS if view.find(exam.patient, rng) is not None]
    share = np.array([weights.get(view.name, 0.0) if weights else view.images for view in known])
    if not sum(share[i] for i, view in enumerate(known) if view.plane):
        raise DataError("view_weights must let every patient have a view of one of the eight classes.")
    shots: list[Shot] = []
    while sum(_counts(shot) for shot in shots) < count:
        shots.append(_shot(rng, known, share / share.sum(), unlabelled / (1 + unlabelled)))
    return shots


def _counts(shot: Shot) -> bool:
    return shot.quality == "standard" and shot.view.plane is not None


def _shot(rng: np.random.Generator, known: list[View], share: Shares, unlabelled: float) -> Shot:
    first, second = (known[int(i)] for i in rng.choice(len(known), 2, p=share))
    if rng.random() >= unlabelled:
        return Shot(first)
    if rng.random() < 0.5 or first is second:
        return Shot(first, "off-plane")
    return Shot(first, "between views", second)

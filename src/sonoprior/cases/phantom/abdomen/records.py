"""An exam of the abdomen, frame by frame, with everything that is known of each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sonoprior.cases.phantom.annotations import annotations_of
from sonoprior.cases.phantom.kit import Record
from sonoprior.cases.phantom.plan import Visit
from sonoprior.cases.phantom.scanner import Picture, Scanner, draw_scanner, still
from sonoprior.core.randomness import generator

from .elsewhere import other_part
from .labels import organs_of
from .patient import Patient, draw_patient
from .settings import AbdomenSettings
from .tissues import ORGANS
from .views import VIEWS, View, held

_HIDDEN_DB = -18.0  # what lies behind a rib or gas is not seen
_CONVEX_TICKS, _LINEAR_TICKS = (6, 8), (3, 5)
_DEEPER = 0.06  # by which examiners differ in how deep they look


@dataclass(frozen=True)
class Exam:
    """One exam of one patient.

    Attributes:
        seed: of the population.
        number: of the patient.
        patient: herself.
        scanner: the machine.
        deeper: how deep this examiner looks, as a factor.
    """

    seed: int
    number: int
    patient: Patient
    scanner: Scanner
    deeper: float


def draw_exam(seed: int, number: int) -> Exam:
    """The exam of patient `number` of a population; everything of it follows from the arguments."""
    rng = generator(seed, "abdomen exam", number)
    return Exam(
        seed=seed,
        number=number,
        patient=draw_patient(seed, number),
        scanner=draw_scanner(rng, "convex", _CONVEX_TICKS),
        deeper=float(np.exp(rng.normal(0, _DEEPER))),
    )


def draw_views(exam: Exam, count: int, out_of_scope: float) -> list[View | None]:
    """What an exam's frames aim at; None for another part of the body.

    Args:
        exam: of whom.
        count: how many frames.
        out_of_scope: how likely a frame is of another part of the body.
    """
    rng = generator(exam.seed, "abdomen views", exam.number)
    known: Sequence[View] = [view for view in VIEWS if view.find(exam.patient, rng) is not None]
    share = np.array([view.weight for view in known])
    chosen = rng.choice(len(known), count, p=share / share.sum())
    outside = rng.random(count) < out_of_scope
    return [None if out else known[int(i)] for i, out in zip(chosen, outside, strict=True)]


def take(exam: Exam, view: View, number: int, size: int) -> Picture:
    """Frame `number` of an exam; it depends on nothing but the arguments."""
    rng = generator(exam.seed, "abdomen frame", exam.number, number)
    aim = view.find(exam.patient, rng)
    assert aim is not None, "a view is only planned where the patient has what it shows"
    plane, scanner = held(exam.patient, aim, rng), exam.scanner
    ticks = round(exam.deeper * aim.depth_mm / scanner.probe.tick_mm)
    body = exam.patient.under(plane, scanner.probe.radius_mm)
    return still(body, scanner, plane, size, rng, ticks=ticks, hidden_db=_HIDDEN_DB)


def take_elsewhere(exam: Exam, number: int, size: int) -> tuple[Picture, Scanner]:
    """Frame `number` of an exam, of another part of the body, and the flat probe it was taken with."""
    rng = generator(exam.seed, "abdomen frame", exam.number, number)
    flat = exam.scanner.style.probes["linear"]
    ticks = int(rng.integers(_LINEAR_TICKS[0], _LINEAR_TICKS[1] + 1))
    scanner = replace(exam.scanner, probe=flat, ticks=ticks)
    body, plane = other_part(rng)
    return still(body, scanner, plane, size, rng), scanner


def records_of(visit: Visit, settings: AbdomenSettings) -> list[Record]:
    """What a patient adds to a case set, one entry a frame; it depends on nothing but the arguments."""
    exam = draw_exam(settings.seed, visit.number)
    views = draw_views(exam, visit.frames, 0.0 if visit.labelled else settings.out_of_scope)
    return [_record(exam, view, number, visit, settings) for number, view in enumerate(views)]


def _record(exam: Exam, view: View | None, number: int, visit: Visit, settings: AbdomenSettings) -> Record:
    case = f"p{exam.number:04}-{number:03}"
    if view is None:
        picture, scanner = take_elsewhere(exam, number, settings.size)
        shown = {"extra.scope": "out"}
    else:
        picture, scanner = take(exam, view, number, settings.size), exam.scanner
        organs = organs_of(picture.zones, picture.sector)
        shown = {"extra.scope": "in", "extra.organs": ";".join(organs), "extra.view": view.name}
    labels = {"organs": shown["extra.organs"].split(";")} if visit.labelled else None
    rng = generator(settings.seed, "annotation", case)
    drawn = annotations_of(picture, ORGANS, settings, rng) if visit.labelled else {}
    return {
        "case": case,
        "image": picture.image,
        "labels": labels,
        "patient": f"p{exam.number:04}",
        "exam": f"e{exam.number:04}",
        "device": scanner.device,
        "split": visit.part if settings.splits else None,
        **shown,
        **drawn,
    }

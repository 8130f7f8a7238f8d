"""A simulated case set: patients drawn, their exams taken, everything known of each frame written down."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.cells import EMPTY
from sonoprior.cases.info import DatasetInfo
from sonoprior.cases.writer import CaseSetWriter
from sonoprior.core.progress import bar
from sonoprior.core.randomness import generator

from .exam import QUALITIES, Exam, draw_exam, draw_shots
from .frame import Frame, take
from .plan import Visit, visits
from .settings import VERSION, PhantomSettings
from .tissue import ZONES
from .views import META, MIRRORED, PLANES, VIEWS
from .words import caption, exam_terms, frame_terms

THREE_ZONES = {
    "gestation": ["amniotic sac", "embryo", "gestational sac", "yolk sac", "trophoblast"],
    "uterus": ["midline echo", "cervix external ostium", "endometrium", "uterus borders"],
    "ovary": ["ovary"],
}
Record = dict[str, Any]


def make_phantom(out: Path, *, jobs: int | None = None, **settings: Any) -> CaseSet:
    """Simulate exams of early pregnancy and write them as a case set.

    Args:
        out: the new folder.
        jobs: processes; by default one a core. The result does not depend on it.
        settings: see `PhantomSettings`.

    Raises:
        DataError: if a setting is not allowed.
        FolderError: if the folder exists and is not empty, or cannot be written.
    """
    chosen = PhantomSettings(**settings)
    planned = visits(chosen)
    with CaseSetWriter(out, describe(chosen)) as writer, bar("simulate", chosen.patients) as tick:
        for records in _simulated(planned, chosen, jobs or os.cpu_count() or 1):
            for record in records:
                writer.add(**record)
            tick()
    return CaseSet.open(out)


def describe(settings: PhantomSettings) -> DatasetInfo:
    """What the case set says of itself."""
    return DatasetInfo(
        name=f"phantom of early pregnancy {VERSION}",
        about=(
            "Simulated ultrasound of simulated patients in early pregnancy; not real images. Nothing measured"
            f" on it is a clinical result. Phantom version {VERSION}, seed {settings.seed}."
        ),
        levels={
            "plane": list(PLANES),
            "view": [view.name for view in VIEWS],
            "meta": list(META),
            "quality": list(QUALITIES),
        },
        zones=list(ZONES),
        groupings={"three": THREE_ZONES},
        mirror=[(left, right) for left, right in MIRRORED],
        licence="Apache-2.0",
        source=f"sonoprior phantom, version {VERSION}",
        simulated=True,
    )


def _simulated(planned: list[Visit], settings: PhantomSettings, jobs: int) -> Iterator[list[Record]]:
    """The records of each patient, in order."""
    if jobs == 1:
        yield from (records_of(visit, settings) for visit in planned)
        return
    work = (delayed(records_of)(visit, settings) for visit in planned)
    together = Parallel(n_jobs=jobs, return_as="generator", pre_dispatch="2*n_jobs")
    yield from cast("Iterator[list[Record]]", together(work))


def records_of(visit: Visit, settings: PhantomSettings) -> list[Record]:
    """What a patient adds to the case set, one entry a frame."""
    cv2.setNumThreads(1)
    exam = draw_exam(settings.seed, visit.number)
    shots = draw_shots(exam, visit.frames, dict(settings.view_weights), settings.unlabelled)
    terms = exam_terms(exam)
    return [
        _record(exam, take(exam, shot, number, settings.size), number, visit, terms, settings)
        for number, shot in enumerate(shots)
    ]


def _record(
    exam: Exam, frame: Frame, number: int, visit: Visit, terms: list[str], settings: PhantomSettings
) -> Record:
    rng = generator(settings.seed, "annotation", exam.number, number)
    outlined, boxed = rng.random(2) < (settings.outline_fraction, settings.box_fraction)
    return {
        "case": f"p{exam.number:04}-{number:03}",
        "image": frame.image,
        "labels": labels_of(frame, settings.label_noise, rng),
        "zonemap": _shaken(frame.zones, settings.outline_noise_px, rng) if outlined else None,
        "patient": f"p{exam.number:04}",
        "exam": f"e{exam.number:04}",
        "device": f"{exam.style.name} {exam.probe.kind}",
        "split": visit.part if settings.splits else None,
        "terms": ";".join([*frame_terms(frame), *terms]),
        "caption": caption(frame, terms),
        **(boxes_of(frame.zones) if boxed else {}),
    }


def labels_of(frame: Frame, noise: float, rng: np.random.Generator) -> dict[str, str]:
    """The frame's class at every level; a frame that is no view has its quality only."""
    quality = {"quality": frame.shot.quality}
    if frame.shot.quality != "standard":
        return quality
    view = frame.shot.view
    if rng.random() < noise:
        view = VIEWS[int(rng.integers(len(VIEWS)))]
    plane = {"plane": view.plane} if view.plane is not None else {}
    return {**plane, "view": view.name, "meta": view.meta, **quality}


def boxes_of(zones: NDArray[np.uint8]) -> dict[str, str]:
    """The box around each zone, as columns; a zone that is not in the frame is there and empty."""
    boxes = {}
    for number, name in enumerate(ZONES, 1):
        x, y, width, height = cv2.boundingRect((zones == number).astype(np.uint8))
        boxes[f"box.{name}"] = f"{x} {y} {x + width} {y + height}" if width else EMPTY
    return boxes


def _shaken(zones: NDArray[np.uint8], pixels: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Outlines drawn by an unsteady hand: every point displaced smoothly by `pixels` (standard deviation)."""
    if not pixels:
        return zones
    size = zones.shape[0]
    coarse = rng.standard_normal((2, 7, 7)).astype(np.float32) * np.float32(pixels)
    shift = [cv2.resize(part, (size, size), interpolation=cv2.INTER_CUBIC) for part in coarse]
    x, y = np.meshgrid(np.arange(size, dtype=np.float32), np.arange(size, dtype=np.float32))
    shaken = cv2.remap(zones, x + shift[0], y + shift[1], cv2.INTER_NEAREST)
    return np.asarray(shaken, np.uint8)

"""The kit of fetal planes: what its case sets say of themselves, and what is written down of a frame."""

from dataclasses import replace

from sonoprior.cases.importers.fetal_planes import BRAIN_PLANES, PLANES
from sonoprior.cases.info import DatasetInfo
from sonoprior.cases.phantom.annotations import annotations_of
from sonoprior.cases.phantom.kit import Kit, Record
from sonoprior.cases.phantom.plan import Visit, exam_visits
from sonoprior.cases.phantom.population import PopulationSettings
from sonoprior.cases.phantom.settings import VERSION
from sonoprior.core.randomness import generator

from .exam import Exam, Frame, draw_exam, draw_views, take
from .planes import View
from .tissue import REGIONS, ZONES
from .words import caption, exam_terms, frame_terms

NAME = "fetal-planes"
PARTS = {"train": 0.40, "validation": 0.10, "test": 0.50}
"""Half of the patients are for testing, as in FETAL_PLANES_DB: 896 of 1,792."""
FRAMES = (1, 12400 / 1792, 22)
"""The fewest, the mean and the most of a patient; the mean is that of FETAL_PLANES_DB."""


def describe(settings: PopulationSettings) -> DatasetInfo:
    """What the case set says of itself; its levels and classes are those of FETAL_PLANES_DB."""
    return DatasetInfo(
        name=f"phantom of fetal planes {VERSION}",
        about=(
            "Simulated ultrasound of simulated patients in the second and third trimester; not real images."
            f" Nothing measured on it is a clinical result. Phantom version {VERSION}, seed {settings.seed}."
        ),
        levels={"plane": list(PLANES), "brain_plane": list(BRAIN_PLANES)},
        zones=list(ZONES),
        groupings={"regions": REGIONS},
        licence="Apache-2.0",
        source=f"sonoprior phantom, version {VERSION}",
        simulated=True,
    )


def visits(settings: PopulationSettings) -> list[Visit]:
    """The patients of a case set."""
    return exam_visits(settings.seed, settings.patients, PARTS, settings.unlabelled, FRAMES)


def records_of(visit: Visit, settings: PopulationSettings) -> list[Record]:
    """What a patient adds to a case set, one entry a frame; it depends on nothing but the arguments."""
    exam = draw_exam(settings.seed, visit.number)
    views = draw_views(settings.seed, visit.number, visit.frames)
    frames = (take(exam, view, number, settings.size) for number, view in enumerate(views))
    return [_record(exam, frame, number, visit, settings) for number, frame in enumerate(frames)]


def _record(exam: Exam, frame: Frame, number: int, visit: Visit, settings: PopulationSettings) -> Record:
    case = f"p{exam.number:04}-{number:03}"
    drawing = settings if visit.labelled else replace(settings, outline_fraction=0.0, box_fraction=0.0)
    return {
        "case": case,
        "image": frame.picture.image,
        **annotations_of(frame.picture, ZONES, drawing, generator(settings.seed, "annotation", case)),
        "patient": f"p{exam.number:04}",
        "exam": f"e{exam.number:04}",
        "device": frame.scanner.device,
        "split": visit.part if settings.splits else None,
        "extra.view": frame.view.name,
        "extra.weeks": f"{exam.patient.size.weeks:.1f}",
        **_said(exam, frame, visit.labelled),
    }


def _said(exam: Exam, frame: Frame, labelled: bool) -> Record:
    """Labels and words; of a patient whom nobody labelled, what her frames show in columns for looking."""
    shown = labels_of(frame.view)
    if not labelled:
        return {f"extra.{level}": name for level, name in shown.items()}
    terms = exam_terms(exam)
    words = ";".join([*frame_terms(frame), *terms])
    return {"labels": shown, "terms": words, "caption": caption(frame, terms)}


def labels_of(view: View) -> dict[str, str]:
    """The class of a view at each level; what is no plane of the brain has none among those."""
    brain = {} if view.brain_plane is None else {"brain_plane": view.brain_plane}
    return {"plane": view.plane, **brain}


KIT = Kit(NAME, PopulationSettings, describe, visits, records_of)

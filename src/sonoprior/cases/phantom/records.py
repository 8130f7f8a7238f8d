"""What is written down of a frame: the fields of a case."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from sonoprior.core.randomness import generator

from .annotations import boxes_of, mark_masks, shaken
from .burnt_in import Habits
from .exam import Exam, Shot, draw_exam, draw_shots
from .frame import Frame, take
from .kit import Record
from .plan import Visit
from .settings import PhantomSettings
from .sweep import draw_sweep, film
from .tissue import ZONES
from .views import VIEWS
from .words import caption, exam_terms, frame_terms


def records_of(visit: Visit, settings: PhantomSettings) -> list[Record]:
    """What a patient adds to a case set, one entry a frame; it depends on nothing but the arguments."""
    exam = draw_exam(settings.seed, visit.number, settings.abdominal)
    shots = draw_shots(exam, visit.frames, settings.view_weights, settings.unlabelled)
    stills = [_still(exam, shot, number, visit.part, settings) for number, shot in enumerate(shots)]
    return [*stills, *_clips(exam, visit.part, settings)]


def _still(exam: Exam, shot: Shot, number: int, part: str, settings: PhantomSettings) -> Record:
    case, confounder = f"p{exam.number:04}-{number:03}", settings.confounder
    if confounder is None:
        return _record(exam, take(exam, shot, number, settings.size), case, part, settings)
    rng = generator(settings.seed, "confounder", exam.number, number)
    plane = shot.view.plane if shot.quality == "standard" else None
    there = bool(rng.random() < confounder.share(plane, part))
    frame = take(exam, shot, number, settings.size, _marked(exam.habits, confounder.mark, there))
    agrees = "yes" if there == (plane == confounder.plane) else "no"
    return _record(exam, frame, case, part, settings) | {"extra.mark_agrees": agrees}


def _clips(exam: Exam, part: str, settings: PhantomSettings) -> Iterator[Record]:
    for clip in range(settings.sweeps):
        name = f"p{exam.number:04}-sweep{clip}"
        for number, frame in enumerate(film(exam, draw_sweep(exam, clip), settings.size)):
            record = _record(exam, frame, f"{name}-{number:02}", part, settings)
            rate = f"{exam.probe.frame_rate_hz:g}"
            yield {**record, "clip": name, "frame": str(number), "extra.frame_rate_hz": rate}


def _marked(habits: Habits, mark: str, there: bool) -> Habits:
    """An exam's habits, but with one mark there or not there."""
    others = tuple(name for name in habits.shown if name != mark)
    calipers = habits.calipers if mark != "calipers" else 0.0
    return replace(habits, shown=(*others, mark) if there else others, calipers=calipers)


def _record(exam: Exam, frame: Frame, case: str, part: str, settings: PhantomSettings) -> Record:
    rng = generator(settings.seed, "annotation", case)
    outlined, boxed = rng.random(2) < (settings.outline_fraction, settings.box_fraction)
    terms = exam_terms(exam)
    return {
        "case": case,
        "image": frame.image,
        "labels": {
            **labels_of(frame.shot, settings.label_noise, rng),
            "disorder": exam.patient.situation.disorder,
        },
        "zonemap": shaken(frame.zones, settings.outline_noise_px, rng) if outlined else None,
        "maps": mark_masks(frame.overlays, frame.image) if settings.overlay_masks else None,
        "patient": f"p{exam.number:04}",
        "exam": f"e{exam.number:04}",
        "device": f"{exam.style.name} {exam.probe.kind}",
        "split": part if settings.splits else None,
        "extra.site": exam.patient.situation.site,
        "terms": ";".join([*frame_terms(frame), *terms]),
        "caption": caption(frame, terms),
        **(boxes_of(frame.zones, ZONES) if boxed else {}),
    }


def labels_of(shot: Shot, noise: float, rng: np.random.Generator) -> dict[str, str]:
    """The class of a shot at every level of views; a frame that is no view has its quality only.

    Args:
        shot: what the frame shows.
        noise: how likely the view is another one, any of them.
        rng: for the noise.
    """
    quality = {"quality": shot.quality}
    if shot.quality != "standard":
        return quality
    view = shot.view
    if rng.random() < noise:
        others = [other for other in VIEWS if other is not view]
        view = others[int(rng.integers(len(others)))]
    plane = {"plane": view.plane} if view.plane is not None else {}
    return {**plane, "view": view.name, "meta": view.meta, **quality}

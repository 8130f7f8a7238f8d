"""What a report would say of a frame: terms, and a caption made of them."""

from .exam import Exam
from .frame import Frame

_FLUID_MM = 4.0  # half thickness of the pouch of Douglas from which its fluid is worth a word


def exam_terms(exam: Exam) -> list[str]:
    """What holds for the whole exam: disorder, uterus, route."""
    patient = exam.patient
    terms = [patient.situation.disorder, f"{patient.uterus.version} uterus"]
    terms.append("transabdominal route" if patient.abdominal else "transvaginal route")
    if patient.uterus.fibroids:
        terms.append("fibroid")
    if patient.around.pouch.semi[1] > _FLUID_MM:
        terms.append("free fluid in the pouch of Douglas")
    return terms


def frame_terms(frame: Frame) -> list[str]:
    """What the frame shows: its view, if it is one, and the outlined zones in it."""
    shot = frame.shot
    view = shot.view.name if shot.quality == "standard" else f"{shot.quality} frame"
    return [view, *frame.visible]


def caption(frame: Frame, terms: list[str]) -> str:
    """One sentence from a frame's and its exam's terms."""
    head, *shown = frame_terms(frame)
    seen = f" showing {_listed(shown)}" if shown else ""
    return f"{head[0].upper()}{head[1:]}{seen}; {', '.join(terms)}."


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"

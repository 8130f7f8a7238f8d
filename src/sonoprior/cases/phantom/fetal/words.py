"""What a report would say of a frame: terms, and a caption made of them."""

import numpy as np

from .exam import Exam, Frame
from .tissue import ZONES

_LEAST = 0.0008  # of the picture that a zone must cover to be named
_THIRD_TRIMESTER = 28


def exam_terms(exam: Exam) -> list[str]:
    """What holds for the whole exam: trimester, lie, placenta."""
    patient = exam.patient
    third = patient.size.weeks >= _THIRD_TRIMESTER
    front = patient.mother.placenta.centre[1] > patient.mother.room.centre[1]
    return [
        "third trimester" if third else "second trimester",
        f"{patient.lie} lie" if patient.lie == "transverse" else f"{patient.lie} presentation",
        "anterior placenta" if front else "posterior placenta",
    ]


def frame_terms(frame: Frame) -> list[str]:
    """What the frame shows: its view and the outlined zones in it."""
    counts = np.bincount(frame.picture.zones.ravel(), minlength=len(ZONES) + 1)
    least = _LEAST * frame.picture.zones.size
    return [frame.view.name, *(name for number, name in enumerate(ZONES, 1) if counts[number] >= least)]


def caption(frame: Frame, terms: list[str]) -> str:
    """One sentence from a frame's and its exam's terms."""
    head, *shown = frame_terms(frame)
    seen = f" showing {_listed(shown)}" if shown else ""
    return f"{head[0].upper()}{head[1:]}{seen}; {', '.join(terms)}."


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"

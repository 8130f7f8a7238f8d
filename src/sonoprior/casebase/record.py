"""One known case, as the base keeps it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Record:
    """A case with everything by which it may be found or shown, but its embedding.

    Attributes:
        key: "SET/CASE", unique in a base.
        group: what a query must never find its own of: the patient, else exam, clip or the case itself, as
            `CaseSet.groups` names them, within the set: "SET/patient:7".
        exam: the exam, "SET/EXAM"; None where unknown.
        facts: what may be filtered by, name to texts: "set", "case", "exam", "patient", "clip", "device",
            "label.<level>", "terms" (codes as the case set writes them), "extra.<name>", ...; only what is
            known.
        caption: what was written of it; empty where nothing was.
        source: where it came from: "root" and "image" (paths), "licence" and "source" of the set, "added",
            and "pixels", as `pixels_of` tells the image from every other.
        thumbnail: a small JPEG.
    """

    key: str
    group: str
    exam: str | None
    facts: Mapping[str, Sequence[str]]
    caption: str = ""
    source: Mapping[str, str] = field(default_factory=dict[str, str])
    thumbnail: bytes = b""

    def fact(self, name: str) -> str | None:
        """The first text of a fact; None where it is not known."""
        return next(iter(self.facts.get(name, ())), None)


def pixels_of(frame: NDArray[np.uint8]) -> str:
    """What tells the pixels (H, W) of a frame from any others, whatever file they stand in."""
    return sha256(f"{frame.shape}".encode() + np.ascontiguousarray(frame).tobytes()).hexdigest()

"""What sets of faces share: 68 landmarks of which the 51 inner ones are used, and the box of a face.

The 68 points are those of the iBUG 300-W markup, counted from 1: the jaw is 1 to 17, the rest 18 to 68.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Points: TypeAlias = NDArray[np.float64]
"""(68, 2), x and y in pixels; NaN where a landmark is missing."""
Box: TypeAlias = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels."""

COUNT = 68
FACE = "face"
_FIRST_INNER = 18

# Left and right partners; the points on the middle line have none.
_PARTNERS = (
    *((18, 27), (19, 26), (20, 25), (21, 24), (22, 23)),  # brows
    *((32, 36), (33, 35)),  # nostrils
    *((37, 46), (38, 45), (39, 44), (40, 43), (41, 48), (42, 47)),  # eyes
    *((49, 55), (50, 54), (51, 53), (56, 60), (57, 59)),  # outer lips
    *((61, 65), (62, 64), (66, 68)),  # inner lips
)
_PARTS = {"brows": (18, 27), "eyes": (37, 48), "nose": (28, 36), "mouth": (49, 68)}


def face_info() -> dict[str, Any]:
    """The fields of `dataset.yaml` for faces: zone, landmarks, their parts, and what a mirror swaps."""
    parts = {part: [_name(n) for n in range(first, last + 1)] for part, (first, last) in _PARTS.items()}
    return {
        "zones": [FACE],
        "landmarks": [_name(number) for number in range(_FIRST_INNER, COUNT + 1)],
        "groupings": {"parts": parts},
        "mirror": [(_name(left), _name(right)) for left, right in _PARTNERS],
    }


def face_columns(points: Points | None, box: Box | None) -> dict[str, str]:
    """The columns `points`, of the 51 inner landmarks, and `box.face`; without what is None."""
    columns: dict[str, str] = {}
    if points is not None:
        inner = points[_FIRST_INNER - 1 :]
        columns["points"] = ";".join("" if np.isnan(place).any() else _numbers(place) for place in inner)
    if box is not None:
        columns[f"box.{FACE}"] = _numbers(np.array(box))
    return columns


def box_around(points: Points) -> Box:
    """The smallest box that holds all landmarks."""
    x0, y0 = np.nanmin(points, axis=0).tolist()
    x1, y1 = np.nanmax(points, axis=0).tolist()
    return x0, y0, x1, y1


def _name(number: int) -> str:
    return f"p{number}"


def _numbers(values: NDArray[np.float64]) -> str:
    return " ".join(f"{value:g}" for value in values.tolist())

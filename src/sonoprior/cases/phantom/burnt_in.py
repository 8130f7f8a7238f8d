"""What machines burn into a picture: marker, ruler, grey bar, text, calipers, logo, each with its own mask.

Where and whether they stand depends on the exam and on chance, never on the view.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .vendors import Vendor

OVERLAYS = ("marker", "ruler", "grey bar", "text", "calipers", "logo")
Canvas = NDArray[np.uint8]
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True)
class Habits:
    """What an exam's pictures carry, drawn once for the exam.

    Attributes:
        shown: names out of `OVERLAYS` that are always there; calipers come and go.
        inverted: the machine's left-right key is pressed: pictures and marker are mirrored.
        lines: the text in the corner.
        calipers: how often the operator measures.
    """

    shown: tuple[str, ...]
    inverted: bool
    lines: tuple[str, ...]
    calipers: float


def draw_habits(rng: np.random.Generator, style: Vendor) -> Habits:
    """Habits of one exam on a machine."""
    often = {"marker": 0.9, "ruler": 0.85, "grey bar": 0.5, "text": 0.5, "logo": 0.4}
    number = int(rng.integers(1000, 9999))
    return Habits(
        shown=tuple(name for name, share in often.items() if rng.random() < share),
        inverted=bool(rng.random() < 0.1),
        lines=(style.name.split()[0].upper(), f"#{number}", f"MI {rng.uniform(0.6, 1.3):.1f}"),
        calipers=float(rng.choice([0.0, 0.08, 0.25], p=[0.5, 0.3, 0.2])),
    )


def drawn(
    habits: Habits, style: Vendor, ticks: int, size: int, rng: np.random.Generator
) -> dict[str, Canvas]:
    """The overlays of one picture: for each its grey levels (size, size), 0 where it leaves the picture.

    Args:
        habits: of the exam.
        style: the machine's.
        ticks: how many ticks the depth ruler has.
        size: pixels.
        rng: for the calipers.
    """
    names = [*habits.shown, *(["calipers"] if rng.random() < habits.calipers else [])]
    return {name: overlay(name, habits, style, ticks, size, rng) for name in names}


def overlay(
    name: str, habits: Habits, style: Vendor, ticks: int, size: int, rng: np.random.Generator
) -> Canvas:
    """One overlay on an empty canvas."""
    canvas = np.zeros((size, size), np.uint8)
    if name == "marker":
        _marker(canvas, style, habits.inverted)
    elif name == "ruler":
        _ruler(canvas, style, ticks)
    elif name == "grey bar":
        _grey_bar(canvas, style)
    elif name == "text":
        _text(canvas, habits.lines)
    elif name == "logo":
        _write(canvas, style.logo, (0.03, 0.965), 200)
    else:
        _calipers(canvas, rng)
    return canvas


def burn(picture: Canvas, overlays: dict[str, Canvas]) -> Canvas:
    """The picture with the overlays on it."""
    result = picture.copy()
    for canvas in overlays.values():
        result[canvas > 0] = canvas[canvas > 0]
    return result


def _write(canvas: Canvas, text: str, place: tuple[float, float], grey: int, height: float = 0.032) -> None:
    """Text whose capital letters are `height` of the picture high; `place` is its lower left corner."""
    size = canvas.shape[0]
    scale = height * size / 22
    at = (round(place[0] * size), round(place[1] * size))
    cv2.putText(canvas, text, at, _FONT, scale, grey, 1, cv2.LINE_AA)


def _marker(canvas: Canvas, style: Vendor, inverted: bool) -> None:
    _write(canvas, style.marker, (0.66 if inverted else 0.30, 0.055), 220, 0.045)


def _ruler(canvas: Canvas, style: Vendor, ticks: int) -> None:
    size = canvas.shape[0]
    x = round((0.975 if style.ruler_right else 0.02) * size)
    inward = -1 if style.ruler_right else 1
    for tick in range(ticks + 1):
        y = round((0.02 + 0.96 * tick / ticks) * size)
        length = round(size * (0.022 if tick % 5 == 0 else 0.012))
        cv2.line(canvas, (x, min(y, size - 1)), (x + inward * length, min(y, size - 1)), 190, 1)


def _grey_bar(canvas: Canvas, style: Vendor) -> None:
    size = canvas.shape[0]
    x = round((0.02 if style.ruler_right else 0.95) * size)
    top, bottom = round(0.30 * size), round(0.62 * size)
    ramp = np.linspace(255, 1, bottom - top).astype(np.uint8)
    canvas[top:bottom, x : x + max(round(0.025 * size), 2)] = ramp[:, None]


def _text(canvas: Canvas, lines: tuple[str, ...]) -> None:
    for row, line in enumerate(lines):
        _write(canvas, line, (0.02, 0.055 + 0.048 * row), 180)


def _calipers(canvas: Canvas, rng: np.random.Generator) -> None:
    """Two crosses and a dotted line between them, anywhere in the picture."""
    size = canvas.shape[0]
    first = rng.uniform(0.25, 0.75, 2) * size
    angle, length = rng.uniform(0, np.pi), rng.uniform(0.1, 0.3) * size
    last = first + length * np.array([np.cos(angle), np.sin(angle)])
    for point in (first, last):
        cv2.drawMarker(canvas, _pixel(point), 230, cv2.MARKER_CROSS, round(0.03 * size), 1)
    for share in np.arange(0.06, 1, 0.06):
        cv2.circle(canvas, _pixel(first + share * (last - first)), 0, 210, -1)
    _write(canvas, f"{length / size * 90:.1f} mm", (0.70, 0.93), 210)


def _pixel(point: NDArray[np.float64]) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))

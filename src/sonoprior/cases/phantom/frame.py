"""One frame: a shot of a patient becomes a picture with everything known of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonoprior.core.randomness import generator

from .burnt_in import Canvas, Habits, burn, drawn
from .exam import Exam, Shot
from .physics import complex_noise
from .poses import Pose, off_plane, pose
from .probes import Screen, beam_grid
from .scanner import seen
from .tissue import ZONES
from .views import Aim

_TOP_STEP_MM = 5.0
_ZOOMS = (2, 4)
_CROPPED = 0.8  # of what is looked at must fit into a zoom box


@dataclass(frozen=True)
class Frame:
    """A picture and what is known of it.

    Attributes:
        image: (size, size) uint8, overlays burnt in.
        zones: (size, size) uint8, 0 none, k the k-th of `tissue.ZONES`.
        overlays: grey levels of each burnt-in mark by name, (size, size) uint8, 0 where it is not.
        shot: what it was meant to show.
    """

    image: Canvas
    zones: NDArray[np.uint8]
    overlays: dict[str, Canvas]
    shot: Shot

    @property
    def visible(self) -> list[str]:
        """The zones that the picture shows, in order."""
        counts = np.bincount(self.zones.ravel(), minlength=len(ZONES) + 1)
        return [name for number, name in enumerate(ZONES, 1) if counts[number] > 0]


def take(exam: Exam, shot: Shot, number: int, size: int, habits: Habits | None = None) -> Frame:
    """Frame `number` of an exam; it depends on nothing but the arguments.

    Args:
        exam: of whom.
        shot: what to take.
        number: of the frame in the exam.
        size: pixels in each direction.
        habits: what is burnt in, where it is not the exam's own.
    """
    rng = generator(exam.seed, "frame", exam.number, number)
    aim, held = _held(exam, shot, rng)
    ticks = exam.ticks + int(rng.integers(-1, 2))
    grid = beam_grid(exam.probe, _screen(exam, aim, held, ticks, size, rng))
    brightness = exam.mean_grey * float(np.exp(rng.normal(0, 0.1)))
    looks = [complex_noise(rng) for _ in range(exam.style.looks)]
    picture, zones = seen(
        exam.patient.body,
        exam.style,
        held.plane,
        grid,
        looks,
        brightness,
        rng,
        inverted=exam.habits.inverted,
    )
    overlays = drawn(habits or exam.habits, exam.style, ticks, size, rng)
    return Frame(burn(picture, overlays), zones, overlays, shot)


def _held(exam: Exam, shot: Shot, rng: np.random.Generator) -> tuple[Aim, Pose]:
    aim = shot.view.find(exam.patient, rng)
    assert aim is not None, "a shot is only planned where the patient has what it shows"
    held = pose(exam.patient, aim, rng)
    if shot.quality == "off-plane":
        return aim, off_plane(held, rng)
    other = shot.other.find(exam.patient, rng) if shot.other is not None else None
    if other is None:
        return aim, held
    return aim, held.toward(pose(exam.patient, other, rng), float(rng.uniform(0.35, 0.65)))


def _screen(exam: Exam, aim: Aim, held: Pose, ticks: int, size: int, rng: np.random.Generator) -> Screen:
    """The whole depth, or a zoom box around what is looked at, a half or a quarter as high."""
    whole = ticks * exam.probe.tick_mm
    fitting = [zoom for zoom in _ZOOMS if whole / zoom >= _CROPPED * aim.extent_mm]
    if rng.random() >= aim.magnified or not fitting:
        return Screen(0.0, whole, size)
    height = whole / max(fitting)
    depth = float(np.linalg.norm(held.target - held.tip))
    above = depth - rng.uniform(0.42, 0.58) * height
    return Screen(max(_TOP_STEP_MM * round(above / _TOP_STEP_MM), 0.0), height, size)

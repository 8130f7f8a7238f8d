"""Sweeps: the probe moves through the patient from view to view, and every frame of the clip is kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sonoprior.core.randomness import generator

from .burnt_in import burn, drawn
from .exam import Exam, Shot
from .frame import Frame
from .physics import Noise, complex_noise
from .poses import Pose, pose
from .probes import Screen, beam_grid
from .scanner import seen
from .views import BY_NAME

PATHS = (
    (
        "transverse view of right adnexa",
        "transverse view on uterus",
        "transverse view of left adnexa",
    ),
    (
        "longitudinal view of right adnexa",
        "longitudinal view of the uterus",
        "longitudinal view of left adnexa",
    ),
    ("longitudinal view of cervix", "longitudinal view of the uterus"),
    ("longitudinal view of the uterus", "oblique view of the uterus", "transverse view on uterus"),
)
FRAMES = (10, 60)
_NEAR = 0.17  # of the way to the next view; within it a frame still shows the view
_CORRELATED_MM = 1.5  # after this motion the speckle is another one
_TREMOR_MM = 0.8


@dataclass(frozen=True)
class Sweep:
    """A clip to be taken.

    Attributes:
        number: of the clip in its exam.
        views: names of the views it passes.
        poses: the probe at each of them.
        frames: how many are kept.
        ticks: depth in ticks of the ruler.
    """

    number: int
    views: tuple[str, ...]
    poses: tuple[Pose, ...]
    frames: int
    ticks: int

    def pose(self, place: float) -> Pose:
        """The probe at a place on the path, 0 at the first view and 1 more at each next one."""
        leg = min(int(place), len(self.poses) - 2)
        held = self.poses[leg].toward(self.poses[leg + 1], place - leg)
        tremor = _TREMOR_MM * np.sin(place * np.array([9.0, 13.0, 17.0]) + self.number)
        return Pose(held.tip, held.target + tremor, held.across)

    def shot(self, place: float) -> Shot:
        """What the frame at a place on the path shows."""
        near = round(place)
        if abs(place - near) <= _NEAR:
            return Shot(BY_NAME[self.views[near]])
        leg = min(int(place), len(self.views) - 2)
        return Shot(BY_NAME[self.views[leg]], "between views", BY_NAME[self.views[leg + 1]])


def draw_sweep(exam: Exam, number: int) -> Sweep:
    """Clip `number` of an exam, in one of the two directions along one of `PATHS`."""
    rng = generator(exam.seed, "sweep", exam.number, number)
    views = PATHS[int(rng.integers(len(PATHS)))][:: rng.choice([-1, 1])]
    poses: list[Pose] = []
    for name in views:
        aim = BY_NAME[name].find(exam.patient, rng)
        assert aim is not None, "every patient has the views of every path"
        poses.append(pose(exam.patient, aim, rng))
    return Sweep(number, views, tuple(poses), int(rng.integers(FRAMES[0], FRAMES[1] + 1)), exam.ticks)


def film(exam: Exam, sweep: Sweep, size: int) -> Iterator[Frame]:
    """The frames of a clip, in order; each alone depends on nothing but the arguments."""
    rng = generator(exam.seed, "film", exam.number, sweep.number)
    brightness = exam.mean_grey * float(np.exp(rng.normal(0, 0.1)))
    overlays = drawn(exam.habits, exam.style, sweep.ticks, size, rng)
    grid = beam_grid(exam.probe, Screen(0.0, sweep.ticks * exam.probe.tick_mm, size))
    places = np.linspace(0, len(sweep.poses) - 1, sweep.frames)
    moved = _moved_mm([sweep.pose(float(place)) for place in places])
    for number, place in enumerate(places):
        noise = generator(exam.seed, "film", exam.number, sweep.number, number)
        looks = _speckle(exam, sweep, moved[number] / _CORRELATED_MM)
        plane = sweep.pose(float(place)).plane
        picture, zones = seen(
            exam.patient.body,
            exam.style,
            plane,
            grid,
            looks,
            brightness,
            noise,
            inverted=exam.habits.inverted,
        )
        yield Frame(burn(picture, overlays), zones, overlays, sweep.shot(float(place)))


def _moved_mm(poses: list[Pose]) -> list[float]:
    """How far what is looked at has moved since the first pose."""
    steps = [np.linalg.norm(b.target - a.target) for a, b in pairwise(poses)]
    return [0.0, *np.cumsum(steps).tolist()]


def _speckle(exam: Exam, sweep: Sweep, turns: float) -> list[Noise]:
    """Noise that turns slowly into another one, its power unchanged, as the plane moves on; one a look."""
    whole = int(turns)
    angle = np.pi / 2 * (turns - whole)
    first, second = (_looks(exam, sweep, whole + ahead) for ahead in (0, 1))
    return [
        (np.cos(angle) * one + np.sin(angle) * other).astype(np.complex64)
        for one, other in zip(first, second, strict=True)
    ]


def _looks(exam: Exam, sweep: Sweep, turn: int) -> list[Noise]:
    rng = generator(exam.seed, "speckle", exam.number, sweep.number, turn)
    return [complex_noise(rng) for _ in range(exam.style.looks)]

"""What carries the fetus: uterus, fluid, placenta, cord, cervix, bladder, and the abdominal wall."""

from dataclasses import dataclass

import numpy as np

from sonoprior.cases.phantom.geometry import (
    FRONT,
    HEAD,
    Capsule,
    Ellipsoid,
    Sheet,
    Vector,
    ball,
    local_axes,
    unit,
)
from sonoprior.cases.phantom.tissue import (
    BLADDER_WALL,
    CERVIX,
    FAT,
    LINE,
    MUSCLE,
    MYOMETRIUM,
    PERITONEUM,
    URINE,
    Structure,
    Tissue,
)
from sonoprior.cases.phantom.tissue import SKIN as MOTHERS_SKIN
from sonoprior.cases.phantom.tissue import VAGINA as VAULT

from .shapes import Within, pipe
from .tissue import CORD, LIQUOR, PLACENTA, VEIN, zone_index

WALL_MM = 7.0
"""Thickness of the uterine wall."""
_BELLY_MM = 45.0  # by which the belly is longer than the uterus, each way
_INSIDE = 0.97  # of the belly's radius
_GLANDS = Tissue(-8, 0.5, 1.0, edge_mm=1.5)


@dataclass(frozen=True)
class Mother:
    """The mother, about the middle of her uterus.

    Attributes:
        room: the cavity of the uterus.
        placenta: against its wall.
        layers: skin, fat and muscle over it, mm.
        cervix: from its outer to its inner end.
        bladder: in front of the cervix.
        cord: places along a free loop of the cord.
    """

    room: Ellipsoid
    placenta: Ellipsoid
    layers: tuple[float, float, float]
    cervix: Capsule
    bladder: Ellipsoid
    cord: tuple[Vector, ...]

    @property
    def belly(self) -> Ellipsoid:
        """What the abdominal wall lies on."""
        return Ellipsoid(self.room.centre, self.room.axes, self.room.semi + WALL_MM + _BELLY_MM * HEAD)

    def skin_depth(self, target: Vector, beam: Vector) -> float:
        """How far back along a beam from a place inside the belly the skin is, mm."""
        belly = self.belly
        place, run = (target - belly.centre) / belly.semi, -beam / belly.semi
        a, b, c = run @ run, place @ run, place @ place - 1
        return float((-b + np.sqrt(b * b - a * c)) / a) + sum(self.layers)

    def kept_inside(self, target: Vector) -> Vector:
        """A place, or where it is outside the belly the one next to the wall that lies towards its middle."""
        belly = self.belly
        radius = float(np.linalg.norm((target - belly.centre) / belly.semi))
        return belly.centre + (target - belly.centre) * min(1.0, _INSIDE / radius)


def draw_mother(rng: np.random.Generator, room: Ellipsoid) -> Mother:
    """A mother about a uterus of given size."""
    outlet = room.centre - room.semi[2] * HEAD
    down = unit(np.array([rng.normal(0, 0.1), rng.uniform(-0.75, -0.25), -1.0]))
    inner = outlet - 0.5 * WALL_MM * HEAD
    length = float(np.clip(rng.normal(36, 5), 22, 48))
    cervix = Capsule(inner + length * down, inner, rng.uniform(12, 15), rng.uniform(11, 14))
    full = rng.uniform(8, 20)
    bladder = cervix.centre + (cervix.radius + 0.8 * full + 3) * FRONT + rng.uniform(4, 14) * HEAD
    return Mother(
        room=room,
        placenta=_placenta(rng, room),
        layers=(2.0, float(rng.gamma(4, 2.2)) + 4, float(rng.uniform(4, 8))),
        cervix=cervix,
        bladder=Ellipsoid(bladder, np.eye(3), np.array([1.5 * full, 0.8 * full, 1.1 * full])),
        cord=_cord(rng, room),
    )


def _placenta(rng: np.random.Generator, room: Ellipsoid) -> Ellipsoid:
    """In front, behind, or in the fundus, never over the cervix."""
    direction = unit(np.array([rng.normal(0, 0.5), rng.choice([-1, 1]) * 1.0, rng.uniform(-0.1, 0.8)]))
    place = room.centre + room.semi * direction * 0.98
    normal = unit(direction / room.semi)
    side = unit(np.cross(normal, HEAD))
    axes = np.stack([side, np.cross(normal, side), normal])
    return Ellipsoid(
        place, axes, np.array([0.62, 0.62, 0]) * room.semi.mean() + np.array([0, 0, rng.uniform(14, 22)])
    )


def _cord(rng: np.random.Generator, room: Ellipsoid) -> tuple[Vector, ...]:
    """A loop in front of the fetus, below the wall."""
    turn = rng.uniform(0, 2 * np.pi)
    angles = np.linspace(0, 4.2, 9)
    spread = np.stack([0.35 * np.cos(angles + turn), 0.80 + 0 * angles, 0.28 * np.sin(angles + turn)], axis=1)
    return tuple(room.centre + room.semi * (spread + rng.normal(0, 0.03, spread.shape)))


def uterus_structures(mother: Mother) -> list[Structure]:
    """Bladder, uterus and what fills it around the fetus."""
    bladder, room, cervix = mother.bladder, mother.room, mother.cervix
    outer = Ellipsoid(room.centre, room.axes, room.semi + WALL_MM)
    wall = Ellipsoid(bladder.centre, bladder.axes, bladder.semi + 3)
    zone = zone_index("cervix")
    axes, half = local_axes(cervix.end - cervix.start), float(np.linalg.norm(cervix.end - cervix.start)) / 2
    glands = Ellipsoid(cervix.centre, axes, np.array([9.0, 4.0, half + 2]))
    canal = Sheet(Ellipsoid(cervix.centre, axes, np.array([7.0, 8.0, half + 1])), 1.2)
    return [
        Structure(wall, BLADDER_WALL),
        Structure(bladder, URINE),
        Structure(outer, MYOMETRIUM),
        Structure(room, LIQUOR),
        Structure(Within(mother.placenta, room), PLACENTA, zone_index("placenta")),
        Structure(cervix, CERVIX, zone),
        Structure(glands, _GLANDS, zone),
        Structure(canal, LINE, zone),
    ]


def cord_structures(mother: Mother) -> list[Structure]:
    """The free loop: jelly with vessels in it."""
    line = list(mother.cord)
    twist = [place + 2.2 * np.array([np.sin(2.5 * k), 0, np.cos(2.5 * k)]) for k, place in enumerate(line)]
    return [
        Structure(pipe(line, 6.0), CORD),
        Structure(pipe(line, 2.4), VEIN),
        Structure(pipe(twist, 1.2), VEIN),
    ]


def abdominal_wall(mother: Mother, probe_centre: Vector, probe_radius: float) -> list[Structure]:
    """The layers pressed round the face of a convex probe, the outermost last."""
    skin, fat, muscle = mother.layers
    layers = (
        (skin + fat + muscle + 1.5, PERITONEUM),
        (skin + fat + muscle, MUSCLE),
        (skin + fat, FAT),
        (skin, MOTHERS_SKIN),
    )
    return [Structure(ball(probe_centre, probe_radius + depth), tissue) for depth, tissue in layers]


def vaginal_wall(probe_centre: Vector, probe_radius: float) -> list[Structure]:
    """The wall of the vagina round the face of an endocavity probe."""
    return [Structure(ball(probe_centre, probe_radius + 4), VAULT)]

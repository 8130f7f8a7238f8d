"""Arms and legs: bones in flesh, bent as a fetus in the uterus holds them."""

from dataclasses import dataclass

import numpy as np

from sonoprior.cases.phantom.geometry import Capsule, Ellipsoid, Vector, ball, unit
from sonoprior.cases.phantom.tissue import NO_ZONE, Structure

from .tissue import BONE, CARTILAGE, FLESH, SKIN, zone_index
from .trunk import Trunk, outline

_DRAWS = 60  # until a limb lies inside the uterus
_SIDES = (-1, 1)


@dataclass(frozen=True)
class Bone:
    """The shaft of a long bone.

    Attributes:
        start, end: its ends, mm.
        radius: in its middle, mm; it is wider at its ends.
    """

    start: Vector
    end: Vector
    radius: float

    @property
    def centre(self) -> Vector:
        """The middle of the shaft."""
        return (self.start + self.end) / 2

    @property
    def length(self) -> float:
        """Of the shaft, mm."""
        return float(np.linalg.norm(self.end - self.start))

    @property
    def axis(self) -> Vector:
        """The unit direction from start to end."""
        return unit(self.end - self.start)


@dataclass(frozen=True)
class Limb:
    """An arm or a leg.

    Attributes:
        upper: humerus or femur.
        lower: radius and ulna, or tibia and fibula.
        flesh: radii of the limb at its root, its middle joint and its end, mm.
        zone: of the upper bone.
    """

    upper: Bone
    lower: tuple[Bone, Bone]
    flesh: tuple[float, float, float]
    zone: int

    def places(self) -> list[Vector]:
        """Some places along its bones."""
        bones = (self.upper, *self.lower)
        return [
            bone.start + share * (bone.end - bone.start) for bone in bones for share in (0.0, 0.33, 0.67, 1.0)
        ]


def draw_legs(rng: np.random.Generator, trunk: Trunk, femur_mm: float, room: Ellipsoid) -> tuple[Limb, Limb]:
    """Two bent legs inside the uterus; the femurs lie across the mother's front more or less."""
    flesh = (0.38 * trunk.r, 0.27 * trunk.r, 0.16 * trunk.r)
    right, left = (
        _limb(
            rng,
            trunk,
            trunk.at(s * 0.46, 0.05, -1.72),
            (s * 0.5, 1.0, -0.15),
            femur_mm,
            flesh,
            room,
            zone_index("femur"),
        )
        for s in _SIDES
    )
    return right, left


def draw_arms(rng: np.random.Generator, trunk: Trunk, femur_mm: float, room: Ellipsoid) -> tuple[Limb, Limb]:
    """Two bent arms inside the uterus; a humerus is a tenth shorter than the femur."""
    flesh = (0.22 * trunk.r, 0.17 * trunk.r, 0.11 * trunk.r)
    right, left = (
        _limb(
            rng,
            trunk,
            trunk.at(s * 0.82, 0.0, 1.62),
            (s * 0.4, 0.7, -0.8),
            0.9 * femur_mm,
            flesh,
            room,
            NO_ZONE,
        )
        for s in _SIDES
    )
    return right, left


def _limb(
    rng: np.random.Generator,
    trunk: Trunk,
    root: Vector,
    towards: tuple[float, float, float],
    length: float,
    flesh: tuple[float, float, float],
    room: Ellipsoid,
    zone: int,
) -> Limb:
    """The drawn limb that fits best: inside the uterus, outside the trunk, not pointing at the front."""
    drawn = [_tried(rng, trunk, root, towards, length, flesh, zone) for _ in range(_DRAWS)]
    ends = np.stack([np.stack([limb.upper.end, limb.lower[0].end], axis=1) for limb in drawn], axis=2)
    outside = 3 * np.maximum(room.distance(ends) + flesh[1], 0).sum(axis=0)
    inside = np.maximum(flesh[2] - outline(trunk, 0).distance(ends), 0).sum(axis=0)
    steep = np.array([abs(limb.upper.axis[1]) for limb in drawn])
    return drawn[int(np.argmin(outside + 6 * inside + 150 * np.maximum(steep - 0.6, 0)))]


def _tried(
    rng: np.random.Generator,
    trunk: Trunk,
    root: Vector,
    towards: tuple[float, float, float],
    length: float,
    flesh: tuple[float, float, float],
    zone: int,
) -> Limb:
    direction = unit(trunk.local.toward(*towards) + 0.8 * rng.standard_normal(3))
    thick = 0.045 * length + 0.5
    upper = Bone(root + 0.12 * length * direction, root + 1.12 * length * direction, thick)
    bend = unit(-0.75 * direction + trunk.local.toward(0, 0.3, -1.0) + 0.35 * rng.standard_normal(3))
    side = unit(np.cross(bend, direction))
    knee = upper.end + 0.16 * length * bend
    lower = tuple(
        Bone(
            knee + s * 0.085 * length * side,
            knee + 0.86 * length * bend + s * 0.07 * length * side,
            share * thick,
        )
        for s, share in ((1, 0.85), (-1, 0.6))
    )
    return Limb(upper, (lower[0], lower[1]), flesh, zone)


def limb_structures(limb: Limb) -> list[Structure]:
    """A limb, from the outside in."""
    root, joint, end = limb.flesh
    upper, lower = limb.upper, limb.lower
    knee, foot = (lower[0].start + lower[1].start) / 2, (lower[0].end + lower[1].end) / 2
    thigh = Capsule(upper.start, upper.end, root, joint)
    calf = Capsule(knee, foot, 0.95 * joint, end)
    sole = Ellipsoid(foot + 0.5 * joint * upper.axis, *_flat(upper.axis, lower[0].axis, end))
    inner = [
        Capsule(part.start, part.end, part.radius - 1.6, part.end_radius - 1.2) for part in (thigh, calf)
    ]
    return [
        *(Structure(shape, SKIN) for shape in (sole, thigh, calf)),
        *(Structure(shape, FLESH) for shape in inner),
        *(Structure(ball(place, 2.1 * upper.radius), CARTILAGE) for place in (upper.start, upper.end, knee)),
        *_bone(upper, limb.zone),
        *(part for bone in lower for part in _bone(bone, NO_ZONE)),
    ]


def _flat(along: Vector, down: Vector, thick: float) -> tuple[Vector, Vector]:
    """Axes and half sizes of a foot or a hand."""
    up = unit(down - along * (along @ down))
    return np.stack([along, np.cross(up, along), up]), thick * np.array([2.2, 0.9, 0.7])


def _bone(bone: Bone, zone: int) -> list[Structure]:
    """The shaft, flared at both ends."""
    middle = bone.centre
    halves = (
        Capsule(bone.start, middle, 1.25 * bone.radius, bone.radius),
        Capsule(middle, bone.end, bone.radius, 1.25 * bone.radius),
    )
    return [Structure(half, BONE, zone) for half in halves]

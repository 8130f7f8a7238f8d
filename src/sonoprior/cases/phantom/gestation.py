"""The pregnancy itself: sac, trophoblast, yolk sac, amnion, embryo, by gestational age and outcome."""

from dataclasses import dataclass

import numpy as np

from .geometry import Capsule, Ellipsoid, Union, Vector, ball, local_axes, unit
from .tissue import (
    BLOOD,
    CLOT,
    EMBRYO,
    ENDOMETRIUM,
    FLUID,
    MEMBRANE,
    MOLE,
    SPINE,
    TROPHOBLAST,
    YOLK_WALL,
    Structure,
    zone_index,
)

_AMNION_FROM_MM = 4.0  # of the embryo's length; before that the amnion lies against it
_LIMBS_FROM_MM = 16.0
_VENTRICLE_FROM_MM = 10.0


def sac_diameter_mm(days: float) -> float:
    """Mean sac diameter by gestational age: one millimetre a day after day 30 [Hellman 1969]."""
    return max(days - 30.0, 2.0)


def embryo_length_mm(days: float) -> float:
    """Crown-rump length by gestational age: one millimetre a day after day 42 [Goldstein 1991]."""
    return max(days - 42.0, 0.0)


@dataclass(frozen=True)
class Gestation:
    """A drawn pregnancy.

    Attributes:
        days: gestational age.
        sac: the chorionic cavity.
        rim_mm: thickness of the trophoblast on its thin side.
        chorion: unit vector towards the thick side.
        yolk: the yolk sac, if there is one.
        amnion: the amniotic sac, if it stands off the embryo.
        embryo_centre, embryo_axes, embryo_mm: place, frame (rows; the third from rump to crown) and length;
            length 0 for no embryo.
        vesicles: the cysts of a mole.
    """

    days: float
    sac: Ellipsoid
    rim_mm: float
    chorion: Vector
    yolk: Ellipsoid | None
    amnion: Ellipsoid | None
    embryo_centre: Vector
    embryo_axes: Vector
    embryo_mm: float
    vesicles: tuple[Ellipsoid, ...] = ()

    @property
    def trophoblast(self) -> Ellipsoid:
        """The outer surface of the trophoblast, thicker towards `chorion`."""
        shift = 0.35 * self.rim_mm
        return Ellipsoid(
            self.sac.centre + shift * self.chorion, self.sac.axes, self.sac.semi + self.rim_mm + 0.5 * shift
        )


def draw_gestation(
    rng: np.random.Generator, days: float, centre: Vector, axes: Vector, outcome: str
) -> Gestation:
    """A pregnancy of an age at a place; `outcome` is live, demise, empty or molar."""
    mean = sac_diameter_mm(days) * rng.uniform(0.85, 1.15) / 2
    flat = rng.uniform(0.78, 0.95)
    semi = mean * np.array([1.0, flat, 1 / flat * rng.uniform(0.95, 1.2)])
    sac = Ellipsoid(centre, axes, semi)
    length = embryo_length_mm(days) * rng.uniform(0.9, 1.1)
    if outcome == "demise":
        length *= rng.uniform(0.25, 0.7)
    length = min(length, 1.55 * float(semi.min()))
    shown = outcome in {"live", "demise"} and length >= 2
    yolk, amnion, embryo = _contents(rng, sac, days, length if shown else 0.0)
    return Gestation(
        days=days,
        sac=sac,
        rim_mm=rng.uniform(2.0, 4.5),
        chorion=unit(rng.standard_normal(3)),
        yolk=yolk if outcome != "empty" and days >= 36 else None,
        amnion=amnion,
        embryo_centre=embryo,
        embryo_axes=local_axes(unit(rng.standard_normal(3)), unit(rng.standard_normal(3))),
        embryo_mm=length if shown else 0.0,
        vesicles=_vesicles(rng, sac) if outcome == "molar" else (),
    )


def _contents(
    rng: np.random.Generator, sac: Ellipsoid, days: float, length: float
) -> tuple[Ellipsoid, Ellipsoid | None, Vector]:
    """Yolk sac, amnion and the embryo's place: the embryo to one side, the yolk sac beside it."""
    side = unit(rng.standard_normal(3))
    radius = float(np.clip(1.4 + 0.035 * (days - 36), 1.2, 3.0)) * rng.uniform(0.85, 1.15)
    if length < _AMNION_FROM_MM:
        yolk = ball(_inside(sac, sac.centre - 0.9 * sac.semi.min() * side, radius + 0.8), radius)
        beside = yolk.centre + (radius + length / 4) * unit(rng.standard_normal(3))
        return yolk, None, _inside(sac, beside, length / 3)
    round_mm = min(0.62 * length + 1.5, 0.93 * float(sac.semi.min()))
    place = sac.centre + rng.uniform(0.3, 0.95) * (sac.semi.min() - round_mm) * side
    amnion = Ellipsoid(place, sac.axes, round_mm * rng.uniform(0.92, 1.05, 3))
    yolk = ball(_inside(sac, place - (round_mm + radius) * side, radius + 0.6), radius)
    return yolk, amnion, place + rng.uniform(0, 0.15) * round_mm * unit(rng.standard_normal(3))


def _inside(sac: Ellipsoid, point: Vector, margin: float) -> Vector:
    """The point, moved towards the centre until it lies `margin` mm within the sac."""
    offset = sac.axes @ (point - sac.centre)
    room = np.maximum(sac.semi - margin, 0.2)
    return sac.centre + (offset / max(float(np.linalg.norm(offset / room)), 1.0)) @ sac.axes


def _vesicles(rng: np.random.Generator, sac: Ellipsoid) -> tuple[Ellipsoid, ...]:
    places = rng.standard_normal((70, 3))
    places *= (rng.random((70, 1)) ** (1 / 3)) / np.linalg.norm(places, axis=1, keepdims=True)
    radii = rng.gamma(4, 0.45, 70) + 0.4
    return tuple(
        ball(sac.centre + (place * sac.semi) @ sac.axes, float(radius))
        for place, radius in zip(places, radii, strict=True)
    )


def gestation_structures(gestation: Gestation, decidua: bool) -> list[Structure]:
    """The pregnancy from the outside in; inside the cavity a decidua lies around it."""
    outer = gestation.trophoblast
    rim = Ellipsoid(outer.centre, outer.axes, outer.semi + 2.5)
    painted = [Structure(rim, ENDOMETRIUM, zone_index("endometrium"))] if decidua else []
    painted.append(Structure(outer, TROPHOBLAST, zone_index("trophoblast")))
    if gestation.vesicles:
        return painted + _mole(gestation)
    painted.append(Structure(gestation.sac, FLUID, zone_index("gestational sac")))
    if gestation.yolk is not None:
        painted += _yolk(gestation.yolk)
    if gestation.amnion is not None:
        painted.append(Structure(gestation.amnion, MEMBRANE, zone_index("amniotic sac")))
    if gestation.embryo_mm:
        painted += _embryo(gestation)
    return painted


def _mole(gestation: Gestation) -> list[Structure]:
    zone = zone_index("trophoblast")
    filling = Structure(gestation.sac, MOLE, zone)
    return [filling, *(Structure(vesicle, FLUID, zone) for vesicle in gestation.vesicles)]


def _yolk(yolk: Ellipsoid) -> list[Structure]:
    zone = zone_index("yolk sac")
    inner = ball(yolk.centre, max(float(yolk.semi[0]) - 0.7, 0.4))
    return [Structure(yolk, YOLK_WALL, zone), Structure(inner, FLUID, zone)]


def _embryo(gestation: Gestation) -> list[Structure]:
    zone, length, axes = zone_index("embryo"), gestation.embryo_mm, gestation.embryo_axes
    left, front, up = axes
    head = gestation.embryo_centre + 0.27 * length * up + 0.06 * length * front
    trunk = gestation.embryo_centre - 0.16 * length * up
    tilted = local_axes(up + 0.35 * front, left)
    shape = Union(
        (
            Ellipsoid(head, tilted, length * np.array([0.18, 0.2, 0.23])),
            Ellipsoid(trunk, axes, length * np.array([0.16, 0.18, 0.34])),
        ),
        blend=0.12 * length,
    )
    painted = [*_limbs(gestation, trunk, zone), Structure(shape, EMBRYO, zone)]
    if length >= _VENTRICLE_FROM_MM:
        painted.append(Structure(ball(head - 0.05 * length * front, 0.075 * length), FLUID, zone))
    if length >= _LIMBS_FROM_MM:
        back = trunk - 0.11 * length * front
        painted.append(
            Structure(Capsule(back - 0.22 * length * up, back + 0.3 * length * up, 0.5, 0.5), SPINE, zone)
        )
    return painted


def _limbs(gestation: Gestation, trunk: Vector, zone: int) -> list[Structure]:
    length, (left, front, up) = gestation.embryo_mm, gestation.embryo_axes
    if length < _LIMBS_FROM_MM:
        return []
    limbs = []
    for side in (-1, 1):
        for height in (0.16, -0.24):
            root = trunk + length * (height * up + side * 0.13 * left)
            tip = root + 0.2 * length * unit(front + 0.4 * side * left - 0.3 * up)
            limbs.append(Structure(Capsule(root, tip, 0.045 * length, 0.03 * length), EMBRYO, zone))
    return limbs


def retained_structures(cavity: Ellipsoid, rng: np.random.Generator) -> list[Structure]:
    """What an incomplete miscarriage leaves in the cavity: clots and a little blood."""
    zone = zone_index("endometrium")
    painted = []
    for _ in range(int(rng.integers(2, 5))):
        place = cavity.centre + (rng.uniform(-0.5, 0.5, 3) * cavity.semi) @ cavity.axes
        tissue = CLOT if rng.random() < 0.7 else BLOOD
        painted.append(Structure(Ellipsoid(place, cavity.axes, rng.uniform(2.5, 7, 3)), tissue, zone))
    return painted

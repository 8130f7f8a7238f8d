"""Bowel, bladder and what lies behind it."""

from dataclasses import dataclass

import numpy as np

from sonoprior.cases.phantom.geometry import FRONT, HEAD, LEFT, Capsule, Ellipsoid, Vector, bent, tube, unit
from sonoprior.cases.phantom.tissue import (
    BLADDER_WALL,
    BONE,
    BOWEL_CONTENT,
    BOWEL_WALL,
    GAS,
    URINE,
    Structure,
)

from .tissues import PELVIC_ORGAN, organ_index
from .trunk import Trunk

# Middle lines of the colon: start, a point that it bends towards, end.
_COLON = (
    ((-98, 8, -150), (-106, 0, -105), (-92, 14, -62)),
    ((-88, 40, -58), (-30, 72, -88), (20, 66, -62)),
    ((20, 66, -62), (78, 62, -52), (98, 12, -28)),
    ((106, -8, -36), (112, 0, -90), (96, 8, -150)),
    ((88, 10, -155), (40, 30, -140), (20, -20, -175)),
)
_DUODENUM = ((-44, 10, 4), (-60, -14, -18), (-34, -20, -44))
_SMALL = 16


@dataclass(frozen=True)
class Loop:
    """A loop of bowel: its middle line, radius (mm), and pockets of gas."""

    line: tuple[Vector, ...]
    radius: float
    gas: tuple[Ellipsoid, ...]


@dataclass(frozen=True)
class Lower:
    """The lower abdomen.

    Attributes:
        loops: colon, duodenum and small bowel.
        bladder: its lumen; wall_mm: the thickness of its wall.
        behind: uterus or prostate.
    """

    loops: tuple[Loop, ...]
    bladder: Ellipsoid
    wall_mm: float
    behind: Ellipsoid


def draw_lower(rng: np.random.Generator, trunk: Trunk) -> Lower:
    """Bowel of one patient, more or less full of gas, and a bladder, more or less full."""
    s, gassy = trunk.scale, rng.uniform(0.15, 0.9)
    loops = [_loop(rng, s, np.array(ends, float), rng.uniform(12, 19), gassy) for ends in _COLON]
    loops.append(_loop(rng, s, np.array(_DUODENUM, float), rng.uniform(8, 11), 0.4 * gassy))
    for _ in range(_SMALL):
        start = np.array([rng.uniform(-70, 70), rng.uniform(-5, 55), rng.uniform(-150, -60)])
        run = 45 * unit(rng.standard_normal(3))
        ends = np.stack([start, start + run / 2 + rng.normal(0, 10, 3), start + run])
        loops.append(_loop(rng, s, ends, rng.uniform(8, 13), 0.5 * gassy))
    bladder = _bladder(rng, s)
    female = rng.random() < 0.5
    behind = bladder.centre - np.array(
        [0, 0.7 * bladder.semi[1] + (20 if female else 8), 0 if female else 24]
    )
    semi = np.array([26.0, 20.0, 36.0]) if female else np.array([22.0, 16.0, 18.0])
    return Lower(
        loops=tuple(loops),
        bladder=bladder,
        wall_mm=rng.uniform(2.2, 4.5),
        behind=Ellipsoid(behind, np.eye(3), s * semi * rng.uniform(0.8, 1.15)),
    )


def _loop(rng: np.random.Generator, s: float, ends: Vector, radius: float, gassy: float) -> Loop:
    start, middle, end = s * (ends + rng.normal(0, 5, (3, 3)))
    line = bent(start, middle, end, 5)
    gas = []
    for point in line:
        if rng.random() < gassy:
            semi = radius * np.array([0.85, 0.5, 0.95]) * rng.uniform(0.6, 1.15)
            gas.append(Ellipsoid(point + 0.35 * radius * FRONT, np.eye(3), semi))
    return Loop(tuple(line), s * radius, tuple(gas))


def _bladder(rng: np.random.Generator, s: float) -> Ellipsoid:
    """From nearly empty to full."""
    volume = float(np.clip(rng.gamma(2.5, 66), 40, 400))
    size = (volume * 1000 * 3 / (4 * np.pi)) ** (1 / 3)
    semi = size * np.array([1.2, 0.8, 1.05]) * rng.uniform(0.92, 1.08, 3)
    front = 74.0 * s - semi[1]
    return Ellipsoid(
        np.array([rng.normal(0, 3), front, -195 * s + semi[2]]), np.eye(3), semi, pear=rng.uniform(-0.25, 0.1)
    )


def lower_structures(lower: Lower) -> list[Structure]:
    """Pelvic bone, bowel, the organ behind the bladder, bladder."""
    painted: list[Structure] = []
    for loop in lower.loops:
        painted += [Structure(part, BOWEL_WALL) for part in tube(list(loop.line), loop.radius)]
        painted += [Structure(part, BOWEL_CONTENT) for part in tube(list(loop.line), loop.radius - 3.0)]
        painted += [Structure(pocket, GAS) for pocket in loop.gas]
    painted.append(Structure(lower.behind, PELVIC_ORGAN))
    bladder = lower.bladder
    pubis = bladder.centre - (bladder.semi[2] + 14) * HEAD + 14 * FRONT
    painted.append(Structure(Capsule(pubis - 22 * LEFT, pubis + 22 * LEFT, 11, 11), BONE))
    outer = Ellipsoid(bladder.centre, bladder.axes, bladder.semi + lower.wall_mm, bladder.pear)
    zone = organ_index("bladder")
    return [*painted, Structure(outer, BLADDER_WALL, zone), Structure(bladder, URINE, zone)]

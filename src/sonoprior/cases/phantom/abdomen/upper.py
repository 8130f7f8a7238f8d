"""Spleen, pancreas with the vessels behind it, and stomach."""

from dataclasses import dataclass

import numpy as np

from sonoprior.cases.phantom.geometry import Capsule, Ellipsoid, Union, Vector, bent, local_axes, tube, unit
from sonoprior.cases.phantom.tissue import GAS, KEEP, Structure

from .tissues import (
    ARTERY_WALL,
    DUCT,
    LUMEN,
    PANCREAS,
    SPLEEN,
    STOMACH_CONTENT,
    STOMACH_WALL,
    organ_index,
)
from .trunk import Trunk


@dataclass(frozen=True)
class Upper:
    """The organs of the upper abdomen besides the liver.

    Attributes:
        spleen: its surface; the third axis is its long one.
        hilum: vessels at its inner side.
        pancreas: pieces of a bent tube from head to tail.
        line: the pancreas' middle line.
        duct_mm: radius of its duct.
        splenic_vein: behind it.
        mesenteric: artery and vein below it, (start, end, radius) each.
        stomach: its outside; gas: the pockets in it; wall_mm: the thickness of its wall.
    """

    spleen: Ellipsoid
    hilum: tuple[Capsule, ...]
    pancreas: Union
    line: tuple[Vector, ...]
    duct_mm: float
    splenic_vein: tuple[Vector, ...]
    mesenteric: tuple[Capsule, Capsule]
    stomach: Ellipsoid
    gas: tuple[Ellipsoid, ...]
    wall_mm: float


def draw_upper(rng: np.random.Generator, trunk: Trunk) -> Upper:
    """The organs of a patient; stomach gas varies with the last meal."""
    s = trunk.scale
    spleen = _spleen(rng, trunk)
    low = rng.normal(0, 3)
    head, body = np.array([-30.0, -8.0, -14.0 + low]), np.array([8.0, 14.0, 12.0 + low])
    tail = np.array([60.0, -24.0, 23.0 + low])
    line = [s * (point + rng.normal(0, 1.5, 3)) for point in bent(head, body + np.array([0, 10, 2]), tail, 6)]
    thick = rng.uniform(0.85, 1.15)
    radii = thick * s * np.array([13.5, 11.5, 9.0, 8.2, 9.0, 10.0, 9.5])
    parts = [
        Capsule(a, b, float(r), float(q))
        for a, b, r, q in zip(line[:-1], line[1:], radii[:-1], radii[1:], strict=True)
    ]
    behind = s * np.array([0.0, -13.5 * thick, 1.0])
    vein = tuple(point + behind for point in line[2:])
    stomach = Ellipsoid(
        s * np.array([rng.uniform(42, 56), rng.uniform(28, 42), rng.uniform(22, 40)]),
        local_axes(unit(np.array([0.45, -0.35, 1.0]))),
        s * np.array([rng.uniform(22, 32), rng.uniform(18, 26), rng.uniform(36, 48)]),
    )
    return Upper(
        spleen=spleen,
        hilum=tuple(_hilum(rng, spleen)),
        pancreas=Union(tuple(parts), 7.0),
        line=tuple(line),
        duct_mm=float(np.clip(rng.gamma(6, 0.15), 0.5, 2.5)),
        splenic_vein=vein,
        mesenteric=_mesenteric(s),
        stomach=stomach,
        gas=tuple(_pockets(rng, stomach)),
        wall_mm=rng.uniform(3, 6),
    )


def _spleen(rng: np.random.Generator, trunk: Trunk) -> Ellipsoid:
    """Along the tenth rib, under the left dome, its outer surface against the wall."""
    s = trunk.scale
    semi = s * np.array([rng.uniform(19, 25), rng.uniform(28, 36), rng.uniform(44, 60)])
    along = unit(np.array([0.12, 0.55, -0.8]) + rng.normal(0, 0.08, 3))
    outward = unit(np.array([0.9, -0.35, 0.1]))
    place = np.array([0.0, -36 * s, rng.uniform(40, 52) * s])
    room = np.sqrt(1 - (place[1] / trunk.semi[1]) ** 2)
    place[0] = trunk.semi[0] * room - semi[0] - rng.uniform(2, 5)
    return Ellipsoid(place, local_axes(along, outward), semi, pear=rng.uniform(-0.15, 0.1))


def _hilum(rng: np.random.Generator, spleen: Ellipsoid) -> list[Capsule]:
    inner = spleen.centre - 1.02 * spleen.semi[0] * spleen.axes[0]
    found = []
    for along in (-0.25, 0.0, 0.25):
        start = inner + (along + rng.normal(0, 0.04)) * spleen.semi[2] * spleen.axes[2]
        into = start + rng.uniform(6, 12) * spleen.axes[0] + rng.normal(0, 3, 3)
        found.append(Capsule(start - 16 * spleen.axes[0], into, 3.2, 1.6))
    return found


def _mesenteric(s: float) -> tuple[Capsule, Capsule]:
    artery = Capsule(s * np.array([7.0, -18.0, 14.0]), s * np.array([2.0, 4.0, -70.0]), 3.6 * s, 3.0 * s)
    vein = Capsule(s * np.array([-9.0, -6.0, 6.0]), s * np.array([-14.0, 6.0, -70.0]), 5.5 * s, 4.5 * s)
    return artery, vein


def _pockets(rng: np.random.Generator, stomach: Ellipsoid) -> list[Ellipsoid]:
    """Gas lies in front."""
    pockets = []
    for _ in range(int(rng.integers(0, 4))):
        place = np.array([rng.uniform(-0.4, 0.4), rng.uniform(0.3, 0.6), rng.uniform(-0.5, 0.5)])
        semi = stomach.semi * np.array([0.45, 0.2, 0.35]) * rng.uniform(0.6, 1.2)
        pockets.append(Ellipsoid(stomach.centre + (place * stomach.semi) @ stomach.axes, stomach.axes, semi))
    return pockets


def upper_structures(upper: Upper) -> list[Structure]:
    """Stomach, spleen and pancreas with their vessels."""
    stomach = upper.stomach
    inside = Ellipsoid(stomach.centre, stomach.axes, stomach.semi - upper.wall_mm)
    painted = [Structure(stomach, STOMACH_WALL), Structure(inside, STOMACH_CONTENT)]
    painted += [Structure(pocket, GAS) for pocket in upper.gas]
    painted.append(Structure(upper.spleen, SPLEEN, organ_index("spleen")))
    painted += [Structure(vessel, LUMEN, KEEP) for vessel in upper.hilum]
    painted.append(Structure(upper.pancreas, PANCREAS, organ_index("pancreas")))
    painted += [Structure(part, DUCT, KEEP) for part in tube(list(upper.line), upper.duct_mm)]
    painted += [Structure(part, LUMEN) for part in tube(list(upper.splenic_vein), 4.0, 3.0)]
    artery, vein = upper.mesenteric
    around = Capsule(artery.start, artery.end, artery.radius + 2.5, artery.end_radius + 2.5)
    return [*painted, Structure(around, ARTERY_WALL), Structure(artery, LUMEN), Structure(vein, LUMEN)]

"""Liver with its veins, and the gallbladder below it."""

from dataclasses import dataclass

import numpy as np

from sonoprior.cases.phantom.geometry import (
    HEAD,
    Ellipsoid,
    Union,
    Vector,
    ball,
    bent,
    local_axes,
    tube,
    unit,
)
from sonoprior.cases.phantom.tissue import KEEP, Structure

from .tissues import (
    BILE,
    GALLBLADDER_WALL,
    HEPATIC_VEIN,
    LIVER,
    PORTAL_BLOOD,
    PORTAL_SHEATH,
    SLUDGE,
    STONE,
    organ_index,
)
from .trunk import Trunk

_NO_GALLBLADDER = 0.1  # of the patients had it taken out
_STONES = 0.18  # of the others have stones
_SLUDGE = 0.06
_TWIGS = 36  # small vessels of either kind


@dataclass(frozen=True)
class Vein:
    """A vessel of the liver: its middle line, its radius at either end, and whether it is a portal one."""

    line: tuple[Vector, ...]
    radius: float
    end_radius: float
    portal: bool


@dataclass(frozen=True)
class Gallbladder:
    """A gallbladder: its lumen, its long axis from the neck to the fundus, and what lies in it."""

    lumen: Ellipsoid
    axis: Vector
    stones: tuple[Ellipsoid, ...]
    sludge: Ellipsoid | None


@dataclass(frozen=True)
class Liver:
    """A liver.

    Attributes:
        right, left: its lobes, melted into one.
        veins: of both kinds, trunks first.
        gallbladder: None where it was taken out.
        fat_db: how much brighter steatosis makes it.
        beam_loss: how much more it attenuates for that, as a factor.
    """

    right: Ellipsoid
    left: Ellipsoid
    veins: tuple[Vein, ...]
    gallbladder: Gallbladder | None
    fat_db: float
    beam_loss: float


def draw_liver(rng: np.random.Generator, trunk: Trunk) -> Liver:
    """A liver under the right dome of the diaphragm."""
    s = trunk.scale
    dome = trunk.domes[0]
    semi = s * np.array([rng.uniform(57, 64), rng.uniform(66, 74), rng.uniform(66, 82)])
    top = float(dome.centre[2] + dome.semi[2]) - rng.uniform(1.0, 4.0)
    right = Ellipsoid(np.array([-68 * s, rng.uniform(-2, 6) * s, top - semi[2]]), np.eye(3), semi)
    left_semi = s * np.array([rng.uniform(48, 66), rng.uniform(24, 33), rng.uniform(40, 54)])
    left = Ellipsoid(
        s * np.array([rng.uniform(-12, 2), rng.uniform(42, 50), rng.uniform(40, 52)]),
        local_axes(unit(HEAD + rng.normal(0, 0.12, 3)), unit(np.array([1.0, -0.15, 0.1]))),
        left_semi,
    )
    fat = float(rng.choice([0.0, 3.0, 6.0], p=[0.6, 0.25, 0.15])) * rng.uniform(0.7, 1.3)
    kept = rng.random() >= _NO_GALLBLADDER
    return Liver(
        right=right,
        left=left,
        veins=(*_trunks(rng, trunk), *_twigs(rng, right, left)),
        gallbladder=_gallbladder(rng, right, s) if kept else None,
        fat_db=fat,
        beam_loss=1 + 0.07 * fat,
    )


def _trunks(rng: np.random.Generator, trunk: Trunk) -> list[Vein]:
    """Three hepatic veins into the cava, and the portal vein with its branches."""
    s = trunk.scale
    mouth = trunk.cava[-1] - np.array([0, 0, 14.0 * s])

    def vein(start: Vector, end: Vector, radii: tuple[float, float], portal: bool) -> Vein:
        middle = (start + end) / 2 + s * rng.normal(0, 6, 3)
        return Vein(tuple(bent(start, middle, end, 4)), radii[0], radii[1], portal)

    ends = ((-112, 0, 42), (-62, 44, 34), (22, 46, 46))
    hepatic = [vein(mouth, s * (np.array(e) + rng.normal(0, 6, 3)), (5.6, 2.2), False) for e in ends]
    confluence, porta = s * np.array([-6.0, -8.0, 6.0]), s * np.array([-40.0, 0.0, 32.0])
    branches = ((-92, 32, 44), (-100, -28, 36), (4, 42, 52))
    radius = rng.uniform(5.0, 6.5)
    portal = [vein(confluence, porta, (radius, radius), True)]
    portal += [
        vein(porta, s * (np.array(e) + rng.normal(0, 6, 3)), (0.75 * radius, 2.0), True) for e in branches
    ]
    return hepatic + portal


def _twigs(rng: np.random.Generator, right: Ellipsoid, left: Ellipsoid) -> list[Vein]:
    twigs = []
    for number in range(_TWIGS):
        lobe = left if number % 4 == 0 else right
        middle = (
            lobe.centre + (unit(rng.standard_normal(3)) * rng.uniform(0.25, 0.78) * lobe.semi) @ lobe.axes
        )
        run = rng.uniform(8, 24) * unit(rng.standard_normal(3))
        radius = rng.uniform(1.0, 2.6)
        twigs.append(Vein((middle - run, middle, middle + run), radius, 0.6 * radius, number % 2 == 0))
    return twigs


def _gallbladder(rng: np.random.Generator, right: Ellipsoid, s: float) -> Gallbladder:
    """Half sunk into the lower surface of the right lobe, its fundus to the front and below."""
    x, y = -50 * s + rng.normal(0, 4), rng.uniform(30, 40) * s
    rest = 1 - ((x - right.centre[0]) / right.semi[0]) ** 2 - ((y - right.centre[1]) / right.semi[1]) ** 2
    bottom = float(right.centre[2] - right.semi[2] * np.sqrt(max(rest, 0.2)))
    axis = unit(np.array([-0.3, 0.75, -0.6]) + rng.normal(0, 0.12, 3))
    short = rng.uniform(10, 17)
    semi = np.array([short, short * rng.uniform(0.85, 1.0), rng.uniform(28, 42)])
    centre = np.array([x, y, bottom + rng.uniform(-4, 5)])
    lumen = Ellipsoid(centre, local_axes(axis), semi, pear=rng.uniform(0.1, 0.35))
    floor = centre - np.array([0, 0.8, 0.25]) * short
    stones, sludge = [], None
    if rng.random() < _STONES:
        for _ in range(int(rng.integers(1, 5))):
            place = floor + axis * rng.uniform(-0.4, 0.5) * semi[2]
            stones.append(ball(place, rng.uniform(2.5, 6.5)))
    elif rng.random() < _SLUDGE:
        sludge = Ellipsoid(floor, lumen.axes, np.array([0.8 * short, 0.45 * short, 0.7 * semi[2]]))
    return Gallbladder(lumen, axis, tuple(stones), sludge)


def liver_structures(liver: Liver) -> list[Structure]:
    """The liver with its vessels."""
    painted = [Structure(Union((liver.right, liver.left), 28.0), LIVER, organ_index("liver"))]
    for vein in liver.veins:
        line = list(vein.line)
        if vein.portal:
            sheath = tube(line, 1.25 * vein.radius + 0.9, 1.25 * vein.end_radius + 0.9)
            painted += [Structure(part, PORTAL_SHEATH, KEEP) for part in sheath]
        lumen = PORTAL_BLOOD if vein.portal else HEPATIC_VEIN
        painted += [Structure(part, lumen, KEEP) for part in tube(line, vein.radius, vein.end_radius)]
    return painted


def gallbladder_structures(gallbladder: Gallbladder) -> list[Structure]:
    """Wall, bile and what lies in it."""
    zone, lumen = organ_index("gallbladder"), gallbladder.lumen
    outer = Ellipsoid(lumen.centre, lumen.axes, lumen.semi + 2.2, lumen.pear)
    painted = [Structure(outer, GALLBLADDER_WALL, zone), Structure(lumen, BILE, zone)]
    if gallbladder.sludge is not None:
        painted.append(Structure(gallbladder.sludge, SLUDGE, zone))
    return painted + [Structure(stone, STONE, zone) for stone in gallbladder.stones]

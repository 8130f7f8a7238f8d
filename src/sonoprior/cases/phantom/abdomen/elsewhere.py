"""Frames out of scope: another part of the body, seen by a flat probe in the same exam.

The probe stands at the origin and looks backwards; there is no zone.
"""

import numpy as np

from sonoprior.cases.phantom.geometry import (
    FRONT,
    HEAD,
    LEFT,
    Capsule,
    Ellipsoid,
    HalfSpace,
    Plane,
    local_axes,
    unit,
)
from sonoprior.cases.phantom.section import Body, Waves
from sonoprior.cases.phantom.tissue import BONE, FAT, GAS, MUSCLE, SKIN, Structure, Tissue

from .tissues import FATTY, LUMEN

THYROID = Tissue(3, 0.5, 1.0, wall=1.0, edge_mm=0.8)
CARTILAGE = Tissue(-14, 0.9, 1.0, wall=2.0, edge_mm=0.8)
PARTS = ("neck", "limb")
_BUNDLES = 9


def other_part(rng: np.random.Generator) -> tuple[Body, Plane]:
    """A neck or a limb, and a plane through it."""
    neck = PARTS[int(rng.integers(len(PARTS)))] == "neck"
    skin, fat = rng.uniform(1.2, 2.0), rng.uniform(2.0, 9.0)
    inside = _neck(rng, skin + fat) if neck else _limb(rng, skin + fat)
    layers = [
        Structure(HalfSpace(-depth * FRONT, -FRONT), tissue)
        for depth, tissue in ((skin + fat, FAT), (skin, SKIN))
    ]
    body = Body(
        structures=[*inside, *layers],
        background=FATTY if neck else MUSCLE,
        warp=Waves.draw(rng, (20, 60), 8, 3),
        warp_mm=rng.uniform(0.5, 1.0),
        texture=Waves.draw(rng, (2, 12), 24, 1),
        layers=Waves.draw(rng, (4, 20), 16, 1),
    )
    across = unit((LEFT if rng.random() < 0.6 else -HEAD) + rng.normal(0, 0.2, 3))
    axial = unit(-FRONT + rng.normal(0, 0.08, 3))
    return body, Plane(np.zeros(3), unit(across - axial * (axial @ across)), axial)


def _neck(rng: np.random.Generator, top: float) -> list[Structure]:
    """Trachea in the middle, a lobe of the thyroid and the vessels beside it, muscle in front."""
    middle = rng.uniform(-22, 22) * LEFT
    deep = -(top + rng.uniform(7, 12)) * FRONT
    painted = [Structure(Ellipsoid(middle + 0.6 * deep, np.eye(3), np.array([34.0, 4.0, 60.0])), MUSCLE)]
    for side in (-1, 1):
        lobe = middle + 1.35 * deep + side * rng.uniform(15, 18) * LEFT
        semi = np.array([rng.uniform(7, 10), rng.uniform(7, 11), rng.uniform(20, 28)])
        painted.append(Structure(Ellipsoid(lobe, np.eye(3), semi), THYROID))
        for radius, away in ((3.4, 13.0), (rng.uniform(3, 6), 22.0)):
            start = lobe + side * away * LEFT - 3 * FRONT
            painted.append(Structure(Capsule(start - 50 * HEAD, start + 50 * HEAD, radius, radius), LUMEN))
    pipe = middle + 1.7 * deep
    painted.append(Structure(Capsule(pipe - 60 * HEAD, pipe + 60 * HEAD, 10, 10), CARTILAGE))
    return [*painted, Structure(Capsule(pipe - 60 * HEAD, pipe + 60 * HEAD, 8, 8), GAS)]


def _limb(rng: np.random.Generator, top: float) -> list[Structure]:
    """Bundles of muscle around a bone, and a vessel between them."""
    painted = []
    for _ in range(_BUNDLES):
        place = np.array([rng.uniform(-34, 34), -top - rng.uniform(4, 34), rng.uniform(-20, 20)])
        axes = local_axes(unit(HEAD + rng.normal(0, 0.15, 3)))
        semi = np.array([rng.uniform(8, 18), rng.uniform(5, 10), rng.uniform(40, 90)])
        painted.append(Structure(Ellipsoid(place, axes, semi), MUSCLE))
    beside = np.array([rng.uniform(-20, 20), -top - rng.uniform(10, 22), 0])
    radius = rng.uniform(1.5, 3.5)
    painted.append(Structure(Capsule(beside - 60 * HEAD, beside + 60 * HEAD, radius, radius), LUMEN))
    bone = np.array([rng.uniform(-16, 16), -top - rng.uniform(24, 36), 0])
    return [*painted, Structure(Capsule(bone - 80 * HEAD, bone + 80 * HEAD, 10, 10), BONE)]

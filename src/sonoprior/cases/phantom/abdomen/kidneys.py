"""Kidneys: cortex, pyramids, and the bright sinus in the middle, in a shell of fat."""

from dataclasses import dataclass

import numpy as np

from sonoprior.cases.phantom.geometry import HEAD, LEFT, Ellipsoid, Vector, ball, local_axes, unit
from sonoprior.cases.phantom.tissue import Structure

from .tissues import CORTEX, CYST, PERIRENAL, PYRAMID, SINUS, organ_index

_CYSTS = 0.15  # of the kidneys have one
_DILATED = 0.05  # of the kidneys hold urine in the sinus


@dataclass(frozen=True)
class Kidney:
    """A kidney.

    Attributes:
        surface: of the cortex; its third axis points to the upper pole.
        sinus: its bright middle.
        pyramids: around the sinus.
        fluid: cysts and a dilated pelvis.
        fat_mm: thickness of the fat around it.
    """

    surface: Ellipsoid
    sinus: Ellipsoid
    pyramids: tuple[Ellipsoid, ...]
    fluid: tuple[Ellipsoid, ...]
    fat_mm: float


def draw_kidney(rng: np.random.Generator, side: int, scale: float) -> Kidney:
    """The kidney of a side, +1 for the left; the right one lies lower, below the liver."""
    height = rng.uniform(-8, 8) if side > 0 else rng.uniform(-32, -14)
    centre = scale * np.array([side * rng.uniform(58, 66), rng.uniform(-48, -42), height])
    up = unit(np.array([-side * 0.24, -0.24, 1.0]) + rng.normal(0, 0.06, 3))
    hilum = unit(np.array([-side * 0.8, 0.6, 0.0]))
    axes = local_axes(up, hilum)
    semi = scale * np.array([rng.uniform(23, 27), rng.uniform(21, 25), rng.uniform(46, 57)])
    sinus_semi = semi * np.array([0.5, 0.42, 0.62]) * rng.uniform(0.85, 1.1)
    sinus = Ellipsoid(centre + 0.2 * semi[0] * axes[0], axes, sinus_semi)
    return Kidney(
        surface=Ellipsoid(centre, axes, semi),
        sinus=sinus,
        pyramids=tuple(_pyramids(rng, centre, axes, semi)),
        fluid=tuple(_fluid(rng, centre, axes, semi, sinus)),
        fat_mm=rng.uniform(2.0, 7.0),
    )


def _pyramids(rng: np.random.Generator, centre: Vector, axes: Vector, semi: Vector) -> list[Ellipsoid]:
    """Two rows of them on the convex side, one at either pole."""
    found = []
    for along in np.linspace(-0.62, 0.62, 5):
        for around in (-62.0, 0.0, 62.0):
            angle = np.radians(180 + around + rng.normal(0, 8))
            outward = np.array([np.cos(angle), np.sin(angle), 1.1 * along])
            place = 0.66 * np.array([np.cos(angle), np.sin(angle), 0.0]) * np.sqrt(1 - along**2)
            local = np.array([place[0], place[1], along + rng.normal(0, 0.03)]) * semi
            size = np.array([5.2, 5.2, 7.0]) * rng.uniform(0.8, 1.15)
            found.append(
                Ellipsoid(centre + local @ axes, local_axes(unit(outward @ axes), _aside(axes)), size)
            )
    return found


def _aside(axes: Vector) -> Vector:
    return unit(axes[1] + 0.3 * axes[2] + 0.1 * LEFT + 0.05 * HEAD)


def _fluid(
    rng: np.random.Generator, centre: Vector, axes: Vector, semi: Vector, sinus: Ellipsoid
) -> list[Ellipsoid]:
    fluid = []
    if rng.random() < _CYSTS:
        direction = unit(rng.standard_normal(3)) * np.array([1.0, 1.0, 0.8])
        fluid.append(ball(centre + (0.85 * direction * semi) @ axes, rng.uniform(4, 14)))
    if rng.random() < _DILATED:
        fluid.append(Ellipsoid(sinus.centre, axes, sinus.semi * rng.uniform(0.45, 0.75)))
    return fluid


def kidney_structures(kidney: Kidney) -> list[Structure]:
    """Fat, cortex, pyramids, sinus, fluid."""
    zone, surface = organ_index("kidney"), kidney.surface
    around = Ellipsoid(surface.centre, surface.axes, surface.semi + kidney.fat_mm)
    painted = [Structure(around, PERIRENAL), Structure(surface, CORTEX, zone)]
    painted += [Structure(pyramid, PYRAMID, zone) for pyramid in kidney.pyramids]
    painted.append(Structure(kidney.sinus, SINUS, zone))
    return painted + [Structure(part, CYST, zone) for part in kidney.fluid]

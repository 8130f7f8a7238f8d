"""What lies around and is not outlined: bladder, bowel, pouch of Douglas, vaginal and abdominal wall."""

from dataclasses import dataclass

import numpy as np

from .geometry import FRONT, HEAD, LEFT, Ellipsoid, HalfSpace, Vector, bent, tube, unit
from .tissue import (
    BLADDER_WALL,
    BLOOD,
    BONE,
    BOWEL_CONTENT,
    BOWEL_WALL,
    FAT,
    FLUID,
    GAS,
    MUSCLE,
    PERITONEUM,
    SKIN,
    URINE,
    VAGINA,
    Structure,
    Tissue,
)
from .uterus import Uterus


@dataclass(frozen=True)
class Loop:
    """A loop of bowel: its middle line, radius (mm), content, and a pocket of gas if there is one."""

    line: tuple[Vector, ...]
    radius: float
    gas: Ellipsoid | None


@dataclass(frozen=True)
class Surroundings:
    """What lies around the uterus.

    Attributes:
        bladder: its lumen; bladder_ml: how full.
        pouch: the pouch of Douglas, behind cervix and isthmus; pouch_fluid: what is in it.
        loops: bowel; the sigmoid lies on the left and carries more gas.
        side_walls: muscle and bone of the pelvis on either side, and the sacrum.
        wall_mm: skin, fat and muscle between an abdominal probe and the pelvis.
        wall_at_mm: how far in front of the cervix the skin is.
    """

    bladder: Ellipsoid
    bladder_ml: float
    pouch: Ellipsoid
    pouch_fluid: Tissue
    loops: tuple[Loop, ...]
    side_walls: tuple[tuple[Ellipsoid, Tissue], ...]
    wall_mm: tuple[float, float, float]
    wall_at_mm: float


def draw_surroundings(
    rng: np.random.Generator, uterus: Uterus, full_bladder: bool, bleeding: bool
) -> Surroundings:
    """What lies around a uterus; bleeding fills the pouch of Douglas with blood."""
    volume = rng.uniform(150, 380) if full_bladder else float(np.clip(rng.gamma(3.0, 8), 5, 70))
    wall = (2.0, rng.gamma(4, 4) + 5, rng.uniform(6, 11))
    bladder = _bladder(rng, uterus, volume)
    front = float(bladder.centre[1] + bladder.semi[1])
    return Surroundings(
        bladder=bladder,
        bladder_ml=volume,
        pouch=_pouch(rng, uterus, bleeding),
        pouch_fluid=BLOOD if bleeding and rng.random() < 0.7 else FLUID,
        loops=_loops(rng, uterus),
        side_walls=tuple(_side_walls(rng)),
        wall_mm=wall,
        wall_at_mm=max(front, 42.0) + sum(wall) + 3,
    )


def _bladder(rng: np.random.Generator, uterus: Uterus, volume_ml: float) -> Ellipsoid:
    size = (volume_ml * 1000 * 3 / (4 * np.pi)) ** (1 / 3)
    semi = size * np.array([1.25, 0.75, 1.07]) * rng.uniform(0.9, 1.1, 3)
    front = uterus.cervix.radius + 0.75 * semi[1] + 2
    centre = uterus.os + np.array([rng.normal(0, 3), front, 4 + 0.8 * semi[2]])
    return Ellipsoid(centre, np.eye(3), semi, pear=rng.uniform(-0.2, 0.1))


def _pouch(rng: np.random.Generator, uterus: Uterus, bleeding: bool) -> Ellipsoid:
    thick = rng.uniform(3, 10) if bleeding else float(np.clip(rng.gamma(1.6, 1.2), 0.5, 6))
    centre = uterus.os + np.array(
        [rng.normal(0, 4), -uterus.cervix.radius - 0.7 * thick, rng.uniform(12, 26)]
    )
    return Ellipsoid(centre, np.eye(3), np.array([rng.uniform(14, 24), thick, rng.uniform(11, 18) + thick]))


def _loops(rng: np.random.Generator, uterus: Uterus) -> tuple[Loop, ...]:
    rectum = _loop(rng, uterus.os + np.array([0, -30, -15]), 90 * HEAD + rng.normal(0, 8, 3), 0.5)
    small = [_loop(rng, _above(rng, uterus), 36 * unit(rng.standard_normal(3)), 0.4) for _ in range(12)]
    sigmoid = [_loop(rng, _beside(rng, 1), 30 * unit(rng.standard_normal(3)), 0.8) for _ in range(4)]
    caecum = [_loop(rng, _beside(rng, -1), 30 * unit(rng.standard_normal(3)), 0.35) for _ in range(3)]
    return (rectum, *small, *sigmoid, *caecum)


def _side_walls(rng: np.random.Generator) -> list[tuple[Ellipsoid, Tissue]]:
    walls = []
    for side in (-1, 1):
        muscle = np.array([side * rng.uniform(72, 82), rng.uniform(-10, 15), rng.uniform(20, 40)])
        walls.append((Ellipsoid(muscle, np.eye(3), np.array([14.0, 32.0, 50.0])), MUSCLE))
        bone = muscle + np.array([side * 24.0, 0, 0])
        walls.append((Ellipsoid(bone, np.eye(3), np.array([12.0, 34.0, 50.0])), BONE))
    sacrum = np.array([0.0, -rng.uniform(78, 90), 60.0])
    return [*walls, (Ellipsoid(sacrum, np.eye(3), np.array([34.0, 16.0, 60.0])), BONE)]


def _above(rng: np.random.Generator, uterus: Uterus) -> Vector:
    top = max(float(uterus.body.centre[2] + uterus.body.semi.max()), 62.0)
    return np.array([rng.uniform(-55, 55), rng.uniform(-45, 35), top + rng.uniform(4, 40)])


def _beside(rng: np.random.Generator, side: int) -> Vector:
    return np.array([side * rng.uniform(38, 70), rng.uniform(-45, 0), rng.uniform(35, 75)])


def _loop(rng: np.random.Generator, start: Vector, run: Vector, gas: float) -> Loop:
    radius = rng.uniform(6, 11)
    line = bent(start, start + 0.5 * run + rng.normal(0, 9, 3), start + run, 3)
    pocket = None
    if rng.random() < gas:
        semi = radius * np.array([0.75, 0.45, 0.8]) * rng.uniform(0.6, 1.1, 3)
        pocket = Ellipsoid(line[1] + 0.25 * radius * FRONT, np.eye(3), semi)
    return Loop(tuple(line), radius, pocket)


def behind_structures(around: Surroundings) -> list[Structure]:
    """Bowel, bladder and pouch, painted before the organs that indent them."""
    painted = [Structure(shape, tissue) for shape, tissue in around.side_walls]
    for loop in around.loops:
        painted += [Structure(part, BOWEL_WALL) for part in tube(list(loop.line), loop.radius)]
        painted += [Structure(part, BOWEL_CONTENT) for part in tube(list(loop.line), loop.radius - 2.2)]
        if loop.gas is not None:
            painted.append(Structure(loop.gas, GAS))
    bladder = around.bladder
    outer = Ellipsoid(bladder.centre, bladder.axes, bladder.semi + 2.8, bladder.pear)
    painted += [Structure(outer, BLADDER_WALL), Structure(bladder, URINE)]
    painted.append(Structure(around.pouch, around.pouch_fluid))
    return painted


def wall_structures(around: Surroundings, abdominal: bool) -> list[Structure]:
    """What lies against the probe: the abdominal wall in layers, or the wall of the vagina."""
    if not abdominal:
        vault = Ellipsoid(np.array([0.0, 0.0, -12.0]), np.eye(3), np.array([34.0, 30.0, 17.0]))
        return [Structure(vault, VAGINA)]
    skin, fat, muscle = around.wall_mm
    at = around.wall_at_mm
    layers = (
        (skin + fat + muscle + 1.5, PERITONEUM),
        (skin + fat + muscle, MUSCLE),
        (skin + fat, FAT),
        (skin, SKIN),
    )
    return [Structure(HalfSpace((at - depth) * FRONT, -FRONT), tissue) for depth, tissue in layers]


def probe_tip(uterus: Uterus, target: Vector, around: Surroundings, abdominal: bool) -> Vector:
    """Where a probe that looks at `target` touches the patient."""
    if abdominal:
        return np.array([0.55 * target[0], around.wall_at_mm, 0.45 * target[2] + 22])
    side = float(np.clip(0.22 * target[0], -11, 11))
    fornix = float(np.clip(0.2 * (target[1] - uterus.os[1]), -8, 8))
    return side * LEFT + fornix * FRONT

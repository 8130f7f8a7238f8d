"""The trunk: wall, spine, ribs, lungs, four-chamber heart, liver, stomach, umbilical vein, kidneys, bladder.

The unit is r, the radius of a circle of the abdomen's circumference.
"""

from dataclasses import dataclass

import numpy as np

from sonoprior.cases.phantom.geometry import Ellipsoid, Union, Vector, ball, bent, tube
from sonoprior.cases.phantom.tissue import Structure

from .shapes import Hoop, Local, Within, pipe
from .tissue import (
    BLOOD,
    BOWEL,
    CARTILAGE,
    FLESH,
    KIDNEY,
    LIVER,
    LUNG,
    MYOCARDIUM,
    RIB,
    SKIN,
    STOMACH,
    VALVE,
    VEIN,
    zone_index,
)

TOP, BOTTOM = 2.1, -2.0
"""Where the trunk ends, in r from its middle."""
HEART_AT = 0.80
"""Height of the four-chamber plane, in r."""
VEIN_AT = -0.30
"""Height of the abdominal plane with stomach and umbilical vein, in r."""
KIDNEYS_AT = -0.95
SPINE_AT = -0.66
_SIDES = (-1, 1)
_RIBS = 11
_VERTEBRAE = 24


@dataclass(frozen=True)
class Trunk:
    """A drawn trunk.

    Attributes:
        local: its coordinates, about its middle.
        r: its radius at the abdomen, mm.
        wall_mm: skin and flesh.
        axis_deg: how far the heart's apex points to the left of the front.
        stomach: half sizes of the stomach, in r.
        relaxed: 1 in diastole, less in systole: size of the ventricles.
        kidney_pelvis: half width of the kidneys' pelves, in r.
    """

    local: Local
    r: float
    wall_mm: float
    axis_deg: float
    stomach: tuple[float, float, float]
    relaxed: float
    kidney_pelvis: float

    def at(self, x: float, y: float, z: float) -> Vector:
        """A place in units of r."""
        return self.local.at(x * self.r, y * self.r, z * self.r)

    def ellipsoid(self, centre: tuple[float, float, float], semi: tuple[float, float, float]) -> Ellipsoid:
        """An ellipsoid in units of r."""
        r = self.r
        x, y, z = centre
        a, b, c = semi
        return self.local.ellipsoid((x * r, y * r, z * r), (a * r, b * r, c * r))


def draw_trunk(rng: np.random.Generator, radius: float, weeks: float, local: Local) -> Trunk:
    """A trunk of a fetus's size in given coordinates."""
    full = rng.uniform(0.75, 1.25)
    return Trunk(
        local=local,
        r=radius,
        wall_mm=2.2 + 0.14 * (weeks - 18) + rng.uniform(0, 1.0),
        axis_deg=float(rng.normal(45, 7)),
        stomach=(0.20 * full, 0.27 * full, 0.22 * full),
        relaxed=float(rng.uniform(0.75, 1.0)),
        kidney_pelvis=float(rng.uniform(0.02, 0.055)),
    )


def trunk_structures(trunk: Trunk) -> list[Structure]:
    """The trunk, from the outside in."""
    outer = outline(trunk, 0)
    muscle = outline(trunk, 1.3)
    cavity = outline(trunk, trunk.wall_mm)
    return [
        Structure(outer, SKIN),
        Structure(muscle, FLESH),
        Structure(cavity, FLESH),
        Structure(cavity.parts[1], BOWEL, zone_index("abdomen")),
        *_upper_belly(trunk, cavity),
        *_chest(trunk, cavity),
        *_kidneys(trunk),
        *_vessels(trunk),
        *_heart(trunk),
        *_ribs(trunk),
        *_spine(trunk),
    ]


def outline(trunk: Trunk, less_mm: float) -> Union:
    """Chest and belly in one, `less_mm` below the skin."""
    less = less_mm / trunk.r
    chest = trunk.ellipsoid((0, 0, 0.85), (0.92 - less, 0.86 - less, 1.45 - less))
    belly = trunk.ellipsoid((0, 0.02, -0.55), (1.0 - less, 0.96 - less, 1.45 - less))
    return Union((chest, belly), blend=0.3 * trunk.r)


def _upper_belly(trunk: Trunk, cavity: Union) -> list[Structure]:
    """Liver with umbilical vein and portal sinus, stomach, bladder."""
    liver = trunk.ellipsoid((-0.16, 0.12, -0.16), (0.78, 0.76, 0.56))
    inward = bent(
        trunk.at(0.0, 0.66, -0.52), trunk.at(0.02, 0.30, VEIN_AT - 0.02), trunk.at(-0.02, 0.14, VEIN_AT), 4
    )
    sinus = bent(
        trunk.at(-0.02, 0.14, VEIN_AT), trunk.at(-0.08, -0.02, VEIN_AT), trunk.at(-0.36, -0.05, VEIN_AT), 4
    )
    vein = pipe([*inward, *sinus[1:]], 0.066 * trunk.r, 0.048 * trunk.r)
    stomach = trunk.local.leaning(
        (0.48 * trunk.r, -0.10 * trunk.r, (VEIN_AT - 0.02) * trunk.r),
        tuple(trunk.r * size for size in (trunk.stomach[1], trunk.stomach[0], trunk.stomach[2])),  # pyright: ignore[reportArgumentType]
        (-0.55, 1, 0),
    )
    branches = [
        tube([trunk.at(-0.1, 0.0, 0.1), trunk.at(x, y, -0.05)], 0.03 * trunk.r)
        for x, y in ((-0.5, 0.35), (-0.6, 0.0))
    ]
    bladder = ball(trunk.at(0, 0.30, -1.55), 0.20 * trunk.r)
    return [
        Structure(Within(liver, cavity), LIVER, zone_index("abdomen")),
        *(Structure(part, VEIN, zone_index("abdomen")) for branch in branches for part in branch),
        Structure(vein, VEIN, zone_index("umbilical vein")),
        Structure(stomach, STOMACH, zone_index("stomach")),
        Structure(bladder, STOMACH, zone_index("abdomen")),
    ]


def _chest(trunk: Trunk, cavity: Union) -> list[Structure]:
    """The lungs, over the dome of the diaphragm, and the mediastinum between them."""
    lungs = [trunk.ellipsoid((s * 0.36, -0.02, 0.98), (0.44, 0.72, 0.82)) for s in _SIDES]
    middle = trunk.ellipsoid((0, 0, 1.0), (0.30, 0.70, 0.75))
    shapes = Union((lungs[0], lungs[1], middle), blend=0.15 * trunk.r)
    return [Structure(Within(shapes, cavity), LUNG, zone_index("lungs"))]


def _kidneys(trunk: Trunk) -> list[Structure]:
    painted: list[Structure] = []
    for s in _SIDES:
        kidney = trunk.ellipsoid((s * 0.40, -0.46, KIDNEYS_AT), (0.22, 0.19, 0.38))
        pelvis = trunk.ellipsoid(
            (s * 0.36, -0.42, KIDNEYS_AT), (0.9 * trunk.kidney_pelvis + 0.02, trunk.kidney_pelvis, 0.14)
        )
        painted += [
            Structure(kidney, KIDNEY, zone_index("kidney")),
            Structure(pelvis, BLOOD, zone_index("kidney")),
        ]
    return painted


def _vessels(trunk: Trunk) -> list[Structure]:
    """Descending aorta on the left of the spine, inferior vena cava to the right and in front of it."""
    aorta = tube(
        [trunk.at(0.10, -0.42, 1.5), trunk.at(0.10, -0.44, 0.4), trunk.at(0.03, -0.46, -1.3)], 0.065 * trunk.r
    )
    cava = tube(
        [trunk.at(-0.14, -0.02, 0.55), trunk.at(-0.17, -0.25, -0.2), trunk.at(-0.1, -0.42, -1.3)],
        0.055 * trunk.r,
    )
    return [
        *(Structure(part, BLOOD, zone_index("lungs")) for part in aorta[:1]),
        *(Structure(part, BLOOD, zone_index("abdomen")) for part in (*aorta[1:], *cava)),
    ]


def _heart(trunk: Trunk) -> list[Structure]:
    """Myocardium, two ventricles towards the apex, two atria behind, septum and valves between them."""
    r, turn = trunk.r, np.radians(trunk.axis_deg)
    apex = trunk.local.toward(float(np.sin(turn)), float(np.cos(turn)), -0.12)
    middle = Local.of(trunk.at(0.06, 0.10, HEART_AT), trunk.local.axes[2], apex)  # front: apex; left: LV side
    inner = zone_index("heart")

    def part(x: float, y: float, semi: tuple[float, float, float], lean: float) -> Ellipsoid:
        size = (semi[0] * r, semi[1] * r, semi[2] * r)
        return middle.leaning((x * r, y * r, 0.0), size, (lean, 1, 0))

    k = trunk.relaxed
    muscle = middle.ellipsoid((0, -0.02 * r, 0), (0.40 * r, 0.50 * r, 0.38 * r))
    left, right = (
        part(0.165, 0.13, (0.265, 0.115 * k, 0.21), -0.36),
        part(-0.165, 0.11, (0.25, 0.125 * k, 0.21), 0.40),
    )
    atria = part(0.165, -0.27, (0.135, 0.145, 0.17), 0), part(-0.17, -0.26, (0.145, 0.15, 0.17), 0)
    valves = [
        tube([middle.at(s * 0.03 * r, -0.115 * r, 0), middle.at(s * 0.26 * r, -0.10 * r, 0)], 0.014 * r)
        for s in _SIDES
    ]
    return [
        Structure(muscle, MYOCARDIUM, inner),
        *(Structure(shape, BLOOD, inner) for shape in (left, right, *atria)),
        *(Structure(piece, VALVE, inner) for valve in valves for piece in valve),
    ]


def _ribs(trunk: Trunk) -> list[Structure]:
    """Rings of bone that fall towards the front, where cartilage takes over."""
    slope = trunk.local.toward(0, 0.05, 1)
    painted: list[Structure] = []
    for z in np.linspace(-0.15, 1.75, _RIBS):
        narrow = float(np.sqrt(max(1 - ((z - 0.85) / 1.6) ** 2, 0.1)))
        inset = (trunk.wall_mm + 0.2) / trunk.r
        local = Local.of(trunk.at(0, 0, float(z)), slope, trunk.local.axes[1])
        semi = ((0.92 * narrow - inset) * trunk.r, (0.86 * narrow - inset) * trunk.r)
        painted.append(Structure(Hoop(local, semi, 0.042 * trunk.r, 0.25), RIB))
    return painted


def _spine(trunk: Trunk) -> list[Structure]:
    """Three centres of bone a vertebra, the body in front and an arch on either side, about the canal."""
    zone = zone_index("spine")
    line = [trunk.at(0, _back(z), z) for z in (TOP, 1.0, 0.0, -1.0, BOTTOM + 0.1)]
    painted = [Structure(part, CARTILAGE, zone) for part in tube(line, 0.16 * trunk.r)]
    for z in np.linspace(BOTTOM + 0.2, TOP - 0.05, _VERTEBRAE):
        y = _back(float(z))
        body = trunk.ellipsoid((0, y + 0.06, float(z)), (0.085, 0.075, 0.055))
        arches = [trunk.ellipsoid((s * 0.115, y - 0.10, float(z)), (0.045, 0.065, 0.045)) for s in _SIDES]
        painted += [Structure(shape, RIB, zone) for shape in (body, *arches)]
    return painted


def _back(z: float) -> float:
    """How far behind the middle the spine runs, in r: it bends forward at both ends."""
    return SPINE_AT + 0.10 * abs(z / 2) ** 2

"""The head: skull, and what the three axial planes of the brain pass through.

Half widths b (across), o (front to back) and h (up) of the skull are the units. The three planes lie within
a few millimetres and 20 degrees: the trans-thalamic through the centre, the trans-ventricular 0.3 b above it,
the trans-cerebellar turned down behind, about the cavum septi pellucidi, which all three show.
"""

from dataclasses import dataclass

import numpy as np

from sonoprior.cases.phantom.geometry import Capsule, Ellipsoid, Shape, Sheet, Union, Vector, ball, bent, tube
from sonoprior.cases.phantom.tissue import NO_ZONE, Structure

from .biometry import Biometry
from .shapes import Local, Within, pipe
from .tissue import (
    BONE,
    BRAIN,
    CAVUM,
    CEREBELLUM,
    CHOROID,
    CISTERN,
    EYE,
    FALX,
    FLESH,
    RIM,
    SKIN,
    SKULL,
    SULCUS,
    THALAMUS,
    THIRD,
    VENTRICLE,
    VERMIS,
    zone_index,
)

SIDES = (-1, 1)
_RIM_MM = 0.9  # of bright lining around the cerebellum
CAVUM_AT = (0.42, 0.10)
"""The cavum septi pellucidi: shares of o in front of the centre and of b above it."""
CEREBELLUM_AT = (-0.54, -0.40)
"""The cerebellum, as the cavum."""
VENTRICLE_AT = 0.30
"""Height of the lateral ventricles, share of b."""


@dataclass(frozen=True)
class Head:
    """A drawn head.

    Attributes:
        local: its coordinates, about the middle of the skull.
        half: (b, o, h) of the skull's outer surface, mm.
        bone_mm: thickness of the skull.
        tcd: diameter of the cerebellum, mm.
        atrium: width of the lateral ventricles, mm.
        cavum: half sizes of the cavum septi pellucidi, mm.
        cistern: depth of the cisterna magna, mm.
        folds: places of sulci, each (3,) mm in the mother's coordinates, and how far they go inwards.
    """

    local: Local
    half: tuple[float, float, float]
    bone_mm: float
    tcd: float
    atrium: float
    cavum: tuple[float, float, float]
    cistern: float
    folds: tuple[tuple[Vector, Vector], ...]

    def at(self, x: float, y: float, z: float) -> Vector:
        """A place by shares of b, o and b."""
        b, o, _ = self.half
        return self.local.at(x * b, y * o, z * b)


def draw_head(rng: np.random.Generator, size: Biometry, local: Local) -> Head:
    """A head of a fetus's size in given coordinates."""
    b, o = size.bpd_outer / 2, size.ofd / 2
    half = (b, o, b * rng.uniform(0.92, 1.0))
    grown = (size.weeks - 18) / 18
    return Head(
        local=local,
        half=half,
        bone_mm=1.3 + 1.0 * grown,
        tcd=size.tcd,
        atrium=size.atrium,
        cavum=(0.075 * b * rng.uniform(0.85, 1.25), 0.13 * o, 0.32 * b),
        cistern=rng.uniform(4.0, 7.5),
        folds=tuple(_fold(rng, half, local) for _ in range(round(26 * grown))),
    )


def _fold(rng: np.random.Generator, half: tuple[float, float, float], local: Local) -> tuple[Vector, Vector]:
    """A sulcus: from the brain's surface inwards."""
    direction = rng.standard_normal(3)
    direction[0] = np.sign(direction[0]) * (abs(direction[0]) + 0.4)
    direction /= np.linalg.norm(direction)
    outer = 0.93 * direction * np.array(half)
    inner = outer * rng.uniform(0.78, 0.90) + rng.normal(0, 0.03 * half[0], 3)
    return local.at(*outer), local.at(*inner)


def head_structures(head: Head) -> list[Structure]:
    """The head, from the outside in."""
    b, o, h = head.half
    local, bone = head.local, head.bone_mm
    scalp = local.ellipsoid((0, 0, 0), (b + 2.2, o + 2.2, h + 2.2))
    skull = local.ellipsoid((0, 0, 0), head.half)
    brain = local.ellipsoid((0, 0, 0), (b - bone, o - bone, h - bone))
    return [
        *_face(head),
        Structure(scalp, SKIN),
        Structure(skull, SKULL, zone_index("skull")),
        Structure(brain, BRAIN, zone_index("brain")),
        *(Structure(Capsule(*fold, 0.5, 0.4), SULCUS, zone_index("brain")) for fold in head.folds),
        *_insula(head),
        Structure(_midline(head), FALX, zone_index("midline echo")),
        *_posterior_fossa(head, brain),
        *_ventricles(head),
        *_middle(head),
    ]


def _midline(head: Head) -> Sheet:
    """The falx and the interhemispheric fissure: a sheet from front to back."""
    _, o, h = head.half
    across, ahead, up = head.local.axes
    axes = np.stack([ahead, across, up])
    semi = np.array([0.93 * o, 10.0, 0.93 * h])
    return Sheet(Ellipsoid(head.at(0, 0, 0), axes, semi), 0.9)


def _insula(head: Head) -> list[Structure]:
    """The Sylvian fissure of either side: a short bright line along the skull."""
    lines = (
        bent(head.at(s * 0.60, -0.10, 0.0), head.at(s * 0.70, 0.14, 0.0), head.at(s * 0.60, 0.36, 0.0), 3)
        for s in SIDES
    )
    return [
        Structure(part, SULCUS, zone_index("brain"))
        for line in lines
        for part in tube(line, 0.022 * head.half[0])
    ]


def _posterior_fossa(head: Head, brain: Ellipsoid) -> list[Structure]:
    """Cisterna magna, cerebellum with two lobes, and the vermis between them."""
    b, o, _ = head.half
    y, z = CEREBELLUM_AT
    lobe = (0.29 * head.tcd, 0.21 * head.tcd, 0.25 * head.tcd)
    back = y * o - 0.35 * lobe[1] - 0.5 * head.cistern
    pool = head.local.ellipsoid(
        (0, back, z * b), (0.58 * head.tcd, 1.05 * lobe[1] + 0.6 * head.cistern, lobe[2] + 2)
    )
    painted = [Structure(Within(pool, brain), CISTERN, zone_index("cisterna magna"))]
    for side in SIDES:
        centre = (side * 0.235 * head.tcd, y * o, z * b)
        rim = head.local.leaning(
            centre, (lobe[0] + _RIM_MM, lobe[1] + _RIM_MM, lobe[2]), (1, -0.25 * side, 0)
        )
        shape = head.local.leaning(centre, lobe, (1, -0.25 * side, 0))
        painted += [Structure(rim, RIM), Structure(shape, CEREBELLUM, zone_index("cerebellum"))]
    vermis = head.local.ellipsoid((0, y * o + 0.02 * o, z * b), (0.10 * head.tcd, 0.16 * head.tcd, lobe[2]))
    return [*painted, Structure(vermis, VERMIS, zone_index("cerebellum"))]


def _ventricles(head: Head) -> list[Structure]:
    """Frontal horn, body, atrium and occipital horn of either side, with the choroid plexus in the atrium."""
    painted: list[Structure] = []
    for s in SIDES:
        for shape in _ventricle(head, s):
            painted += [Structure(shape, VENTRICLE, zone_index("lateral ventricle"))]
        z, radius = VENTRICLE_AT, head.atrium / 2
        front, back = head.at(s * 0.27, -0.10, z), head.at(s * 0.43, -0.38, z)
        plexus = Capsule(front, back, 0.6 * radius, 0.85 * radius)
        painted.append(Structure(plexus, CHOROID, zone_index("choroid plexus")))
    return painted


def _ventricle(head: Head, side: int) -> list[Union]:
    """The front and the back half of one ventricle, each higher than wide: two tubes one above the other."""
    s, r = side, head.atrium / 2
    front: list[Shape] = []
    back: list[Shape] = []
    for z in (VENTRICLE_AT - 0.06, VENTRICLE_AT + 0.05):
        body = head.at(s * 0.30, -0.2, z)
        front.append(
            pipe(bent(head.at(s * 0.20, 0.54, z), head.at(s * 0.10, 0.2, z), body, 3), 0.7 * r, 0.85 * r)
        )
        back.append(pipe(bent(body, head.at(s * 0.52, -0.40, z), head.at(s * 0.40, -0.66, z), 3), r, 0.8 * r))
    return [Union(tuple(halves), blend=0.5 * r) for halves in (front, back)]


def _middle(head: Head) -> list[Structure]:
    """Thalami with the third ventricle between them, and the cavum septi pellucidi."""
    b, o, _ = head.half
    thalami = [
        Structure(
            head.local.leaning(
                (s * 0.20 * b, -0.05 * o, -0.10 * b), (0.25 * o, 0.21 * b, 0.27 * b), (-0.35 * s, 1, 0)
            ),
            THALAMUS,
            zone_index("thalami"),
        )
        for s in SIDES
    ]
    slit = head.local.ellipsoid((0, -0.04 * o, -0.10 * b), (0.7, 0.16 * o, 0.2 * b))
    y, z = CAVUM_AT
    cavum = head.local.ellipsoid((0, y * o, z * b), head.cavum)
    return [
        *thalami,
        Structure(slit, THIRD, zone_index("thalami")),
        Structure(cavum, CAVUM, zone_index("cavum septi pellucidi")),
    ]


def _face(head: Head) -> list[Structure]:
    """Flesh, jaws, nose and eyes in front and below."""
    b, o, _ = head.half
    local = head.local
    flesh = local.ellipsoid((0, 0.60 * o, -0.72 * b), (0.62 * b, 0.40 * o, 0.62 * b))
    neck = Capsule(head.at(0, -0.25, -0.6), head.at(0, -0.35, -1.6), 0.55 * b, 0.55 * b)
    nose = ball(head.at(0, 1.02, -0.62), 0.12 * b)
    lips = [ball(head.at(0, 0.97, z), 0.09 * b) for z in (-0.86, -1.0)]
    chin = ball(head.at(0, 0.86, -1.2), 0.13 * b)
    jaws = [
        tube(bent(head.at(-0.36, 0.5, z), head.at(0, y, z), head.at(0.36, 0.5, z), 4), 0.05 * b)
        for y, z in ((1.24, -0.82), (1.12, -1.14))
    ]
    bridge = Capsule(head.at(0, 0.93, -0.38), head.at(0, 1.0, -0.56), 0.03 * b, 0.03 * b)
    eyes = [ball(head.at(s * 0.36, 0.72, -0.50), 0.165 * b) for s in SIDES]
    return [
        Structure(neck, FLESH),
        *(Structure(shape, SKIN) for shape in (flesh, nose, *lips, chin)),
        Structure(
            Within(flesh, local.ellipsoid((0, 0.58 * o, -0.72 * b), (0.56 * b, 0.36 * o, 0.56 * b))), FLESH
        ),
        *(Structure(part, BONE, NO_ZONE) for jaw in jaws for part in jaw),
        Structure(bridge, BONE),
        *(Structure(eye, EYE) for eye in eyes),
    ]

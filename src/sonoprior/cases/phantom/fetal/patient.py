"""A patient: a mother and her fetus, drawn once as one model out of which all her planes are cut."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sonoprior.cases.phantom.geometry import FRONT, HEAD, LEFT, Ellipsoid, Vector, turned, unit
from sonoprior.cases.phantom.section import Body, Waves
from sonoprior.cases.phantom.tissue import Structure, Tissue
from sonoprior.core.randomness import generator

from .biometry import Biometry, draw_biometry
from .head import Head, draw_head, head_structures
from .limbs import Limb, draw_arms, draw_legs, limb_structures
from .mother import Mother, cord_structures, draw_mother, uterus_structures
from .shapes import Local
from .trunk import BOTTOM, TOP, Trunk, draw_trunk, trunk_structures

_LIES = {"cephalic": 0.80, "breech": 0.16, "transverse": 0.04}
_ECHO_DB = 1.2  # by which the same tissue differs between patients
_FLUID = 0.1  # dB/cm/MHz; what attenuates less is fluid


@dataclass(frozen=True)
class Patient:
    """One patient, whole.

    Attributes:
        size: of the fetus.
        lie: cephalic, breech or transverse.
        head, trunk, legs, arms: the fetus; legs and arms right and left.
        mother: who carries it.
        seed: for what fills her in.
        attenuation: how strongly tissue attenuates, against the table's.
    """

    size: Biometry
    lie: str
    head: Head
    trunk: Trunk
    legs: tuple[Limb, Limb]
    arms: tuple[Limb, Limb]
    mother: Mother
    seed: int
    attenuation: float

    @cached_property
    def body(self) -> Body:
        """What a section cuts, without the wall that a probe touches."""
        rng = generator(self.seed, "body")
        background = Tissue(rng.normal(2, 1.5), 0.5 * self.attenuation, rng.uniform(2.5, 4.0), wall=2.0)
        return Body(
            structures=self._personal(self._structures(), rng),
            background=background,
            warp=Waves.draw(rng, (28, 70), 8, 3),
            warp_mm=rng.uniform(0.4, 0.8),
            texture=Waves.draw(rng, (3.0, 18), 24, 1),
            layers=Waves.draw(rng, (9, 40), 16, 1),
        )

    def _structures(self) -> list[Structure]:
        return [
            *uterus_structures(self.mother),
            *cord_structures(self.mother),
            *(part for arm in self.arms for part in limb_structures(arm)),
            *trunk_structures(self.trunk),
            *(part for leg in self.legs for part in limb_structures(leg)),
            *head_structures(self.head),
        ]

    def _personal(self, structures: list[Structure], rng: np.random.Generator) -> list[Structure]:
        """The same structures of her own tissue: brighter or darker, more or less attenuating."""
        kinds = {structure.tissue: None for structure in structures}
        own = {tissue: self._varied(tissue, rng.normal(0, _ECHO_DB)) for tissue in kinds}
        return [Structure(part.shape, own[part.tissue], part.zone) for part in structures]

    def _varied(self, tissue: Tissue, echo_db: float) -> Tissue:
        if tissue.attenuation < _FLUID:
            return tissue
        more = tissue.attenuation * self.attenuation
        return replace(tissue, attenuation=more, echo_db=tissue.echo_db + echo_db)


def draw_patient(seed: int, number: int) -> Patient:
    """Patient `number` of the population of a seed."""
    rng = generator(seed, "fetal patient", number)
    size = draw_biometry(rng)
    lie = str(rng.choice(list(_LIES), p=list(_LIES.values())))
    room = _room(rng, size, lie)
    up = _upward(rng, lie)
    trunk_at = Local.of(_trunk_centre(rng, size, room, up), up, _front(rng, up))
    trunk = draw_trunk(rng, size.trunk_radius, size.weeks, trunk_at)
    return Patient(
        size=size,
        lie=lie,
        head=draw_head(rng, size, _head_at(rng, size, trunk)),
        trunk=trunk,
        legs=draw_legs(rng, trunk, size.fl, room),
        arms=draw_arms(rng, trunk, size.fl, room),
        mother=draw_mother(rng, room),
        seed=int(rng.integers(2**31)),
        attenuation=float(rng.uniform(0.9, 1.15)),
    )


def _length(size: Biometry) -> float:
    """From crown to rump, curled up, mm."""
    return (TOP - BOTTOM) * size.trunk_radius + 0.92 * size.bpd


def _room(rng: np.random.Generator, size: Biometry, lie: str) -> Ellipsoid:
    """A cavity that holds the fetus and, earlier on, much fluid; its long axis follows the lie."""
    fluid = rng.uniform(0.7, 1.3) * np.interp(size.weeks, [18, 36], [16.0, 12.0])
    r = size.trunk_radius
    semi = np.array([1.45 * r + fluid, 1.32 * r + fluid, _length(size) / 2 + fluid + 4])
    return Ellipsoid(np.zeros(3), np.eye(3), semi[[2, 1, 0]] if lie == "transverse" else semi)


def _upward(rng: np.random.Generator, lie: str) -> Vector:
    """Which way the fetus's head points."""
    up = {"cephalic": -HEAD, "breech": HEAD, "transverse": LEFT}[lie]
    return turned(turned(up, FRONT, rng.normal(0, 8)), LEFT, rng.normal(0, 4))


def _front(rng: np.random.Generator, up: Vector) -> Vector:
    """Which way its belly looks: any."""
    return turned(unit(np.cross(up, FRONT)), up, float(rng.uniform(-180, 180)))


def _trunk_centre(rng: np.random.Generator, size: Biometry, room: Ellipsoid, up: Vector) -> Vector:
    """Where the trunk's middle is, so that head and trunk together are in the middle of the uterus."""
    sink = rng.uniform(-0.5, 0.9) * (room.semi[1] - 1.15 * size.trunk_radius)
    return room.centre - 0.40 * size.bpd * up + sink * FRONT


def _head_at(rng: np.random.Generator, size: Biometry, trunk: Trunk) -> Local:
    """The head above the trunk, bent forward, turned so that one of its sides looks to the mother's front."""
    b = size.bpd / 2
    middle = trunk.at(0, 0.16, TOP) + 0.85 * b * trunk.local.axes[2]
    up = unit(trunk.local.axes[2] + 0.15 * trunk.local.axes[1])
    across = float(rng.choice([-1, 1])) * turned(np.cross(FRONT, up), up, rng.normal(0, 24))
    facing = across if across @ trunk.local.axes[1] > -0.2 else -across
    return Local.of(middle, up, facing)

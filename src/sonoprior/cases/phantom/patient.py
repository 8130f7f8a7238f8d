"""A patient: drawn once, as one three-dimensional model from which every frame of her exam is cut."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sonoprior.core.randomness import generator

from .adnexa import SIDES, Adnexa, adnexa_structures, draw_adnexa, interstitial_structures, ring_around
from .geometry import Ellipsoid, Vector, local_axes, unit
from .gestation import (
    Gestation,
    draw_gestation,
    gestation_structures,
    retained_structures,
    sac_diameter_mm,
)
from .section import Body, Waves
from .surroundings import Surroundings, behind_structures, draw_surroundings, wall_structures
from .tissue import MYOMETRIUM, PARAMETRIUM, Structure, Tissue, zone_index
from .uterus import Uterus, draw_uterus, uterus_structures


@dataclass(frozen=True)
class Situation:
    """Where a pregnancy is and how it fares.

    Attributes:
        site: normal, isthmic, ampullary, interstitial, cervical, ovarian, scar, abdominal or horn.
        outcome: live, demise, empty, incomplete or molar.
        share: of the patients.
        days: youngest and oldest gestational age.
        disorder: its name.
    """

    site: str
    outcome: str
    share: float
    days: tuple[float, float]
    disorder: str


SITUATIONS = (
    Situation("normal", "live", 0.44, (36, 80), "normally sited pregnancy"),
    Situation("normal", "demise", 0.10, (46, 72), "early embryonic demise"),
    Situation("normal", "empty", 0.04, (46, 66), "anembryonic pregnancy"),
    Situation("normal", "incomplete", 0.06, (42, 70), "incomplete miscarriage"),
    Situation("normal", "molar", 0.04, (50, 78), "molar pregnancy"),
    Situation("isthmic", "live", 0.05, (38, 54), "isthmic tubal pregnancy"),
    Situation("ampullary", "demise", 0.08, (38, 56), "ampullary tubal pregnancy"),
    Situation("interstitial", "live", 0.05, (40, 60), "interstitial pregnancy"),
    Situation("cervical", "live", 0.02, (38, 54), "cervical pregnancy"),
    Situation("ovarian", "demise", 0.02, (38, 50), "ovarian pregnancy"),
    Situation("scar", "live", 0.05, (38, 62), "caesarean scar pregnancy"),
    Situation("abdominal", "live", 0.02, (44, 66), "abdominal pregnancy"),
    Situation("horn", "live", 0.03, (40, 62), "rudimentary horn pregnancy"),
)
ABDOMINAL = 0.04
"""Share of patients scanned through the abdominal wall: of 3,022 real images 3 % came by the rarer route."""

_IN_CAVITY = {"normal"}
_ECHO_DB = 1.5  # by which the same tissue differs between patients
_FLUID = 0.1  # dB/cm/MHz; what attenuates less is fluid
_BLEEDING = {"isthmic", "ampullary", "ovarian", "abdominal", "interstitial"}


@dataclass(frozen=True)
class Patient:
    """One patient, whole.

    Attributes:
        situation: of the pregnancy.
        side: of the pregnancy where it has one, and of the corpus luteum: "left" or "right".
        abdominal: scanned through the abdominal wall over a full bladder, not through the vagina.
        gestation: None after an incomplete miscarriage.
        horn: a rudimentary horn, where there is one.
        seed: for what fills her in.
        attenuation: how strongly her tissue attenuates, against the table's.
    """

    situation: Situation
    side: str
    abdominal: bool
    uterus: Uterus
    adnexa: dict[str, Adnexa]
    around: Surroundings
    gestation: Gestation | None
    horn: Ellipsoid | None
    seed: int
    attenuation: float

    @cached_property
    def body(self) -> Body:
        """What a section cuts."""
        rng = generator(self.seed, "body")
        background = Tissue(
            PARAMETRIUM.echo_db + rng.normal(0, 1.5),
            PARAMETRIUM.attenuation * self.attenuation,
            rng.uniform(2.0, 4.5),
            wall=rng.uniform(1.0, 4.0),
        )
        return Body(
            structures=self._personal(self._structures(rng), rng),
            background=background,
            warp=Waves.draw(rng, (28, 70), 8, 3),
            warp_mm=rng.uniform(0.8, 1.4),
            texture=Waves.draw(rng, (3.5, 22), 24, 1),
            layers=Waves.draw(rng, (9, 40), 16, 1),
        )

    def _personal(self, structures: list[Structure], rng: np.random.Generator) -> list[Structure]:
        """The same structures of her own tissue: brighter or darker, more or less attenuating."""
        kinds = {structure.tissue: None for structure in structures}
        own = {tissue: _varied(tissue, self.attenuation, rng.normal(0, _ECHO_DB)) for tissue in kinds}
        return [Structure(part.shape, own[part.tissue], part.zone) for part in structures]

    def _structures(self, rng: np.random.Generator) -> list[Structure]:
        painted = behind_structures(self.around)
        for adnexa in self.adnexa.values():
            painted += adnexa_structures(adnexa)
        if self.horn is not None:
            painted.append(Structure(self.horn, MYOMETRIUM, zone_index("uterus borders")))
        painted += uterus_structures(self.uterus)
        for adnexa in self.adnexa.values():
            painted += interstitial_structures(adnexa)
        return painted + self._pregnancy(rng) + wall_structures(self.around, self.abdominal)

    def _pregnancy(self, rng: np.random.Generator) -> list[Structure]:
        if self.gestation is None:
            return retained_structures(self.uterus.cavity, rng)
        inside = gestation_structures(self.gestation, decidua=self.situation.site in _IN_CAVITY)
        if self.situation.site not in {"isthmic", "ampullary"}:
            return inside
        outer = self.gestation.trophoblast
        return [ring_around(outer.centre, float(outer.semi.max()) + 1.5), *inside]


def _varied(tissue: Tissue, attenuation: float, echo_db: float) -> Tissue:
    if tissue.attenuation < _FLUID:
        return tissue
    return replace(tissue, attenuation=tissue.attenuation * attenuation, echo_db=tissue.echo_db + echo_db)


def draw_patient(seed: int, number: int, abdominal_share: float = ABDOMINAL) -> Patient:
    """Patient `number` of the population of a seed."""
    rng = generator(seed, "patient", number)
    shares = np.array([situation.share for situation in SITUATIONS])
    situation = SITUATIONS[int(rng.choice(len(SITUATIONS), p=shares / shares.sum()))]
    side = str(rng.choice(list(SIDES)))
    abdominal = bool(rng.random() < abdominal_share)
    days = float(rng.uniform(*situation.days))
    within = situation.site in _IN_CAVITY and situation.outcome != "incomplete"
    uterus = draw_uterus(rng, sac_diameter_mm(days) if within else 6.0, abdominal, situation.site == "scar")
    adnexa = {name: draw_adnexa(rng, uterus, sign, name == side) for name, sign in SIDES.items()}
    around = draw_surroundings(rng, uterus, abdominal, situation.site in _BLEEDING)
    horn = _horn(rng, uterus, SIDES[side]) if situation.site == "horn" else None
    gestation = None
    if situation.outcome != "incomplete":
        centre, axes = _place(rng, situation, uterus, adnexa[side], around, horn)
        gestation = draw_gestation(rng, days, centre, axes, situation.outcome)
    return Patient(
        situation=situation,
        side=side,
        abdominal=abdominal,
        uterus=uterus,
        adnexa=adnexa,
        around=around,
        gestation=gestation,
        horn=horn,
        seed=int(rng.integers(2**31)),
        attenuation=float(rng.uniform(0.85, 1.25)),
    )


def _horn(rng: np.random.Generator, uterus: Uterus, side: int) -> Ellipsoid:
    beside = uterus.cornu(side) + side * rng.uniform(8, 14) * uterus.body.axes[0]
    return Ellipsoid(beside, uterus.body.axes, rng.uniform(19, 24) * np.array([1.0, 0.9, 1.15]))


def _place(
    rng: np.random.Generator,
    situation: Situation,
    uterus: Uterus,
    adnexa: Adnexa,
    around: Surroundings,
    horn: Ellipsoid | None,
) -> tuple[Vector, Vector]:
    """Centre and axes of the sac by the site of the pregnancy."""
    side, frame = adnexa.side, uterus.body.axes
    free = local_axes(unit(rng.standard_normal(3)), unit(rng.standard_normal(3)))
    fundal = rng.uniform(0.0, 0.14) * uterus.body.semi[2] * uterus.axis + rng.normal(0, 1.5) * frame[0]
    canal = uterus.os + rng.uniform(0.4, 0.7) * (uterus.cervix.end - uterus.os)
    front = local_axes(uterus.canal)[1]
    beside = rng.uniform(0.9, 1.1) * float(adnexa.ovary.semi[1]) * unit(rng.standard_normal(3))
    places = {
        "normal": (uterus.body.centre + fundal, frame),
        "isthmic": (adnexa.along_tube(1 / 3), free),
        "ampullary": (adnexa.along_tube(5 / 6), free),
        "interstitial": (uterus.cornu(side) + 3 * side * frame[0], free),
        "cervical": (canal, local_axes(uterus.canal)),
        "ovarian": (adnexa.ovary.centre + beside, free),
        "scar": (uterus.cervix.end + 7 * front, local_axes(uterus.canal)),
        "abdominal": (around.pouch.centre + np.array([side * 14.0, -14.0, 30.0]), free),
        "horn": (horn.centre if horn is not None else uterus.body.centre, frame),
    }
    return places[situation.site]

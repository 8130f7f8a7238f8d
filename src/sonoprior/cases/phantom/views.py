"""The 18 views of an early-pregnancy exam, their groupings, and where the probe stands for each.

Views and meta-views are table 3.1 of the thesis on privileged information, the eight classes its section 1.2;
the two views of the pouch of Douglas belong to none of the eight.

What makes left and right visible: in a transverse view the uterus lies on the medial side of the ovary and
the iliac vessels on its lateral side, and the image's left is the patient's right unless the machine's
left-right key is pressed; its marker then stands on the right. In a longitudinal view of an ovary only the
bowel around tells (more gas on the left, where the sigmoid lies), so these two are told apart little better
than by chance. No body mark is drawn. In a sweep from ovary to ovary the order of the frames says the side.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .geometry import FRONT, HEAD, LEFT, Vector, turned, unit
from .patient import Patient
from .surroundings import probe_tip

META = (
    "adnexal view",
    "magnified view of the gestational sac",
    "uterus view",
    "bladder and vesicouterine fold view",
    "pouch of Douglas view",
)
PLANES = (
    "longitudinal uterus",
    "oblique uterus",
    "longitudinal cervix",
    "longitudinal bladder",
    "transverse uterus",
    "interstitial portion",
    "adnexa and ovary",
    "magnified gestational sac",
)


@dataclass(frozen=True)
class Aim:
    """What a view looks at.

    Attributes:
        target: what stands on the middle beam, mm.
        across: which way the image should run from left to right.
        roll_deg: spread of the probe's rotation about its own axis.
        magnified: how often the operator magnifies.
        extent_mm: size of what is looked at; a magnified picture is at least as high.
    """

    target: Vector
    across: Vector
    roll_deg: float = 7.0
    magnified: float = 0.2
    extent_mm: float = 40.0


Finder = Callable[[Patient, np.random.Generator], Aim | None]


@dataclass(frozen=True)
class View:
    """A view of table 3.1.

    Attributes:
        name: as in the table.
        meta: its group there.
        plane: its class among the eight, or None.
        images: how often it is named among 2,311 real images of such exams.
        find: where to aim in a patient; None where she has no such thing.
    """

    name: str
    meta: str
    plane: str | None
    images: int
    find: Finder


def sagittal(patient: Patient) -> Vector:
    """Image right in a longitudinal view: backwards through the vagina, downwards through the abdomen."""
    return -HEAD if patient.abdominal else -FRONT


def _along(patient: Patient, axis: Vector) -> Vector:
    """The axis of an organ, pointing the way a longitudinal image runs."""
    across = sagittal(patient)
    leaning = axis if axis @ across > 0 else -axis
    return unit(leaning + 0.6 * across)


def _longitudinal_uterus(patient: Patient, rng: np.random.Generator) -> Aim:
    uterus = patient.uterus
    target = uterus.body.centre - rng.uniform(0.0, 0.5) * uterus.body.semi[2] * uterus.axis
    return Aim(target, _along(patient, uterus.axis), 4, 0.05, 75)


def _oblique_uterus(patient: Patient, rng: np.random.Generator) -> Aim:
    uterus = patient.uterus
    share = rng.choice([-1, 1]) * rng.uniform(32, 54)
    target = uterus.body.centre + rng.normal(0, 5, 3)
    beam = unit(target - probe_tip(uterus, target, patient.around, patient.abdominal))
    return Aim(target, turned(_along(patient, uterus.axis), beam, float(share)), 4, 0.06, 65)


def _transverse_uterus(patient: Patient, rng: np.random.Generator) -> Aim:
    uterus = patient.uterus
    target = uterus.body.centre + rng.uniform(-0.3, 0.35) * uterus.body.semi[2] * uterus.axis
    return Aim(target, LEFT, 5, 0.06, 60)


def _cervix(patient: Patient, rng: np.random.Generator) -> Aim:
    cervix = patient.uterus.cervix
    target = cervix.start + rng.uniform(0.3, 0.7) * (cervix.end - cervix.start)
    return Aim(target, _along(patient, patient.uterus.canal), 6, 0.75, 40)


def _bladder(patient: Patient, rng: np.random.Generator) -> Aim:
    bladder = patient.around.bladder
    extent = max(2.0 * float(bladder.semi.max()), 30.0)
    return Aim(bladder.centre + rng.normal(0, 2.5, 3), sagittal(patient), 6, 0.8, extent)


def _interstitial(side: str) -> Finder:
    def find(patient: Patient, rng: np.random.Generator) -> Aim:
        path = patient.adnexa[side].interstitial
        along = path[-1] - path[0]
        across = along if along @ LEFT > 0 else -along
        return Aim(path[0] + rng.uniform(0.2, 0.8) * along, unit(across), 6, 0.75, 35)

    return find


def _tubal_interstitial(side: str) -> Finder:
    def find(patient: Patient, rng: np.random.Generator) -> Aim:
        adnexa = patient.adnexa[side]
        along = adnexa.tube[1] - adnexa.interstitial[0]
        across = along if along @ LEFT > 0 else -along
        return Aim(adnexa.tube[0] + rng.uniform(-0.1, 0.4) * along, unit(across), 6, 0.75, 35)

    return find


def _adnexa(side: str, across: Callable[[Patient], Vector]) -> Finder:
    def find(patient: Patient, rng: np.random.Generator) -> Aim:
        ovary = patient.adnexa[side].ovary
        return Aim(ovary.centre + rng.normal(0, 3, 3), across(patient), 11, 0.75, 38)

    return find


def _sac(patient: Patient, rng: np.random.Generator) -> Aim | None:
    if patient.gestation is None:
        return None
    sac = patient.gestation.sac
    across = LEFT if rng.random() < 0.4 else _along(patient, sac.axes[2])
    target = sac.centre + rng.normal(0, 0.12, 3) * sac.semi
    return Aim(target, across, 20, 0.92, 2.1 * float(sac.semi.max()) + 8)


def _embryo(patient: Patient, rng: np.random.Generator) -> Aim | None:
    found = patient.gestation
    if found is None or found.embryo_mm < 3:
        return None
    axis = found.embryo_axes[2]
    across = axis if axis @ sagittal(patient) > 0 else -axis
    return Aim(found.embryo_centre + rng.normal(0, 0.5, 3), across, 5, 0.92, 1.5 * found.embryo_mm + 8)


def _trophoblast(patient: Patient, rng: np.random.Generator) -> Aim | None:
    found = patient.gestation
    if found is None:
        return None
    target = found.sac.centre + 0.8 * (found.chorion @ found.sac.axes.T * found.sac.semi) @ found.sac.axes
    extent = max(1.5 * float(found.sac.semi.max()), 24.0)
    return Aim(target + rng.normal(0, 1.5, 3), _along(patient, found.chorion), 25, 0.92, extent)


def _pouch(across: Callable[[Patient], Vector]) -> Finder:
    def find(patient: Patient, rng: np.random.Generator) -> Aim:
        return Aim(patient.around.pouch.centre + rng.normal(0, 3, 3), across(patient), 7, 0.25, 45)

    return find


def _leftwards(_: Patient) -> Vector:
    return LEFT


VIEWS = (
    View("transverse view of right adnexa", META[0], PLANES[6], 162, _adnexa("right", _leftwards)),
    View("transverse view of left adnexa", META[0], PLANES[6], 192, _adnexa("left", _leftwards)),
    View("longitudinal view of right adnexa", META[0], PLANES[6], 155, _adnexa("right", sagittal)),
    View("longitudinal view of left adnexa", META[0], PLANES[6], 190, _adnexa("left", sagittal)),
    View("magnified view of the gestational sac", META[1], PLANES[7], 390, _sac),
    View("longitudinal view of the embryo", META[1], PLANES[7], 73, _embryo),
    View("magnified view of the trophoblast", META[1], PLANES[7], 32, _trophoblast),
    View("longitudinal view of the uterus", META[2], PLANES[0], 322, _longitudinal_uterus),
    View("oblique view of the uterus", META[2], PLANES[1], 256, _oblique_uterus),
    View("longitudinal view of cervix", META[2], PLANES[2], 151, _cervix),
    View("transverse view on uterus", META[2], PLANES[4], 137, _transverse_uterus),
    View("left interstitial portion view", META[2], PLANES[5], 63, _interstitial("left")),
    View("right interstitial portion view", META[2], PLANES[5], 53, _interstitial("right")),
    View("right tubal interstitial portion", META[2], PLANES[5], 23, _tubal_interstitial("right")),
    View("left tubal interstitial portion", META[2], PLANES[5], 24, _tubal_interstitial("left")),
    View("longitudinal view of bladder", META[3], PLANES[3], 114, _bladder),
    View("transverse view of Pouch of Douglas", META[4], None, 13, _pouch(_leftwards)),
    View("longitudinal view of Pouch of Douglas", META[4], None, 16, _pouch(sagittal)),
)
BY_NAME = {view.name: view for view in VIEWS}
MIRRORED = [[name, name.replace("left", "right")] for name in BY_NAME if "left" in name]

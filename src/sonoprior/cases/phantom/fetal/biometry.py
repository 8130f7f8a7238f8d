"""How large a fetus is at an age: growth curves of the textbooks, in millimetres.

[0] Hadlock, Deter, Harrist, Park: Estimating fetal age: computer-assisted analysis of multiple fetal growth
    parameters. Radiology 152:497-501, 1984.
"""

from dataclasses import dataclass

import numpy as np

WEEKS = (18.0, 36.0)
"""Youngest and oldest gestational age of a patient, in weeks after the last period."""
_ATRIUM_MM = 7.0  # the lateral ventricle's atrium is about as wide at every age
_BONE_MM = 2.0  # of the far side of the skull
_SPREAD = 0.035  # standard deviation of a fetus's size against the mean of its age
_FORM = 0.02  # of its breadth at the same circumference: long heads and round ones


@dataclass(frozen=True)
class Biometry:
    """The measures of one fetus.

    Attributes:
        weeks: gestational age.
        bpd: biparietal diameter.
        hc: circumference of the head.
        ac: circumference of the abdomen.
        fl: length of the femur's shaft.
        tcd: diameter of the cerebellum across.
        atrium: width of the lateral ventricle.
    """

    weeks: float
    bpd: float
    hc: float
    ac: float
    fl: float
    tcd: float
    atrium: float

    @property
    def bpd_outer(self) -> float:
        """Outer width of the skull: the biparietal diameter ends at the far bone's inner edge."""
        return self.bpd + _BONE_MM

    @property
    def ofd(self) -> float:
        """Occipitofrontal diameter: the second axis of an ellipse of this circumference, pi / 2 (a + b)."""
        return 2 * self.hc / np.pi - self.bpd_outer

    @property
    def trunk_radius(self) -> float:
        """Radius of a circle of the abdomen's circumference."""
        return self.ac / (2 * np.pi)


def bpd_mm(weeks: float) -> float:
    """Mean biparietal diameter at an age [0]."""
    return 10 * (-3.08 + 0.41 * weeks - 0.000061 * weeks**3)


def hc_mm(weeks: float) -> float:
    """Mean circumference of the head at an age [0]."""
    return 10 * (-11.48 + 1.56 * weeks - 0.0002548 * weeks**3)


def ac_mm(weeks: float) -> float:
    """Mean circumference of the abdomen at an age [0]."""
    return 10 * (-13.3 + 1.61 * weeks - 0.00998 * weeks**2)


def fl_mm(weeks: float) -> float:
    """Mean length of the femur's shaft at an age [0]."""
    return 10 * (-3.91 + 0.427 * weeks - 0.0034 * weeks**2)


def tcd_mm(weeks: float) -> float:
    """Diameter of the cerebellum: about the weeks in millimetres at 20 weeks, then 1.5 mm a week."""
    return 20 + 1.5 * (weeks - 20)


def draw_biometry(rng: np.random.Generator) -> Biometry:
    """A fetus of any age in `WEEKS`; one that is large is mostly large all over."""
    weeks = float(rng.uniform(*WEEKS))
    common = rng.normal(0, _SPREAD)
    head, belly, bone = (float(np.exp(common + rng.normal(0, 0.4 * _SPREAD))) for _ in range(3))
    return Biometry(
        weeks=weeks,
        bpd=head * float(np.exp(rng.normal(0, _FORM))) * bpd_mm(weeks),
        hc=head * hc_mm(weeks),
        ac=belly * ac_mm(weeks),
        fl=bone * fl_mm(weeks),
        tcd=head * tcd_mm(weeks),
        atrium=float(np.clip(rng.normal(_ATRIUM_MM, 0.7), 5.0, 9.5)),
    )

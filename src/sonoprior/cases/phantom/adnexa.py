"""Beside the uterus: ovaries with their follicles, tubes, and the vessels along the pelvic wall."""

from dataclasses import dataclass

import numpy as np

from .geometry import FRONT, HEAD, LEFT, Capsule, Ellipsoid, Vector, ball, bent, local_axes, tube, unit
from .tissue import (
    CORPUS_LUTEUM,
    FOLLICLE,
    KEEP,
    LUTEAL_CORE,
    OVARY,
    TUBE_LINE,
    TUBE_WALL,
    VESSEL,
    Structure,
    zone_index,
)
from .uterus import Uterus

SIDES = {"left": 1, "right": -1}
_INTERSTITIAL_PIECES = 2
_TUBE_PIECES = 6


@dataclass(frozen=True)
class Adnexa:
    """Ovary and tube of one side.

    Attributes:
        side: +1 for the patient's left, -1 for her right.
        ovary: its surface.
        follicles: fluid inside it.
        corpus_luteum: on the side that ovulated.
        interstitial: the tube's way through the wall of the uterus, points from inside to outside.
        tube: from the wall of the uterus to the ovary.
        tube_mm: its radius where it leaves the uterus.
        vessels: along the pelvic wall, lateral to the ovary.
    """

    side: int
    ovary: Ellipsoid
    follicles: tuple[Ellipsoid, ...]
    corpus_luteum: Ellipsoid | None
    interstitial: tuple[Vector, ...]
    tube: tuple[Vector, ...]
    tube_mm: float
    vessels: tuple[Capsule, ...]

    def along_tube(self, share: float) -> Vector:
        """A place on the tube; 0 at the uterus, 1 at the ovary."""
        return self.tube[round(share * (len(self.tube) - 1))]


def draw_adnexa(rng: np.random.Generator, uterus: Uterus, side: int, ovulated: bool) -> Adnexa:
    """Ovary and tube of one side of a uterus."""
    ovary = _ovary(rng, uterus, side)
    horn, cornu = uterus.horn(side), uterus.cornu(side)
    middle = (cornu + ovary.centre) / 2 + rng.uniform(6, 16) * HEAD + rng.normal(0, 5, 3)
    end = ovary.centre + side * 0.9 * ovary.semi[0] * LEFT + rng.normal(0, 3, 3)
    corpus = _corpus_luteum(rng, ovary) if ovulated else None
    return Adnexa(
        side=side,
        ovary=ovary,
        follicles=_follicles(rng, ovary, corpus),
        corpus_luteum=corpus,
        interstitial=tuple(bent(horn, (horn + cornu) / 2, cornu, _INTERSTITIAL_PIECES)),
        tube=tuple(bent(cornu, middle, end, _TUBE_PIECES)),
        tube_mm=rng.uniform(2.0, 3.2),
        vessels=_vessels(rng, ovary, side),
    )


def _ovary(rng: np.random.Generator, uterus: Uterus, side: int) -> Ellipsoid:
    semi = np.array([rng.uniform(10, 14), rng.uniform(9, 13), rng.uniform(14, 20)])
    away = max(float(uterus.body.semi[0]) + semi[0] + rng.uniform(0, 9), 28.0)
    centre = np.array([side * away, rng.uniform(-20, 6), rng.uniform(24, 50)])
    centre[0] += 0.5 * (uterus.body.centre[0])
    up = unit(rng.normal(0, 0.45, 3) + HEAD)
    return Ellipsoid(centre, local_axes(up), semi)


def _corpus_luteum(rng: np.random.Generator, ovary: Ellipsoid) -> Ellipsoid:
    radius = min(rng.uniform(5.5, 9.5), 0.8 * float(ovary.semi.min()))
    place = ovary.centre + (rng.uniform(-0.3, 0.3, 3) * ovary.semi) @ ovary.axes
    return Ellipsoid(place, ovary.axes, radius * rng.uniform(0.9, 1.1, 3))


def _follicles(rng: np.random.Generator, ovary: Ellipsoid, corpus: Ellipsoid | None) -> tuple[Ellipsoid, ...]:
    found: list[Ellipsoid] = []
    for _ in range(int(rng.integers(6, 18))):
        radius = float(np.clip(rng.gamma(4, 0.85), 1.2, 7.5))
        direction = unit(rng.standard_normal(3))
        place = ovary.centre + (direction * np.maximum(ovary.semi - radius - 1.0, 1.0) * 0.9) @ ovary.axes
        others = [*found, corpus] if corpus is not None else found
        if all(np.linalg.norm(place - other.centre) > radius + other.semi.max() for other in others):
            found.append(Ellipsoid(place, np.eye(3), radius * rng.uniform(0.85, 1.15, 3)))
    return tuple(found)


def _vessels(rng: np.random.Generator, ovary: Ellipsoid, side: int) -> tuple[Capsule, ...]:
    """Internal iliac vein and artery, from behind below to in front above."""
    lateral = ovary.centre + side * (ovary.semi[0] + rng.uniform(5, 9)) * LEFT
    run = unit(HEAD + rng.normal(0, 0.25, 3) + 0.3 * FRONT)
    vein = Capsule(lateral - 30 * run, lateral + 30 * run, rng.uniform(3, 5), rng.uniform(3, 5))
    beside = lateral + rng.uniform(5, 8) * unit(side * LEFT + rng.normal(0, 0.5, 3))
    artery = Capsule(beside - 30 * run, beside + 30 * run, rng.uniform(2, 3), rng.uniform(2, 3))
    return vein, artery


def adnexa_structures(adnexa: Adnexa) -> list[Structure]:
    """Vessels, tube, ovary; painted before the uterus."""
    zone = zone_index("ovary")
    painted = [Structure(vessel, VESSEL) for vessel in adnexa.vessels]
    painted += [
        Structure(part, TUBE_WALL) for part in tube(list(adnexa.tube), adnexa.tube_mm, 1.6 * adnexa.tube_mm)
    ]
    painted += [Structure(part, TUBE_LINE) for part in tube(list(adnexa.tube), 0.6, 1.0)]
    painted.append(Structure(adnexa.ovary, OVARY, zone))
    painted += [Structure(follicle, FOLLICLE, zone) for follicle in adnexa.follicles]
    if adnexa.corpus_luteum is not None:
        corpus = adnexa.corpus_luteum
        core = Ellipsoid(corpus.centre, corpus.axes, corpus.semi - 2.8)
        painted += [Structure(corpus, CORPUS_LUTEUM, zone), Structure(core, LUTEAL_CORE, zone)]
    return painted


def interstitial_structures(adnexa: Adnexa) -> list[Structure]:
    """The tube's bright line through the wall of the uterus; painted after the uterus."""
    return [Structure(part, TUBE_LINE, KEEP) for part in tube(list(adnexa.interstitial), 1.5, 1.1)]


def ring_around(centre: Vector, radius: float) -> Structure:
    """The swollen tube around a pregnancy in it."""
    return Structure(ball(centre, radius), TUBE_WALL)

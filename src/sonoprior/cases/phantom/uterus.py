"""The uterus: cervix, body, cavity, and what lies in their walls."""

from dataclasses import dataclass

import numpy as np

from .geometry import (
    FRONT,
    LEFT,
    Capsule,
    Ellipsoid,
    Sheet,
    Union,
    Vector,
    ball,
    local_axes,
    turned,
    unit,
)
from .tissue import (
    CERVIX,
    ENDOMETRIUM,
    FIBROID,
    FOLLICLE,
    LINE,
    MUCOSA,
    MYOMETRIUM,
    SCAR,
    VESSEL,
    Structure,
    zone_index,
)

_MYOMETRIUM_MM = 8.0  # of wall around what the cavity holds


@dataclass(frozen=True)
class Uterus:
    """A drawn uterus.

    Attributes:
        version: anteverted, axial or retroverted.
        os: the external ostium, mm.
        cervix: a tapered tube from the ostium to the isthmus.
        body: the outer surface of the body; its third axis points to the fundus.
        cavity: the endometrium.
        fibroids, vessels, cysts: what may be in the wall.
        scar: the notch of an earlier caesarean section.
    """

    version: str
    os: Vector
    cervix: Capsule
    body: Ellipsoid
    cavity: Ellipsoid
    fibroids: tuple[Ellipsoid, ...]
    vessels: tuple[Ellipsoid, ...]
    cysts: tuple[Ellipsoid, ...]
    scar: Ellipsoid | None

    @property
    def axis(self) -> Vector:
        """From the isthmus to the fundus, unit."""
        return self.body.axes[2]

    @property
    def canal(self) -> Vector:
        """From the ostium to the isthmus, unit."""
        return unit(self.cervix.end - self.cervix.start)

    def horn(self, side: int) -> Vector:
        """Where the cavity ends towards a tube; side +1 is the patient's left."""
        return self.body.centre + 0.66 * (self.cornu(side) - self.body.centre)

    def cornu(self, side: int) -> Vector:
        """Where a tube leaves the surface of the body."""
        across, along = self.body.semi[0], self.body.semi[2]
        return self.body.centre + side * 0.84 * across * self.body.axes[0] + 0.58 * along * self.axis


def draw_uterus(rng: np.random.Generator, content_mm: float, full_bladder: bool, scar: bool) -> Uterus:
    """A uterus that has room for a sac of a mean diameter `content_mm` in its cavity."""
    version, lean, bend = _position(rng, full_bladder)
    sideways = rng.normal(0, 7)
    os = np.array([rng.normal(0, 3), rng.normal(0, 2), rng.uniform(8, 14)])
    canal = _direction(lean, sideways)
    axis = _direction(lean + bend, sideways + rng.normal(0, 5))
    isthmus = os + rng.uniform(26, 36) * canal
    cervix = Capsule(os, isthmus, rng.uniform(12, 15), rng.uniform(10, 13))
    body = _body(rng, isthmus, axis, content_mm)
    cavity = _cavity(rng, body)
    return Uterus(
        version=version,
        os=os,
        cervix=cervix,
        body=body,
        cavity=cavity,
        fibroids=_fibroids(rng, body),
        vessels=_scattered(rng, body, int(rng.integers(2, 9)), (0.7, 1.6), 0.82),
        cysts=_nabothian(rng, cervix),
        scar=_scar(rng, cervix) if scar else None,
    )


def _position(rng: np.random.Generator, full_bladder: bool) -> tuple[str, float, float]:
    """Version by name, lean of the cervix and bend of the body towards the front, degrees."""
    version = str(rng.choice(["anteverted", "axial", "retroverted"], p=[0.72, 0.08, 0.20]))
    lean, bend = {"anteverted": (24, 42), "axial": (6, 6), "retroverted": (-14, -42)}[version]
    calm = 0.55 if full_bladder else 1.0
    return version, calm * rng.normal(lean, 9), calm * rng.normal(bend, 12)


def _direction(lean_deg: float, sideways_deg: float) -> Vector:
    upright = np.array([0.0, 0.0, 1.0])
    return turned(turned(upright, LEFT, -lean_deg), FRONT, sideways_deg)


def _body(rng: np.random.Generator, isthmus: Vector, axis: Vector, content_mm: float) -> Ellipsoid:
    half = (rng.normal(46, 4) + 0.55 * content_mm) / 2
    width = max(rng.normal(22, 2) + 0.22 * content_mm, 0.55 * content_mm + _MYOMETRIUM_MM + 3)
    depth = max(rng.normal(18, 2) + 0.20 * content_mm, 0.45 * content_mm + _MYOMETRIUM_MM)
    return Ellipsoid(
        isthmus + (half - 5) * axis,
        local_axes(axis),
        np.array([width, depth, half]),
        pear=rng.uniform(0.05, 0.2),
    )


def _cavity(rng: np.random.Generator, body: Ellipsoid) -> Ellipsoid:
    thickness = rng.uniform(6, 16)
    semi = np.array([0.48 * body.semi[0], thickness / 2, 0.66 * body.semi[2]])
    centre = body.centre + rng.normal(0, 1) * body.axes[1] - 0.04 * body.semi[2] * body.axes[2]
    return Ellipsoid(centre, body.axes, semi, pear=rng.uniform(0.1, 0.35))


def _fibroids(rng: np.random.Generator, body: Ellipsoid) -> tuple[Ellipsoid, ...]:
    if rng.random() > 0.18:
        return ()
    return _scattered(rng, body, int(rng.integers(1, 3)), (5, 12), 0.85)


def _scattered(
    rng: np.random.Generator, body: Ellipsoid, count: int, radii: tuple[float, float], shell: float
) -> tuple[Ellipsoid, ...]:
    """Roundish shapes in the wall, at a share `shell` of the body's radius."""
    places = []
    for _ in range(count):
        direction = unit(rng.standard_normal(3))
        centre = body.centre + (direction * body.semi * shell) @ body.axes
        places.append(Ellipsoid(centre, np.eye(3), rng.uniform(*radii) * rng.uniform(0.8, 1.25, 3)))
    return tuple(places)


def _nabothian(rng: np.random.Generator, cervix: Capsule) -> tuple[Ellipsoid, ...]:
    count = int(rng.choice([0, 1, 2, 4], p=[0.55, 0.2, 0.15, 0.1]))
    cysts = []
    for _ in range(count):
        along = cervix.start + rng.uniform(0.1, 0.7) * (cervix.end - cervix.start)
        cysts.append(ball(along + rng.normal(0, 4, 3), rng.uniform(1.5, 4.5)))
    return tuple(cysts)


def _scar(rng: np.random.Generator, cervix: Capsule) -> Ellipsoid:
    frame = local_axes(cervix.end - cervix.start)
    centre = cervix.end + frame[1] * cervix.end_radius * 0.6
    return Ellipsoid(centre, frame, np.array([rng.uniform(6, 10), rng.uniform(3, 6), 1.8]))


def uterus_structures(uterus: Uterus) -> list[Structure]:
    """The empty uterus, from the outside in."""
    wall, cavity = zone_index("uterus borders"), zone_index("endometrium")
    outer = Union((uterus.body, uterus.cervix), blend=9.0)
    painted = [
        Structure(outer, MYOMETRIUM, wall),
        Structure(Capsule(uterus.cervix.start, uterus.cervix.end, 11, 8), CERVIX, wall),
        *(Structure(shape, FIBROID, wall) for shape in uterus.fibroids),
        *(Structure(shape, VESSEL, wall) for shape in uterus.vessels),
        *(Structure(shape, FOLLICLE, wall) for shape in uterus.cysts),
        *_canal(uterus, wall),
        Structure(uterus.cavity, ENDOMETRIUM, cavity),
        Structure(Sheet(_shrunk(uterus.cavity, 0.86), 1.6), LINE, zone_index("midline echo")),
    ]
    if uterus.scar is not None:
        painted.append(Structure(uterus.scar, SCAR, wall))
    return painted


def _canal(uterus: Uterus, wall: int) -> list[Structure]:
    """The canal's mucosa and the ostium, where it opens."""
    inner = uterus.cervix.end + 4 * uterus.canal
    mouth = Ellipsoid(uterus.os - 9 * uterus.canal, local_axes(uterus.canal), np.array([7.0, 6.0, 5.0]))
    return [
        Structure(Capsule(uterus.os - 8 * uterus.canal, inner, 3.2, 2.2), MUCOSA, wall),
        Structure(Capsule(uterus.os - 8 * uterus.canal, inner, 0.7, 0.6), LINE, wall),
        Structure(mouth, MUCOSA, zone_index("cervix external ostium")),
    ]


def _shrunk(shape: Ellipsoid, factor: float) -> Ellipsoid:
    return Ellipsoid(shape.centre, shape.axes, shape.semi * factor, shape.pear)

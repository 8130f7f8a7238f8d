"""Shapes in the coordinates of a part of the body, and two shapes that only a fetus needs."""

from dataclasses import dataclass

import numpy as np

from sonoprior.cases.phantom.geometry import Ellipsoid, Field, Shape, Union, Vector, tube, unit

Place = tuple[float, float, float]


@dataclass(frozen=True)
class Local:
    """The coordinates of a part of the body: x to its left, y to its front, z to its head, in mm.

    Attributes:
        origin: (3,) in the mother's coordinates.
        axes: (3, 3), the three directions as rows.
    """

    origin: Vector
    axes: Vector

    @classmethod
    def of(cls, origin: Vector, up: Vector, front: Vector) -> "Local":
        """Coordinates with a given upward direction and a front as near as can be to the wanted one."""
        up = unit(up)
        front = unit(front - up * (up @ front))
        return cls(origin, np.stack([np.cross(front, up), front, up]))

    def at(self, x: float, y: float, z: float) -> Vector:
        """A place in the mother's coordinates."""
        return self.origin + np.array([x, y, z]) @ self.axes

    def toward(self, x: float, y: float, z: float) -> Vector:
        """A unit direction in the mother's coordinates."""
        return unit(np.array([x, y, z]) @ self.axes)

    def ellipsoid(self, centre: Place, semi: Place) -> Ellipsoid:
        """An ellipsoid along the three directions."""
        return Ellipsoid(self.at(*centre), self.axes, np.array(semi))

    def leaning(self, centre: Place, semi: Place, first: Place) -> Ellipsoid:
        """An ellipsoid whose first half axis runs along a direction and whose third stays near z."""
        ahead = self.toward(*first)
        up = unit(self.axes[2] - ahead * (ahead @ self.axes[2]))
        return Ellipsoid(self.at(*centre), np.stack([ahead, np.cross(up, ahead), up]), np.array(semi))


def pipe(line: list[Vector], radius: float, end_radius: float | None = None) -> Union:
    """A bent tube in one piece, so that no wall crosses it."""
    return Union(tuple(tube(line, radius, end_radius)), blend=0.3 * radius)


@dataclass(frozen=True)
class Within:
    """What of a part lies inside a whole."""

    part: Shape
    whole: Shape

    @property
    def centre(self) -> Vector:
        """The part's centre."""
        return self.part.centre

    @property
    def reach(self) -> float:
        """The part's reach."""
        return self.part.reach

    def distance(self, points: Field) -> Field:
        """The larger of the two distances."""
        return np.maximum(self.part.distance(points), self.whole.distance(points))


@dataclass(frozen=True)
class Hoop:
    """A ring that is open in front, as a rib is: bone goes round only so far.

    Attributes:
        local: its centre, and its plane at right angles to z.
        semi: (half width, half depth), mm.
        radius: of the bent rod, mm.
        opening: where it ends towards the front, as a share of the half depth, -1 to 1.
    """

    local: Local
    semi: tuple[float, float]
    radius: float
    opening: float

    @property
    def centre(self) -> Vector:
        """The ring's centre."""
        return self.local.origin

    @property
    def reach(self) -> float:
        """The longer half axis and the rod."""
        return max(self.semi) + self.radius

    def distance(self, points: Field) -> Field:
        """Distance to the ring's middle line minus the rod's radius, cut off in front."""
        axes = self.local.axes.astype(np.float32)
        x, y, z = axes @ points.reshape(3, -1) - (axes @ self.centre.astype(np.float32))[:, None]
        mean = np.float32(sum(self.semi) / 2)
        around = np.hypot(x / np.float32(self.semi[0]), y / np.float32(self.semi[1]))
        ring = np.hypot((around - 1) * mean, z) - np.float32(self.radius)
        cut = y - np.float32(self.opening * self.semi[1])
        return np.maximum(ring, cut).reshape(points.shape[1:])

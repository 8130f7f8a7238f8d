"""Implicit shapes in the patient and planes through her; all lengths in millimetres.

Patient axes: x to her left, y to her front, z to her head. A shape answers with a signed distance, negative
inside, near enough to the true one around its surface for walls of a set thickness and for the angle of
incidence (its gradient is about 1 there).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vector: TypeAlias = NDArray[np.float64]
Field: TypeAlias = NDArray[np.floating]  # float32 wherever speed matters

LEFT = np.array([1.0, 0.0, 0.0])
FRONT = np.array([0.0, 1.0, 0.0])
HEAD = np.array([0.0, 0.0, 1.0])
_TINY = np.float32(1e-6)


def unit(vector: Vector) -> Vector:
    """A vector of length 1 in the same direction."""
    return vector / np.linalg.norm(vector)


def turned(vector: Vector, axis: Vector, degrees: float) -> Vector:
    """The vector turned about a unit axis by the right-hand rule (Rodrigues' formula)."""
    angle = np.radians(degrees)
    along = axis * (axis @ vector)
    return along + (vector - along) * np.cos(angle) + np.cross(axis, vector) * np.sin(angle)


def local_axes(up: Vector, left: Vector = LEFT) -> Vector:
    """Rows left, front, up of a frame (3, 3) whose third axis is `up` and whose first is nearest `left`."""
    up = unit(up)
    side = unit(left - up * (up @ left))
    return np.stack([side, np.cross(up, side), up])


@dataclass(frozen=True)
class Plane:
    """A section: where the middle of the probe's face is, and the image's two directions.

    Attributes:
        origin: (3,) mm.
        lateral: (3,) unit, towards the right of the image.
        axial: (3,) unit, away from the probe, at right angles to `lateral`.
    """

    origin: Vector
    lateral: Vector
    axial: Vector

    @cached_property
    def normal(self) -> Vector:
        """The unit vector out of the plane."""
        return np.cross(self.lateral, self.axial)

    def points(self, lateral: Field, depth: Field) -> Field:
        """Patient coordinates (3, ...) of image positions given in mm."""
        columns = (
            np.float32(o) + np.float32(a) * lateral + np.float32(d) * depth
            for o, a, d in zip(self.origin, self.lateral, self.axial, strict=True)
        )
        return np.stack(list(columns))

    def place(self, point: Vector) -> tuple[float, float, float]:
        """Image position (lateral, depth) and height above the plane of a point, mm."""
        offset = point - self.origin
        return float(offset @ self.lateral), float(offset @ self.axial), float(offset @ self.normal)


class Shape(Protocol):
    """Anything with a signed distance."""

    @property
    def centre(self) -> Vector:
        """(3,) mm."""
        ...

    @property
    def reach(self) -> float:
        """Radius of a ball around the centre that holds the shape, mm; infinite for a half-space."""
        ...

    def distance(self, points: Field) -> Field:
        """Signed distance (...), negative inside, of points (3, ...), mm."""
        ...


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid, or a pear: `pear` > 0 makes it wider towards its third axis.

    Attributes:
        axes: (3, 3), its unit axes as rows.
        semi: (3,), half lengths along them.
    """

    centre: Vector
    axes: Vector
    semi: Vector
    pear: float = 0.0

    @property
    def reach(self) -> float:
        """The longest half axis, with room for the pear."""
        return float(self.semi.max()) * (1 + abs(self.pear))

    def distance(self, points: Field) -> Field:
        """First-order signed distance: k (k - 1) / |grad| with k the scaled radius."""
        scaled = (self.axes / self.semi[:, None]).astype(np.float32)
        flat = points.reshape(3, -1)
        q = scaled @ flat - (scaled @ self.centre.astype(np.float32))[:, None]
        if self.pear:
            q[:2] /= 1 + np.float32(self.pear) * np.clip(q[2], -1, 1)
        q *= q
        squared = q[0] + q[1] + q[2]
        weights = (1 / self.semi**2).astype(np.float32)
        slope = np.sqrt(weights @ q + _TINY * weights.min())
        radius = np.sqrt(squared + _TINY)
        return (radius * (radius - 1) / slope).reshape(points.shape[1:])


def ball(centre: Vector, radius: float) -> Ellipsoid:
    """A ball."""
    return Ellipsoid(centre, np.eye(3), np.full(3, radius))


@dataclass(frozen=True)
class Capsule:
    """A piece of a tube: a line with a radius that may change along it, and round ends."""

    start: Vector
    end: Vector
    radius: float
    end_radius: float

    @property
    def centre(self) -> Vector:
        """The middle of the line."""
        return (self.start + self.end) / 2

    @property
    def reach(self) -> float:
        """Half the length and the larger radius."""
        return float(np.linalg.norm(self.end - self.start)) / 2 + max(self.radius, self.end_radius)

    def distance(self, points: Field) -> Field:
        """Distance to the line minus the radius there."""
        line = (self.end - self.start).astype(np.float32)
        flat = points.reshape(3, -1) - self.start.astype(np.float32)[:, None]
        along = np.clip(line @ flat / (line @ line + _TINY), 0, 1)
        flat -= line[:, None] * along
        flat *= flat
        radius = np.float32(self.radius) + np.float32(self.end_radius - self.radius) * along
        return (np.sqrt(flat[0] + flat[1] + flat[2]) - radius).reshape(points.shape[1:])


def tube(line: list[Vector], radius: float, end_radius: float | None = None) -> list[Capsule]:
    """A bent tube as a chain of capsules through the points of `line`."""
    radii = np.linspace(radius, radius if end_radius is None else end_radius, len(line))
    return [
        Capsule(a, b, float(r), float(s))
        for a, b, r, s in zip(line[:-1], line[1:], radii[:-1], radii[1:], strict=True)
    ]


def bent(start: Vector, middle: Vector, end: Vector, pieces: int) -> list[Vector]:
    """Points of a quadratic Bezier curve, `pieces` + 1 of them."""
    t = np.linspace(0, 1, pieces + 1)[:, None]
    return list((1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end)


@dataclass(frozen=True)
class HalfSpace:
    """Everything on the side of `point` that `normal` points away from."""

    centre: Vector
    normal: Vector
    reach: float = float("inf")

    def distance(self, points: Field) -> Field:
        """Height above the bounding plane."""
        normal = self.normal.astype(np.float32)
        flat = normal @ points.reshape(3, -1) - np.float32(self.normal @ self.centre)
        return flat.reshape(points.shape[1:])


@dataclass(frozen=True)
class Union:
    """Shapes melted into one; `blend` is the width of the fillet between them, mm."""

    parts: tuple[Shape, ...]
    blend: float

    @property
    def centre(self) -> Vector:
        """The mean of the parts' centres."""
        return np.mean([part.centre for part in self.parts], axis=0)

    @property
    def reach(self) -> float:
        """Far enough for every part."""
        return max(float(np.linalg.norm(part.centre - self.centre)) + part.reach for part in self.parts)

    def distance(self, points: Field) -> Field:
        """Polynomial smooth minimum of the parts' distances."""
        result = self.parts[0].distance(points)
        for part in self.parts[1:]:
            other = part.distance(points)
            overlap = np.maximum(np.float32(self.blend) - np.abs(result - other), 0)
            result = np.minimum(result, other) - overlap * overlap / np.float32(4 * self.blend)
        return result


@dataclass(frozen=True)
class Sheet:
    """A thin layer through the middle of an ellipsoid, at right angles to its second axis."""

    within: Ellipsoid
    thickness: float

    @property
    def centre(self) -> Vector:
        """The ellipsoid's centre."""
        return self.within.centre

    @property
    def reach(self) -> float:
        """The ellipsoid's reach."""
        return self.within.reach

    def distance(self, points: Field) -> Field:
        """The larger of the distances to the layer and to the ellipsoid."""
        front = self.within.axes[1].astype(np.float32)
        height = front @ points.reshape(3, -1) - np.float32(self.within.axes[1] @ self.within.centre)
        layer = np.abs(height).reshape(points.shape[1:]) - np.float32(self.thickness / 2)
        return np.maximum(layer, self.within.distance(points))

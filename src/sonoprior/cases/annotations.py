"""The places that a case's annotations name: areas (outlines, boxes, maps) and spots (points, landmarks).

What is absent is not in the result; what is present and empty is an area of zeros or no spot at all.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sonoprior.core.errors import DataError

from .case_set import CaseSet
from .cells import parse_boxes, parse_landmarks, parse_points
from .images import check_shape, read_grey

Map: TypeAlias = NDArray[np.float32]
Spots: TypeAlias = NDArray[np.float64]


def outline_areas(case_set: CaseSet, i: int, zones: Sequence[str]) -> dict[str, Map]:
    """Zone to (H, W): 1 inside its outline, 0 outside."""
    outlines = case_set.outlines(i, zones)
    return {zone: drawn.astype(np.float32) for zone, drawn in outlines.items() if drawn is not None}


def box_areas(case_set: CaseSet, i: int, zones: Sequence[str]) -> dict[str, Map]:
    """Zone to (H, W): 1 inside any of its boxes, 0 outside.

    Raises:
        DataError: if a box covers no pixel of the image.
    """
    height, width = case_set.shape(i)
    areas: dict[str, Map] = {}
    for zone, cell in _given(case_set, i, "box", zones).items():
        where = case_set.where(i, f"box.{zone}")
        area = np.zeros((height, width), dtype=np.float32)
        for x0, y0, x1, y1 in np.ceil(parse_boxes(cell, where)).astype(int):
            inside = area[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
            if not inside.size:
                raise DataError(
                    f"{where}: a box must cover part of the {width} x {height} pixels, but got '{cell}'."
                )
            inside[:] = 1
        areas[zone] = area
    return areas


def map_areas(case_set: CaseSet, i: int, names: Sequence[str]) -> dict[str, Map]:
    """Name to (H, W): the grey levels of an automatic mask or heat map, in [0, 1].

    Raises:
        DataError: if a file cannot be read or has another size than the image.
    """
    areas: dict[str, Map] = {}
    for name in names:
        path = case_set.path(i, f"map.{name}")
        if path is not None:
            grey = read_grey(path)
            check_shape(path, grey.shape, case_set.shape(i))
            areas[name] = np.divide(grey, 255, dtype=np.float32)
    return areas


def point_spots(case_set: CaseSet, i: int, zones: Sequence[str]) -> dict[str, Spots]:
    """Zone to its points, (k, 2) x and y.

    Raises:
        DataError: if a point lies outside the image.
    """
    spots = {
        zone: parse_points(cell, case_set.where(i, f"point.{zone}"))
        for zone, cell in _given(case_set, i, "point", zones).items()
    }
    for zone, points in spots.items():
        _check_inside(points, case_set.shape(i), case_set.where(i, f"point.{zone}"))
    return spots


def landmark_spots(case_set: CaseSet, i: int, names: Sequence[str]) -> dict[str, Spots]:
    """Landmark to its place, (1, 2) x and y.

    Raises:
        DataError: if a landmark lies outside the image.
    """
    cell = case_set.column("points")[i]
    if cell is None:
        return {}
    known = case_set.info.landmarks
    places = parse_landmarks(cell, len(known), case_set.where(i, "points"))
    spots = {
        name: place[None] for name, place in zip(known, places, strict=True) if not np.isnan(place).any()
    }
    for place in spots.values():
        _check_inside(place, case_set.shape(i), case_set.where(i, "points"))
    return {name: spots[name] for name in names if name in spots}


def known_cases(case_set: CaseSet, source: str) -> dict[str, NDArray[np.bool_]]:
    """For each zone, landmark or map of a source: in which cases it is present, (n,) bool."""
    if source == "landmarks":
        return _known_landmarks(case_set)
    family = {"outlines": "outline", "boxes": "box", "points": "point", "maps": "map"}[source]
    names = case_set.members("map") if source == "maps" else case_set.info.zones
    known = {name: _filled(case_set, f"{family}.{name}") for name in names}
    mapped = _filled(case_set, "zonemap") & (source == "outlines")
    return {name: cells | mapped for name, cells in known.items()}


def _known_landmarks(case_set: CaseSet) -> dict[str, NDArray[np.bool_]]:
    names = case_set.info.landmarks
    known = np.zeros((len(case_set), len(names)), dtype=bool)
    for i, cell in enumerate(case_set.column("points")):
        if cell is not None:
            known[i] = ~np.isnan(parse_landmarks(cell, len(names), case_set.where(i, "points"))).any(axis=1)
    return dict(zip(names, known.T, strict=True))


def _filled(case_set: CaseSet, column: str) -> NDArray[np.bool_]:
    return np.array([cell is not None for cell in case_set.column(column)], dtype=bool)


def _given(case_set: CaseSet, i: int, family: str, names: Sequence[str]) -> dict[str, str]:
    cells = {name: case_set.column(f"{family}.{name}")[i] for name in names}
    return {name: cell for name, cell in cells.items() if cell is not None}


def _check_inside(points: Spots, shape: tuple[int, int], where: str) -> None:
    height, width = shape
    highest = np.array([width, height]) - 0.5
    for x, y in points[((points < -0.5) | (points > highest)).any(axis=1)]:
        raise DataError(f"{where}: a point must lie in the {width} x {height} pixels, but got '{x:g} {y:g}'.")

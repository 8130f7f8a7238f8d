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
from .info import DatasetInfo

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
    areas: dict[str, Map] = {}
    for zone, cell in _given(case_set, i, "box", zones).items():
        where = case_set.where(i, f"box.{zone}")
        areas[zone] = _filled_boxes(parse_boxes(cell, where), case_set.shape(i), where)
    return areas


def _filled_boxes(boxes: NDArray[np.float64], shape: tuple[int, int], where: str) -> Map:
    area = np.zeros(shape, dtype=np.float32)
    for box in boxes:
        x0, y0, x1, y1 = np.ceil(box).astype(int).clip(0)
        if not area[y0:y1, x0:x1].size:
            shown = " ".join(f"{value:g}" for value in box)
            raise DataError(
                f"{where}: a box must cover pixels of the image, {_size(shape)}, but got '{shown}'."
            )
        area[y0:y1, x0:x1] = 1
    return area


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


def area_around(area: Map) -> Map:
    """The filled box around what is not zero in an area (H, W); nothing where there is nothing."""
    rows, columns = np.flatnonzero(area.any(axis=1)), np.flatnonzero(area.any(axis=0))
    box = np.zeros_like(area)
    if len(rows):
        box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = 1
    return box


def centre_of(area: Map) -> Spots:
    """The centre of an area (H, W), weighted by its levels: (1, 2) x and y; (0, 2) where there is nothing."""
    total = area.sum(dtype=np.float64)
    if total == 0:
        return np.zeros((0, 2))
    across, down = area.sum(axis=0, dtype=np.float64), area.sum(axis=1, dtype=np.float64)
    return np.array([[across @ np.arange(len(across)), down @ np.arange(len(down))]]) / total


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


def check_place(column: str, cell: str, info: DatasetInfo, shape: tuple[int, int], where: str) -> None:
    """Refuse a cell with boxes, points or landmarks that does not fit its image; other columns pass.

    Raises:
        DataError: naming `where`, if it cannot be parsed or lies outside the image of this (H, W).
    """
    family = column.partition(".")[0]
    if family == "box":
        _filled_boxes(parse_boxes(cell, where), shape, where)
    elif family == "point":
        _check_inside(parse_points(cell, where), shape, where)
    elif family == "points":
        _check_inside(parse_landmarks(cell, len(info.landmarks), where), shape, where)


def known_cases(case_set: CaseSet, source: str) -> dict[str, NDArray[np.bool_]]:
    """For each zone, landmark or map of a source: in which cases it is present, (n,) bool."""
    if source == "landmarks":
        return _known_landmarks(case_set)
    family = {"outlines": "outline", "boxes": "box", "points": "point", "maps": "map"}[source]
    names = case_set.named("map") if source == "maps" else case_set.info.zones
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
    """Refuse points outside the image; a missing one, NaN, is neither inside nor outside."""
    highest = np.array(shape[::-1]) - 0.5
    for x, y in points[((points < -0.5) | (points > highest)).any(axis=1)]:
        raise DataError(f"{where}: a point must lie in the image, {_size(shape)}, but got '{x:g} {y:g}'.")


def _size(shape: tuple[int, int]) -> str:
    return f"{shape[1]} x {shape[0]} pixels"

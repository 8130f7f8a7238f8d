"""Shapes against slow searches over their surfaces, planes and windows against plain arithmetic."""

from itertools import pairwise

import numpy as np
import pytest

from sonoprior.cases.phantom.geometry import (
    HEAD,
    LEFT,
    Capsule,
    Ellipsoid,
    HalfSpace,
    Plane,
    Sheet,
    Union,
    ball,
    bent,
    local_axes,
    tube,
    turned,
    unit,
)
from sonoprior.cases.phantom.probes import Screen, beam_grid
from sonoprior.cases.phantom.vendors import VENDORS


def at(shape, *places):
    return shape.distance(np.array(places, np.float32).T)


@pytest.fixture
def egg():
    axes = local_axes(np.array([0.3, 0.5, 0.8]))
    return Ellipsoid(np.array([5.0, -3.0, 12.0]), axes, np.array([6.0, 9.0, 14.0]))


def test_a_ball_knows_its_distance():
    assert at(ball(np.array([1.0, 2.0, 3.0]), 4.0), (1, 2, 9), (1, 2, 5)) == pytest.approx([2, -2], abs=1e-4)


def test_an_ellipsoid_is_right_near_its_surface(egg):
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((40_000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    surface = egg.centre + (directions * egg.semi) @ egg.axes
    normals = (directions / egg.semi) @ egg.axes
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    for offset in (-0.5, 0.5):
        points = (surface + offset * normals)[:50]
        searched = np.linalg.norm(points[:, None] - surface, axis=2).min(axis=1)
        assert np.abs(np.abs(egg.distance(points.T.astype(np.float32))) - searched).max() < 0.12


def test_the_reach_holds_a_pear():
    pear = Ellipsoid(np.zeros(3), np.eye(3), np.array([4.0, 5.0, 8.0]), pear=0.3)
    rng = np.random.default_rng(1)
    points = rng.uniform(-12, 12, (3, 20_000)).astype(np.float32)
    inside = points[:, pear.distance(points) < 0]
    assert np.linalg.norm(inside, axis=0).max() <= pear.reach


def test_a_capsule_is_a_line_with_a_radius():
    capsule = Capsule(np.zeros(3), np.array([0.0, 0.0, 10.0]), 2.0, 4.0)
    assert at(capsule, (5, 0, 0), (5, 0, 5), (0, 0, 16)) == pytest.approx([3, 2, 2], abs=1e-4)


def test_a_union_is_the_nearest_part_away_from_the_joint_and_melts_at_it():
    parts = (ball(np.zeros(3), 3.0), ball(np.array([5.0, 0, 0]), 3.0))
    union = Union(parts, blend=2.0)
    assert at(union, (-6, 0, 0)) == pytest.approx([3], abs=1e-4)
    middle = (2.5, 2.0, 0)
    assert at(union, middle)[0] < min(at(part, middle)[0] for part in parts)


def test_a_sheet_is_thin_and_ends_with_its_ellipsoid():
    sheet = Sheet(Ellipsoid(np.zeros(3), np.eye(3), np.array([10.0, 5.0, 10.0])), thickness=1.0)
    values = at(sheet, (0, 0, 0), (0, 0.4, 0), (0, 0.8, 0), (11, 0, 0))
    assert (values[:2] < 0).all()
    assert (values[2:] > 0).all()


def test_a_half_space_is_a_height():
    assert at(HalfSpace(np.array([0, 5.0, 0]), np.array([0, -1.0, 0])), (3, 7, 9)) == pytest.approx([-2])


def test_a_tube_joins_its_points_and_a_curve_its_ends():
    line = bent(np.zeros(3), np.array([0.0, 10.0, 0]), np.array([10.0, 10.0, 0]), 4)
    assert line[0] == pytest.approx([0, 0, 0])
    assert line[-1] == pytest.approx([10, 10, 0])
    parts = tube(line, 1.0, 2.0)
    assert len(parts) == 4
    assert (parts[0].radius, parts[-1].end_radius) == (1.0, 2.0)
    assert all((a.end == b.start).all() for a, b in pairwise(parts))


def test_turning_keeps_lengths_and_turns_left_to_front():
    assert turned(LEFT, HEAD, 90) == pytest.approx([0, 1, 0], abs=1e-9)
    frame = local_axes(np.array([1.0, 2.0, 3.0]))
    assert frame @ frame.T == pytest.approx(np.eye(3), abs=1e-9)


@pytest.fixture
def tilted():
    axial = unit(np.array([0.2, 0.3, 1.0]))
    return Plane(np.array([1.0, 2.0, 3.0]), unit(np.cross(axial, np.array([0.0, 1.0, 0.0]))), axial)


def test_a_plane_places_what_it_points_at(tilted):
    point = tilted.points(np.float32(7.0), np.float32(30.0))
    assert tilted.place(point.astype(float)) == pytest.approx((7, 30, 0), abs=1e-4)
    assert tilted.place(point + 2 * tilted.normal)[2] == pytest.approx(2, abs=1e-4)


@pytest.mark.parametrize("kind", ["endocavity", "convex", "linear"])
@pytest.mark.parametrize("top", [0.0, 20.0])
def test_the_window_of_a_ball_holds_every_sample_in_it(kind, top, tilted):
    grid = beam_grid(VENDORS[0].probes[kind], Screen(top, 60.0, 64))
    points = tilted.points(grid.lateral, grid.depth)
    rng = np.random.default_rng(3)
    for _ in range(40):
        centre, reach = rng.uniform(-50, 70, 3), rng.uniform(2, 25)
        touched = np.linalg.norm(points - centre[:, None, None], axis=0) < reach
        window = grid.window(tilted, centre, reach)
        if window is None:
            assert touched.sum() <= 1
        else:
            outside = touched.copy()
            outside[window] = False
            assert not outside.any()


@pytest.mark.parametrize("kind", ["endocavity", "convex", "linear"])
def test_scan_conversion_puts_a_point_where_it_is(kind):
    probe, screen = VENDORS[1].probes[kind], Screen(0.0, 80.0, 256)
    grid = beam_grid(probe, screen)
    spot = np.exp(-((grid.lateral - 9) ** 2 + (grid.depth - 47) ** 2) / 4).astype(np.float32)
    y, x = np.unravel_index(grid.on_screen(spot).argmax(), (256, 256))
    assert (x + 0.5 - 128) * screen.pixel_mm == pytest.approx(9, abs=0.5)
    assert (y - 0.02 * 256) * screen.pixel_mm == pytest.approx(47, abs=0.5)


def test_outside_the_sector_the_screen_is_empty():
    grid = beam_grid(VENDORS[0].probes["endocavity"], Screen(0.0, 80.0, 128))
    shown = grid.on_screen(np.ones_like(grid.lateral))
    assert (shown[~grid.sector] == 0).all()
    assert shown[grid.sector] == pytest.approx(1)
    assert not grid.sector[0, 0]
    assert grid.sector[64, 64]

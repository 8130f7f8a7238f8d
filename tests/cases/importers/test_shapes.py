import numpy as np
import pytest
from matplotlib.path import Path as Outline
from pycocotools import mask as tools

from sonoprior.cases.importers.shapes import disc, polygon, runs, unpacked
from sonoprior.core.errors import DataError

SHAPE = (37, 53)


def centres() -> np.ndarray:
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.stack([columns.ravel() + 0.5, rows.ravel() + 0.5], axis=1)


@pytest.mark.parametrize("seed", range(20))
def test_polygons_like_matplotlib(seed):
    """A star around a centre, reaching beyond the image: which pixel centres lie inside."""
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 12)))
    radii = rng.uniform(5, 35, len(angles))
    vertices = np.stack([26 + radii * np.cos(angles), 18 + radii * np.sin(angles)], axis=1)
    inside = Outline(vertices).contains_points(centres()).reshape(SHAPE)
    assert np.array_equal(polygon(vertices, SHAPE), inside)
    assert np.array_equal(polygon(vertices[::-1], SHAPE), inside)


def test_a_polygon_of_whole_pixels_is_those_pixels():
    drawn = polygon(np.array([[2, 1], [6, 1], [6, 4], [2, 4]], float), (6, 8))
    expected = np.zeros((6, 8), bool)
    expected[1:4, 2:6] = True
    assert np.array_equal(drawn, expected)


def test_a_polygon_outside_and_a_flat_one_are_empty():
    assert not polygon(np.array([[60, 1], [70, 1], [70, 9]], float), SHAPE).any()
    assert not polygon(np.array([[1, -9], [5, -9], [5, -1]], float), SHAPE).any()
    assert not polygon(np.array([[1, 5], [9, 5], [20, 5]], float), SHAPE).any()


def test_a_figure_of_eight_is_filled_by_the_even_odd_rule():
    twice = np.array([[1, 1], [9, 1], [9, 9], [1, 9]] * 2, float)
    assert not polygon(twice, (12, 12)).any()


def test_a_disc_has_the_area_of_a_disc():
    drawn = disc((26.0, 18.0), (26.0, 8.0), SHAPE)
    assert abs(drawn.sum() - np.pi * 100) < 8
    assert drawn[18, 26]
    assert not drawn[7, 26]


@pytest.mark.parametrize("seed", range(8))
def test_run_lengths_like_the_coco_tools(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random(SHAPE) < [0.01, 0.5, 0.99, 0.2][seed % 4]
    if seed >= 4:
        mask = np.kron(rng.random((6, 6)) < 0.5, np.ones((7, 9)))[: SHAPE[0], : SHAPE[1]] > 0
    packed = tools.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    assert np.array_equal(runs(unpacked(packed, "here"), SHAPE, "here"), mask)


def test_long_runs_like_the_coco_tools():
    mask = np.zeros((900, 1100), np.uint8)
    mask[3:800, 500:1000] = 1
    packed = tools.encode(np.asfortranarray(mask))["counts"].decode()
    assert np.array_equal(runs(unpacked(packed, "here"), (900, 1100), "here"), mask > 0)


@pytest.mark.parametrize(
    ("counts", "message"),
    [([3, 4], "must fill the 4 x 2 pixels of the image, but fill 7"), ([9, -1], "fill 8"), ([], "fill 0")],
)
def test_run_lengths_that_do_not_fill_the_image_are_refused(counts, message):
    with pytest.raises(DataError, match=f"here: the run lengths .*{message}"):
        runs(counts, (2, 4), "here")


@pytest.mark.parametrize(
    ("text", "message"), [("5 ", "are damaged"), ("o" * 20, "are damaged"), ("5o", "are cut short")]
)
def test_damaged_packed_run_lengths_are_refused(text, message):
    with pytest.raises(DataError, match=f"here: the packed run lengths {message}"):
        unpacked(text, "here")

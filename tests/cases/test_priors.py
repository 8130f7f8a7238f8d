import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError
from scipy.ndimage import gaussian_filter

from sonoprior.cases import EMPTY, CaseSet, CaseSetWriter, DatasetInfo, PriorSpec
from sonoprior.cases.priors import gaussian_map, presence, prior_groups, prior_maps, prior_names
from sonoprior.core.errors import DataError

SHAPE = (24, 32)
INFO = DatasetInfo(
    name="p",
    zones=["sac", "embryo", "ovary"],
    landmarks=["top", "middle", "bottom"],
    groupings={
        "two": {"gestation": ["sac", "embryo"], "ovary": ["ovary"]},
        "ends": {"ends": ["top", "bottom"]},
    },
)


def rectangle(rows: slice, columns: slice) -> np.ndarray:
    area = np.zeros(SHAPE, dtype=bool)
    area[rows, columns] = True
    return area


SAC, EMBRYO = rectangle(slice(2, 9), slice(3, 15)), rectangle(slice(6, 12), slice(10, 20))
HEAT = np.linspace(0, 255, SHAPE[0] * SHAPE[1]).astype(np.uint8).reshape(SHAPE)


@pytest.fixture
def cases(tmp_path):
    grey = np.full(SHAPE, 99, np.uint8)
    zones = np.zeros(SHAPE, np.uint8)
    zones[:4] = 2
    with CaseSetWriter(tmp_path / "set", INFO) as writer:
        writer.add("drawn", grey, outlines={"sac": SAC, "embryo": EMBRYO}, points="3 4;10.5 6.25;20 20")
        writer.add("empty", grey, outlines={"sac": EMPTY}, points="3 4;;", maps={"cam": HEAT})
        writer.add(
            "mapped", grey, zonemap=zones, **{"box.sac": "1 2 5 9;4.2 3 7 4", "point.ovary": "4 5;8 9"}
        )
        writer.add("bare", grey, **{"box.sac": EMPTY, "point.ovary": EMPTY})
        writer.add("off", grey, points="3 4;5 99;", **{"box.sac": "50 50 60 60", "point.ovary": "-3 5"})
    return CaseSet.open(tmp_path / "set")


def only(cases, i, **spec):
    maps, present = prior_maps(cases, i, PriorSpec(**spec))
    assert maps.dtype == np.float32
    assert present.dtype == bool
    assert maps.shape == (len(prior_names(cases, PriorSpec(**spec))), *SHAPE)
    assert maps.min() >= 0
    assert maps.max() <= 1
    return maps, present


def test_outlines_one_by_one_grouped_and_united(cases):
    maps, present = only(cases, 0, grouping="each")
    assert present.tolist() == [True, True, False]
    assert np.array_equal(maps, np.stack([SAC, EMBRYO, np.zeros(SHAPE)]))
    maps, present = only(cases, 0, grouping="two")
    assert present.tolist() == [True, False]
    assert np.array_equal(maps[0], SAC | EMBRYO)
    maps, _ = only(cases, 0)
    assert np.array_equal(maps[0], SAC | EMBRYO)
    maps, _ = only(cases, 0, grouping={"x": ["embryo"]})
    assert np.array_equal(maps[0], EMBRYO)


def test_groups_say_what_each_map_unites(cases):
    assert prior_groups(cases, PriorSpec(grouping="two")) == INFO.groupings["two"]
    assert prior_groups(cases, PriorSpec()) == {"all": INFO.zones}
    assert prior_groups(cases, PriorSpec(source="maps", grouping="each")) == {"cam": ["cam"]}


def test_empty_is_present_and_absent_is_not(cases):
    maps, present = only(cases, 1, grouping="each")
    assert present.tolist() == [True, False, False]
    assert not maps.any()
    _, present = only(cases, 3, grouping="each")
    assert present.tolist() == [False] * 3


def test_a_zone_map_makes_every_zone_present(cases):
    maps, present = only(cases, 2, grouping="each")
    assert present.all()
    assert maps.sum(axis=(1, 2)).tolist() == [0, 4 * 32, 0]


def test_boxes_cover_their_pixels(cases):
    maps, present = only(cases, 2, source="boxes", grouping="each")
    expected = np.zeros(SHAPE)
    for row in range(SHAPE[0]):
        for column in range(SHAPE[1]):
            first = 1 <= column < 5 and 2 <= row < 9
            second = 4.2 <= column < 7 and 3 <= row < 4
            expected[row, column] = first or second
    assert present.tolist() == [True, False, False]
    assert np.array_equal(maps[0], expected)


def test_maps_are_grey_levels(cases):
    maps, present = only(cases, 1, source="maps", grouping="each")
    assert prior_names(cases, PriorSpec(source="maps", grouping="each")) == ["cam"]
    assert present.all()
    assert np.allclose(maps[0], HEAT / 255)


def slow_landmarks(points, sigma: float, shape) -> np.ndarray:
    """Equation 2.11 as printed, position by position, then scaled to a maximum of 1."""
    total = np.zeros(shape)
    for i in range(shape[0]):
        for j in range(shape[1]):
            for x, y in points:
                distance = (i - y) ** 2 + (j - x) ** 2
                total[i, j] += math.exp(-distance / (2 * sigma**2)) / math.sqrt(2 * math.pi * sigma**2)
    return total / total.max()


def test_landmarks_follow_the_equation(cases):
    places = [(3, 4), (10.5, 6.25), (20, 20)]
    maps, present = only(cases, 0, source="landmarks")
    assert present.tolist() == [True]
    assert np.allclose(maps[0], slow_landmarks(places, 3.0, SHAPE), atol=1e-6)
    maps, _ = only(cases, 0, source="landmarks", grouping="each", sigma=1.5)
    for drawn, place in zip(maps, places, strict=True):
        assert np.allclose(drawn, slow_landmarks([place], 1.5, SHAPE), atol=1e-6)
    maps, _ = only(cases, 0, source="landmarks", grouping="ends")
    assert np.allclose(maps[0], slow_landmarks([places[0], places[2]], 3.0, SHAPE), atol=1e-6)


def test_a_whole_pixel_landmark_is_a_filtered_impulse():
    impulse = np.zeros((41, 41))
    impulse[20, 18] = impulse[22, 25] = 1  # equation 2.10
    filtered = gaussian_filter(impulse, 3.0, truncate=12, mode="constant")
    assert np.allclose(
        gaussian_map(np.array([[18.0, 20], [25, 22]]), 3.0, (41, 41)), filtered / filtered.max(), atol=1e-6
    )


def test_a_missing_landmark_makes_its_own_map_absent(cases):
    _, present = only(cases, 1, source="landmarks", grouping="each")
    assert present.tolist() == [True, False, False]
    _, present = only(cases, 1, source="landmarks", grouping="ends")
    assert present.tolist() == [True]
    _, present = only(cases, 2, source="landmarks", grouping="each")
    assert not present.any()


def test_points_are_gaussians_and_may_be_empty(cases):
    maps, present = only(cases, 2, source="points", grouping="each")
    assert present.tolist() == [False, False, True]
    assert np.allclose(maps[2], slow_landmarks([(4, 5), (8, 9)], 3.0, SHAPE), atol=1e-6)
    maps, present = only(cases, 3, source="points", grouping="each")
    assert present.tolist() == [False, False, True]
    assert not maps.any()


@pytest.mark.parametrize("source", ["outlines", "boxes", "points", "landmarks", "maps"])
@pytest.mark.parametrize("grouping", ["each", "one"])
def test_presence_from_the_table_is_presence_of_the_maps(cases, source, grouping):
    spec = PriorSpec(source=source, grouping=grouping)
    known = presence(cases, spec)
    for i in range(4):
        assert known[i].tolist() == prior_maps(cases, i, spec)[1].tolist()


@settings(deadline=None, max_examples=30)
@given(
    spots=st.lists(st.tuples(st.floats(-0.5, 31.5), st.floats(-0.5, 23.5)), min_size=1, max_size=5),
    sigma=st.floats(0.1, 20),
)
def test_any_spot_in_the_image_gives_a_map_that_reaches_one(spots, sigma):
    drawn = gaussian_map(np.array(spots), sigma, SHAPE)
    assert drawn.max() == pytest.approx(1)
    assert drawn.min() >= 0


def test_noise_is_repeatable_whatever_the_order(cases):
    spec = PriorSpec(source="landmarks", grouping="each", noise=4)
    first = prior_maps(cases, 0, spec, seed=3)[0]
    assert np.array_equal(first, prior_maps(cases.subset([2, 0]), 1, spec, seed=3)[0])
    assert not np.array_equal(first, prior_maps(cases, 0, spec, seed=4)[0])
    alone = spec.model_copy(update={"grouping": {"m": ["middle"]}})
    assert np.array_equal(first[1], prior_maps(cases, 0, alone, seed=3)[0][0])


def test_noise_has_the_spread_that_was_asked_for(tmp_path):
    info = DatasetInfo(name="n", landmarks=["l"])
    with CaseSetWriter(tmp_path / "set", info) as writer:
        writer.add("a", np.zeros((81, 81), np.uint8), points="40 40")
    case_set = CaseSet.open(tmp_path / "set")
    spec = PriorSpec(source="landmarks", noise=5.0, sigma=1.0)
    peaks = [
        np.unravel_index(prior_maps(case_set, 0, spec, seed)[0][0].argmax(), (81, 81)) for seed in range(300)
    ]
    assert np.std(peaks, axis=0) == pytest.approx([5, 5], rel=0.15)
    assert np.mean(peaks, axis=0) == pytest.approx([40, 40], abs=1)


def test_noise_moves_an_outline_as_a_whole(cases):
    spec = PriorSpec(grouping={"sac": ["sac"]}, noise=2.0)
    offsets = set()
    for seed in range(8):
        moved = prior_maps(cases, 0, spec, seed)[0][0]
        assert set(np.unique(moved)) <= {0.0, 1.0}
        rows, columns = np.nonzero(moved)
        offsets.add((rows.min() - 2, columns.min() - 3))
    assert len(offsets) > 4


def test_a_spot_moved_by_noise_stays_in_the_image(cases):
    maps, _ = prior_maps(cases, 0, PriorSpec(source="landmarks", grouping="each", noise=500.0))
    assert np.allclose(maps.max(axis=(1, 2)), 1)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"grouping": "three"}, "the grouping must be one of each, one, two, ends, but got 'three'"),
        (
            {"grouping": {"x": ["sack"]}},
            "grouping.x: a member must be one of sac, embryo, ovary, but got 'sack'",
        ),
        ({"grouping": {}}, "grouping must hold at least one map"),
        (
            {"grouping": "ends"},
            "groupings.ends.ends: a member must be one of sac, embryo, ovary, but got 'top'",
        ),
    ],
)
def test_a_grouping_that_does_not_fit_is_refused(cases, spec, message):
    with pytest.raises(DataError, match=message):
        prior_names(cases, PriorSpec(**spec))


@pytest.mark.parametrize(
    ("source", "needed"),
    [
        ("outlines", "zones in dataset.yaml"),
        ("boxes", "zones in dataset.yaml"),
        ("landmarks", "landmarks in dataset.yaml"),
        ("maps", "columns map.<name>"),
    ],
)
def test_a_set_without_the_source_says_what_it_lacks(tmp_path, source, needed):
    with CaseSetWriter(tmp_path / "set", DatasetInfo(name="bare")) as writer:
        writer.add("a", np.zeros(SHAPE, np.uint8))
    with pytest.raises(DataError, match=f"priors from {source} need {needed}, but there are none"):
        prior_names(CaseSet.open(tmp_path / "set"), PriorSpec(source=source))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "boxes",
            "case 'off', column 'box.sac': a box must cover pixels of the image, .* got '50 50 60 60'",
        ),
        (
            "points",
            "case 'off', column 'point.ovary': a point must lie in the image, 32 x 24 pixels, but got '-3 5'",
        ),
        ("landmarks", "case 'off', column 'points': a point must lie in the image, .* but got '5 99'"),
    ],
)
def test_what_lies_outside_the_image_is_refused(cases, source, message):
    with pytest.raises(DataError, match=message):
        prior_maps(cases, 4, PriorSpec(source=source))


def test_a_map_of_another_size_is_refused(cases):
    Image.fromarray(HEAT[1:]).save(cases.path(1, "map.cam"))
    with pytest.raises(
        DataError, match=r"must have the size of its image, 32 x 24 pixels .* but has 32 x 23"
    ):
        prior_maps(cases, 1, PriorSpec(source="maps"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"source": "outline"},
        {"sigma": 0},
        {"sigma": math.nan},
        {"noise": -1},
        {"nois": 1},
        {"noise": math.inf},
    ],
)
def test_a_wrong_spec_is_refused(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        PriorSpec(**wrong)


def test_a_coarser_form_is_made_of_the_same_outline(cases):
    boxes, present = only(cases, 0, grouping="each", form="box")
    assert present.tolist() == [True, True, False]
    assert np.array_equal(boxes[0], SAC)  # a rectangle is its own box
    heat, _ = only(cases, 1, source="maps", grouping="each", form="box")
    assert np.array_equal(heat[0], np.ones(SHAPE))
    points, present = only(cases, 0, grouping="each", form="point", sigma=1)
    assert present.tolist() == [True, True, False]
    rows, columns = np.unravel_index(points[0].argmax(), SHAPE)
    assert (rows, columns) == (5, 8)  # the middle of rows 2 to 8, columns 3 to 14 is 5, 8.5
    expected = gaussian_map(np.array([[8.5, 5.0]]), 1, SHAPE)
    assert points[0] == pytest.approx(expected)


def test_an_empty_outline_is_empty_in_every_form(cases):
    for form in ("box", "point"):
        maps, present = only(cases, 1, grouping={"sac": ["sac"]}, form=form)
        assert present.tolist() == [True]
        assert not maps.any()


def test_a_united_coarse_prior_unites_the_coarse_parts(cases):
    boxes, _ = only(cases, 0, form="box")
    assert np.array_equal(boxes[0], SAC | EMBRYO)
    points, _ = only(cases, 0, form="point", sigma=1)
    assert points[0] == pytest.approx(gaussian_map(np.array([[8.5, 5.0], [14.5, 8.5]]), 1, SHAPE))


@pytest.mark.parametrize("source", ["points", "landmarks"])
def test_spots_have_no_coarser_form(source):
    with pytest.raises(ValidationError, match=f"form must be 'given' for {source}, which have no extent"):
        PriorSpec(source=source, form="box")

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from sonoprior.cases import CaseSet, CaseSetWriter, DatasetInfo, PriorSpec
from sonoprior.cases.loading import Cache
from sonoprior.cases.loading.controls import controlled
from sonoprior.cases.loading.letterbox import letterbox
from sonoprior.cases.loading.loader import Loader
from sonoprior.core.errors import DataError

CONTROLS = ("shuffled", "blob", "random")
SIDE = 48
EVERY = np.arange(23)


@pytest.fixture(scope="module")
def cache(sides, tmp_path_factory) -> Cache:
    """In `sides` 0, 10, 15, 20 have a left lobe and an isthmus, 5 a left lobe, and 7 an empty one."""
    return Cache.build(sides, tmp_path_factory.mktemp("cache"), size=32, priors=PriorSpec(grouping="each"))


def maps_of(cache, case):
    return cache.maps[cache.row[case]]


def drawn(cache):
    """Case and prior wherever there is something to see."""
    return {
        (case, prior)
        for case in np.flatnonzero(cache.row >= 0).tolist()
        for prior in np.flatnonzero(maps_of(cache, case).any((1, 2)))
    }


@pytest.fixture(scope="module")
def different(tmp_path_factory) -> Cache:
    """Eight wide images, each with a rectangle of its own, one without, and one with an empty outline."""
    folder = tmp_path_factory.mktemp("different") / "set"
    with CaseSetWriter(folder, DatasetInfo(name="d", levels={"l": ["a"]}, zones=["z"])) as writer:
        for k in range(8):
            area = np.zeros((48, 96), bool)
            area[4 + k : 20, 10 + 6 * k : 40 + 6 * k] = k != 5
            outlines = {} if k == 6 else {"z": area}
            writer.add(f"case{k}", np.full((48, 96), 90, np.uint8), labels={"l": "a"}, outlines=outlines)
    return Cache.build(
        CaseSet.open(folder), tmp_path_factory.mktemp("cache"), size=64, priors=PriorSpec(grouping="each")
    )


WITH_AREA = [0, 1, 2, 3, 4, 7]


@pytest.mark.parametrize("control", CONTROLS)
def test_what_is_present_and_what_is_empty_stays_so(cache, control):
    found = controlled(cache, EVERY, control, seed=1)
    assert np.array_equal(found.present, cache.present)
    assert drawn(found) == drawn(cache)


@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_is_drawn_by_seed_and_case_and_not_by_order(different, control):
    one = controlled(different, np.arange(8), control, seed=3)
    other = controlled(different, np.arange(8)[::-1], control, seed=3)
    assert all(np.array_equal(maps_of(one, case), maps_of(other, case)) for case in WITH_AREA)
    if control != "blob":
        reseeded = controlled(different, np.arange(8), control, seed=4)
        assert not all(np.array_equal(maps_of(one, case), maps_of(reseeded, case)) for case in WITH_AREA)


def test_none_is_the_cache_itself(cache):
    assert controlled(cache, EVERY, "none", seed=0) is cache


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_gives_every_prior_once_and_none_to_its_own_image(different, seed):
    found = controlled(different, np.arange(8), "shuffled", seed)
    real = [maps_of(different, case).tobytes() for case in WITH_AREA]
    given = [maps_of(found, case).tobytes() for case in WITH_AREA]
    assert sorted(real) == sorted(given)
    assert all(one != other for one, other in zip(real, given, strict=True))


def test_priors_are_exchanged_among_the_training_cases_alone(different):
    train = np.array([0, 1, 2, 5])
    found = controlled(different, train, "shuffled", seed=0)
    real = {maps_of(different, case).tobytes() for case in (0, 1, 2)}
    assert {maps_of(found, case).tobytes() for case in (0, 1, 2)} == real
    assert (found.row[[3, 4, 7]] == -1).all()


def test_a_prior_that_no_other_image_has_is_left_out(cache):
    found = controlled(cache, np.array([0, 5]), "shuffled", seed=0)
    assert found.present[[0, 5]].tolist() == [[True, False, False], [True, False, False]]
    assert np.array_equal(maps_of(found, 0)[0], maps_of(cache, 5)[0])
    with pytest.raises(DataError, match="needs two training images with the same prior to exchange"):
        controlled(cache, np.array([5]), "shuffled", seed=0)


def test_blob_is_one_disc_in_the_middle_of_the_mean_area(different):
    found = controlled(different, np.arange(8), "blob", seed=0)
    discs = np.stack([maps_of(found, case)[0] for case in WITH_AREA])
    assert (discs == discs[0]).all()
    mean = np.mean([maps_of(different, case).sum() / 255 for case in WITH_AREA])
    assert (discs[0] > 0).sum() == pytest.approx(mean, abs=1)
    rows, columns = np.nonzero(discs[0])
    middle = (different.images.shape[1] - 1) / 2
    assert (rows.mean(), columns.mean()) == pytest.approx((middle, middle), abs=0.5)
    far, near = np.hypot(rows - middle, columns - middle).max(), np.sqrt(mean / np.pi)
    assert far == pytest.approx(near, abs=1)


def test_random_keeps_the_area_within_the_picture_and_moves_the_place(different):
    found = controlled(different, np.arange(8), "random", seed=0)
    inside = letterbox(np.ones((48, 96), np.float32), different.images.shape[1]) > 0
    overlaps = []
    for case in WITH_AREA:
        area, real = maps_of(found, case)[0] > 0, maps_of(different, case)[0] > 127
        assert area.sum() == round(maps_of(different, case).sum() / 255)
        assert not (area & ~inside).any()
        # Smooth: nearly all of it in one piece, where as many pixels strewn about would make hundreds.
        pieces, _ = ndimage.label(area)
        assert np.bincount(pieces.ravel())[1:].max() > 0.8 * area.sum()
        overlaps.append((area & real).sum() / real.sum())
    assert np.mean(overlaps) < 0.5


def test_a_training_part_without_priors_has_no_control_either(cache):
    found = controlled(cache, np.array([1, 2]), "blob", seed=0)
    assert not found.present.any()
    assert len(found.maps) == 0


def test_a_loader_shows_the_control_and_the_cache_keeps_the_real_priors(different):
    before = np.array(different.maps)
    found = controlled(different, np.arange(8), "shuffled", seed=0)
    (batch,) = Loader(found, [0, 6], batch_size=2, sampling="order").epoch(0)
    assert batch.present["prior"].tolist() == [[True], [False]]
    assert batch["prior"][0].amax() == 1
    assert not batch["prior"][1].any()
    assert np.array_equal(before, different.maps)


def test_a_control_shares_the_cache_of_the_real_priors(sides, tmp_path):
    for control in ("none", *CONTROLS):
        Cache.build(sides, tmp_path, size=32, priors=PriorSpec(grouping="each", control=control))
    assert len(list(tmp_path.iterdir())) == 1


def test_the_real_priors_have_neither_noise_nor_control():
    assert PriorSpec(noise=3, control="blob", sigma=2).real == PriorSpec(sigma=2)


def test_the_real_maps_are_never_written_to(cache):
    frozen = replace(cache, maps=np.array(cache.maps))
    frozen.maps.flags.writeable = False  # a write would raise
    for control in CONTROLS:
        controlled(frozen, EVERY, control, seed=0)
    np.testing.assert_array_equal(frozen.maps, cache.maps)

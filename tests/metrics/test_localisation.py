import numpy as np
import pytest

from sonoprior.core.errors import DataError
from sonoprior.metrics.localisation import MEASURES, area, correlation, inside, pointing

OUTLINE = np.zeros((1, 4, 4), dtype=bool)
OUTLINE[0, 1:3, 1:3] = True


def one(**places):
    """A map (1, 4, 4) with values at named places: r1c2=3."""
    heat = np.zeros((1, 4, 4))
    for place, value in places.items():
        heat[0, int(place[1]), int(place[3])] = value
    return heat


def test_inside_is_the_share_of_the_positive_attribution():
    assert inside(one(r1c1=3, r0c0=1), OUTLINE) == pytest.approx([0.75])
    assert inside(one(r1c1=3, r0c0=1, r2c2=-5, r3c3=-5), OUTLINE) == pytest.approx([0.75])
    assert inside(np.ones((1, 4, 4)), OUTLINE) == pytest.approx([0.25])
    assert area(OUTLINE) == pytest.approx([0.25])


def test_pointing_is_whether_the_largest_lies_inside():
    assert pointing(one(r1c1=3, r0c0=1), OUTLINE) == [1]
    assert pointing(one(r1c1=1, r0c0=3), OUTLINE) == [0]
    assert pointing(one(r1c1=3, r0c0=3), OUTLINE) == [0.5]


def test_correlation_agrees_with_numpy():
    rng = np.random.default_rng(0)
    maps, masks = rng.normal(size=(5, 6, 7)), rng.random((5, 6, 7)) > 0.6
    slow = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(maps, masks, strict=True)]
    assert correlation(maps, masks) == pytest.approx(slow)


def test_the_outline_itself_is_the_best_map():
    for measure in MEASURES.values():
        assert measure(OUTLINE * 2.0, OUTLINE) == pytest.approx([1])


@pytest.mark.parametrize("name", MEASURES)
def test_an_empty_outline_or_a_blank_map_gives_nan_for_that_image_only(name):
    maps = np.concatenate([one(r1c1=1), one(), one(r1c1=1)])
    masks = np.concatenate([OUTLINE, OUTLINE, np.zeros_like(OUTLINE)])
    found = MEASURES[name](maps, masks)
    assert np.isfinite(found).tolist() == [True, False, False]


def test_no_image_gives_no_number():
    for measure in MEASURES.values():
        assert measure(np.zeros((0, 3, 3)), np.zeros((0, 3, 3))).shape == (0,)


@pytest.mark.parametrize("name", MEASURES)
def test_a_coarse_outline_may_cover_a_share_of_a_position(name):
    assert MEASURES[name](one(r1c1=1, r0c0=1), OUTLINE * 0.5) == pytest.approx(
        MEASURES[name](one(r1c1=1, r0c0=1), OUTLINE) * (1 if name == "correlation" else 0.5)
    )


@pytest.mark.parametrize("name", MEASURES)
def test_what_does_not_fit_is_refused(name):
    with pytest.raises(DataError, match=r"same shape \(n, h, w\), but got \(1, 4, 4\) and \(1, 2, 2\)"):
        MEASURES[name](np.zeros((1, 4, 4)), np.zeros((1, 2, 2)))
    with pytest.raises(DataError, match="must hold finite numbers"):
        MEASURES[name](one(r0c0=np.nan), OUTLINE)

"""What the kits share: the registry, their settings, who is labelled, what is drawn by hand."""

import numpy as np
import pytest

from sonoprior.cases.phantom import KITS, PhantomSettings, make_phantom
from sonoprior.cases.phantom.abdomen.settings import AbdomenSettings
from sonoprior.cases.phantom.geometry import FRONT, HEAD, LEFT, Plane, ball
from sonoprior.cases.phantom.plan import exam_visits
from sonoprior.cases.phantom.probes import Screen, beam_grid
from sonoprior.cases.phantom.scanner import seen
from sonoprior.cases.phantom.section import Body, Waves
from sonoprior.cases.phantom.tissue import BONE, MUSCLE, OVARY, Structure
from sonoprior.cases.phantom.vendors import VENDORS
from sonoprior.core.errors import DataError

PARTS = {"train": 0.5, "validation": 0.25, "test": 0.25}


def test_every_kit_stands_under_its_name():
    for name in ("early-pregnancy", "abdomen"):
        kit = KITS.load(name)
        assert kit.name == name
        chosen = kit.choose({"patients": 3, "seed": 2})
        assert kit.describe(chosen).simulated
        assert len(kit.visits(chosen)) == 3
    assert isinstance(KITS.load("early-pregnancy").choose({}), PhantomSettings)


def test_an_unknown_kit_is_refused(tmp_path):
    with pytest.raises(
        DataError, match="must be one of abdomen, early-pregnancy, fetal-planes, but got 'moon'"
    ):
        make_phantom(tmp_path / "set", "moon")


@pytest.mark.parametrize(
    ("kit", "setting"),
    [("abdomen", "view_weights"), ("early-pregnancy", "out_of_scope"), ("abdomen", "frames")],
)
def test_a_kit_refuses_settings_of_another_kit(tmp_path, kit, setting):
    with pytest.raises(DataError, match=f"the phantom kit '{kit}' must be set by .* but got '{setting}'"):
        make_phantom(tmp_path / "set", kit, **{setting: 0.1})
    assert not (tmp_path / "set").exists()


def test_a_misspelt_setting_is_corrected(tmp_path):
    with pytest.raises(DataError, match="Did you mean 'unlabelled'"):
        make_phantom(tmp_path / "set", "abdomen", unlabeled=0.2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patients": 0}, "patients must be at least 1, but got 0"),
        ({"seed": -1}, "seed must be at least 0, but got -1"),
        ({"size": 4000}, "size must lie between 32 and 1024, but got 4000"),
        ({"unlabelled": 1.1}, "unlabelled must lie between 0 and 1, but got 1.1"),
        ({"out_of_scope": -0.1}, "out_of_scope must lie between 0 and 1, but got -0.1"),
        ({"box_fraction": 2.0}, "box_fraction must lie between 0 and 1, but got 2"),
        ({"outline_noise_px": -2.0}, "outline_noise_px must be at least 0, but got -2"),
    ],
)
def test_wrong_settings_of_a_population_are_refused(settings, message):
    with pytest.raises(DataError, match=message):
        AbdomenSettings(**settings)


def test_exams_are_as_long_as_asked_for_and_most_patients_may_be_unlabelled():
    planned = exam_visits(7, 1000, PARTS, 0.6, (5, 12.0, 25))
    frames = np.array([visit.frames for visit in planned])
    assert (frames.min(), frames.max()) == (5, 25)
    # Standard error of the mean of 1,000 gamma draws of shape 9: 4 / sqrt(1000) = 0.13.
    assert frames.mean() == pytest.approx(12.0, abs=0.4)
    assert sorted(visit.number for visit in planned) == list(range(1000))
    assert {visit.part for visit in planned if not visit.labelled} == {"train"}
    counts = {part: sum(visit.labelled and visit.part == part for visit in planned) for part in PARTS}
    assert counts == {"train": 200, "validation": 100, "test": 100}


@pytest.mark.parametrize(("unlabelled", "labelled"), [(0.0, 5), (1.0, 0), (0.5, 3)])
def test_small_populations_lose_nobody(unlabelled, labelled):
    planned = exam_visits(1, 5, PARTS, unlabelled, (1, 2.0, 3))
    assert len(planned) == 5
    assert sum(visit.labelled for visit in planned) == labelled


def _still_body(structures):
    flat = Waves(np.zeros((1, 3), np.float32), np.ones(1, np.float32), np.ones((3, 1), np.float32))
    one = Waves(flat.vectors, flat.phases, flat.weights[:1])
    return Body(structures, MUSCLE, flat, 0.0, one, one)


def test_a_zone_in_a_shadow_counts_only_where_nobody_asks_whether_it_is_seen():
    behind, free = ball(np.array([-15.0, -60, 0]), 8), ball(np.array([15.0, -60, 0]), 8)
    bone = ball(np.array([-8.0, -25, 0]), 9)
    body = _still_body([Structure(bone, BONE), Structure(behind, OVARY, 1), Structure(free, OVARY, 2)])
    style = VENDORS[0]
    grid = beam_grid(style.probes["convex"], Screen(0.0, 100.0, 128))
    plane = Plane(0 * HEAD, LEFT, -FRONT)
    looks = [np.ones(grid.lateral.shape, np.complex64)]

    def area(hidden_db):
        rng = np.random.default_rng(0)
        zones = seen(body, style, plane, grid, looks, 60.0, rng, hidden_db=hidden_db)[1]
        return np.bincount(zones.ravel(), minlength=3)[1:]

    met, visible = area(None), area(-18.0)
    # A ball of 8 mm covers pi 64 square millimetres.
    assert met * grid.screen.pixel_mm**2 == pytest.approx(np.pi * 64, rel=0.06)
    assert visible[0] < 0.2 * met[0]
    assert visible[1] == met[1]

"""The case set that the phantom writes: whole, repeatable, and honest about itself."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from sonoprior.cases import CaseSet
from sonoprior.cases.cells import EMPTY, parse_boxes
from sonoprior.cases.phantom import VERSION, Confounder, PhantomSettings, make_phantom
from sonoprior.cases.phantom.annotations import boxes_of, shaken
from sonoprior.cases.phantom.burnt_in import OVERLAYS, draw_habits, drawn
from sonoprior.cases.phantom.exam import Shot, draw_exam, draw_shots
from sonoprior.cases.phantom.frame import take
from sonoprior.cases.phantom.plan import Visit, visits
from sonoprior.cases.phantom.records import labels_of, records_of
from sonoprior.cases.phantom.sweep import FRAMES, draw_sweep, film
from sonoprior.cases.phantom.vendors import VENDORS
from sonoprior.cases.phantom.views import BY_NAME, VIEWS
from sonoprior.core.errors import DataError

LOOKS_OF_VERSION_1 = {  # patient: grey levels of her first frame, shrunk to 4 x 4
    0: [[34, 51, 69, 85], [39, 20, 10, 85], [39, 93, 64, 86], [63, 117, 131, 92]],
    3: [[38, 43, 63, 36], [65, 48, 73, 83], [73, 58, 73, 85], [63, 87, 84, 69]],
    7: [[56, 54, 47, 40], [73, 24, 35, 35], [87, 96, 39, 60], [76, 84, 41, 39]],
}
SMALL = {"patients": 4, "frames": 24, "size": 64, "seed": 5, "outline_fraction": 0.5, "sweeps": 0}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_phantom(tmp_path_factory.mktemp("phantom") / "set", jobs=1, **SMALL)


def test_it_is_a_case_set_that_says_it_is_a_simulation(made):
    assert made.info.simulated
    assert "not real images" in made.info.about
    assert f"version {VERSION}" in made.info.source
    assert list(made.info.levels) == ["plane", "view", "meta", "quality", "disorder"]
    assert len(made.classes()) == 8
    assert len(made.classes("view")) == 18
    assert len(made.classes("meta")) == 5
    assert set(made.info.groupings) == {"three"}
    assert (made.labels() >= 0).sum() == 24
    assert made.read_image(0).shape == (64, 64)


def test_a_mirror_swaps_left_and_right_views_and_no_plane(made):
    assert len(made.info.mirror) == 4
    assert ("transverse view of left adnexa", "transverse view of right adnexa") in made.info.mirror
    named = {name for pair in made.info.mirror for name in pair}
    assert named < set(made.classes("view"))
    assert not named & set(made.classes())


def test_every_frame_carries_what_is_known_of_it(made):
    for name in ("patient", "exam", "device", "split", "caption", "terms", "label.quality"):
        assert all(made.column(name))
    outlined = made.outlined()
    assert 0 < outlined.sum() < len(made)
    first = int(np.flatnonzero(outlined)[0])
    assert all(mask is not None for mask in made.outlines(first).values())
    absent = int(np.flatnonzero(~outlined)[0])
    assert all(mask is None for mask in made.outlines(absent).values())


def test_boxes_hold_their_outlines(made):
    checked = 0
    for i in np.flatnonzero(made.outlined()):
        for zone, mask in made.outlines(int(i)).items():
            cell = made.column(f"box.{zone}")[i]
            assert (cell == EMPTY) == (not mask.any())
            if mask.any():
                x0, y0, x1, y1 = parse_boxes(cell, "here")[0].astype(int)
                assert mask[y0:y1, x0:x1].sum() == mask.sum()
                assert mask[y0].any()
                assert mask[:, x1 - 1].any()
                checked += 1
    assert checked > 10


def test_the_default_set_has_the_sizes_of_table_2_1_and_cuts_no_patient():
    planned = visits(PhantomSettings())
    sizes = dict.fromkeys(("train", "validation", "test"), 0)
    for visit in planned:
        sizes[visit.part] += visit.frames
    assert sizes == {"train": 944, "validation": 237, "test": 819}
    assert sorted(visit.number for visit in planned) == list(range(120))
    assert min(visit.frames for visit in planned) >= 1


@pytest.mark.parametrize(("patients", "frames"), [(1, 1), (2, 9), (3, 3), (5, 100), (37, 41)])
def test_small_plans_add_up(patients, frames):
    planned = visits(PhantomSettings(patients=patients, frames=frames))
    assert len(planned) == patients
    assert sum(visit.frames for visit in planned) == frames
    assert all(visit.frames >= 1 for visit in planned)


@pytest.mark.parametrize("number", LOOKS_OF_VERSION_1)
def test_what_it_looks_like_changes_with_its_version_only(number):
    image = records_of(Visit(number, "train", 1), PhantomSettings(size=128))[0]["image"]
    shrunk = cv2.resize(image, (4, 4), interpolation=cv2.INTER_AREA)
    assert VERSION == 1, "a new version has other looks; write them down here"
    np.testing.assert_allclose(shrunk, LOOKS_OF_VERSION_1[number], atol=3)


def test_any_number_of_jobs_makes_the_same_set(made, tmp_path):
    again = make_phantom(tmp_path / "again", jobs=2, **SMALL)
    assert again.table.equals(made.table)
    for i in range(len(made)):
        assert (again.read_image(i) == made.read_image(i)).all()


def test_a_frame_depends_on_its_number_alone():
    exam = draw_exam(5, 2)
    shots = draw_shots(exam, 4, {}, 0.2)
    late = take(exam, shots[3], 3, 64)
    for number in (0, 1, 2):
        take(exam, shots[number], number, 64)
    again = take(draw_exam(5, 2), shots[3], 3, 64)
    assert (late.image == again.image).all()
    assert (late.image != take(exam, shots[3], 4, 64).image).any()
    assert (late.image != take(draw_exam(6, 2), shots[3], 3, 64).image).any()


def test_views_come_as_often_as_in_real_exams_or_as_asked():
    exams = [draw_exam(1, number) for number in range(60)]
    names = [shot.view.name for exam in exams for shot in draw_shots(exam, 30, {}, 0.0)]
    total = sum(view.images for view in VIEWS)
    for view in VIEWS:
        # A patient without an embryo has the other views more often.
        assert names.count(view.name) / len(names) == pytest.approx(view.images / total, abs=0.03)
    only = draw_shots(exams[0], 10, {"longitudinal view of cervix": 1.0}, 0.0)
    assert {shot.view.name for shot in only} == {"longitudinal view of cervix"}


def test_frames_that_are_no_view_are_labelled_so():
    exam = draw_exam(1, 1)
    shots = draw_shots(exam, 200, {}, 0.3)
    share = np.mean([shot.quality != "standard" for shot in shots])
    assert share == pytest.approx(0.3 / 1.3, abs=0.06)
    kinds = {shot.quality for shot in shots}
    assert kinds == {"standard", "off-plane", "between views"}
    rng = np.random.default_rng(0)
    missed = next(shot for shot in shots if shot.quality == "off-plane")
    assert labels_of(missed, 0.0, rng) == {"quality": "off-plane"}


def test_label_noise_has_the_share_it_is_given():
    rng = np.random.default_rng(0)
    shot = Shot(BY_NAME["longitudinal view of cervix"])
    wrong = [labels_of(shot, 0.25, rng)["view"] != shot.view.name for _ in range(2000)]
    assert np.mean(wrong) == pytest.approx(0.25, abs=0.03)
    assert labels_of(shot, 0.0, rng)["plane"] == "longitudinal cervix"


def test_outline_noise_moves_outlines_by_what_it_is_given():
    y, x = np.mgrid[:128, :128]
    zones = ((x - 64) ** 2 + (y - 64) ** 2 < 40**2).astype(np.uint8)
    rng = np.random.default_rng(0)
    moved = np.mean([(shaken(zones, 3.0, rng) != zones).sum() for _ in range(20)])
    # A ring of the circle's length, as wide as the mean absolute error of a Gaussian.
    assert moved == pytest.approx(2 * np.pi * 40 * 3.0 * np.sqrt(2 / np.pi), rel=0.25)
    assert shaken(zones, 0.0, rng) is zones


def test_a_box_of_nothing_is_empty():
    assert set(boxes_of(np.zeros((8, 8), np.uint8), ["sac", "ovary"]).values()) == {EMPTY}


def test_a_sweep_passes_its_views_and_its_neighbours_look_alike():
    exam = draw_exam(5, 1)
    sweep = draw_sweep(exam, 0)
    frames = list(film(exam, sweep, 64))
    assert FRAMES[0] <= len(frames) <= FRAMES[1]
    passed = list(dict.fromkeys(frame.shot.view.name for frame in frames if frame.shot.quality == "standard"))
    assert passed == list(sweep.views)
    assert any(frame.shot.quality == "between views" for frame in frames)
    pictures = np.stack([frame.image.ravel() for frame in frames]).astype(float)
    neighbours = np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairwise(pictures)])
    assert neighbours > np.corrcoef(pictures[0], pictures[-1])[0, 1]


def test_sweeps_are_clips():
    records = records_of(Visit(1, "train", 1), PhantomSettings(size=32, sweeps=1, patients=2, unlabelled=0))
    clip = [record for record in records if "clip" in record]
    assert [record["frame"] for record in clip] == [str(number) for number in range(len(clip))]
    assert len({record["clip"] for record in clip}) == 1


def test_each_overlay_has_a_mask_of_its_own():
    rng = np.random.default_rng(0)
    habits = draw_habits(rng, VENDORS[0])
    everything = type(habits)(OVERLAYS, inverted=False, lines=habits.lines, calipers=0.0)
    masks = drawn(everything, VENDORS[0], 9, 256, rng)
    assert tuple(masks) == OVERLAYS
    assert all(0 < (mask > 0).mean() < 0.05 for mask in masks.values())


def test_a_confounder_goes_with_its_class_in_training_and_not_in_testing():
    settings = PhantomSettings(
        size=32,
        confounder=Confounder("logo", "adnexa and ovary", with_class=1.0, otherwise=0.0),
        overlay_masks=True,
    )
    train = [record for number in (1, 2) for record in records_of(Visit(number, "train", 20), settings)]
    test = [record for number in (1, 2) for record in records_of(Visit(number, "test", 20), settings)]
    for record in train + test:
        marked = bool(record["maps"]["logo"].any())
        agrees = marked == (record["labels"].get("plane") == "adnexa and ovary")
        assert record["extra.mark_agrees"] == ("yes" if agrees else "no")
    assert {record["extra.mark_agrees"] for record in train} == {"yes"}
    shown = [bool(record["maps"]["logo"].any()) for record in test]
    assert 0.2 < np.mean(shown) < 0.8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patients": 0}, "patients must be at least 1, but got 0"),
        ({"patients": 5, "frames": 4}, "frames must be at least 5, but got 4"),
        ({"seed": -1}, "seed must be at least 0, but got -1"),
        ({"size": 8}, "size must lie between 32 and 1024, but got 8"),
        ({"sweeps": -1}, "sweeps must be at least 0, but got -1"),
        ({"outline_fraction": 1.5}, "outline_fraction must lie between 0 and 1, but got 1.5"),
        ({"outline_noise_px": -1.0}, "outline_noise_px must be at least 0, but got -1.0"),
        ({"view_weights": {"view of the moon": 1.0}}, "view_weights: a view must be one of"),
        ({"view_weights": {VIEWS[0].name: -1.0}}, "must be at least 0, but got -1.0"),
    ],
)
def test_wrong_settings_are_refused(tmp_path, settings, message):
    with pytest.raises(DataError, match=message):
        make_phantom(tmp_path / "set", **settings)
    assert not (tmp_path / "set").exists()


def test_a_wrong_confounder_is_refused():
    with pytest.raises(DataError, match="the mark must be one of marker"):
        Confounder("halo", "adnexa and ovary")
    with pytest.raises(DataError, match="the class must be one of"):
        Confounder("logo", "liver")
    with pytest.raises(DataError, match="in_test must lie between 0 and 1"):
        Confounder("logo", "adnexa and ovary", in_test=2.0)


def test_weights_that_leave_no_class_are_refused():
    with pytest.raises(DataError, match="every patient have a view of one of the eight classes"):
        draw_shots(draw_exam(1, 1), 5, {"transverse view of Pouch of Douglas": 1.0}, 0.0)


def test_the_set_opens_again(made):
    assert len(CaseSet.open(made.root)) == len(made)

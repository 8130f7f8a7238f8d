"""The phantom's fetal planes: sizes, shapes, what each plane shows, and the case set made of them."""

from collections import Counter
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from sonoprior.cases import CaseSet
from sonoprior.cases.importers.fetal_planes import BRAIN_PLANES, PLANES
from sonoprior.cases.phantom import make_phantom
from sonoprior.cases.phantom.fetal import KIT
from sonoprior.cases.phantom.fetal.biometry import (
    WEEKS,
    Biometry,
    ac_mm,
    bpd_mm,
    draw_biometry,
    fl_mm,
    hc_mm,
    tcd_mm,
)
from sonoprior.cases.phantom.fetal.exam import Exam, Frame, draw_exam, draw_views, take
from sonoprior.cases.phantom.fetal.patient import draw_patient
from sonoprior.cases.phantom.fetal.planes import BY_NAME, VIEWS, Aim
from sonoprior.cases.phantom.fetal.poses import pose, screen
from sonoprior.cases.phantom.fetal.shapes import Hoop, Local, Within, pipe
from sonoprior.cases.phantom.fetal.tissue import REGIONS, ZONES, zone_index
from sonoprior.cases.phantom.fetal.trunk import outline
from sonoprior.cases.phantom.fetal.words import frame_terms
from sonoprior.cases.phantom.geometry import FRONT, HEAD, LEFT, Plane, ball, turned, unit
from sonoprior.cases.phantom.kit import KITS
from sonoprior.cases.phantom.plan import Visit
from sonoprior.cases.phantom.population import PopulationSettings
from sonoprior.cases.phantom.probes import BeamGrid, Screen
from sonoprior.cases.phantom.section import section
from sonoprior.cases.phantom.vendors import VENDORS
from sonoprior.core.errors import DataError
from sonoprior.core.randomness import generator

TEXTBOOK_MM = {  # weeks: BPD, HC, AC, FL as tables after Hadlock print them, rounded to whole millimetres
    20: (46, 177, 149, 33),
    24: (59, 224, 196, 44),
    30: (76, 284, 260, 58),
    36: (88, 328, 317, 71),
}
BRAIN_VIEWS = ("trans-thalamic plane", "trans-cerebellar plane", "trans-ventricular plane")
OTHER_VIEWS = ("abdomen", "femur", "thorax", "cervix")
MUST_SHOW = {
    "trans-thalamic plane": ("skull", "brain", "midline echo", "thalami", "cavum septi pellucidi"),
    "trans-cerebellar plane": ("skull", "brain", "cerebellum", "cisterna magna", "cavum septi pellucidi"),
    "trans-ventricular plane": (
        "skull",
        "brain",
        "cavum septi pellucidi",
        "lateral ventricle",
        "choroid plexus",
    ),
    "abdomen": ("abdomen", "stomach", "umbilical vein", "spine"),
    "thorax": ("heart", "lungs", "spine"),
    "femur": ("femur",),
    "cervix": ("cervix",),
}
MUST_NOT_SHOW = {
    "trans-thalamic plane": ("cerebellum", "heart"),
    "trans-ventricular plane": ("cerebellum", "thalami"),
    "abdomen": ("heart", "skull"),
    "thorax": ("stomach", "skull"),
}
PATIENTS = range(4)
SMALL: dict[str, Any] = {"patients": 8, "size": 48, "seed": 5, "outline_fraction": 0.5, "unlabelled": 0.25}


@pytest.fixture(scope="module")
def exams() -> list[Exam]:
    return [draw_exam(11, number) for number in PATIENTS]


@pytest.fixture(scope="module")
def frames(exams: list[Exam]) -> dict[tuple[str, int], Frame]:
    """One frame of each standard view of each patient."""
    return {
        (name, exam.number): take(exam, BY_NAME[name], number, 96)
        for exam in exams
        for number, name in enumerate(MUST_SHOW)
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> CaseSet:
    return make_phantom(tmp_path_factory.mktemp("fetal") / "set", "fetal-planes", jobs=1, **SMALL)


# Sizes


@pytest.mark.parametrize("weeks", TEXTBOOK_MM)
def test_means_are_those_of_the_tables(weeks: int):
    mean = [curve(weeks) for curve in (bpd_mm, hc_mm, ac_mm, fl_mm)]
    np.testing.assert_allclose(mean, TEXTBOOK_MM[weeks], atol=1.0)


def test_everything_grows_over_all_weeks():
    weeks = np.linspace(*WEEKS, 50)
    for curve in (bpd_mm, hc_mm, ac_mm, fl_mm, tcd_mm):
        assert (np.diff([curve(float(week)) for week in weeks]) > 0).all()


def test_the_second_diameter_gives_back_the_circumference():
    size = Biometry(weeks=20, bpd=46, hc=177, ac=149, fl=33, tcd=20, atrium=7)
    assert np.pi / 2 * (size.bpd_outer + size.ofd) == pytest.approx(size.hc)
    assert 2 * np.pi * size.trunk_radius == pytest.approx(size.ac)


def test_fetuses_spread_about_the_mean_and_heads_keep_their_form():
    rng = generator(1, "sizes")
    drawn = [draw_biometry(rng) for _ in range(400)]
    against = np.array([size.fl / fl_mm(size.weeks) for size in drawn])
    assert abs(np.log(against).mean()) < 0.01
    assert 0.02 < np.log(against).std() < 0.06
    cephalic = np.array([size.bpd_outer / size.ofd for size in drawn])  # index of the head's form
    assert 0.72 < cephalic.mean() < 0.80
    assert 0.65 < cephalic.min() < cephalic.max() < 0.88
    assert min(size.weeks for size in drawn) >= WEEKS[0]
    assert max(size.weeks for size in drawn) <= WEEKS[1]


# Shapes


def test_a_hoop_is_as_far_as_the_nearest_point_of_its_rod():
    local = Local.of(np.array([3.0, -2, 5]), unit(np.array([0.3, 0.1, 1])), FRONT)
    hoop = Hoop(local, (20.0, 20.0), 1.5, opening=0.25)
    angle = np.linspace(0, 2 * np.pi, 4000)
    ring = np.stack([20 * np.cos(angle), 20 * np.sin(angle), 0 * angle], axis=1)
    rod = local.origin + ring[ring[:, 1] < 5] @ local.axes
    behind = np.random.default_rng(0).uniform(-1, 1, (60, 3)) * [22, 8, 6] - [0, 12, 0]
    points = local.origin + behind @ local.axes
    slow = [np.linalg.norm(rod - point, axis=1).min() - 1.5 for point in points]
    np.testing.assert_allclose(hoop.distance(points.T), slow, atol=0.02)


def test_a_hoop_is_open_in_front():
    local = Local.of(np.zeros(3), HEAD, FRONT)
    hoop = Hoop(local, (20.0, 15.0), 1.0, opening=0.25)
    places = np.array([[0.0, 15, 0], [0, -15, 0], [20, 0, 0], [0, 0, 0]]).T
    np.testing.assert_array_equal(hoop.distance(places) < 0, [False, True, True, False])


def test_local_axes_are_right_handed_and_places_follow_them():
    local = Local.of(np.array([1.0, 2, 3]), np.array([0.0, 0, 2]), np.array([0.0, 1, 1]))
    np.testing.assert_allclose(np.linalg.det(local.axes), 1)
    np.testing.assert_allclose(local.at(1, 2, 3), [2, 4, 6])
    np.testing.assert_allclose(local.toward(0, 3, 4), [0, 0.6, 0.8])
    leaning = local.leaning((0, 0, 0), (3, 2, 1), (1, 1, 0))
    np.testing.assert_allclose(leaning.axes @ leaning.axes.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(leaning.axes), 1)


def test_within_is_the_common_part_and_a_pipe_has_no_wall_across():
    both = Within(ball(np.zeros(3), 2), ball(np.array([2.0, 0, 0]), 1))
    places = np.array([[0.0, 0, 0], [1.5, 0, 0], [2.5, 0, 0]]).T
    np.testing.assert_array_equal(both.distance(places) < 0, [False, True, False])
    bend = pipe([np.zeros(3), np.array([10.0, 0, 0]), np.array([20.0, 0, 0])], 2.0)
    assert bend.distance(np.array([[10.0, 0, 0]]).T)[0] <= -2.0


# The patient


def test_a_patient_depends_on_seed_and_number_only():
    first, again, other = draw_patient(3, 2), draw_patient(3, 2), draw_patient(3, 4)
    assert first.size == again.size
    assert first.size != other.size
    np.testing.assert_array_equal(first.head.local.axes, again.head.local.axes)


def test_fetuses_lie_all_ways_and_inside_the_uterus():
    patients = [draw_patient(9, number) for number in range(20)]
    assert {"cephalic", "breech"} <= {patient.lie for patient in patients}
    for patient in patients:
        down = float(patient.trunk.local.axes[2] @ HEAD)
        assert {"cephalic": down < -0.8, "breech": down > 0.8, "transverse": abs(down) < 0.5}[patient.lie]
        middles = np.stack([patient.head.local.origin, patient.trunk.local.origin], axis=1)
        assert (patient.mother.room.distance(middles) < -10).all()
        one_side = abs(float(patient.head.local.axes[0] @ FRONT))
        assert one_side > 0.2  # a side of the head can be reached from the mother's front


def test_the_skin_is_where_a_beam_leaves_the_belly():
    mother = draw_patient(9, 1).mother
    beam = unit(np.array([0.2, -1.0, 0.1]))
    depth = mother.skin_depth(mother.room.centre, beam) - sum(mother.layers)
    place = (mother.room.centre - depth * beam)[:, None]
    assert float(mother.belly.distance(place)[0]) == pytest.approx(0, abs=0.01)


def test_what_lies_outside_the_belly_is_aimed_at_from_inside():
    mother = draw_patient(9, 1).mother
    inside, outside = (mother.room.centre + x * LEFT for x in (5.0, 500.0))
    np.testing.assert_allclose(mother.kept_inside(inside), inside)
    kept = mother.kept_inside(outside)
    assert float(mother.belly.distance(kept[:, None])[0]) < 0
    assert mother.skin_depth(kept, -FRONT) > 0


def test_limbs_lie_in_the_uterus_and_not_in_the_trunk():
    patients = [draw_patient(9, number) for number in range(12)]
    ends = [(p, limb.upper.end[:, None]) for p in patients for limb in (*p.legs, *p.arms)]
    within = [float(outline(p.trunk, 0).distance(end)[0]) < 0 for p, end in ends]
    beyond = [float(p.mother.room.distance(end)[0]) > 3 for p, end in ends]
    assert np.mean(within) < 0.1
    assert np.mean(beyond) < 0.1


def test_the_skull_in_a_section_has_the_head_s_two_diameters():
    patient = draw_patient(3, 0)
    head = patient.head
    across, ahead = head.local.axes[0], head.local.axes[1]
    plane = Plane(head.local.origin - 90 * across, ahead, across)
    grid = BeamGrid(VENDORS[0].probes["convex"], Screen(0.0, 180.0, 256))
    body = replace(patient.body, warp_mm=0.0)
    zones = section(body, plane, grid).zone
    covered = grid.on_screen(
        np.isin(zones, [zone_index(name) for name in REGIONS["head"]]).astype(np.float32)
    )
    b, o, _ = head.half
    area = float(covered.sum()) * grid.screen.pixel_mm**2
    assert area == pytest.approx(np.pi * b * o, rel=0.03)
    rows, columns = np.nonzero(covered > 0.5)
    assert np.ptp(rows) * grid.screen.pixel_mm == pytest.approx(2 * b, abs=2.5)
    assert np.ptp(columns) * grid.screen.pixel_mm == pytest.approx(2 * o, abs=2.5)


# Planes


def test_aims_out_of_reach_are_known():
    aim = Aim(np.zeros(3), HEAD, -FRONT, 10.0)
    assert aim.within_reach
    assert not replace(aim, normal=turned(HEAD, np.array([1.0, 0, 0]), 85)).within_reach


def test_a_pose_looks_at_its_target_and_the_screen_shows_it(exams: list[Exam]):
    rng = generator(2, "poses")
    for view in VIEWS:
        aim = view.find(exams[0].patient, rng)
        held = pose(exams[0].patient, replace(aim, tilt_deg=0.0, shift_mm=0.0), rng)
        lateral, depth, height = held.plane.place(aim.target)
        assert height == pytest.approx(0, abs=1e-6)
        assert depth == pytest.approx(held.depth)
        assert abs(lateral) < 0.3 * aim.extent_mm
        shown = screen(aim, held.depth, 128, rng)
        assert shown.top_mm < held.depth < shown.top_mm + shown.height_mm


@pytest.mark.parametrize("name", MUST_SHOW)
def test_a_view_shows_what_makes_it_that_view(name: str, frames: dict[tuple[str, int], Frame]):
    shown = Counter(term for number in PATIENTS for term in frame_terms(frames[name, number])[1:])
    assert {zone: shown[zone] for zone in MUST_SHOW[name] if shown[zone] < len(PATIENTS) - 1} == {}
    assert {zone: shown[zone] for zone in MUST_NOT_SHOW.get(name, ()) if shown[zone]} == {}


def test_planes_of_the_brain_are_near_one_another_and_the_others_are_not(exams: list[Exam]):
    rng = generator(4, "planes")

    def apart(first: str, second: str, exam: Exam) -> float:
        """Angle between two planes, degrees, or 90 where the middles are more than half a head away."""
        one, two = (BY_NAME[name].find(exam.patient, rng) for name in (first, second))
        far = np.linalg.norm(one.target - two.target) > exam.patient.head.half[1]
        return 90.0 if far else float(np.degrees(np.arccos(min(abs(one.normal @ two.normal), 1.0))))

    for exam in exams:
        within = [apart(a, b, exam) for a in BRAIN_VIEWS for b in BRAIN_VIEWS if a != b]
        assert max(within) < 25
        assert min(apart("trans-thalamic plane", name, exam) for name in OTHER_VIEWS) == 90


def test_pictures_of_the_brain_are_alike_and_the_others_are_not(frames: dict[tuple[str, int], Frame]):
    def alike(names: tuple[str, ...]) -> float:
        """Mean correlation between the pictures of different views of a patient, without fine detail."""
        pairs = [(n, a, b) for n in PATIENTS for i, a in enumerate(names) for b in names[i + 1 :]]
        return float(
            np.mean([np.corrcoef(_coarse(frames[a, n]), _coarse(frames[b, n]))[0, 1] for n, a, b in pairs])
        )

    assert alike(BRAIN_VIEWS) > alike(OTHER_VIEWS) + 0.15


def _coarse(frame: Frame) -> np.ndarray:
    return cv2.resize(frame.picture.image, (16, 16), interpolation=cv2.INTER_AREA).ravel().astype(float)


def test_views_come_as_often_as_in_real_exams():
    drawn = [view for number in range(600) for view in draw_views(3, number, 7)]
    planes = Counter(view.plane for view in drawn)
    brain = Counter(view.brain_plane for view in drawn if view.brain_plane)
    real = (711, 3092, 1040, 1718, 1626, 4213)
    assert sum(view.images for view in VIEWS) == sum(real) == 12400
    for name, count in zip(PLANES, real, strict=True):
        assert planes[name] / len(drawn) == pytest.approx(count / 12400, abs=0.02)
    for name, count in zip(BRAIN_PLANES, (714, 1638, 597, 143), strict=True):
        assert brain[name] / len(drawn) == pytest.approx(count / 12400, abs=0.015)


def test_a_cervix_is_looked_at_both_ways(exams: list[Exam]):
    rng = generator(6, "routes")
    routes = Counter(BY_NAME["cervix"].find(exams[0].patient, rng).vaginal for _ in range(200))
    assert 90 < routes[True] < 150
    vaginal = next(
        frame
        for number in range(20)
        if (frame := take(exams[0], BY_NAME["cervix"], number, 48)).scanner.probe.kind == "endocavity"
    )
    assert vaginal.scanner.device.endswith("endocavity")
    assert exams[0].scanner.probe.kind == "convex"


# The case set


def test_the_kit_is_known_and_refuses_settings_that_are_not_its_own():
    assert KITS.load("fetal-planes") is KIT
    with pytest.raises(DataError, match="must be set by patients"):
        KIT.choose({"sweeps": 3})
    with pytest.raises(DataError, match="patients must be at least 1"):
        KIT.choose({"patients": 0})


def test_a_set_names_levels_and_classes_as_the_real_one_does(made: CaseSet):
    assert made.info.simulated
    assert "not real images" in made.info.about
    assert made.info.levels == {"plane": list(PLANES), "brain_plane": list(BRAIN_PLANES)}
    assert made.info.zones == list(ZONES)
    assert sorted(zone for zones in REGIONS.values() for zone in zones) == sorted(ZONES)


def test_a_plane_of_the_brain_is_one_at_both_levels(made: CaseSet):
    plane, brain = made.labels("plane"), made.labels("brain_plane")
    np.testing.assert_array_equal(brain >= 0, plane == PLANES.index("Fetal brain"))


def test_no_patient_is_cut_by_the_split(made: CaseSet):
    parts: dict[str, set[str]] = {}
    for patient, part in zip(made.column("patient"), made.column("split"), strict=True):
        parts.setdefault(patient, set()).add(part)
    assert all(len(part) == 1 for part in parts.values())
    assert {"train", "validation", "test"} == {name for part in parts.values() for name in part}


def test_nothing_said_of_the_unlabelled_but_for_looking(made: CaseSet):
    without = made.labels("plane") < 0
    assert 0 < without.sum() < len(made)
    patients = np.array(made.column("patient"))
    assert len(set(patients[without])) == 2
    assert not set(patients[without]) & set(patients[~without])
    kept = np.array(made.column("extra.plane"))
    assert set(kept[without]) <= set(PLANES)
    assert not any(kept[~without])
    for name in ("terms", "caption", "zonemap", "box.skull"):
        assert not any(np.array(made.column(name))[without])
    assert set(np.array(made.column("split"))[without]) == {"train"}


def test_a_record_depends_on_nothing_but_its_visit():
    settings = PopulationSettings(**SMALL)
    visit = Visit(1, "train", 2)
    first, again = KIT.records_of(visit, settings), KIT.records_of(visit, settings)
    longer = KIT.records_of(replace(visit, frames=3), settings)
    assert len(first) == 2
    for one, two, three in zip(first, again, longer, strict=False):
        np.testing.assert_array_equal(one["image"], two["image"])
        np.testing.assert_array_equal(one["image"], three["image"])
        assert {k: v for k, v in one.items() if k not in ("image", "zonemap")} == {
            k: v for k, v in two.items() if k not in ("image", "zonemap")
        }
    other = KIT.records_of(visit, replace(settings, seed=6))
    assert not np.array_equal(first[0]["image"], other[0]["image"])

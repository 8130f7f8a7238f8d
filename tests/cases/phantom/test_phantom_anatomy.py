"""One patient is one model: sections agree with each other and show what their views promise."""

from dataclasses import replace

import numpy as np
import pytest

from sonoprior.cases.phantom.adnexa import SIDES
from sonoprior.cases.phantom.exam import Shot, draw_exam
from sonoprior.cases.phantom.frame import take
from sonoprior.cases.phantom.geometry import LEFT, Plane, unit
from sonoprior.cases.phantom.gestation import draw_gestation, embryo_length_mm, sac_diameter_mm
from sonoprior.cases.phantom.patient import SITUATIONS, draw_patient
from sonoprior.cases.phantom.poses import off_plane, pose
from sonoprior.cases.phantom.probes import BEAMS, SAMPLES, BeamGrid, Screen, beam_grid
from sonoprior.cases.phantom.section import section
from sonoprior.cases.phantom.tissue import ZONES, zone_index
from sonoprior.cases.phantom.vendors import VENDORS
from sonoprior.cases.phantom.views import BY_NAME, META, PLANES, VIEWS, sagittal

SCREEN = Screen(0.0, 100.0, 256)
GRID = beam_grid(VENDORS[0].probes["endocavity"], SCREEN)


def zones_of(patient, plane, grid=GRID):
    return section(patient.body, plane, grid).zone


def patients(site="normal", outcome="live", abdominal=False, count=4, ready=lambda patient: True):
    found = []
    for number in range(400):
        patient = draw_patient(3, number)
        situation = patient.situation
        fits = situation.site == site and situation.outcome == outcome and patient.abdominal == abdominal
        if fits and ready(patient):
            found.append(patient)
        if len(found) == count:
            break
    return found


def steady(patient, name, rng):
    """The plane of a view held without any tremor."""
    aim = BY_NAME[name].find(patient, rng)
    return pose(patient, aim, rng, jitter_mm=0.0).plane


def extent_on_middle_beam_mm(zones, names):
    column = np.isin(zones[:, zones.shape[1] // 2], [zone_index(name) for name in names])
    return column.sum() * GRID.step_mm


INSIDE = ("gestational sac", "amniotic sac", "yolk sac", "embryo")


def test_the_sac_is_as_deep_in_its_longitudinal_as_in_its_transverse_section():
    for patient in patients(count=6):
        centre = patient.gestation.sac.centre
        axial = unit(centre)
        cuts = [
            Plane(np.zeros(3), unit(across - axial * (axial @ across)), axial)
            for across in (sagittal(patient), LEFT)
        ]
        depths = [extent_on_middle_beam_mm(zones_of(patient, cut), INSIDE) for cut in cuts]
        assert depths[0] == pytest.approx(depths[1], abs=2 * GRID.step_mm)
        drawn = chord_mm(patient.gestation.sac, axial)
        assert depths[0] == pytest.approx(drawn, rel=0.2, abs=1.5)


def chord_mm(ellipsoid, direction):
    """How long a line through the centre of an ellipsoid is inside it."""
    return 2 / np.linalg.norm(ellipsoid.axes @ direction / ellipsoid.semi)


def test_the_sac_is_as_wide_as_the_model_says():
    for patient in patients(count=4):
        sac = patient.gestation.sac
        axial = unit(sac.centre)
        across = unit(sac.axes[0] - axial * (axial @ sac.axes[0]))
        zones = zones_of(patient, Plane(np.zeros(3), across, axial))
        row = np.argmin(np.abs(GRID.depth[:, 96] - np.linalg.norm(sac.centre)))
        inside = np.isin(zones[row], [zone_index(name) for name in INSIDE])
        assert inside.sum() * GRID.beam_spacing_mm[row] == pytest.approx(
            chord_mm(sac, across), rel=0.3, abs=2
        )


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("run", ["transverse", "longitudinal"])
def test_the_ovary_stands_in_the_middle_of_its_view(side, run):
    rng = np.random.default_rng(0)
    for patient in patients(count=3):
        zones = zones_of(patient, steady(patient, f"{run} view of {side} adnexa", rng))
        rows, beams = np.nonzero(zones == zone_index("ovary"))
        assert len(rows) > 100
        assert abs(beams.mean() - zones.shape[1] / 2) < 25


@pytest.mark.parametrize("side", SIDES)
def test_the_uterus_lies_medially_of_the_ovary(side):
    rng = np.random.default_rng(0)
    seen = []
    for patient in patients(count=8):
        zones = zones_of(patient, steady(patient, f"transverse view of {side} adnexa", rng))
        uterus = np.nonzero(zones == zone_index("uterus borders"))[1]
        if len(uterus) > 300:
            ovary = np.nonzero(zones == zone_index("ovary"))[1]
            seen.append(np.sign(ovary.mean() - uterus.mean()))
    # The image's right is the patient's left.
    assert len(seen) >= 3
    assert np.mean(seen) == SIDES[side]


@pytest.mark.parametrize(
    ("view", "zone"),
    [
        ("longitudinal view of the uterus", "uterus borders"),
        ("transverse view on uterus", "uterus borders"),
        ("longitudinal view of cervix", "uterus borders"),
        ("magnified view of the gestational sac", "gestational sac"),
        ("magnified view of the trophoblast", "trophoblast"),
    ],
)
def test_a_view_shows_what_it_is_named_after(view, zone):
    rng = np.random.default_rng(0)
    for patient in patients(count=4):
        zones = zones_of(patient, steady(patient, view, rng))
        assert (zones == zone_index(zone)).sum() > 50


def test_the_longitudinal_view_of_the_embryo_shows_its_length():
    rng = np.random.default_rng(0)
    ready = lambda patient: patient.gestation.embryo_mm > 14  # noqa: E731
    for patient in patients(count=3, ready=ready):
        found = patient.gestation
        held = pose(patient, BY_NAME["longitudinal view of the embryo"].find(patient, rng), rng, jitter_mm=0)
        grid = beam_grid(VENDORS[0].probes["endocavity"], Screen(0.0, 110.0, 256))
        zones = zones_of(patient, held.plane, grid) == zone_index("embryo")
        places = np.stack([grid.lateral[zones], grid.depth[zones]])
        longest = np.ptp(places[:, np.abs(places[0] - places[0].mean()) < 60], axis=1).max()
        assert longest > 0.45 * found.embryo_mm


def test_ten_zones_and_the_tables_of_the_thesis():
    assert len(ZONES) == 10
    assert len(VIEWS) == 18
    assert len(PLANES) == 8
    assert len(META) == 5
    assert sum(view.images for view in VIEWS) == 2366
    grouped = {view.meta: 0 for view in VIEWS}
    for view in VIEWS:
        grouped[view.meta] += 1
    assert [grouped[meta] for meta in META] == [4, 3, 8, 1, 2]
    assert [view.name for view in VIEWS if view.plane is None] == [
        "transverse view of Pouch of Douglas",
        "longitudinal view of Pouch of Douglas",
    ]


def test_windows_cut_nothing_off(monkeypatch):
    patient = patients(count=1)[0]
    plane = steady(patient, "longitudinal view of the uterus", np.random.default_rng(0))
    quick = section(patient.body, plane, GRID)
    everything = (slice(0, SAMPLES), slice(0, BEAMS))
    monkeypatch.setattr(BeamGrid, "window", lambda *_: everything)
    slow = section(patient.body, plane, GRID)
    assert (quick.zone == slow.zone).all()
    assert quick.echo_db == pytest.approx(slow.echo_db, abs=1e-3)


def test_growth_follows_the_textbook():
    assert sac_diameter_mm(49) == 19
    assert embryo_length_mm(63) == 21
    rng = np.random.default_rng(0)
    young = draw_gestation(rng, 37, np.zeros(3), np.eye(3), "live")
    old = draw_gestation(rng, 75, np.zeros(3), np.eye(3), "live")
    assert young.embryo_mm == 0
    assert young.amnion is None
    assert old.embryo_mm > 20
    assert old.amnion is not None
    assert old.sac.semi.mean() > 3 * young.sac.semi.mean()


def test_what_the_sac_holds_lies_in_it():
    rng = np.random.default_rng(1)
    for days in np.linspace(36, 80, 23):
        drawn = draw_gestation(rng, float(days), np.zeros(3), np.eye(3), "live")
        for part in (drawn.yolk, drawn.amnion):
            if part is not None:
                offset = drawn.sac.axes @ (part.centre - drawn.sac.centre)
                assert np.linalg.norm(offset / drawn.sac.semi) < 1


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.disorder)
def test_every_situation_can_be_drawn_and_seen(situation):
    found = patients(situation.site, situation.outcome, count=1)
    found = found or patients(situation.site, situation.outcome, abdominal=True, count=1)
    assert found, "400 patients hold every situation"
    zones = zones_of(found[0], steady(found[0], "longitudinal view of the uterus", np.random.default_rng(0)))
    assert (zones == zone_index("uterus borders")).any()


def test_a_pregnancy_is_where_its_site_says():
    tubal = patients("ampullary", "demise", count=1)[0]
    side = SIDES[tubal.side]
    assert side * tubal.gestation.sac.centre[0] > 15
    cervical = (patients("cervical", count=1) or patients("cervical", count=1, abdominal=True))[0]
    uterus = cervical.uterus
    height = (cervical.gestation.sac.centre - uterus.os) @ uterus.canal
    assert 0 < height < np.linalg.norm(uterus.cervix.end - uterus.os)
    normal = patients(count=1)[0]
    assert normal.uterus.body.distance(normal.gestation.sac.centre[:, None].astype(np.float32))[0] < -5


def test_missing_the_plane_moves_it():
    rng = np.random.default_rng(0)
    patient = patients(count=1)[0]
    held = pose(patient, BY_NAME["transverse view of left adnexa"].find(patient, rng), rng)
    missed = off_plane(held, rng)
    assert abs(missed.plane.place(held.target)[2]) > 8


def test_an_inverted_exam_is_mirrored():
    exams = [draw_exam(7, number) for number in range(60)]
    inverted = next(exam for exam in exams if exam.habits.inverted)
    straight = replace(inverted, habits=replace(inverted.habits, inverted=False))
    shot = Shot(BY_NAME["transverse view on uterus"])
    assert (take(inverted, shot, 0, 96).zones[:, ::-1] == take(straight, shot, 0, 96).zones).all()

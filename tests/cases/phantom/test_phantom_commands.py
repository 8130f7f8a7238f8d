"""`data phantom` and `data show`, from the command line to the files."""

import json

import numpy as np
import pytest
from PIL import Image

from sonoprior.cases import CaseSet, CaseSetWriter, DatasetInfo
from sonoprior.cases.show import sheet_of, spread
from sonoprior.cli.main import main


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("cli") / "set"
    small = ("--patients", 3, "--frames", 9, "--size", 48, "--outlines", 0.5, "--jobs", 1)
    assert run("data", "phantom", out, *small, "--seed", 2) == 0
    return out


def test_phantom_writes_a_case_set(folder):
    case_set = CaseSet.open(folder)
    assert (case_set.labels() >= 0).sum() == 9
    assert case_set.info.simulated


def test_phantom_says_what_it_made(tmp_path, capsys):
    assert run("data", "phantom", tmp_path / "a", "--patients", 1, "--frames", 1, "--size", 32, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["simulated"] is True
    assert said["cases"] >= 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--patients", 0), "patients must be at least 1"),
        (("--jobs", 0), "--jobs must be at least 1, but got 0"),
        (("--confounder", "logo"), "--confounder must be MARK=CLASS, but got 'logo'"),
        (("--view-weight", "longitudinal view of cervix"), "--view-weight must be NAME=WEIGHT, but got"),
        (("--view-weight", "view of the moon=1"), "a view must be one of"),
        (("--confounder", "halo=adnexa and ovary"), "the mark must be one of"),
        (("--kit", "moon"), "the name among phantom_kits must be one of abdomen, early-pregnancy"),
        (("--kit", "abdomen", "--sweeps", 1), "the phantom kit 'abdomen' must be set by patients"),
        (("--out-of-scope", 0.1), "but got 'out_of_scope'; leave it out or take another kit."),
    ],
)
def test_phantom_refuses_what_cannot_be(tmp_path, capsys, flags, message):
    assert run("data", "phantom", tmp_path / "a", *flags) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def test_phantom_takes_the_views_that_are_asked_for(tmp_path):
    cervix, sac = "longitudinal view of cervix", "magnified view of the gestational sac"
    small = ("--patients", 2, "--frames", 8, "--size", 32, "--unlabelled", 0, "--boxes", 0, "--jobs", 1)
    weights = ("--view-weight", f"{cervix}=1", "--view-weight", f"{sac}=1")
    assert run("data", "phantom", tmp_path / "a", *small, *weights) == 0
    made = CaseSet.open(tmp_path / "a")
    assert set(made.column("label.view")) <= {cervix, sac}
    assert not any(name.startswith("box.") for name in made.table.columns)


def test_phantom_makes_the_kit_that_is_asked_for(tmp_path, capsys):
    small = ("--patients", 2, "--size", 32, "--unlabelled", 1, "--out-of-scope", 1, "--jobs", 1)
    assert run("data", "phantom", tmp_path / "a", "--kit", "abdomen", *small) == 0
    assert "simulated patients (abdomen) in" in capsys.readouterr().out
    made = CaseSet.open(tmp_path / "a")
    assert made.info.name == "phantom of the abdomen 1"
    assert set(made.column("extra.scope")) == {"out"}


def test_phantom_overwrites_nothing(folder, capsys):
    assert run("data", "phantom", folder) == 2
    assert "exists already" in capsys.readouterr().err


def test_show_draws_a_sheet(folder, tmp_path):
    assert run("data", "show", folder, "--out", tmp_path / "sheet.png", "--cases", 4, "--level", "view") == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert min(sheet.size) > 200


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--cases", 0), "--cases must be at least 1"),
        (("--columns", 0), "--columns must be at least 1"),
        (("--level", "vew"), "Did you mean 'view'"),
    ],
)
def test_show_refuses_what_cannot_be(folder, tmp_path, capsys, flags, message):
    assert run("data", "show", folder, "--out", tmp_path / "sheet.png", *flags) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "sheet.png").exists()


def test_a_set_without_labels_or_outlines_can_be_shown(tmp_path):
    with CaseSetWriter(tmp_path / "plain", DatasetInfo(name="plain")) as writer:
        writer.add("a", np.zeros((9, 9), np.uint8))
    case_set = CaseSet.open(tmp_path / "plain")
    assert sheet_of(case_set, 5).size[0] > 200
    assert run("data", "show", tmp_path / "plain", "--outlined", "--out", tmp_path / "s.png") == 2


def test_cases_are_spread_over_the_classes():
    labels = np.array([0] * 90 + [1] * 8 + [2] * 2)
    chosen = labels[spread(labels, np.arange(100), 9, seed=0)]
    assert np.bincount(chosen).tolist() == [4, 3, 2]
    assert (np.diff(chosen) >= 0).all()
    again = spread(labels, np.arange(100), 9, seed=0)
    assert (again == spread(labels, np.arange(100), 9, seed=0)).all()
    assert len(spread(labels, np.arange(100), 500, seed=0)) == 100

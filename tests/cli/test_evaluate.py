import json
import shutil

import pytest

from sonoprior.cli.main import main
from tiny import write_blobs


def ran(*arguments) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


def test_what_was_measured_after_training(trained, capsys):
    assert ran("evaluate", trained.run, "--json") == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == json.loads(
        (trained.run / "metrics.json").read_text()
    )
    assert ran("evaluate", trained.run) == 0
    shown = capsys.readouterr().out
    assert "balanced_accuracy" in shown
    assert "validation" in shown


def test_on_the_same_set_what_was_learnt_from_stays_apart(trained, blobs, capsys):
    assert ran("evaluate", trained.run, "--data", blobs, "--device", "cpu", "--json") == 0
    assert set(json.loads(capsys.readouterr().out)["metrics"]) == {"train", "validation", "test"}


def test_on_another_set(trained, tmp_path, capsys):
    other = write_blobs(tmp_path / "other", cases=8, name="other")
    assert ran("evaluate", trained.run, "--data", other, "--device", "cpu", "--json") == 0
    assert set(json.loads(capsys.readouterr().out)["metrics"]) == {"new"}


def test_a_folder_that_is_no_run(tmp_path, capsys):
    assert ran("evaluate", tmp_path) == 2
    assert "is not a run folder" in capsys.readouterr().err


def test_a_run_that_is_not_finished(trained, tmp_path, capsys):
    copy = shutil.copytree(trained.run, tmp_path / "run")
    (copy / "metrics.json").unlink()
    assert ran("evaluate", copy) == 2
    assert "is not finished" in capsys.readouterr().err


def test_a_page_about_the_run(trained, blobs, tmp_path, capsys):
    page = tmp_path / "run.html"
    assert ran("evaluate", trained.run, "--data", blobs, "--report", page, "--device", "cpu") == 0
    assert "not a diagnosis" in page.read_text()
    assert f"report: {page}" in capsys.readouterr().err

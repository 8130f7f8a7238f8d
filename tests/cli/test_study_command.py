import json

import pytest

from sonoprior.cli.main import main
from sonoprior.studies import study as orchestration
from sonoprior.studies import tuning


def ran(*arguments) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


def test_from_recipe_to_report(tiny_recipe, blobs, tmp_path, capsys):
    out = tmp_path / "study"
    arguments = ["study", tiny_recipe, "--data", blobs, "--out", out, "--quick", "--jobs", "2"]
    assert ran(*arguments, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["failed"] == {}
    assert said["complete"]
    assert set(said["variants"]) == {"plain", "guided"}
    assert {"results.csv", "summary.json", "report.html"} <= {path.name for path in out.iterdir()}
    assert ran(*arguments) == 0  # nothing is left to do
    assert f"report: {out / 'report.html'}" in capsys.readouterr().out
    assert ran(*arguments, "--set", "data.size=48") == 2
    assert "differs in data.size" in capsys.readouterr().err


def test_failed_runs_are_named_and_the_status_says_so(tiny_recipe, blobs, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(orchestration, "run_study", lambda *_a, **_k: {"plain, fold 0, seed 0": "no luck."})
    assert ran("study", tiny_recipe, "--data", blobs, "--out", tmp_path / "study") == 1
    assert capsys.readouterr().err == "sonoprior: plain, fold 0, seed 0 failed: no luck.\n"


@pytest.mark.parametrize("command", ["study", "tune"])
def test_variants_are_left_out(command, tiny_recipe, blobs, tmp_path, capsys, monkeypatch):
    asked = []

    def trained(recipe, *_arguments, **_settings):
        asked.append(recipe.study)
        raise KeyboardInterrupt

    monkeypatch.setattr(orchestration, "run_study", trained)
    monkeypatch.setattr(tuning, "run_tuning", trained)
    arguments = (command, tiny_recipe, "--data", blobs, "--out", tmp_path / "study", "--without")
    assert ran(*arguments, "gui*") == 130
    assert list(asked[0].variants) == ["plain"]
    assert asked[0].left_out == ("guided",)
    assert ran(*arguments, "gided") == 2
    assert "none matches 'gided'. Did you mean 'guided'?" in capsys.readouterr().err


def test_ctrl_c_says_how_to_go_on(tiny_recipe, blobs, tmp_path, capsys, monkeypatch):
    def stopped(*_arguments, **_settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(orchestration, "run_study", stopped)
    assert ran("study", tiny_recipe, "--data", blobs, "--out", tmp_path / "study", "--seeds", "2") == 130
    assert "finished runs are kept" in capsys.readouterr().err


def test_no_seeds(tiny_recipe, blobs, tmp_path, capsys):
    assert ran("study", tiny_recipe, "--data", blobs, "--out", tmp_path / "study", "--seeds", "0") == 2
    assert "study.seeds: input should be greater than 0, but got 0." in capsys.readouterr().err

import json

import pytest
import yaml

from sonoprior.cli.main import main
from tiny import TINY


def ran(*arguments) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


@pytest.fixture
def recipe(tmp_path):
    split = TINY["split"] | {"protocol": "fixed_test", "folds": 3, "seed": 1}
    tune = {"budget": 2, "grid": {"training.learning_rate": [0.001, 0.01]}}
    path = tmp_path / "tuned.yaml"
    path.write_text(yaml.safe_dump(TINY | {"split": split, "tune": tune}, sort_keys=False))
    return path


def test_from_a_grid_to_the_page_of_what_was_chosen(recipe, blobs, tmp_path, capsys):
    tuned, out = tmp_path / "tuned", tmp_path / "refit"
    data = ["--data", blobs]
    assert ran("tune", recipe, *data, "--out", tuned, "--quick", "--jobs", "2") == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in said[:2]] == ["plain", "guided"]
    assert all(line.endswith("; 2 tried") for line in said[:2])
    assert said[2] == f"chosen by balanced_accuracy on validation: {tuned / 'chosen.yaml'}"
    assert ran("tune", recipe, *data, "--out", tuned, "--quick", "--json") == 0  # nothing is left to do
    found = json.loads(capsys.readouterr().out)
    assert found["variants"]["guided"]["tried"] == 2
    assert found["failed"] == {}
    assert ran("refit", tuned, *data, "--out", out, "--ensemble", "--json") == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["complete"]
    assert f"ensemble of the folds: {out / 'ensemble.csv'}" in shown.err
    assert {"tried.csv", "ensemble.csv", "ensemble.json", "report.html"} <= {
        path.name for path in out.iterdir()
    }
    assert "What was tried" in (out / "report.html").read_text()
    assert ran("study", tuned / "chosen.yaml", *data, "--out", out) == 0  # the same study


def test_what_cannot_be_tuned_or_refitted_is_said(tiny_recipe, recipe, blobs, tmp_path, capsys):
    data = ["--data", blobs, "--out", tmp_path / "out"]
    assert ran("tune", tiny_recipe, *data) == 2
    assert "tiny has nothing to tune: its key `tune` is missing" in capsys.readouterr().err
    assert ran("refit", tmp_path / "nowhere", *data) == 2
    assert "is not a tuning folder" in capsys.readouterr().err
    assert ran("tune", recipe, *data, "--cluster", "nonsense") == 2
    assert "no dask scheduler answers at 'nonsense'" in capsys.readouterr().err
    assert ran("tune", recipe, *data, "--set", "tune.budget=9") == 2
    assert "'plain' offers 2 distinct settings for a budget of 9" in capsys.readouterr().err

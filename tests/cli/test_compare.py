import json
import shutil

import pandas as pd
import pytest

from made_study import RECIPE, write_cases, write_run
from sonoprior.cases import CaseSet
from sonoprior.cli.main import main
from sonoprior.studies.layout import PlannedRun
from sonoprior.training.recipe import Recipe


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A plain and a guided run on the same fold."""
    folder = tmp_path_factory.mktemp("runs")
    case_set = CaseSet.open(write_cases(folder / "cases", 36))
    recipe = Recipe.model_validate(RECIPE)
    return {
        name: write_run(folder / name, case_set, recipe, PlannedRun(name, 0, 0))
        for name in ("plain", "alpha-10")
    }


def fails(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert stopped.value.code == 2
    return capsys.readouterr().err


def run(*arguments):
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert stopped.value.code == 0


def test_two_runs_are_compared_case_by_case(runs, capsys, tmp_path):
    out = tmp_path / "compared.json"
    run("compare", runs["plain"], runs["alpha-10"], "--json", "--out", out)
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(out.read_text())
    found = printed["measures"]["accuracy"]
    tables = [pd.read_csv(path / "predictions.csv").query("part == 'test'") for path in runs.values()]
    slow = [(table["label"] == table["predicted"]).mean() for table in tables]
    assert [found["a"], found["b"]] == pytest.approx(slow)
    assert found["difference"] == pytest.approx(slow[1] - slow[0])
    assert found["low"] <= found["difference"] <= found["high"]
    assert found["cases"] == len(tables[0])


def test_people_get_a_table(runs, capsys):
    run("compare", runs["plain"], runs["alpha-10"])
    text = capsys.readouterr().out
    assert "balanced accuracy" in text
    assert "B − A" in text


def test_a_run_compared_with_itself_differs_by_nothing(runs, capsys):
    run("compare", runs["plain"], runs["plain"], "--json")
    found = json.loads(capsys.readouterr().out)["measures"]
    assert all((row["difference"], row["low"], row["high"]) == (0, 0, 0) for row in found.values())


def changed(run, folder, file, old, new):
    copy = shutil.copytree(run, folder / "copy")
    text = (copy / file).read_text()
    assert old in text
    (copy / file).write_text(text.replace(old, new))
    return copy


def test_runs_that_cannot_be_compared_are_refused(runs, capsys, tmp_path):
    plain = runs["plain"]
    assert "is not a run folder" in fails(capsys, "compare", plain, tmp_path)
    other = changed(plain, tmp_path / "1", "predictions.csv", "case-", "other-")
    assert "share no test case" in fails(capsys, "compare", plain, other)
    classes = changed(plain, tmp_path / "2", "run.json", '"normal"', '"none"')
    assert "must have the same classes to be compared" in fails(capsys, "compare", plain, classes)
    labels = changed(plain, tmp_path / "3", "predictions.csv", ",benign,", ",malignant,")
    assert "must have the same labels, but 'case-" in fails(capsys, "compare", plain, labels)

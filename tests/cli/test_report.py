import json
import shutil

import pytest

from made_study import FULL, SMALL, write_cases, write_study
from sonoprior.cases import CaseSet
from sonoprior.cli.main import main


def ran(*arguments) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    case_set = CaseSet.open(write_cases(folder / "cases", 36))
    return write_study(folder / "study", case_set, SMALL)


@pytest.fixture
def study(made, tmp_path):
    return shutil.copytree(made, tmp_path / "my-study")


def test_the_page_of_a_study_is_written_again(study, capsys):
    assert ran("report", study) == 0
    assert capsys.readouterr().out == f"report: {study / 'report.html'}\n"
    assert {"report.html", "report.md", "report", "results.csv", "summary.json"} <= {
        path.name for path in study.iterdir()
    }
    assert json.loads((study / "summary.json").read_text())["complete"] is True


def test_a_copy_is_markdown_and_its_plots_only(study, tmp_path, capsys):
    out = tmp_path / "docs" / "results"
    assert ran("report", study, "--out", out) == 0
    assert f"report: {out / 'my-study.md'}" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ["my-study", "my-study.md"]
    assert {path.suffix for path in (out / "my-study").iterdir()} == {".svg"}
    text = (out / "my-study.md").read_text()
    assert "(my-study/differences.svg)" in text
    assert text.count("(my-study/") == (study / "report.md").read_text().count("(report/")


def test_a_run_has_a_page_too(study, capsys):
    run = study / "runs" / "plain" / "fold0-seed0"
    assert ran("report", run) == 0
    assert (run / "report.html").is_file()
    assert (run / "report.md").read_text().startswith("# made-pga: plain, fold 0, seed 0\n")


def test_a_case_set_tells_the_kinds_of_a_contrast(tmp_path, capsys):
    cases = write_cases(tmp_path / "cases", 36)
    recipe = FULL | {"split": {"protocol": "single_split"}, "study": FULL["study"] | {"seeds": 1}}
    study = write_study(tmp_path / "study", CaseSet.open(cases), recipe)
    assert ran("report", study) == 0
    assert "The case set was not at hand" in (study / "report.md").read_text()


def test_what_has_no_page_is_refused(tmp_path, study, capsys):
    assert ran("report", tmp_path) == 2
    assert "is not a study folder" in capsys.readouterr().err
    (study / "sonoprior.json").write_text('{"kind": "tuning", "format": 1}')
    assert ran("report", study) == 2
    assert "must be a study folder, but it is marked as 'tuning'" in capsys.readouterr().err
    run = study / "runs" / "plain" / "fold0-seed0"
    (run / "metrics.json").unlink()
    assert ran("report", run) == 2
    assert "is not finished" in capsys.readouterr().err

import shutil

import pytest

from made_study import SMALL, write_study
from sonoprior.core.errors import FolderError
from sonoprior.studies import StudyResults
from sonoprior.studies.folds_as_one import folds_as_one

HEADER = "variant,metric,value,low,high,std,seeds,against,difference,difference_low,difference_high\n"
ROWS = (
    "plain,balanced_accuracy,0.7,0.6,0.8,,1,,,,\n"
    "alpha-10,balanced_accuracy,0.75,0.65,0.85,,1,plain,0.05,0.01,0.09\n"
    "plain,accuracy,0.9,0.8,1,,1,,,,\n"
)


@pytest.fixture
def study(small, tmp_path):
    return shutil.copytree(small.study, tmp_path / "study")


def test_the_primary_endpoint_of_each_ensemble_stands_with_its_difference(study):
    (study / "ensemble.csv").write_text(HEADER + ROWS)
    _, table = folds_as_one(StudyResults.read(study))
    assert table.rows == [
        ["plain", "70.0", "60.0 to 80.0", "–", "–", "–"],
        ["alpha-10", "75.0", "65.0 to 85.0", "plain", "+5.0", "+1.0 to +9.0"],
    ]


def test_what_the_ensemble_writes_is_read(small, tmp_path):
    from sonoprior.studies.ensemble import write_ensemble

    recipe = SMALL | {"split": {"protocol": "fixed_test", "folds": 2}}
    study = write_study(tmp_path / "study", small.case_set, recipe)
    for path in study.glob("runs/*/fold1-seed0/predictions.csv"):  # the folds share their test cases
        shutil.copy(path.parents[1] / "fold0-seed0" / "predictions.csv", path)
    found = write_ensemble(study)
    _, table = folds_as_one(StudyResults.read(study))
    assert [row[0] for row in table.rows] == ["plain", "alpha-10"]
    assert table.rows[1][1] == f"{100 * found[1].interval.value:.1f}"


def test_nothing_without_an_ensemble(study):
    assert folds_as_one(StudyResults.read(study)) == []


def test_a_damaged_table_is_refused(study):
    (study / "ensemble.csv").write_text("variant,metric\n")
    with pytest.raises(FolderError, match=r"ensemble.csv must have the column 'against', but lacks it"):
        folds_as_one(StudyResults.read(study))

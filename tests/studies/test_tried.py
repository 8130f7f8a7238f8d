import pytest

from made_study import FULL, SMALL, write_study, write_tried
from sonoprior.core.errors import FolderError
from sonoprior.studies import StudyResults
from sonoprior.studies.tried import what_was_tried

TUNED = SMALL | {"tune": FULL["tune"]}


@pytest.fixture
def tuned(small, tmp_path):
    study = write_study(tmp_path / "study", small.case_set, TUNED)
    write_tried(study, TUNED)
    return study


def rewritten(study, change):
    path = study / "tried.csv"
    path.write_text(change(path.read_text()))
    return what_was_tried(StudyResults.read(study))


def test_every_setting_is_shown_with_its_mean_and_the_chosen_one(tuned):
    about, table = what_was_tried(StudyResults.read(tuned))
    assert (
        "chosen by the AUROC on the validation cases, for the baseline as for the others: 2 settings"
        in about.text
    )
    assert list(table.header) == [
        "variant",
        "training.learning_rate",
        "validation: AUROC, %",
        "runs",
        "chosen",
    ]
    variant, rate, mean, runs, chosen = table.rows[1]
    assert (variant, rate, runs, chosen) == ("plain", "0.003", "2", "yes")
    assert mean.content == "72.5 ± 0.7"
    assert [row[-1] for row in table.rows] == ["–", "yes", "–", "yes"]


def test_what_was_chosen_in_one_fold_is_said_so(tuned):
    _, table = rewritten(tuned, lambda text: text.replace("1,0,0.73,yes", "1,0,0.73,"))
    assert table.rows[1][-1] == "in 1 of 2 folds"


def test_a_run_that_failed_has_no_value(tuned):
    _, table = rewritten(tuned, lambda text: text.replace("0.001,0,0,0.7,", "0.001,0,0,,"))
    assert table.rows[0][2].content == "71.0"


def test_nothing_was_tuned(small):
    assert what_was_tried(StudyResults.read(small.study)) == []


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [("value", "number", "must have the column 'value'"), ("0.7,", "high,", "must hold numbers in value")],
)
def test_a_damaged_table_is_refused(tuned, old, new, text):
    with pytest.raises(FolderError, match=text):
        rewritten(tuned, lambda content: content.replace(old, new, 1))

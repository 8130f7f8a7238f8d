import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score

from made_study import FULL, write_cases, write_study
from sonoprior.cases import CaseSet
from sonoprior.core.errors import DataError, FolderError
from sonoprior.studies import StudyResults
from sonoprior.studies.asked import contrast


@pytest.fixture(scope="module")
def made_full(tmp_path_factory):
    folder = tmp_path_factory.mktemp("contrast")
    case_set = CaseSet.open(write_cases(folder / "cases"))
    return write_study(folder / "study", case_set, FULL), case_set


@pytest.fixture(scope="module")
def results(made_full):
    return StudyResults.read(*made_full)


@pytest.fixture
def study(made_full, tmp_path):
    """A copy of the study, to be damaged, and its case set."""
    return shutil.copytree(made_full[0], tmp_path / "study"), made_full[1]


def losses_by_hand(folder, case_set, variant):
    """Kept less lost for each run, from the tables alone."""
    kinds = dict(zip(case_set.ids, case_set.column("extra.mark_agrees"), strict=True))
    found = []
    for path in sorted(folder.glob(f"runs/{variant}/*/predictions.csv")):
        table = pd.read_csv(path).query("part == 'test'")
        kind = table["case"].map(kinds)
        of = {
            name: balanced_accuracy_score(*(table.loc[kind == name, key] for key in ("label", "predicted")))
            for name in ("yes", "no")
        }
        found.append(of["yes"] - of["no"])
    return found


def test_a_loss_is_the_mean_over_runs_and_the_share_is_that_of_the_means(made_full, results):
    found = {one.variant: one for one in results.losses}
    plain, guided = (losses_by_hand(*made_full, name) for name in ("plain", "guided"))
    assert found["plain"].of_runs == pytest.approx(plain)
    assert found["guided"].loss.value == pytest.approx(np.mean(guided))
    assert found["guided"].difference.value == pytest.approx(np.mean(guided) - np.mean(plain))
    assert found["guided"].share.value == pytest.approx(np.mean(guided) / np.mean(plain))
    assert found["guided"].share.low < found["guided"].share.value < found["guided"].share.high
    assert found["guided"].kept - found["guided"].lost == pytest.approx(found["guided"].loss.value)
    assert found["plain"].difference is None


def test_what_is_plain_is_said(results):
    said = [block.text for block in contrast(results) if hasattr(block, "text")]
    assert any("guided loses" in text and "less than plain" in text for text in said)
    assert any("Its loss is" in text and "of that of plain" in text for text in said)


def test_the_kinds_are_kept_for_a_page_without_the_case_set(study, results):
    results.kinds.write(study[0])
    assert repr(StudyResults.read(study[0]).losses) == repr(results.losses)


def test_without_the_case_set_it_is_said(study):
    results = StudyResults.read(study[0])
    assert results.losses == []
    assert "The case set was not at hand" in contrast(results)[0].text


def test_a_share_of_a_loss_that_may_be_nothing_has_no_bounds(results):
    found = {one.variant: one for one in results.losses}
    assert not found["plain-20"].loss.excludes_zero
    assert np.isnan(found["guided-20"].share.low)


def test_cases_of_one_kind_lose_nothing(study):
    folder, case_set = study
    (folder / "contrast.csv").write_text("case,kind\n" + "".join(f"{case},yes\n" for case in case_set.ids))
    results = StudyResults.read(folder)
    assert results.losses == []
    assert "No run has test cases of both kinds" in contrast(results)[0].text


def test_a_study_without_a_contrast_says_nothing_of_it(made):
    assert contrast(StudyResults.read(made.study)) == []


def test_bad_input(study):
    folder, case_set = study
    (folder / "contrast.csv").write_text('case,kind\n"')
    with pytest.raises(FolderError, match="cannot be read"):
        StudyResults.read(folder)
    text = (folder / "recipe.yaml").read_text()
    (folder / "recipe.yaml").write_text(text.replace("extra.mark_agrees", "mark"))
    with pytest.raises(DataError, match="a column must be one of"):
        StudyResults.read(folder, case_set)

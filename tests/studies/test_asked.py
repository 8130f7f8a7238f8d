import shutil
from dataclasses import replace

import pytest

from made_study import FULL, write_cases, write_study
from sonoprior.cases import CaseSet
from sonoprior.render.blocks import Note, Paragraph, Table
from sonoprior.studies import StudyResults
from sonoprior.studies.asked import controls, curve, what_mattered
from sonoprior.studies.wording import answer, choice


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("asked")
    case_set = CaseSet.open(write_cases(folder / "cases"))
    return write_study(folder / "study", case_set, FULL)


@pytest.fixture(scope="module")
def results(study):
    return StudyResults.read(study)


@pytest.fixture
def copied(study, tmp_path):
    """A copy of the study, from which runs are taken away."""
    return shutil.copytree(study, tmp_path / "study")


def without(folder, *variants):
    for variant in variants:
        shutil.rmtree(folder / "runs" / variant)
    return StudyResults.read(folder)


def said(blocks):
    return " ".join(block.text for block in blocks if isinstance(block, Note | Paragraph))


def changed(folder, old, new):
    path = folder / "recipe.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return StudyResults.read(folder)


def test_every_control_is_answered_in_words(results):
    notes = [block for block in controls(results) if isinstance(block, Note)]
    assert len(notes) == 2
    shuffled, blob = notes
    assert shuffled.text.startswith("guided against shuffled: ")
    assert "The place mattered: a constraint of the same kind without it was worth less." in shuffled.text
    assert shuffled.tone == "good"
    assert "shuffled itself against plain: +" in shuffled.text
    assert "That the place mattered is not shown: any constraint of this kind may do as much." in blob.text
    assert blob.tone == "warning"


def test_the_title_says_what_the_controls_are_without(results):
    assert what_mattered(results) == "Did the place matter"
    settings = {"streams.unlabelled.read": "labelled"}
    variants = results.recipe.study.variants
    both = variants | {"blob": settings}
    for changed_to, title in (
        (both, "What the controls say"),
        (both | {"shuffled": settings}, "Did the unlabelled cases matter"),
    ):
        study = results.recipe.study.model_copy(update={"variants": changed_to})
        found = replace(results, recipe=results.recipe.model_copy(update={"study": study}))
        assert what_mattered(found) == title
        assert "the unlabelled cases" in said(controls(found))


def test_the_difference_of_a_control_is_that_of_the_means(results):
    means = {name: results.outcome(name).interval.value for name in ("guided", "shuffled", "blob")}
    found = {one.reference: one.difference.interval.value for one in results.control_claims}
    for control in ("shuffled", "blob"):
        assert found[control] == pytest.approx(means["guided"] - means[control])


def test_a_control_that_is_worth_more_is_said(copied):
    found = changed(copied, "shuffled: guided", "guided: shuffled")
    assert "shuffled against guided: " in said(controls(found))
    assert "The control was worth more." in said(controls(found))  # guided has no control priors of its own


def test_a_control_of_another_kind_says_nothing_of_the_place(copied):
    found = changed(copied, "data.priors.control: shuffled", "model.tap: stage2")
    assert "What the control does otherwise was worth less." in said(controls(found))


def test_a_control_without_runs_is_named(copied):
    blocks = controls(without(copied, "blob"))
    assert "Not compared yet, for want of runs on the same fold and seed: blob." in said(blocks)
    assert "guided against shuffled" in said(blocks)


def test_controls_alone_wait_for_what_they_control(copied):
    found = without(copied, "guided", "guided-20")
    assert "runs on the same fold and seed: shuffled, blob." in said(controls(found))
    assert answer(found).text.startswith("Nothing can be compared yet")


def test_a_study_without_controls_or_curve_says_nothing_of_them(made):
    plain = StudyResults.read(made.study)
    assert controls(plain) == []
    assert curve(plain) == []


def test_the_curve_says_each_difference_and_has_a_row_for_each_point(results):
    blocks = curve(results)
    assert "By share of the labels: at 0.2, guided against plain: " in said(blocks)
    assert "; at 1, guided against plain: " in said(blocks)
    points, claims = [block for block in blocks if isinstance(block, Table)]
    assert [row[:2] for row in points.rows] == [
        ["0.2", "plain"],
        ["1", "plain"],
        ["0.2", "guided"],
        ["1", "guided"],
    ]
    assert len(claims.rows) == 2


def test_a_curve_of_one_line_says_its_values(copied):
    found = without(copied, "plain", "plain-20")
    blocks = curve(found)
    assert said(blocks).startswith("balanced accuracy, % by share of the labels: guided ")
    assert len([block for block in blocks if isinstance(block, Table)]) == 1


def test_a_curve_without_runs_says_so(copied):
    assert said(curve(without(copied, "plain", "plain-20", "guided", "guided-20"))) == (
        "No variant on the curve has a finished run."
    )


def test_the_answer_counts_what_is_certain_among_several(results):
    assert (
        "Of the 2 differences that the study asks about, 2 are for the better and 0 for the worse"
        in choice(results)
    )
    assert "stands for" not in choice(results)  # one candidate only is compared with the baseline


def test_what_is_shown_of_these_networks_only_is_said_so(made):
    """Over three folds the t-test is rarely sure."""
    found = StudyResults.read(made.study)
    study = found.recipe.study.model_copy(update={"controls": {"plain": "alpha-10", "alpha-1": "alpha-10"}})
    as_control = replace(found, recipe=found.recipe.model_copy(update={"study": study}))
    assert "In these networks what the control does otherwise was worth less" in said(controls(as_control))

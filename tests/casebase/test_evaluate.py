"""A base measured by itself, against slow loops."""

import numpy as np
import pytest

from casebase.made_base import BLADDER, CLASSES, LEFT, RIGHT, UTERUS, case, made_base
from sonoprior.bundle.manifest import Views
from sonoprior.casebase.evaluate import evaluate
from sonoprior.casebase.rerank import best_over_bank, reranked
from sonoprior.core.errors import DataError
from sonoprior.knowledge import read_ontology
from sonoprior.knowledge.similarity import term_similarity

META = {RIGHT: "adnexal view", LEFT: "adnexal view", UTERUS: "uterus view", BLADDER: "bladder"}


def drawn(count=60, patients=9, seed=0, unknown=True):
    rng = np.random.default_rng(seed)
    cases = []
    for number in range(count):
        view = CLASSES[rng.integers(4)]
        degrees = 40 * CLASSES.index(view) + 30 * rng.standard_normal()
        known = {} if unknown and rng.random() < 0.1 else {"view": view, "label__meta": META[view]}
        patient = f"p{rng.integers(patients)}"
        view = known.pop("view", None)
        cases.append(
            case(f"c{number:02}", degrees, view, patient=patient, label__disorder=f"d{patient}", **known)
        )
    return cases


def slow(cases, level, rescore=lambda near: near):
    """Recall@1, MAP@R and the nearest of each labelled case, one by one."""
    labels = [record.fact(f"label.{level}") for record, _ in cases]
    recalls, maps, first = [], [], []
    for (record, vector), label in zip(cases, labels, strict=True):
        if not record.fact("label.view"):
            continue
        near = rescore(np.array([vector @ other for _, other in cases], np.float32))
        may = [at for at, (other, _) in enumerate(cases) if other.group != record.group]
        order = sorted(may, key=lambda at: -near[at])
        right = [labels[at] == label for at in order]
        answers = sum(right)
        recalls.append(float(right[0]) if answers else np.nan)
        precision = [np.mean(right[: place + 1]) * right[place] for place in range(answers)]
        maps.append(np.sum(precision) / answers if answers else np.nan)
        first.append((label, labels[order[0]]))
    return np.nanmean(recalls), np.nanmean(maps), first


def test_every_number_by_slow_loops(tmp_path):
    cases = drawn()
    found = evaluate(made_base(tmp_path / "base", cases))
    assert list(found.levels) == ["view", "meta"]
    assert found.levels == {"view": 4, "meta": 3}
    matrix = np.stack([vector for _, vector in cases])
    groups = np.array([hash(record.group) for record, _ in cases])
    over_bank = best_over_bank(matrix, matrix, groups, groups)
    for level in found.levels:
        for numbers, rescore in (
            (found.measures, lambda near: near),
            (found.reranked, lambda near: reranked(near, over_bank)),
        ):
            recall, precision, _ = slow(cases, level, rescore)
            assert numbers[f"recall@1.{level}"]["value"] == pytest.approx(recall)
            assert numbers[f"map@r.{level}"]["value"] == pytest.approx(precision, abs=1e-6)
            assert numbers[f"recall@1.{level}"]["low"] < recall < numbers[f"recall@1.{level}"]["high"]
    plain, again = found.measures["map@r.view"]["value"], found.reranked["map@r.view"]["value"]
    assert found.gain["map@r.view"]["value"] == pytest.approx(again - plain)
    assert found.queries == sum(record.fact("label.view") is not None for record, _ in cases)
    assert (found.cases, found.groups) == (60, 9)


def test_how_wrong_the_wrong_ones_are(tmp_path):
    cases = drawn(unknown=False, seed=3)
    ontology = read_ontology("early_pregnancy")
    terms = term_similarity(ontology)
    pairs = [(ontology.find(a).id, ontology.find(b).id) for a, b in slow(cases, "view")[2] if a != b]
    wanted = np.mean([1 - terms.between([a], [b])[0, 0] for a, b in pairs])
    assert evaluate(made_base(tmp_path / "base", cases)).measures["how_wrong.view"]["value"] == pytest.approx(
        wanted
    )


def test_without_an_ontology_errors_have_no_distance(tmp_path):
    found = evaluate(made_base(tmp_path / "base", drawn(), ontology=None, terms={}))
    assert not any(name.startswith("how_wrong") for name in found.measures)


def test_levels_may_be_named_and_others_are_not_taken_for_levels_above(tmp_path):
    base = made_base(tmp_path / "base", drawn())
    assert list(evaluate(base, ["disorder", "view"]).levels) == ["disorder", "view"]
    with pytest.raises(DataError, match=r"--level must be one of .*, but got 'veiw'\. Did you mean 'view'"):
        evaluate(base, ["veiw"])


def test_what_no_other_patient_answers_is_counted_and_left_out(tmp_path):
    found = evaluate(made_base(tmp_path / "base", drawn()), ["disorder"])
    assert found.unanswerable["disorder"] == found.queries
    assert found.measures["recall@1.disorder"]["value"] is None


def test_queries_are_drawn_where_there_are_many(tmp_path):
    base = made_base(tmp_path / "base", drawn())
    few = evaluate(base, queries=10)
    assert (few.queries, few.cases) == (10, 60)
    assert few == evaluate(base, queries=10)
    assert few.measures != evaluate(base, queries=10, seed=1).measures
    with pytest.raises(DataError, match="--queries must be at least 1"):
        evaluate(base, queries=0)


def test_what_the_bundle_learnt_from_is_not_looked_for_unless_asked(tmp_path):
    cases = drawn()
    names = [record.fact("case") for record, _ in cases if record.fact("label.view")]
    base = made_base(tmp_path / "base", cases, learnt=names[:40])
    found = evaluate(base)
    assert (found.queries, found.learnt) == (len(names) - 40, 40)
    everything = evaluate(base, learnt=True)
    assert (everything.queries, everything.learnt) == (len(names), 40)
    assert everything.measures == evaluate(made_base(tmp_path / "other", cases)).measures
    with pytest.raises(DataError, match=r"all \d+ cases .* had a part in the training .* --learnt"):
        evaluate(made_base(tmp_path / "learnt", cases, learnt=names))


def test_cases_of_several_classes_match_where_they_share_one(tmp_path):
    shown = [[LEFT, UTERUS], [UTERUS], [LEFT], [BLADDER]]
    cases = [case(f"c{n}", 5 * n, patient=f"p{n}", label__view=views) for n, views in enumerate(shown)]
    views = Views(level="view", classes=CLASSES, named_by="several")
    found = evaluate(made_base(tmp_path / "base", cases, views=views))
    # the third finds the second and the last before the first, and nothing answers the last
    assert found.unanswerable == {"view": 1}
    assert found.measures["recall@2.view"]["value"] == pytest.approx(2 / 3)
    assert "how_wrong.view" not in found.measures


@pytest.mark.parametrize(
    ("cases", "sentence"),
    [
        ([], "holds no case"),
        ([case("a", 1, patient="p")], "no case of the base has one"),
        (
            [case("a", 1, LEFT, patient="p"), case("b", 2, LEFT, patient="q")],
            "at least two classes, but .* have",
        ),
    ],
)
def test_what_cannot_be_measured(tmp_path, cases, sentence):
    with pytest.raises(DataError, match=sentence):
        evaluate(made_base(tmp_path / "base", cases))

"""Corrections, "like this, but another view", against slow loops."""

import numpy as np
import pytest

from casebase.made_base import BLADDER, LEFT, RIGHT, UTERUS, case, made_base, picture
from sonoprior.casebase.correction import moved
from sonoprior.casebase.query import Query
from sonoprior.casebase.search import search

ANGLES = {RIGHT: 20, LEFT: 60, UTERUS: 150}


@pytest.fixture
def cases():
    rng = np.random.default_rng(0)
    return [
        case(
            f"c{number:02}",
            ANGLES[view := list(ANGLES)[number % 3]] + 12 * rng.standard_normal(),
            view,
            patient=f"p{number % 7}",
            exam=f"e{number % 7}",
            terms="ovary" if number % 2 else "fibroid",
        )
        for number in range(42)
    ]


def slow(cases, query, view, group, wanted):
    """Keys with their cosine to the query moved from the mean of its view to the wanted one."""
    others = [(record, vector) for record, vector in cases if record.group != group]
    own = np.mean([vector for record, vector in others if record.fact("label.view") == view], axis=0)
    found = [(record, vector) for record, vector in others if record.fact("label.view") in wanted]
    there = np.mean([vector for _, vector in found], axis=0)
    query = query - own + there
    scores = {record.key: vector @ query / np.linalg.norm(query) for record, vector in found}
    return sorted(scores.items(), key=lambda item: -item[1])


@pytest.mark.parametrize(("term", "wanted"), [(LEFT, {LEFT}), ("adnexal view", {LEFT, RIGHT})])
def test_an_image_is_moved_to_the_wanted_view(tmp_path, cases, term, wanted):
    base = made_base(tmp_path / "base", cases)
    record, vector = cases[2]
    found = search(base, Query(case=record.key, term=term), k=99)
    assert found.corrected
    keys, scores = zip(*slow(cases, vector, UTERUS, record.group, wanted), strict=True)
    assert [hit.similarity for hit in found.hits] == pytest.approx(scores, abs=1e-5)
    assert {hit.name for hit in found.hits} == set(keys)


def test_the_view_of_an_image_from_elsewhere_is_what_the_bundle_names_it(tmp_path, cases):
    base = made_base(tmp_path / "base", cases)
    found = search(base, Query([picture(140)], term=RIGHT), k=99)
    angle = np.deg2rad(140)
    wanted = slow(cases, np.array([np.cos(angle), np.sin(angle)]), UTERUS, None, {RIGHT})
    assert [hit.similarity for hit in found.hits] == pytest.approx([score for _, score in wanted], abs=1e-4)


def test_exams_are_corrected_frame_by_frame(tmp_path, cases):
    base = made_base(tmp_path / "base", cases)
    found = search(base, Query(exam="made/e0", term=LEFT), k=99)
    asked = [(record, vector) for record, vector in cases if record.exam == "made/e0"]
    each = [
        dict(slow(cases, vector, record.fact("label.view"), record.group, {LEFT})) for record, vector in asked
    ]
    exams = {record.key: record.exam for record, _ in cases}
    wanted = {
        exam: np.mean([max(score for key, score in of.items() if exams[key] == exam) for of in each])
        for exam in {exams[key] for key in each[0]}
    }
    assert {hit.name: hit.similarity for hit in found.hits} == pytest.approx(wanted, abs=1e-5)
    assert [hit.name for hit in found.hits] == sorted(wanted, key=lambda exam: -wanted[exam])


@pytest.mark.parametrize("known", ["no view", "no other patient", "no view asked for"])
def test_where_nothing_can_be_taken_away_the_nearest_of_the_term_come_first(tmp_path, cases, known):
    base = made_base(tmp_path / "base", cases)
    base.recogniser.view = {"no view": None, "no other patient": BLADDER}.get(known, UTERUS)
    term = "fibroid" if known == "no view asked for" else LEFT
    found = search(base, Query([picture(140)], term=term), k=99)
    assert not found.corrected
    near = [hit.similarity for hit in found.hits]
    assert near == sorted(near, reverse=True)
    shows = [r.key for r, _ in cases if term in (r.fact("terms"), r.fact("label.view"))]
    assert sorted(hit.name for hit in found.hits) == sorted(shows)


def test_a_correction_may_be_reranked(tmp_path, cases):
    base = made_base(tmp_path / "base", cases)
    query = Query([picture(140)], term=LEFT)
    plain, again = search(base, query, k=99), search(base, query, k=99, rerank=True)
    assert again.corrected
    near = {hit.name: hit.similarity for hit in plain.hits}
    assert {hit.name: hit.similarity for hit in again.hits} == pytest.approx(near, abs=1e-6)
    assert all(hit.score > hit.similarity for hit in again.hits)


def test_an_image_that_would_be_moved_to_nowhere_stays():
    here = np.array([1, 0], np.float32)
    assert moved(here, here, 0 * here).tolist() == here.tolist()
    assert moved(here, 0 * here, here[::-1]) == pytest.approx([0.5**0.5, 0.5**0.5])

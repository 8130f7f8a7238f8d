"""Search: who is found, who is left out, and what is said where nobody can be."""

import numpy as np
import pytest
from PIL import Image

from casebase.made_base import BLADDER, CLASSES, LEFT, RIGHT, UTERUS, case, jpeg, made_base, picture
from sonoprior.bundle.manifest import TextSide, Views
from sonoprior.casebase.query import Query
from sonoprior.casebase.search import Searcher, search
from sonoprior.core.errors import DataError, ModelError, OntologyError
from sonoprior.knowledge import read_ontology
from sonoprior.knowledge.similarity import term_similarity

CASES = [
    case("a", 10, RIGHT, patient="p1", exam="e1", device="Aquila", terms=["ovary", "anteverted uterus"]),
    case("b", 12, RIGHT, patient="p1", exam="e1", device="Aquila"),
    case("c", 20, LEFT, patient="p2", exam="e2", device="Borealis"),
    case("d", 40, UTERUS, patient="p2", exam="e2", device="Borealis", terms="ovary"),
    case("e", 70, BLADDER, patient="p3", exam="e3", device="Borealis"),
    case("f", 100, None, patient="p4", exam="e4"),
]


@pytest.fixture
def base(tmp_path):
    return made_base(tmp_path / "base", CASES)


def keys(found):
    return [hit.name.removeprefix("made/") for hit in found.hits]


def test_an_image_finds_the_nearest_cases(base):
    found = search(base, Query([picture(22)]), k=3)
    assert keys(found) == ["c", "b", "a"]
    assert [hit.similarity for hit in found.hits] == pytest.approx(np.cos(np.deg2rad([2, 10, 12])), abs=1e-3)
    assert (found.exams, found.could, found.left_out) == (False, 6, 0)
    assert found.hits[0].record == CASES[2][0]
    assert found.hits[0].score is None


def test_more_than_there_is_gives_what_there_is(base):
    assert len(search(base, Query([picture(22)]), k=1000).hits) == 6
    with pytest.raises(DataError, match="k must be at least 1, but got 0"):
        search(base, Query([picture(22)]), k=0)


def test_a_case_never_finds_its_own_patient_unless_asked(base):
    found = search(base, Query(case="made/a"))
    assert keys(found) == ["c", "d", "e", "f"]
    assert (found.could, found.left_out) == (4, 2)
    assert keys(search(base, Query(case="made/a", own=True), k=2)) == ["a", "b"]


def test_a_copy_of_a_known_image_is_known_by_its_pixels(base):
    assert keys(search(base, Query([picture(10)])))[0] == "c"
    assert keys(search(base, Query([picture(10.1)])))[0] == "a"  # another image


def test_a_file_of_a_known_set_is_known_by_its_path_even_if_its_pixels_changed(tmp_path):
    path = tmp_path / "set" / "images" / "a.png"
    path.parent.mkdir(parents=True)
    Image.fromarray(picture(200)).save(path)
    cases = [case("a", 10, RIGHT, patient="p1", root=tmp_path / "set"), *CASES[1:]]
    base = made_base(tmp_path / "base", cases)
    assert "b" not in keys(search(base, Query([path])))
    assert "b" in keys(search(base, Query([path], own=True)))
    elsewhere = tmp_path / "a.png"  # the same name, but no file of the base
    Image.fromarray(picture(200)).save(elsewhere)
    assert "b" in keys(search(base, Query([elsewhere])))


def test_the_own_exam_of_an_image_from_elsewhere_may_be_named(base):
    assert keys(search(base, Query([picture(11)], exam="made/e1"), k=2)) == ["c", "d"]
    with pytest.raises(DataError, match=r"no exam 'made/e11'; an exam is named SET/EXAM\. Did you mean"):
        search(base, Query([picture(11)], exam="made/e11"))


def test_several_images_of_one_exam_find_exams_with_their_best_frames(base):
    found = search(base, Query([picture(19), picture(41)]), k=2)
    assert found.exams
    assert keys(found) == ["e2", "e1"]
    first = found.hits[0]
    assert [frame.record.key for frame in first.frames] == ["made/c", "made/d"]
    assert first.similarity == pytest.approx(np.mean(np.cos(np.deg2rad([1, 1]))), abs=1e-3)
    assert [frame.like for frame in first.frames] == [0, 1]


def test_an_exam_of_the_base_finds_other_exams(base):
    found = search(base, Query(exam="made/e2"))
    assert keys(found) == ["e1", "e3", "e4"]
    assert [one.name for one in found.shown] == ["made/c", "made/d"]


def test_a_term_finds_what_lies_below_it_the_most_typical_first(base):
    found = search(base, Query(term="adnexal view"))
    assert keys(found) == ["b", "a", "c"]  # the mean lies at 14 degrees
    code = read_ontology("early_pregnancy").find("adnexal view").id
    assert keys(search(base, Query(term=code))) == keys(found)
    assert [hit.frames[0].distance for hit in found.hits] == [None] * 3


def test_a_term_counts_where_a_case_shows_it(base):
    assert sorted(keys(search(base, Query(term="ovary")))) == ["a", "d"]
    with pytest.raises(OntologyError, match=r"has no term 'adnexal vew'\. Did you mean 'adnexal view'"):
        search(base, Query(term="adnexal vew"))
    with pytest.raises(DataError, match="no case of the base shows 'yolk sac'"):
        search(base, Query(term="yolk sac"))


def test_filters_by_any_field(base):
    assert keys(search(base, Query([picture(22)], where={"device": ["Borealis"]}))) == ["c", "d", "e"]
    both = {"device": ["Borealis", "Aquila"], "label.view": [RIGHT, UTERUS]}
    assert keys(search(base, Query([picture(22)], where=both))) == ["b", "a", "d"]
    assert keys(search(base, Query(where={"set": ["made"]}), k=1)) == ["d"]
    with pytest.raises(DataError, match="Did you mean 'device'"):
        search(base, Query(where={"devise": ["Aquila"]}))
    with pytest.raises(DataError, match=r"no case of the base has device=Aquilla\. Did you mean 'Aquila'"):
        search(base, Query(where={"device": ["Aquilla"]}))
    with pytest.raises(
        DataError, match="no case of the base is all of: device=Aquila, longitudinal view of bladder"
    ):
        search(base, Query(term=BLADDER, where={"device": ["Aquila"]}))


def test_distances_are_those_of_the_query_s_view(base):
    terms = term_similarity(read_ontology("early_pregnancy"))
    ontology = read_ontology("early_pregnancy")

    def apart(first, second):
        return 1 - terms.between([ontology.find(first).id], [ontology.find(second).id])[0, 0]

    found = {
        hit.name[-1]: hit.frames[0].distance for hit in search(base, Query(case="made/c", own=True)).hits
    }
    wanted = {"a": apart(LEFT, RIGHT), "b": apart(LEFT, RIGHT), "c": 0, "d": apart(LEFT, UTERUS)}
    for name, distance in wanted.items():
        assert found[name] == pytest.approx(distance)
    assert found["f"] is None  # it is not labelled
    named = search(base, Query([picture(33)]), k=6).hits  # the made recogniser names every image a uterus
    assert {hit.name[-1]: hit.frames[0].distance for hit in named}["d"] == 0
    base.recogniser.view = None
    assert all(hit.frames[0].distance is None for hit in search(base, Query([picture(33)])).hits)


def test_a_bundle_without_an_ontology_has_no_distance_and_no_terms(tmp_path):
    base = made_base(tmp_path / "base", CASES, ontology=None, terms={})
    assert all(hit.frames[0].distance is None for hit in search(base, Query(case="made/a")).hits)
    with pytest.raises(DataError, match="needs an ontology, but the bundle 'made' has none; filter by"):
        search(base, Query(term="ovary"))


def test_several_views_at_once_are_compared_as_sets(tmp_path):
    cases = [
        case("a", 10, patient="p1", label__view=[LEFT, UTERUS]),
        case("b", 20, patient="p2", label__view=[UTERUS, LEFT]),
    ]
    base = made_base(tmp_path / "base", cases, views=Views(level="view", classes=CLASSES, named_by="several"))
    assert search(base, Query(case="made/a")).hits[0].frames[0].distance == pytest.approx(0)


def test_a_text_where_the_bundle_reads_texts(tmp_path, base):
    readable = made_base(tmp_path / "text", CASES, text=TextSide(encoder="made", longest=8))
    assert keys(search(readable, Query(text="a view at 21"), k=2)) == ["c", "b"]
    with pytest.raises(ModelError, match="'made' has none; search by a term"):
        search(base, Query(text="a view at 21"))


def test_reranking_takes_its_bank_from_the_base_and_keeps_it_until_the_base_changes(tmp_path, monkeypatch):
    """Case "near" is nearest, but lies among many others; "alone" is a little further, and by itself."""
    crowd = [case(f"crowd{n}", 60 + n, patient=f"q{n}") for n in range(10)]
    base = made_base(
        tmp_path / "base", [case("near", 55, patient="n"), case("alone", -2, patient="x"), *crowd]
    )
    searcher, query = Searcher(base), Query([picture(27)])
    assert keys(searcher.find(query, 2)) == ["near", "alone"]
    found = searcher.find(query, 2, rerank=True)
    assert keys(found) == ["alone", "near"]
    near, score = found.hits[0].similarity, found.hits[0].score
    bank = np.cos(np.deg2rad([57, *(62 + n for n in range(10))])).max()
    assert score == pytest.approx(near + near / max(near, bank), abs=1e-5)
    counted = []
    monkeypatch.setattr(
        "sonoprior.casebase.search.over_cases", lambda vectors: counted.append(vectors) or 1 / 0
    )
    assert keys(searcher.find(query, 2, rerank=True)) == ["alone", "near"]
    base.store.remove([int(base.vectors().ids[-1])])
    with pytest.raises(ZeroDivisionError):
        searcher.find(query, 2, rerank=True)


def test_reranking_a_text_search_takes_captions(tmp_path, base):
    text = TextSide(encoder="made", longest=8)
    cases = [case("x", 55, patient="1", caption="at 58"), case("y", -2, patient="2", caption="at 60")]
    found = search(made_base(tmp_path / "captions", cases, text=text), Query(text="at 27"), rerank=True)
    assert keys(found) == ["y", "x"]
    with pytest.raises(DataError, match="needs a bank of texts"):
        search(made_base(tmp_path / "none", CASES, text=text), Query(text="at 27"), rerank=True)


def test_nothing_is_left_where_all_is_the_query_s_own(tmp_path):
    base = made_base(tmp_path / "base", CASES[:2])
    found = search(base, Query(case="made/a"))
    assert (list(found.hits), found.could, found.left_out) == ([], 0, 2)


def test_an_empty_base(tmp_path):
    with pytest.raises(DataError, match="holds no case"):
        search(made_base(tmp_path / "base", []), Query([picture(5)]))


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({}, "a search needs images, a case, an exam, a text, a term or a filter, but got none"),
        ({"case": "a", "text": "b"}, "but got a case, a text; only images may have an exam beside them"),
        ({"case": "a", "exam": "b"}, "but got a case, an exam"),
        ({"text": "  "}, "must hold at least a word"),
    ],
)
def test_what_cannot_be_asked(said, sentence):
    with pytest.raises(DataError, match=sentence):
        Query(**said)


def test_an_unknown_case_and_an_image_that_is_none(base, tmp_path):
    with pytest.raises(DataError, match="there is no case 'made/z'"):
        search(base, Query(case="made/z"))
    (tmp_path / "a.png").write_bytes(jpeg()[:50])
    with pytest.raises(DataError, match="damaged"):
        search(base, Query([tmp_path / "a.png"]))

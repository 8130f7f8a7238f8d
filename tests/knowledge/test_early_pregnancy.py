"""The bundled ontology: whole, sourced, and in the phantom's words."""

import re

import pytest

from sonoprior.cases.phantom.early_pregnancy import describe
from sonoprior.cases.phantom.exam import QUALITIES, draw_exam, draw_shots
from sonoprior.cases.phantom.frame import take
from sonoprior.cases.phantom.patient import SITUATIONS
from sonoprior.cases.phantom.settings import PhantomSettings
from sonoprior.cases.phantom.tissue import ZONES
from sonoprior.cases.phantom.views import META, PLANES, VIEWS
from sonoprior.cases.phantom.words import exam_terms, frame_terms
from sonoprior.knowledge import bundled, read_ontology


@pytest.fixture(scope="module")
def graph():
    return read_ontology("early_pregnancy")


def names(graph, codes):
    return {graph.terms[code].name for code in codes}


def test_it_is_bundled_and_says_that_it_is_an_illustration(graph):
    assert bundled() == ["early_pregnancy"]
    assert "illustration for research" in graph.about
    assert "never a basis for a diagnosis" in graph.about


def test_it_has_one_root_and_the_relations_of_the_exam(graph):
    assert graph.roots == ("early pregnancy exam",)
    assert graph.relations == ("excludes", "seen_in", "suggests")


def test_every_statement_names_a_source_that_can_be_looked_up(graph):
    for edge in graph.edges:
        assert re.search(r"(19|20)\d\d", edge.source), edge
        assert re.search(r"[A-Z]", edge.source), edge


def test_views_meta_views_and_the_eight_classes_stand_as_in_the_phantom(graph):
    for view in VIEWS:
        above = graph.ancestors(graph.find(view.name).id)
        assert names(graph, above) & set(META) == {view.meta}
        assert names(graph, above) & set(PLANES) == ({view.plane} if view.plane else set())


def test_what_the_phantom_writes_of_a_case_set_is_in_it(graph):
    info = describe(PhantomSettings())
    for classes in info.levels.values():
        for name in classes:
            graph.find(name)
    for name in [*info.zones, *(name for groups in info.groupings.values() for name in groups)]:
        graph.find(name)


def test_every_term_that_the_phantom_can_write_is_in_it(graph):
    versions = [f"{version} uterus" for version in ("anteverted", "axial", "retroverted")]
    routes = ["transabdominal route", "transvaginal route"]
    views = [view.name for view in VIEWS] + [f"{quality} frame" for quality in QUALITIES]
    disorders = [situation.disorder for situation in SITUATIONS]
    rest = ["fibroid", "free fluid in the pouch of Douglas"]
    for text in [*views, *ZONES, *disorders, *versions, *routes, *rest]:
        graph.find(text)


def test_the_terms_of_simulated_exams_are_in_it(graph):
    settings = PhantomSettings()
    for number in range(4):
        exam = draw_exam(0, number, 0.5)
        shots = draw_shots(exam, 2, settings.view_weights, 0.5)
        written = [
            *exam_terms(exam),
            *(term for shot in shots for term in frame_terms(take(exam, shot, 0, 32))),
        ]
        for text in written:
            graph.find(text)


def test_findings_point_to_disorders_and_structures_to_views(graph):
    ends = {"suggests": "disorder", "excludes": "disorder", "seen_in": "ultrasound view"}
    for edge in graph.edges:
        if edge.relation in ends:
            assert ends[edge.relation] in graph.ancestors(edge.end), edge
    for start in ("finding", "disorder"):
        assert len(graph.descendants(start)) > 15


def test_nothing_is_suggested_and_excluded_by_the_same_finding(graph):
    for code in graph.terms:
        assert not set(graph.related(code, "suggests")) & set(graph.related(code, "excludes"))

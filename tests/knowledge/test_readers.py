"""Ontologies from files: each form against the same small graph, the real extract, and damaged files."""

import importlib
import os
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sonoprior.core.errors import MissingExtraError, OntologyError
from sonoprior.knowledge import read_ontology

HEAD = """<?xml version="1.0"?>
{doctype}<rdf:RDF xmlns="http://x.org/o#" xml:base="http://x.org/o"
  xmlns:owl="http://www.w3.org/2002/07/owl#" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
  xmlns:rdfs="http://www.w3.org/2000/01/rdf-schema#" xmlns:skos="http://www.w3.org/2004/02/skos/core#">
"""
XML = """
<owl:ObjectProperty rdf:about="#P1"><rdfs:label>seen in</rdfs:label></owl:ObjectProperty>
<owl:Class rdf:about="#V0"><skos:prefLabel xml:lang="fr">coupe</skos:prefLabel>
  <skos:prefLabel xml:lang="en">view</skos:prefLabel></owl:Class>
<owl:Class rdf:about="#V1"><rdfs:subClassOf rdf:resource="#V0"/><rdfs:label>uterus view</rdfs:label>
  <skos:altLabel>view of the uterus</skos:altLabel></owl:Class>
<owl:Class rdf:about="#V2"><rdfs:subClassOf rdf:resource="#V0"/>
  <rdfs:subClassOf rdf:resource="#V1"/></owl:Class>
<owl:Class rdf:about="#S1"><skos:prefLabel>sac</skos:prefLabel><rdfs:subClassOf><owl:Restriction>
  <owl:onProperty rdf:resource="#P1"/><owl:someValuesFrom rdf:resource="#V1"/>
  </owl:Restriction></rdfs:subClassOf>
  <rdfs:subClassOf rdf:resource="http://www.w3.org/2002/07/owl#Thing"/></owl:Class>
<owl:Class rdf:about="#OLD"><owl:deprecated>true</owl:deprecated></owl:Class>
</rdf:RDF>
"""
TURTLE = """
@prefix : <http://x.org/o#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
:P1 a owl:ObjectProperty ; rdfs:label "seen in" .
:V0 a owl:Class ; skos:prefLabel "view"@en, "coupe"@fr .
:V1 a owl:Class ; rdfs:subClassOf :V0 ; rdfs:label "uterus view" ; skos:altLabel "view of the uterus" .
:V2 a owl:Class ; rdfs:subClassOf :V0, :V1 .
:S1 a owl:Class ; skos:prefLabel "sac" ; owl:equivalentClass
  [ a owl:Class ; owl:intersectionOf ( owl:Thing [ a owl:Restriction ; owl:onProperty :P1 ;
    owl:someValuesFrom :V1 ]
  ) ] .
"""
OBO = """format-version: 1.2

[Term]
id: V0
name: view
synonym: "coupe" EXACT []

[Term]
id: V1
name: uterus view
synonym: "view of the uterus" EXACT []
is_a: V0 ! view

[Term]
id: V2
is_a: V0
is_a: V1 {source="a book"}

[Term]
id: S1
name: sac
relationship: seen_in V1

[Term]
id: OLD
is_obsolete: true
"""
YAML = """
name: small
sources: {book: "A book, a publisher, 2020"}
terms:
  V0: {name: view, synonyms: coupe}
  V1: {name: uterus view, synonyms: [view of the uterus], is_a: V0, source: book}
  V2: {is_a: [V0, V1]}
  S1: {name: sac}
relations:
  - {relation: seen_in, source: book, holds: {S1: V1}}
"""
FILES = {"o.owl": HEAD.format(doctype="") + XML, "o.ttl": TURTLE, "o.obo": OBO, "o.yaml": YAML}


def put(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", FILES)
def test_every_form_gives_the_same_graph(tmp_path, name):
    graph = read_ontology(put(tmp_path, name, FILES[name]))
    assert {code: term.name for code, term in graph.terms.items()} == {
        "V0": "view",
        "V1": "uterus view",
        "V2": "V2",  # without a label it keeps its code
        "S1": "sac",
    }
    assert graph.terms["V0"].synonyms == ("coupe",)
    assert graph.find("View of the uterus").id == "V1"
    assert set(graph.parents("V2")) == {"V0", "V1"}
    assert graph.roots == ("V0", "S1")
    (relation,) = graph.relations
    assert relation.replace(" ", "_") == "seen_in"
    assert graph.related("S1", relation) == ("V1",)


@pytest.mark.parametrize("name", ["o.owl", "o.ttl"])
def test_a_language_is_preferred_and_the_others_are_synonyms(tmp_path, name):
    graph = read_ontology(put(tmp_path, name, FILES[name]), language="fr")
    assert graph.terms["V0"].name == "coupe"
    assert graph.terms["V0"].synonyms == ("view",)
    assert graph.terms["V1"].name == "uterus view"


@pytest.mark.parametrize("name", ["o.owl", "o.ttl", "o.obo"])
def test_without_a_known_suffix_the_beginning_decides(tmp_path, name):
    assert len(read_ontology(put(tmp_path, "ontology.txt", FILES[name])).terms) == 4


def test_turtle_in_a_file_that_is_called_owl(tmp_path):
    assert len(read_ontology(put(tmp_path, "o.owl", TURTLE)).terms) == 4


def test_skos_concepts_by_broader_and_narrower(tmp_path):
    text = """
    @prefix : <http://x.org/o/> .
    @prefix skos: <http://www.w3.org/2004/02/skos/core#> .
    :view a skos:Concept ; skos:prefLabel "view"@en ; skos:narrower :uterus .
    :uterus a skos:Concept ; skos:related :sac .
    :sagittal a skos:Concept ; skos:broader :uterus ; skos:altLabel "矢状断"@ja .
    :sac a skos:Concept .
    """
    graph = read_ontology(put(tmp_path, "o.ttl", text))
    assert graph.parents("sagittal") == ("uterus",)
    assert graph.parents("uterus") == ("view",)
    assert graph.related("uterus", "related") == ("sac",)
    assert graph.related("sac", "related") == ("uterus",)
    assert graph.find("矢状断").id == "sagittal"


def test_each_statement_of_the_yaml_form_has_its_source(tmp_path):
    graph = read_ontology(put(tmp_path, "o.yaml", YAML))
    assert {(edge.start, edge.end): edge.source for edge in graph.edges} == {
        ("V1", "V0"): "A book, a publisher, 2020",
        ("V2", "V0"): "",
        ("V2", "V1"): "",
        ("S1", "V1"): "A book, a publisher, 2020",
    }


def real(name):
    root = Path(__file__).parents[2]
    return Path(os.environ.get("SONOPRIOR_REAL_DATA", root.parent / "shared" / "data")) / name


@pytest.mark.real_data
def test_the_published_extract_agrees_with_a_plain_reading_of_its_xml():
    path = real("SUOG/suog_ontology_v3.67.owl")
    if not path.is_file():
        pytest.skip(f"{path} is not there; SONOPRIOR_REAL_DATA names the folder of real data")
    graph = read_ontology(path)
    owl, rdf = "{http://www.w3.org/2002/07/owl#}", "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
    rdfs, skos = "{http://www.w3.org/2000/01/rdf-schema#}", "{http://www.w3.org/2004/02/skos/core#}"
    pairs, suggested, english = set(), set(), {}
    for node in ElementTree.parse(path).getroot().findall(f"{owl}Class"):
        code = node.get(f"{rdf}about").partition("#")[2]
        for label in node.findall(f"{skos}prefLabel"):
            if label.get("{http://www.w3.org/XML/1998/namespace}lang") == "en":
                english.setdefault(code, set()).add(label.text)
        for superior in node.findall(f"{rdfs}subClassOf"):
            parent = superior.get(f"{rdf}resource")
            if parent is not None:
                pairs.add((code, parent.partition("#")[2]))
            for end in superior.iter(f"{owl}someValuesFrom"):
                suggested.add((code, end.get(f"{rdf}resource").partition("#")[2]))
    assert len(graph.terms) == 1292
    assert {(edge.start, edge.end) for edge in graph.edges if edge.relation == "is_a"} == pairs
    assert {(edge.start, edge.end) for edge in graph.edges if edge.relation == "suggests"} == suggested
    assert len(suggested) == 25
    assert all(graph.terms[code].name in names for code, names in english.items())
    assert [graph.terms[code].name for code in graph.roots] == [
        "technical element",
        "pregnancy state",
        "phenotype",
        "ultrasound image",
        "ultrasound study",
    ]


# What is refused


def test_short_entities_for_prefixes_are_read(tmp_path):
    doctype = '<!DOCTYPE rdf:RDF [ <!ENTITY o "http://x.org/o#" > ]>\n'
    text = HEAD.format(doctype=doctype) + XML.replace('rdf:about="#V2"', 'rdf:about="&o;V2"')
    assert "V2" in read_ontology(put(tmp_path, "o.owl", text)).terms


BOMB = '<!DOCTYPE rdf:RDF [ <!ENTITY a "ha"> <!ENTITY b "&a;&a;&a;"> ]>'
OUTER = '<!DOCTYPE rdf:RDF [ <!ENTITY a SYSTEM "{path}"> ]>'
PARAMETER = '<!DOCTYPE rdf:RDF [ <!ENTITY % a SYSTEM "{path}"> %a; ]>'
DTD = '<!DOCTYPE rdf:RDF SYSTEM "{path}">'
LONG = f'<!DOCTYPE rdf:RDF [ <!ENTITY a "{"x" * 501}"> ]>'


@pytest.mark.parametrize(
    ("doctype", "message"),
    [
        (BOMB, "o declares the XML entity 'b', which must be a text of at most 500 letters"),
        (LONG, "o declares the XML entity 'a', which must be a text of at most 500 letters"),
        (OUTER, "o declares the XML entity 'a' outside of itself, which is never opened"),
        (PARAMETER, "o declares the XML entity 'a' outside of itself, which is never opened"),
        (DTD, "o names an outer document type, '.*secret', which is never opened"),
    ],
)
def test_dangerous_xml_is_refused(tmp_path, doctype, message):
    secret = put(tmp_path, "secret", "<!-- secret -->")
    text = HEAD.format(doctype=doctype.replace("{path}", str(secret))) + XML.replace(">sac<", ">&a;<")
    with pytest.raises(OntologyError, match=message):
        read_ontology(put(tmp_path, "o.owl", text))


def test_a_document_that_entities_blow_up_is_refused(tmp_path):
    doctype = f'<!DOCTYPE rdf:RDF [ <!ENTITY a "{"x" * 500}"> ]>'
    text = HEAD.format(doctype=doctype) + XML.replace(">sac<", f">{'&a;' * 200_001}<")
    with pytest.raises(OntologyError, match="uses XML entities so often that it would grow"):
        read_ontology(put(tmp_path, "o.owl", text))


def test_a_reader_opens_nothing_but_the_file(tmp_path, monkeypatch):
    text = TURTLE + "<http://x.org/o> a owl:Ontology ; owl:imports <http://x.org/other> .\n"
    path = put(tmp_path, "o.ttl", text)
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a reader went to the network"))
    assert len(read_ontology(path).terms) == 4


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("o.owl", "Ontology(<http://x.org>)", r"o is not XML \(.*\); an ontology in Turtle needs the suffix"),
        ("o.owl", HEAD.format(doctype="") + "<owl:Class>", r"o is not XML \(.*no element found"),
        ("o.owl", "", "o is not XML"),
        ("o.rdf", "<a><b/></a>", "o must hold OWL classes or SKOS concepts, but it holds neither"),
        ("o.ttl", ":V0 a owl:Class .", "o cannot be read as RDF in turtle: "),
        ("o.ttl", "@prefix", "o cannot be read as RDF in turtle: "),
        ("o.ttl", "[" * 5000, "o cannot be read as RDF in turtle: "),
        ("o.obo", "hello", "o cannot be read as OBO: expected"),
        ("o.obo", "format-version: 1.2\n", "the ontology 'o' must have at least one term"),
        ("o.obo", OBO.replace("is_a: V0 ! view", "is_a: V9"), "'V1 is_a V9', but it has no term 'V9'"),
        ("o.ttl", TURTLE + ":V0 rdfs:subClassOf :V2 .", "runs in a circle: .*V0 is_a "),
        (
            "o.ttl",
            TURTLE + ":V1 rdfs:subClassOf :V7 .",
            "'V1 is_a http://x.org/o#V7', but it has no term",
        ),
        ("o.yaml", "name: [", "o cannot be read as YAML"),
        ("o.yaml", "- a", "o must hold fields such as 'terms: ...', but got list"),
        ("o.yaml", "name: a\nterms: {}", "o: the field 'terms' is wrong"),
        ("o.yaml", YAML + "\nlevel: 3", "o: the field 'level' is unknown; known are name, about"),
        ("o.yaml", YAML.replace("is_a: V0", "isa: V0"), "'terms.V1.isa' is unknown; .* Did you mean 'is_a'"),
        ("o.yaml", YAML.replace("holds", "hold"), r"'relations.0.hold' is unknown; .* Did you mean 'holds'"),
        ("o.yaml", YAML.replace("S1: {name", "V1: {name"), "the key 'V1' is given twice"),
        (
            "o.yaml",
            YAML.replace("source: book, h", "source: bok, h"),
            "a source must be one of book, but got",
        ),
        ("o.yaml", "name: !!python/object:os.system a", "o cannot be read as YAML"),
        (
            "o.txt",
            "hello",
            "must be an ontology in RDF/XML, Turtle, OBO or YAML, with one of the suffixes .owl",
        ),
    ],
)
def test_damaged_files_are_refused_in_one_sentence(tmp_path, name, text, message):
    with pytest.raises(OntologyError, match=message) as refused:
        read_ontology(put(tmp_path, name, text))
    assert "\n" not in str(refused.value)


def test_a_class_elsewhere_is_not_taken_for_one_of_the_same_code(tmp_path):
    for text in (
        TURTLE + ":V1 rdfs:subClassOf <http://y.org/V2> .\n",
        TURTLE.replace("owl:Class", "skos:Concept") + ":V1 skos:broader <http://y.org/V2> .\n",
    ):
        with pytest.raises(
            OntologyError, match=r"'V1 is_a http://y.org/V2', but it has no term 'http://y.org/V2'"
        ):
            read_ontology(put(tmp_path, "o.ttl", text))


def test_a_list_that_runs_in_a_circle_is_refused(tmp_path):
    text = TURTLE + (
        "@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .\n"
        ":V2 rdfs:subClassOf [ owl:intersectionOf _:l ] . _:l rdf:first :V0 ; rdf:rest _:l .\n"
    )
    with pytest.raises(OntologyError, match=r"o holds a damaged list: .*recursive"):
        read_ontology(put(tmp_path, "o.ttl", text))


def test_two_classes_of_one_code_are_refused(tmp_path):
    text = TURTLE + "<http://y.org/V1> a owl:Class .\n"
    with pytest.raises(OntologyError, match="two terms with the code 'V1'"):
        read_ontology(put(tmp_path, "o.ttl", text))


@pytest.mark.parametrize(("library", "reader"), [("rdflib", "rdf"), ("fastobo", "obo")])
def test_without_its_library_a_form_names_the_extra(monkeypatch, library, reader):
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, f"sonoprior.knowledge.{reader}", raising=False)
    with pytest.raises(MissingExtraError, match=rf"needs {library}, .* pip install 'sonoprior\[ontology\]'"):
        importlib.import_module(f"sonoprior.knowledge.{reader}")


def test_a_missing_file_and_one_that_is_too_large_are_refused(tmp_path, monkeypatch):
    with pytest.raises(OntologyError, match="there is no ontology 'early_pregnency': neither a file nor"):
        read_ontology("early_pregnency")
    monkeypatch.setattr("sonoprior.knowledge.reading.MOST_BYTES", 10)
    with pytest.raises(OntologyError, match="must not be larger than 10 bytes"):
        read_ontology(put(tmp_path, "o.ttl", TURTLE))

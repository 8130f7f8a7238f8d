"""`sonoprior ontology show` and `similarity`, end to end."""

import json

import pytest

from sonoprior.cli.main import main
from sonoprior.knowledge import read_ontology
from sonoprior.knowledge.outline import outline
from sonoprior.knowledge.similarity import term_similarity
from sonoprior.knowledge.typed_edges import with_typed_edges

DIAMOND = """
name: small
terms:
  root: {}
  left: {is_a: root}
  right: {is_a: root}
  both: {is_a: [left, right], name: both sides}
  leaf: {is_a: both}
relations:
  - {relation: seen_in, holds: {both: left}}
"""


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(["ontology", *map(str, arguments)])
    return ended.value.code


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(DIAMOND, encoding="utf-8")
    return path


def test_a_tree_with_counts_and_relations(small, capsys):
    assert run("show", small) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown == [
        "small: 5 terms, 1 root",
        "statements: is_a 5, seen_in 1",
        "root (4)",
        "├── left (2)",
        "│   └── both both sides (1)",
        "│       ├── seen_in: left",
        "│       └── leaf",
        "└── right (2)",
        "    └── both both sides (1, shown above)",
    ]


def test_a_tree_from_a_term_and_down_to_a_depth(small, capsys):
    assert run("show", small, "--under", "LEFT", "--depth", 1) == 0
    assert capsys.readouterr().out.splitlines()[2:] == [
        "left (2)",
        "└── both both sides (1)",
        "    └── seen_in: left",
    ]


def test_the_bundled_tree_is_whole_and_not_cut(capsys):
    assert run("show", "early_pregnancy") == 0
    shown = capsys.readouterr().out
    assert "illustration for research" in shown
    assert all(name in shown for name in read_ontology("early_pregnancy").terms)
    assert "…" not in shown


def test_the_same_as_json(small, capsys):
    assert run("show", small, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["statements"] == {"is_a": 5, "seen_in": 1}
    (root,) = shown["branches"]
    left, right = root["children"]
    assert [child["code"] for child in left["children"][0]["children"]] == ["leaf"]
    assert left["children"][0]["related"] == {"seen_in": [{"code": "left", "name": "left"}]}
    assert right["children"][0]["again"]
    assert right["children"][0]["children"] == []


def test_what_is_hidden_by_the_depth_is_still_counted():
    graph = read_ontology("early_pregnancy")
    (root,) = outline(graph, depth=0)
    assert root.below == len(graph.terms) - 1
    assert root.children == ()


def test_similarity_as_json_is_that_of_the_library(capsys):
    words = ["similarity", "early_pregnancy", "Embryo", "yolk sac", "--json"]
    assert run(*words, "--measure", "lin", "--measure", "wu_palmer") == 0
    shown = json.loads(capsys.readouterr().out)
    graph = read_ontology("early_pregnancy")
    assert [term["code"] for term in shown["common"]] == ["structure of the pregnancy"]
    for name in ("lin", "wu_palmer"):
        expected = term_similarity(graph, name).between(["embryo"], ["yolk sac"])[0, 0]
        assert shown["similarity"][name] == pytest.approx(expected)
    assert run(*words, "--relation", "seen_in", "--information", "seco") == 0
    shown = json.loads(capsys.readouterr().out)
    through = with_typed_edges(graph, term_similarity(graph, information="seco"), ["seen_in"])
    expected = through.between(["embryo"], ["yolk sac"])[0, 0]
    assert shown["similarity"] == {"simsuog_like": pytest.approx(expected)}


def test_similarity_as_a_table(small, capsys):
    assert run("similarity", small, "leaf", "right", "--measure", "shortest_path") == 0
    shown = capsys.readouterr().out
    assert "nearest common ancestors: right" in shown
    assert "shortest_path" in shown
    assert "0.3333" in shown


SETS = ["fibroid", "Embryo", "yolk sac"], ["oblique view of the uterus", "gestational sac"]


def by_loop(first, second, similar, how):
    pairs = [[similar(a, b) for b in second] for a in first]
    if how == "maximum":
        return max(map(max, pairs))
    if how == "average":
        return sum(map(sum, pairs)) / (len(first) * len(second))
    there, back = sum(map(max, pairs)), sum(map(max, zip(*pairs, strict=True)))
    return (there + back) / (len(first) + len(second))


@pytest.mark.parametrize("how", [None, "best_match_average", "maximum", "average"])
@pytest.mark.parametrize("sets", [SETS, (SETS[0], ["embryo"])], ids=["two sets", "a set and a term"])
def test_similarity_of_sets_is_that_of_a_slow_loop(how, sets, capsys):
    graph = read_ontology("early_pregnancy")
    codes = [[graph.find(text).id for text in texts] for texts in sets]
    words = ["similarity", "early_pregnancy", "; ".join(sets[0]), ";".join(sets[1]), "--json"]
    words += ["--measure", "lin", "--measure", "simsuog_like", *(["--sets", how] if how else [])]
    assert run(*words) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [[term["code"] for term in terms] for terms in shown["sets"]] == codes
    assert shown["by"] == (how or "best_match_average")
    for name in ("lin", "simsuog_like"):
        found = term_similarity(graph, name)
        expected = by_loop(*codes, lambda a, b, found=found: found.between([a], [b])[0, 0], how)
        assert shown["similarity"][name] == pytest.approx(expected)


def test_similarity_of_sets_as_a_table(small, capsys):
    words = ["--measure", "shortest_path", "--sets", "maximum"]
    assert run("similarity", small, "leaf;left", "right", *words) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[:3] == ["leaf; left", "right", "sets by maximum"]
    assert "0.3333" in "".join(shown)


def test_a_term_whose_name_holds_the_sign_between_terms_is_one_term(tmp_path, capsys):
    path = tmp_path / "small.yaml"
    path.write_text("name: x\nterms: {r: {}, a: {is_a: r, name: one; two}, one: {is_a: r}, two: {is_a: r}}\n")
    assert run("similarity", path, "one; two", "r", "--json") == 0
    assert json.loads(capsys.readouterr().out)["terms"][0]["code"] == "a"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show", "early_pregnency"], "there is no ontology 'early_pregnency'"),
        (["show", "early_pregnancy", "--under", "uterus veiw"], "Did you mean 'uterus view'?"),
        (["show", "early_pregnancy", "--depth", "-1"], "depth must be at least 0, but got -1"),
        (["similarity", "early_pregnancy", "embryo", "yolk sack"], "Did you mean 'yolk sac'?"),
        (["similarity", "early_pregnancy", "embryo", "ovary", "--measure", "lim"], "Did you mean 'lin'?"),
        (
            ["similarity", "early_pregnancy", "embryo", "ovary", "--relation", "seen"],
            "Did you mean 'seen_in'?",
        ),
        (["similarity", "early_pregnancy", "embryo", "ovary", "--information", "counts"], "sanchez"),
        (["similarity", "early_pregnancy", "embryo;yolk sack", "ovary"], "Did you mean 'yolk sac'?"),
        (["similarity", "early_pregnancy", "embryo;", "ovary"], "has no term ''"),
        (
            ["similarity", "early_pregnancy", "embryo;ovary", "ovary", "--sets", "mean"],
            "must be one of best_match_average, maximum, average, but got 'mean'",
        ),
    ],
)
def test_wrong_input_ends_with_one_sentence(capsys, words, message):
    assert run(*words) == 2
    assert message in capsys.readouterr().err

"""docs/ontologies.md, and the form that `yaml_form` describes, do what they say."""

import re
from pathlib import Path
from textwrap import dedent

from sonoprior.knowledge import read_ontology, yaml_form

PAGE = (Path(__file__).parents[2] / "docs" / "ontologies.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_python_of_the_page_gives_what_it_says():
    (code,) = blocks("python")
    names = {}
    for line in code.splitlines():
        expression, _, said = line.partition("  # ")
        if said:
            assert eval(expression, names) == eval(said), line
        else:
            exec(line, names)


def test_the_yaml_of_the_page_and_of_the_docstring_is_an_ontology(tmp_path):
    (page,) = blocks("yaml")
    (docstring,) = re.findall(r"\n\n((?:    .*\n)+)", yaml_form.__doc__)
    for text in (page, dedent(docstring)):
        path = tmp_path / "small.yaml"
        path.write_text(text, encoding="utf-8")
        graph = read_ontology(path)
        assert graph.find("view of the uterus").name == "uterus view"
        assert graph.related("sac", "seen_in") == ("uterus view",)

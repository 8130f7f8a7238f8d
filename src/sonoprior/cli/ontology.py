"""`sonoprior ontology show` and `sonoprior ontology similarity`."""

from collections import Counter
from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from .output import print_json, print_table

if TYPE_CHECKING:
    from rich.tree import Tree

    from sonoprior.knowledge import Ontology, Term
    from sonoprior.knowledge.outline import Branch

_WIDE = 10_000
Several = Annotated[list[str] | None, Parameter(negative="")]


def show(source: str, *, under: str | None = None, depth: int | None = None, json: bool = False) -> None:
    """Print an ontology as a tree, with how many terms stand below each and what it points to.

    Parameters
    ----------
    source:
        The name of one that comes with the project, or a file: OWL or SKOS in RDF/XML or Turtle, OBO, YAML.
    under:
        A term to start from, by code, name or synonym.
    depth:
        How many steps to go down; by default all.
    json:
        Print JSON instead of a tree.
    """
    from sonoprior.knowledge import read_ontology
    from sonoprior.knowledge.outline import outline

    ontology = read_ontology(source)
    branches = outline(ontology, under, depth)
    if json:
        print_json(_summary(ontology) | {"branches": [_content(branch) for branch in branches]})
        return
    _print_summary(ontology)
    _print_trees(branches)


def similarity(
    source: str,
    first: str,
    second: str,
    *,
    measure: Several = None,
    information: str = "sanchez",
    relation: Several = None,
    sets: str = "best_match_average",
    json: bool = False,
) -> None:
    """Print how near two terms are, and their nearest common ancestors; or how near two sets of terms are.

    Parameters
    ----------
    source:
        The name of an ontology that comes with the project, or a file.
    first:
        A term, by code, name or synonym; or several, as of an annotated image, with ; between them.
    second:
        Another, or several others.
    measure:
        shortest_path, wu_palmer, resnik, lin, jiang_conrath or simsuog_like (the default); may be given
        several times.
    information:
        Where information contents come from: sanchez or seco.
    relation:
        A typed relation that counts too, such as suggests; may be given several times.
    sets:
        How the similarity of two sets is made of those of their terms: best_match_average, maximum or
        average.
    json:
        Print JSON instead of a table.
    """
    from sonoprior.knowledge import read_ontology
    from sonoprior.knowledge.sets import set_similarity
    from sonoprior.knowledge.similarity import term_similarity
    from sonoprior.knowledge.typed_edges import with_typed_edges

    ontology = read_ontology(source)
    both = [_found(ontology, text) for text in (first, second)]
    codes = [[term.id for term in terms] for terms in both]
    values: dict[str, float] = {}
    for name in measure or ["simsuog_like"]:
        found = term_similarity(ontology, name, information)
        if relation:
            found = with_typed_edges(ontology, found, relation)
        values[name] = float(set_similarity(codes[:1], codes[1:], found, sets)[0, 0])
    of_sets = any(len(terms) > 1 for terms in both)
    common = [] if of_sets else [ontology.terms[code] for code in ontology.nearest_common(*chain(*codes))]
    if json:
        named = [[_named(term) for term in terms] for terms in both]
        alone = {"terms": list(chain(*named)), "common": [_named(term) for term in common]}
        print_json(({"sets": named, "by": sets} if of_sets else alone) | {"similarity": values})
        return
    for terms in both:
        print("; ".join(map(_text, terms)))
    print(f"sets by {sets}" if of_sets else f"nearest common ancestors: {_listed(common) or 'none'}")
    rows = [(name, f"{value:.4f}") for name, value in values.items()]
    print_table("how near", ["measure", "similarity"], rows)


def _found(ontology: "Ontology", text: str) -> "list[Term]":
    """The terms of a text; one that is a term as it stands is not taken apart."""
    from sonoprior.cases.cells import split_items

    return [ontology.find(item) for item in ([text] if text in ontology else split_items(text))]


def _summary(ontology: "Ontology") -> dict[str, Any]:
    return {
        "name": ontology.name,
        "about": ontology.about,
        "terms": len(ontology.terms),
        "roots": list(ontology.roots),
        "statements": dict(Counter(edge.relation for edge in ontology.edges)),
    }


def _print_summary(ontology: "Ontology") -> None:
    said = _summary(ontology)
    counts = ", ".join(f"{relation} {count:,}" for relation, count in said["statements"].items())
    roots = "root" if len(ontology.roots) == 1 else "roots"
    print(f"{ontology.name}: {len(ontology.terms):,} terms, {len(ontology.roots)} {roots}")
    print(f"statements: {counts or 'none'}")
    if ontology.about:
        print(ontology.about)


def _text(term: "Term") -> str:
    return term.name if term.id == term.name else f"{term.id} {term.name}"


def _named(term: "Term") -> dict[str, str]:
    return {"code": term.id, "name": term.name}


def _listed(terms: Iterable["Term"]) -> str:
    return ", ".join(map(_text, terms))


def _content(branch: "Branch") -> dict[str, Any]:
    return {
        **_named(branch.term),
        "synonyms": list(branch.term.synonyms),
        "below": branch.below,
        "related": {name: [_named(end) for end in ends] for name, ends in branch.related.items()},
        "again": branch.again,
        "children": [_content(child) for child in branch.children],
    }


def _print_trees(branches: Iterable["Branch"]) -> None:
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = _WIDE  # lines are for a file or a program; they are not broken
    for branch in branches:
        console.print(_tree(branch))


def _tree(branch: "Branch") -> "Tree":
    from rich.text import Text
    from rich.tree import Tree

    count = f" ({branch.below:,}{', shown above' if branch.again else ''})" if branch.below else ""
    tree = Tree(Text(_text(branch.term) + count))
    if not branch.again:
        for relation, ends in branch.related.items():
            tree.add(Text(f"{relation}: {_listed(ends)}"))
    for child in branch.children:
        tree.children.append(_tree(child))
    return tree

"""Small ontologies for tests, drawn by their edges."""

from sonoprior.knowledge import Edge, Ontology, Term


def graph(*edges: str, alone: str = "") -> Ontology:
    """An ontology of edges "child is_a parent"; codes in order of appearance, those of `alone` at the end."""
    statements = [Edge(*edge.split()) for edge in edges]
    codes = dict.fromkeys(code for edge in statements for code in (edge.end, edge.start))
    codes |= dict.fromkeys(alone.split())
    return Ontology("small", [Term(code, code) for code in codes], statements)


def metals() -> Ontology:
    """Figure 1 of Couto and Silva, Journal of Biomedical Semantics 2:5, 2011: two terms have two parents."""
    return graph(
        "precious is_a metal",
        "coinage is_a metal",
        "platinum is_a precious",
        "palladium is_a precious",
        "gold is_a precious",
        "silver is_a precious",
        "gold is_a coinage",
        "silver is_a coinage",
        "copper is_a coinage",
    )


def forest() -> Ontology:
    """Three trees, one of a single term: an example of the documentation of nxontology."""
    return graph(
        "precious is_a metal", "coinage is_a metal", "conifer is_a tree", "pine is_a conifer", alone="water"
    )


def chain(length: int = 8) -> Ontology:
    """t0 above t1 above t2 and so on, with a leaf beside each, so that contents differ."""
    steps = [f"t{i + 1} is_a t{i}" for i in range(length - 1)]
    return graph(*steps, *[f"side{i} is_a t{i}" for i in range(length - 1)])


def random_graph(rng, size: int = 40) -> Ontology:
    """Up to three parents for each term, and about two roots."""
    parents = [{int(rng.integers(child)) for _ in range(rng.integers(1, 4))} for child in range(2, size)]
    edges = [f"n{child + 2} is_a n{up}" for child, above in enumerate(parents) for up in sorted(above)]
    return graph(*edges, alone="n0 n1")

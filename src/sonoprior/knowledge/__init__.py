"""Knowledge: the ontology graph, how near its terms are, levels of labels, captions from terms. No pixels."""

from .ontology import IS_A, Edge, Ontology, Term

__all__ = ["IS_A", "Edge", "Ontology", "Term"]

"""Knowledge: the ontology graph, how near its terms are, levels of labels, captions from terms. No pixels."""

from .ontology import IS_A, Edge, Ontology, Term
from .reading import bundled, read_ontology

__all__ = ["IS_A", "Edge", "Ontology", "Term", "bundled", "read_ontology"]

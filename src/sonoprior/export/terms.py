"""The ontology of a bundle, and which of its terms the classes are."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sonoprior.bundle.manifest import ONTOLOGY
from sonoprior.cases.case_set import CaseSet
from sonoprior.core.folder import write_text
from sonoprior.knowledge import Ontology, read_ontology
from sonoprior.knowledge.reading import bundled
from sonoprior.knowledge.yaml_form import as_yaml
from sonoprior.training.predictor import Predictor

Terms = dict[str, dict[str, str]]


def export_ontology(predictor: Predictor, case_set: CaseSet | None, folder: Path) -> Terms:
    """Write `ontology.yaml`: that of the run, or one of the project's whose terms its classes are.

    Returns:
        By level the code of each class's term, of the classes that have one; empty without an ontology.

    Raises:
        OntologyError: if the ontology of the run cannot be read any more.
    """
    settings = predictor.recipe.hierarchy
    levels = _levels(predictor, case_set)
    called = settings.terms if settings else {}
    if settings and settings.ontology:
        ontology = read_ontology(settings.ontology)
    else:
        ontology = _fitting(levels[predictor.model.level], called)
    if ontology is None:
        return {}
    write_text(folder / ONTOLOGY, as_yaml(ontology))
    found = {level: _codes(ontology, classes, called) for level, classes in levels.items()}
    return {level: codes for level, codes in found.items() if codes}


def _levels(predictor: Predictor, case_set: CaseSet | None) -> dict[str, Sequence[str]]:
    """Every level that is known of, the run's own classes before those of the set."""
    of_set = {} if case_set is None else case_set.info.levels
    own = {predictor.model.level: predictor.model.singles or predictor.classes}
    return {**of_set, **predictor.identity.get("levels", {}), **own}


def _fitting(classes: Sequence[str], called: Mapping[str, str]) -> Ontology | None:
    """The ontology that comes with the project and has every class, if one does."""
    for name in bundled():
        ontology = read_ontology(name)
        if all(called.get(each, each) in ontology for each in classes):
            return ontology
    return None


def _codes(ontology: Ontology, classes: Sequence[str], called: Mapping[str, str]) -> dict[str, str]:
    words = {name: called.get(name, name) for name in classes}
    return {name: ontology.find(word).id for name, word in words.items() if word in ontology}

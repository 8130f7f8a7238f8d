"""A finished run becomes a bundle: `sonoprior export`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sonoprior.bundle.confidence import Confidence
from sonoprior.bundle.folder import seal
from sonoprior.bundle.learnt import write_learnt
from sonoprior.bundle.manifest import FEATURES, NETWORK, Manifest, Views
from sonoprior.cases.case_set import CaseSet
from sonoprior.core.checks import within
from sonoprior.core.errors import FolderError
from sonoprior.core.folder import whole_folder
from sonoprior.models.network import Network
from sonoprior.models.onnx_file import check_onnx, write_onnx
from sonoprior.models.taps import Tap
from sonoprior.training.parts import UNLABELLED, read_table
from sonoprior.training.predictor import Predictor, load
from sonoprior.training.run import is_finished

from .card import Card, write_card
from .confidence import fit_confidence
from .graph import EMBEDDING, LOGITS, SQUARES, ExportedNetwork, example_squares
from .overlay import export_overlay
from .seen import SeenPart, class_means, for_confidence, seen_parts
from .terms import export_ontology
from .text import export_text, why_no_text
from .training_set import training_set
from .unfamiliarity import Unfamiliarity

TOLERANCE = 1e-4
"""By how much an exported number may differ from the trained network's, as a share of the largest above 1."""
COVERAGE = 0.95
HAD_A_PART = ("train", UNLABELLED, "validation")
LEARNT_FROM = ("train", UNLABELLED)
"""The parts that show what is familiar, and say nothing of confidence: a network is too sure of them."""


def export_run(
    run: Path, out: Path, *, case_set: CaseSet | None = None, coverage: float = COVERAGE
) -> Manifest:
    """Write the bundle of a run.

    Args:
        run: the folder of a finished run.
        out: the folder to write, whole or not at all.
        case_set: the set that it was trained on; where None, the one that the run remembers, if it still
            lies there. Without it the bundle is not calibrated, and tells no strange frame from a known one.
        coverage: how often the true class shall be among the candidates, from 0.5 to 0.999; the more often,
            the more candidates.

    Returns:
        What the bundle says of itself.

    Raises:
        FolderError: if the run is not finished or damaged, or `out` exists.
        DataError: if the case set is another one.
        ModelError: if the network cannot be exported, or gives other numbers when it was.
        OntologyError: if the ontology of the run cannot be read any more.
        SonopriorError: if the coverage is none.
    """
    within("coverage", coverage, 0.5, 0.999)
    predictor = load(run, "cpu")
    if not is_finished(run):
        raise FolderError(f"{run} is not finished: it was never measured; resume its training first.")
    case_set, missing = training_set(predictor, case_set)
    with whole_folder(out) as building:
        return seal(building, _write(predictor, case_set, missing, coverage, building))


def _write(
    predictor: Predictor, case_set: CaseSet | None, missing: str, coverage: float, folder: Path
) -> dict[str, Any]:
    """Write every file but the manifest; the fields of `Manifest`."""
    identity, heads = predictor.identity, predictor.model.heads
    text = export_text(predictor, folder)  # first, since its encoder may not be there any more
    overlay, tap, no_overlay = export_overlay(predictor, folder)
    network = _network(predictor, tap, case_set)
    dimension = _write_network(network.graph, folder)
    confidence = _confidence(predictor, network, missing, coverage)
    confidence.write(folder)
    if predictor.model.decider is not None:
        predictor.model.decider.write(folder)
    split = read_table(predictor.folder / "split.csv")
    write_learnt(folder, identity["case_set"], split["case"][split["part"].isin(HAD_A_PART)])
    terms = export_ontology(predictor, case_set, folder)
    said = {
        "name": name_of(predictor),
        "side": network.graph.side,
        "views": network.views,
        "levels": {level: identity["levels"][level] for level in heads.levels},
        "compared": list(heads.inference) if heads.embeds else [FEATURES],
        "dimension": dimension,
        "overlay": overlay,
        "no_overlay": no_overlay,
        "text": text,
        "terms": terms,
        "case_set": identity["case_set"],
        "simulated": identity["simulated"],
    }
    card = Card(
        predictor=predictor,
        said=said,
        confidence=confidence,
        parts=network.parts,
        case_set=case_set,
        no_text="" if text else why_no_text(predictor.recipe),
    )
    write_card(card, folder)
    return said | {"trained": card.trained()}


def name_of(predictor: Predictor) -> str:
    """What a run is called: its recipe, and its variant where that has a name of its own."""
    recipe, variant = predictor.recipe.name, predictor.identity["variant"]
    return recipe if variant == recipe else f"{recipe}, {variant}"


@dataclass(frozen=True)
class _Fitted:
    """A network as it is exported, with what was fitted to the cases of the run.

    Attributes:
        graph: what is exported.
        views: how its logits become views.
        parts: what it gives for the parts of the case set; empty without that.
    """

    graph: ExportedNetwork
    views: Views | None
    parts: dict[str, SeenPart]


def _network(predictor: Predictor, tap: Tap, case_set: CaseSet | None) -> _Fitted:
    """The network with what is learnt from its training cases once it is trained."""
    model, size = predictor.model, predictor.recipe.data.size
    assert isinstance(model.network, Network)  # runs are built of these
    plain = ExportedNetwork(model.network, tap, model.heads, size).eval()
    parts = seen_parts(plain, predictor, case_set) if case_set else {}
    if not parts:
        return _Fitted(plain, views_of(predictor, plain, list(predictor.classes)), parts)
    classes, means = list(predictor.classes), None
    if not plain.names_classes and "train" in parts and (parts["train"].labels >= 0).any():
        classes, means = class_means(parts["train"], predictor.model.classes)
    learnt = [parts[name].outputs[FEATURES] for name in LEARNT_FROM if name in parts]
    strange = Unfamiliarity.fit(np.concatenate(learnt))
    graph = ExportedNetwork(model.network, tap, model.heads, size, means, strange).eval()
    return _Fitted(graph, views_of(predictor, graph, classes), parts)


def _write_network(graph: ExportedNetwork, folder: Path) -> int:
    """Write `network.onnx`; how long the compared embedding is."""
    squares = {SQUARES: example_squares(graph.side)}
    write_onnx(graph, squares, graph.outputs(), folder / NETWORK, "the network")
    check_onnx(folder / NETWORK, graph, squares, TOLERANCE, "the network")
    with torch.no_grad():
        return graph(squares[SQUARES])[graph.outputs().index(EMBEDDING)].shape[1]


def views_of(predictor: Predictor, graph: ExportedNetwork, classes: list[str]) -> Views | None:
    """How the logits of an exported network become views; None where it names none."""
    if not graph.names_classes:
        return None
    heads = predictor.model.heads
    if heads.classifies:
        how = "several" if heads.several else "logits"
    else:
        how = "means" if graph.means is not None else "clusters"
    return Views(level=predictor.model.level, classes=classes, named_by=how)


def _confidence(predictor: Predictor, network: _Fitted, missing: str, coverage: float) -> Confidence:
    """How far the answers can be believed, fitted on the cases that a run keeps for it."""
    graph, views = network.graph, network.views
    if not network.parts:
        return Confidence.uncalibrated(views, f"the case set of the run was not at hand: {missing}")
    assert isinstance(graph.unfamiliarity, Unfamiliarity)  # it was fitted with the parts
    several = views is not None and views.several
    names = list(predictor.model.classes)
    named = None if several or views is None else np.array([names.index(name) for name in views.classes])
    cases = {
        name: for_confidence(part, _logits(graph, part), named, graph.unfamiliarity)
        for name, part in network.parts.items()
        if name not in LEARNT_FROM
    }
    return fit_confidence(
        views,
        {name: of for name, of in cases.items() if len(of)},
        decider=predictor.model.decider,
        coverage=coverage,
    )


def _logits(graph: ExportedNetwork, part: SeenPart) -> np.ndarray[Any, Any]:
    if graph.means is not None:
        return part.outputs[EMBEDDING] @ graph.means.numpy().T
    return part.outputs.get(LOGITS, np.empty((len(part.positions), 0), np.float32))

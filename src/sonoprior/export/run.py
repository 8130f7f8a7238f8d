"""A finished run becomes a bundle: `sonoprior export`."""

from pathlib import Path
from typing import Any

from sonoprior.bundle.folder import seal
from sonoprior.bundle.manifest import FEATURES, NETWORK, Manifest, Views
from sonoprior.cases.case_set import CaseSet
from sonoprior.core.errors import FolderError
from sonoprior.core.folder import whole_folder
from sonoprior.models.network import Network
from sonoprior.models.onnx_file import check_onnx, write_onnx
from sonoprior.training.predictor import Predictor, load
from sonoprior.training.run import is_finished

from .graph import SQUARES, ExportedNetwork, example_squares
from .training_set import training_set

TOLERANCE = 1e-4
"""By how much an exported number may differ from the trained network's, as a share of the largest above 1."""


def export_run(run: Path, out: Path, *, case_set: CaseSet | None = None) -> Manifest:
    """Write the bundle of a run.

    Args:
        run: the folder of a finished run.
        out: the folder to write, whole or not at all.
        case_set: the set that it was trained on; where None, the one that the run remembers, if it still
            lies there.

    Returns:
        What the bundle says of itself.

    Raises:
        FolderError: if the run is not finished or damaged, or `out` exists.
        DataError: if the case set is another one.
        ModelError: if the network cannot be exported, or gives other numbers when it was.
    """
    predictor = load(run, "cpu")
    if not is_finished(run):
        raise FolderError(f"{run} is not finished: it was never measured; resume its training first.")
    with whole_folder(out) as building:
        return seal(building, _write(predictor, case_set, building))


def _write(predictor: Predictor, case_set: CaseSet | None, folder: Path) -> dict[str, Any]:
    """Write every file but the manifest; the fields of `Manifest`."""
    model, identity = predictor.model, predictor.identity
    heads, size = model.heads, predictor.recipe.data.size
    training_set(predictor, case_set)
    assert isinstance(model.network, Network)  # runs are built of these
    graph = ExportedNetwork(model.network, model.tap, heads, size).eval()
    squares = {SQUARES: example_squares(graph.side)}
    write_onnx(graph, squares, graph.outputs(), folder / NETWORK, "the network")
    check_onnx(folder / NETWORK, graph, squares, TOLERANCE, "the network")
    if model.decider is not None:
        model.decider.write(folder)
    return {
        "name": identity["variant"],
        "side": graph.side,
        "views": views_of(predictor, graph),
        "levels": {level: identity["levels"][level] for level in heads.levels},
        "compared": list(heads.inference) if heads.embeds else [FEATURES],
        "dimension": graph(squares[SQUARES])[graph.outputs().index("embedding")].shape[1],
        "overlay": None,
        "terms": {},
        "case_set": identity["case_set"],
        "simulated": identity["simulated"],
        "trained": {},
    }


def views_of(predictor: Predictor, graph: ExportedNetwork) -> Views | None:
    """How the logits of an exported network become views; None where it names none."""
    if not graph.names_classes:
        return None
    heads = predictor.model.heads
    if heads.classifies:
        how = "several" if heads.several else "logits"
    else:
        how = "means" if graph.means is not None else "clusters"
    return Views(level=predictor.model.level, classes=list(predictor.classes), named_by=how)

"""A tiny real bundle in a moment: random weights, but graphs, manifest and stamp as an export writes them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper, parser

from sonoprior.bundle.confidence import Confidence
from sonoprior.bundle.decider import Decider
from sonoprior.bundle.folder import seal
from sonoprior.bundle.learnt import write_learnt
from sonoprior.bundle.manifest import Overlay, Views
from sonoprior.core.folder import whole_folder
from sonoprior.knowledge.reading import read_ontology

SIDE, CHANNELS = 24, 16
MAPS = ["disc", "free channels"]
_NETWORK = """
<ir_version: 9, opset_import: ["" : 18]>
network (uint8[batch, 1, {side}, {side}] squares) => (
    {outputs} float[batch, {dimension}] embedding,
    float[batch, {channels}] features, float[batch, {channels}, 5, 5] map
) {{
    grey = Cast <to = 1> (squares)
    unit = Div (grey, full)
    edges = Conv <strides = [4, 4]> (unit, kernels)
    map = Relu (edges)
    features = ReduceMean <keepdims = 0> (map, positions)
    projected = MatMul (features, projection)
    embedding = LpNormalization <axis = 1, p = 2> (projected)
    {nodes}
}}
"""
_OVERLAY = """
<ir_version: 9, opset_import: ["" : 18]>
overlay (float[batch, {channels}, 5, 5] map, float[batch, {width}] weights) => (float[batch, 2, 5, 5] maps) {{
    each = MatMul (weights, back)
    size = Abs (each)
    spread = Unsqueeze (size, positions)
    attribution = Mul (spread, map)
    first, second = Split <axis = 1, num_outputs = 2> (attribution)
    guided = ReduceMean <keepdims = 1> (first, channels)
    free = ReduceMean <keepdims = 1> (second, channels)
    maps = Concat <axis = 1> (guided, free)
}}
"""


def made_bundle(
    folder: Path,
    *,
    dimension: int = 8,
    classes: Sequence[str] = ("dark", "bright"),
    named_by: str | None = "logits",
    clusters: int = 5,
    levels: Mapping[str, Sequence[str]] | None = None,
    ontology: str | None = None,
    overlay: bool = True,
    unfamiliarity: bool = True,
    target: str = "predicted",
    seed: int = 0,
    confidence: Confidence | None = None,
    learnt: Sequence[str] = (),
    extra: Mapping[str, bytes] | None = None,
    **said: Any,
) -> Path:
    """Write a bundle whose outputs depend on the pixels, and which agrees with itself on every machine.

    Args:
        folder: to be written; it must not exist.
        dimension: D of the embedding.
        classes: that it names; an ontology's terms if there is one.
        named_by: see `bundle.manifest.Views`; None for a bundle that names none.
        clusters: how many logits there are where it names by clusters.
        levels: levels with an embedding of their own, of 4 numbers, and their classes.
        ontology: one that comes with the project, by name.
        overlay: whether it can say where it looked; then for the maps `MAPS`.
        unfamiliarity: whether the network says how strange a frame is.
        target: of the overlay.
        seed: another one makes another network, and so another space.
        confidence: how far it can be believed; not calibrated if None.
        learnt: the cases of the set "made" that it was trained with.
        extra: further files by name.
        said: further fields of the manifest.
    """
    rng = np.random.default_rng(seed)
    head = _weights(rng, CHANNELS, clusters if named_by == "clusters" else len(classes))
    projection = _weights(rng, CHANNELS, dimension)
    attributed = head if named_by else projection
    network = _network(rng, head if named_by else None, projection, levels or {}, unfamiliarity)
    with whole_folder(folder) as building:
        _save(network, building / "network.onnx")
        if overlay:
            _save(_overlay(attributed), building / "overlay.onnx")
        terms = _write_ontology(building, ontology, classes) if ontology else {}
        looked = _looked(target, attributed.shape[1]) if overlay else None
        views = Views(level="view", classes=list(classes), named_by=named_by) if named_by else None
        (confidence or Confidence.uncalibrated(views, "it was made for a test")).write(building)
        if views and views.several:
            _decider(rng, views, clusters).write(building)
        write_learnt(building, "made", learnt)
        for name, content in (extra or {}).items():
            (building / name).write_bytes(content)
        seal(building, _manifest(views, looked, terms, levels or {}, dimension) | said)
    return folder


def _decider(rng: np.random.Generator, views: Views, clusters: int) -> Decider:
    shares = rng.random((clusters, len(views.classes))) if views.named_by == "clusters" else None
    return Decider(views.classes, np.full(len(views.classes), 0.5), shares)


def _looked(target: str, width: int) -> Overlay:
    return Overlay(
        asked="last",
        tap="last",
        how="closed form",
        method="grad_input",
        target=target,
        width=width,
        maps=MAPS,
    )


def _manifest(views, looked, terms, levels, dimension) -> dict[str, Any]:
    return {
        "name": "made",
        "side": SIDE,
        "views": views,
        "levels": {level: list(names) for level, names in levels.items()},
        "compared": list(levels)[:1] or ["features"],
        "dimension": dimension,
        "overlay": looked,
        "no_overlay": "" if looked else "it was made without",
        "terms": {"view": terms} if terms else {},
        "case_set": "blobs",
        "simulated": True,
        "trained": {"recipe": "none: its weights are random"},
    }


def _network(rng, head, projection, levels: Mapping[str, Sequence[str]], strange: bool) -> onnx.ModelProto:
    nodes, outputs, weights = [], [], {}
    if head is not None:
        nodes.append("logits = MatMul (features, head)")
        outputs.append(f"float[batch, {head.shape[1]}] logits,")
        weights["head"] = head
    for number, level in enumerate(levels):
        nodes.append(f"p{number} = MatMul (features, level{number})")
        nodes.append(f'"embedding.{level}" = LpNormalization <axis = 1, p = 2> (p{number})')
        outputs.append(f'float[batch, 4] "embedding.{level}",')
        weights[f"level{number}"] = _weights(rng, CHANNELS, 4)
    if strange:
        nodes.append("away = Sub (features, centre)")
        nodes.append("unfamiliarity = ReduceL2 <keepdims = 0> (away, channels)")
        outputs.append("float[batch] unfamiliarity,")
        weights |= {"centre": np.full(CHANNELS, 0.5, np.float32), "channels": np.array([1])}
    text = _NETWORK.format(
        side=SIDE,
        outputs=" ".join(outputs),
        dimension=projection.shape[1],
        channels=CHANNELS,
        nodes="\n".join(nodes),
    )
    return _with(
        text,
        full=np.float32(255),
        kernels=_weights(rng, CHANNELS, 1, 5, 5),
        positions=np.array([2, 3]),
        projection=projection,
        **weights,
    )


def _overlay(head: np.ndarray) -> onnx.ModelProto:
    text = _OVERLAY.format(channels=CHANNELS, width=head.shape[1])
    return _with(text, back=head.T / 25, positions=np.array([2, 3]), channels=np.array([1]))


def _with(text: str, **weights: np.ndarray) -> onnx.ModelProto:
    model = parser.parse_model(text)
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(each), name) for name, each in weights.items()
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _save(model: onnx.ModelProto, path: Path) -> None:
    path.write_bytes(model.SerializeToString())


def _weights(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def _write_ontology(folder: Path, name: str, classes: Sequence[str]) -> dict[str, str]:
    """Copy an ontology into the bundle; the codes of the classes that are terms of it."""
    from importlib.resources import files

    content = (files("sonoprior.knowledge") / "ontologies" / f"{name}.yaml").read_bytes()
    (folder / "ontology.yaml").write_bytes(content)
    graph = read_ontology(folder / "ontology.yaml")
    return {each: graph.find(each).id for each in classes if each in graph}

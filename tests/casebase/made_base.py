"""A base whose embeddings one can picture: unit vectors in a plane, by their angle in degrees."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image

from sonoprior.bundle.learnt import digest
from sonoprior.bundle.manifest import Manifest, Views
from sonoprior.casebase.record import Record, pixels_of
from sonoprior.casebase.sqlite import SqliteStore
from sonoprior.casebase.store import Space, Vectors, number_of
from sonoprior.cases.images import read_grey
from sonoprior.knowledge import read_ontology

RIGHT, LEFT = "transverse view of right adnexa", "transverse view of left adnexa"
UTERUS, BLADDER = "longitudinal view of the uterus", "longitudinal view of bladder"
CLASSES = [RIGHT, LEFT, UTERUS, BLADDER]


def at(*degrees: float) -> np.ndarray:
    """Unit vectors (n, 2)."""
    angles = np.deg2rad(np.asarray(degrees, np.float64))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def picture(degrees: float) -> np.ndarray:
    """A frame that the made recogniser embeds at an angle: it stands in its first two pixels."""
    frame = np.full((20, 24), 90, np.uint8)
    frame[0, :2] = np.divmod(round(degrees * 10), 256)
    return frame


def jpeg(grey: int = 90) -> bytes:
    """A thumbnail."""
    buffer = BytesIO()
    Image.fromarray(np.full((20, 24), grey, np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


@dataclass
class MadeRecogniser:
    """Embeds a `picture` at its angle and names it by `view`; embeds a text at the angle that it says."""

    manifest: Manifest
    view: str | None = UTERUS

    def answers(self, frames: Sequence[np.ndarray | Path]) -> list[SimpleNamespace]:
        grey = [read_grey(frame) if isinstance(frame, Path) else frame for frame in frames]
        angles = [(int(frame[0, 0]) * 256 + int(frame[0, 1])) / 10 for frame in grey]
        shown = (self.view,) if self.view else ()
        return [SimpleNamespace(embedding=vector, shown=shown, familiar=None) for vector in at(*angles)]

    def embed_text(self, texts: Sequence[str]) -> np.ndarray:
        return at(*(float(text.split()[-1]) for text in texts))


@dataclass
class MadeBase:
    """What a search needs of a `CaseBase`, with slow loops for the nearest."""

    folder: Path
    store: SqliteStore
    manifest: Manifest
    recogniser: MadeRecogniser
    ontology: object = field(default_factory=lambda: read_ontology("early_pregnancy"))
    learnt: frozenset[str] = frozenset()

    def vectors(self) -> Vectors:
        return self.store.vectors()

    def nearest(self, queries, k, *, leave_out=None, among=None):
        known = self.vectors()
        near = queries @ known.matrix.T
        for row in range(len(near)):
            for column in range(len(known.ids)):
                own = leave_out is not None and known.groups[column] == leave_out[row]
                if own or (among is not None and known.ids[column] not in among):
                    near[row, column] = -np.inf
        order = np.argsort(-near, axis=1, kind="stable")[:, :k]
        near = np.take_along_axis(near, order, axis=1)
        return np.where(np.isneginf(near), -1, known.ids[order]), near


def made_manifest(**said) -> Manifest:
    terms = {name: read_ontology("early_pregnancy").find(name).id for name in CLASSES}
    about = {
        "name": "made",
        "side": 32,
        "views": Views(level="view", classes=CLASSES),
        "levels": {},
        "compared": ["features"],
        "dimension": 2,
        "overlay": None,
        "text": None,
        "terms": {"view": terms},
        "case_set": "made",
        "simulated": True,
        "trained": {},
        "files": {"network.onnx": "0" * 64},
    }
    return Manifest(**(about | said))


def case(name: str, degrees: float, view: str | None = None, **said) -> tuple[Record, np.ndarray]:
    """A case with its embedding. `patient`, `exam`, `terms`, `image` and any other fact are given by name."""
    given: Mapping[str, object] = {
        key: value for key, value in said.items() if key not in {"caption", "root"}
    }
    facts = {
        key.replace("__", "."): [value] if isinstance(value, str) else value for key, value in given.items()
    }
    facts |= {"set": ["made"], "case": [name]} | ({"label.view": [view]} if view else {})
    facts.setdefault("image", [f"images/{name}.png"])
    patient, exam = said.get("patient"), said.get("exam")
    group = f"made/patient:{patient}" if patient else f"made/exam:{exam}" if exam else f"made/case:{name}"
    source = {"root": str(said.get("root", "/nowhere")), "image": facts["image"][0]}
    source["pixels"] = pixels_of(picture(degrees))
    record = Record(
        f"made/{name}",
        group,
        f"made/{exam}" if exam else None,
        facts,
        said.get("caption", ""),
        source,
        jpeg(),
    )
    return record, at(degrees)[0]


def made_base(folder: Path, cases: Sequence[tuple[Record, np.ndarray]], **said) -> MadeBase:
    """A base of such cases; `said` are fields of the manifest, the `ontology`, or the cases `learnt` from."""
    own = {"ontology": said.pop("ontology")} if "ontology" in said else {}
    own["learnt"] = frozenset(digest("made", name) for name in said.pop("learnt", ()))
    folder.mkdir(parents=True)
    store = SqliteStore.create(folder / "cases.db", Space("made", 2))
    if cases:
        records, vectors = zip(*cases, strict=True)
        with store.adding() as adding:
            adding.put(records, np.stack(vectors))
    manifest = made_manifest(**said)
    return MadeBase(folder, store, manifest, MadeRecogniser(manifest), **own)


def group_of(record: Record) -> int:
    """The number of a record's group, as in `Vectors.groups`."""
    return number_of(record.group)

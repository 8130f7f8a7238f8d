"""A bundle that answers: the face of this part."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoprior.bundle import manifest as files
from sonoprior.bundle.confidence import Confidence
from sonoprior.bundle.folder import open_bundle
from sonoprior.core.checks import listed
from sonoprior.core.errors import FolderError

from .answer import Answer, Overlay
from .engine import checked_threads, open_engine
from .frames import Frame, Prepared, prepare, prepared
from .looking import Looking
from .naming import Named, Naming
from .text import TextEncoder

Embeddings = NDArray[np.float32]
OnUnreadable = Callable[[str], None]
_AT_ONCE = 16
"""Frames in a batch: enough to fill the cores, few enough to stay in their caches."""


class Recogniser:
    """A trained network in use, without torch. Several threads may ask it at once.

        recogniser = Recogniser("out/bundle")
        answer = recogniser.answer(frame, overlay=True)  # uint8 (H, W), or the path of an image
        answer.view, answer.confidence, answer.candidates, answer.familiar

    Research use only; never a diagnosis.

    Args:
        bundle: the folder that `sonoprior export` wrote.
        engine: "onnxruntime", or "openvino" (an extra), which gives the same answers within 1e-4.
        threads: to compute with; as many as there are cores if None.

    Attributes:
        folder: of the bundle.
        manifest: what the bundle says of itself.
        confidence: how far its answers can be believed.

    Raises:
        FolderError: if it is no bundle, is of a newer format, or a file is missing or damaged.
        MissingExtraError: if the engine is not installed.
        SonopriorError: if there is no such engine, or the threads are not 1 or more.
    """

    def __init__(
        self, bundle: Path | str, *, engine: str = "onnxruntime", threads: int | None = None
    ) -> None:
        self.folder = Path(bundle)
        self.manifest = open_bundle(self.folder)
        self.confidence = Confidence.read(self.folder, self.manifest.views)
        views = self.manifest.views
        self._naming = Naming(self.folder, views, self.confidence) if views else None
        self._with = engine, checked_threads(threads)
        self._network = open_engine(engine, self.folder / files.NETWORK, threads)
        self._check_network()

    def answer(self, frame: Frame, *, overlay: bool = False) -> Answer:
        """What a frame shows; see `answers`."""
        return self._answers([prepare(frame, self.manifest.side)], overlay)[0]

    def answers(
        self,
        frames: Iterable[Frame],
        *,
        overlay: bool = False,
        on_unreadable: OnUnreadable | None = None,
    ) -> list[Answer]:
        """What frames show.

        Args:
            frames: each uint8 (H, W), or the path of an image; from 16 pixels a side to 64 million in all.
            overlay: whether to say where the network looked, too.
            on_unreadable: told why a frame cannot be used, which is then left out; an error where None.

        Raises:
            DataError: if a frame cannot be used, in one sentence that says why.
            ModelError: if an overlay is asked for and the bundle has none.
        """
        ready = prepared(frames, self.manifest.side, on_unreadable)
        return [answer for batch in _batches(ready) for answer in self._answers(batch, overlay)]

    def embed(self, frames: Iterable[Frame], *, on_unreadable: OnUnreadable | None = None) -> Embeddings:
        """Where frames lie among each other: (n, D) of length 1; arguments and errors as in `answers`."""
        ready = prepared(frames, self.manifest.side, on_unreadable)
        found = [self._run(batch, ["embedding"])["embedding"] for batch in _batches(ready)]
        return np.concatenate(found) if found else np.zeros((0, self.manifest.dimension), np.float32)

    def overlay(self, frame: Frame, of: str | None = None) -> Overlay:
        """Where the network looked in a frame.

        Args:
            frame: as in `answers`.
            of: the class to look for; what the bundle's overlay is of (`Overlay.target`) if None.

        Raises:
            DataError: if the frame cannot be used, or there is no such class.
            ModelError: if the bundle has no overlay, or attributes no classes.
        """
        batch = [prepare(frame, self.manifest.side)]
        wanted = [name for name in self._looking.reads if name != "squares"]
        return self._overlays(batch, self._run(batch, wanted), of)[0]

    def embed_text(self, texts: Sequence[str]) -> Embeddings:
        """Where texts lie among the frames: (n, D) of length 1.

        Raises:
            ModelError: if the bundle reads no texts.
            MissingExtraError: if tokenizers is not installed.
        """
        return self._text.embed(texts)

    @cached_property
    def _looking(self) -> Looking:
        return Looking(self.folder, self.manifest, *self._with)

    @cached_property
    def _text(self) -> TextEncoder:
        return TextEncoder(self.folder, self.manifest, self._with[1])

    def _check_network(self) -> None:
        """Refuse a graph that is not as the manifest says."""
        needed = ["embedding", *(["logits"] if self._naming else [])]
        missing = [name for name in needed if name not in self._network.outputs]
        if missing or list(self._network.inputs) != ["squares"]:
            raise FolderError(
                f"{self.folder / files.NETWORK} must read squares and give {listed(needed)}, but reads"
                f" {listed(self._network.inputs)} and gives {listed(self._network.outputs)}."
            )

    def _run(self, batch: Sequence[Prepared], wanted: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Outputs of the network by name, and the squares."""
        squares = np.stack([one.square for one in batch])[:, None]
        return {"squares": squares} | self._network.run({"squares": squares}, wanted)

    def _answers(self, batch: Sequence[Prepared], overlay: bool) -> list[Answer]:
        wanted = {"embedding", *(self._looking.reads if overlay else ())}
        wanted |= {"logits", "unfamiliarity"} & set(self._network.outputs)
        outputs = self._run(batch, sorted(wanted - {"squares"}))
        named = self._naming.named(outputs["logits"]) if self._naming else [Named()] * len(batch)
        looked = self._overlays(batch, outputs, None) if overlay else [None] * len(batch)
        strange = outputs.get("unfamiliarity")
        familiar = self._familiar(batch, strange)
        return [
            Answer(
                **vars(named[at]),
                familiar=familiar[at],
                unfamiliarity=None if strange is None else float(strange[at]),
                limit=self.confidence.limit,
                embedding=outputs["embedding"][at],
                overlay=looked[at],
            )
            for at in range(len(batch))
        ]

    def _familiar(
        self, batch: Sequence[Prepared], strange: NDArray[np.float32] | None
    ) -> Sequence[bool | None]:
        """Whether frames look like those of the training; one that shows nothing at all never does."""
        within = None if strange is None else self.confidence.familiar(strange)
        known = [None] * len(batch) if within is None else within.tolist()
        return [False if one.flat else found for one, found in zip(batch, known, strict=True)]

    def _overlays(
        self, batch: Sequence[Prepared], outputs: Mapping[str, NDArray[Any]], of: str | None
    ) -> list[Overlay]:
        return self._looking.overlays(outputs, [one.shape for one in batch], of)


def _batches(frames: Iterator[Prepared]) -> Iterator[list[Prepared]]:
    while batch := list(islice(frames, _AT_ONCE)):
        yield batch

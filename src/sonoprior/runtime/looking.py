"""Where a bundle's network looked: its second graph, which needs no autograd.

Source: thesis on privileged information, section 2.3.1, eqs 2.3 and 2.4, as `attribution.maps` computes them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoprior.bundle import manifest as files
from sonoprior.bundle.manifest import Manifest
from sonoprior.cases.combinations import name_of
from sonoprior.cases.loading.letterbox import from_letterbox
from sonoprior.core.checks import listed, one_of
from sonoprior.core.errors import DataError, FolderError, ModelError

from .answer import Overlay
from .engine import open_engine

EVERYTHING = "all outputs"
"""What is attributed where it is no class: the sum of the logits, or of the embedding of a run without."""

Weights = NDArray[np.float32]
Outputs = Mapping[str, NDArray[Any]]


class Looking:
    """The overlay of a bundle.

    Args:
        folder: of the bundle.
        manifest: of the bundle.
        engine: that runs its graph, by name.
        threads: to compute with.

    Raises:
        ModelError: if the bundle has no overlay.
        FolderError: if its graph cannot be run, or is not as the manifest says.
    """

    def __init__(self, folder: Path, manifest: Manifest, engine: str, threads: int | None) -> None:
        if manifest.overlay is None:
            raise ModelError(f"the bundle {folder} cannot say where it looked: {manifest.no_overlay}.")
        self._folder, self._about, self._views = folder, manifest.overlay, manifest.views
        # Logits are attributed where a classifier gives them; else the embedding is, or the clusters are.
        named_by = manifest.views.named_by if manifest.views else None
        self._of_classes = named_by in ("logits", "several")
        self._of_logits = self._of_classes or (named_by == "clusters" and not manifest.levels)
        self._engine = open_engine(engine, folder / files.OVERLAY, threads)
        self._check()
        self.reads = tuple(name for name in ("squares", "map", "logits") if self._needs(name))

    def _check(self) -> None:
        known = ("squares", "map", "weights")
        if not set(self._engine.inputs) <= set(known) or "maps" not in self._engine.outputs:
            raise FolderError(
                f"{self._folder / files.OVERLAY} must read some of {listed(known)} and give maps, but reads"
                f" {listed(self._engine.inputs)} and gives {listed(self._engine.outputs)}."
            )

    def _needs(self, name: str) -> bool:
        """Whether something of that name must be at hand."""
        return name in self._engine.inputs or (name == "logits" and self._of_logits)

    def overlays(
        self, given: Outputs, shapes: Sequence[tuple[int, int]], of: str | None = None
    ) -> list[Overlay]:
        """Where it looked in frames.

        Args:
            given: what `reads` names, of n frames: the squares, and outputs of the network.
            shapes: (H, W) of each frame.
            of: a class to attribute; what the bundle's overlay is of if None.

        Raises:
            DataError: if there is no such class.
            ModelError: if the bundle attributes no classes.
        """
        weights = self._weights(given, len(shapes), of)
        maps = self._run(dict(given) | {"weights": weights})
        names = [of] * len(shapes) if of else self._named(weights)
        return [
            Overlay(
                {
                    name: from_letterbox(one, shape)
                    for name, one in zip(self._about.maps, maps[at], strict=True)
                },
                of=names[at],
                tap=self._about.tap,
            )
            for at, shape in enumerate(shapes)
        ]

    def _run(self, given: Outputs) -> NDArray[np.float32]:
        """(n, M, h, w), frame by frame where the graph takes one at a time."""
        inputs = {name: given[name] for name in self._engine.inputs}
        if all(count is None for count in self._engine.inputs.values()):
            return self._engine.run(inputs, ["maps"])["maps"]
        each = [
            self._engine.run({name: value[at : at + 1] for name, value in inputs.items()}, ["maps"])["maps"]
            for at in range(len(given["weights"]))
        ]
        return np.concatenate(each)

    def _weights(self, given: Outputs, count: int, of: str | None) -> Weights:
        """How much each attributed output counts, (n, W), as `attribution.gradients.head_weights` has it."""
        weights = np.zeros((count, self._about.width), np.float32)
        if of is not None:
            weights[:, self._place(of)] = 1
        elif self._about.target == "sum" or not self._of_logits:
            weights[:] = 1
        elif self._views and self._views.named_by == "several":
            weights[given["logits"] > 0] = 1
        else:
            weights[np.arange(count), given["logits"].argmax(axis=1)] = 1
        return weights

    def _place(self, of: str) -> int:
        if not self._of_classes or self._views is None:
            raise ModelError(
                f"the bundle {self._folder} attributes no single class; ask for its overlay without `of`."
            )
        return self._views.classes.index(one_of("a class", of, self._views.classes, DataError))

    def _named(self, weights: Weights) -> list[str]:
        """What weights (n, W) attribute that no class was asked of."""
        if not self._of_classes or self._views is None or self._about.target == "sum":
            return [EVERYTHING] * len(weights)
        return [name_of(row > 0, self._views.classes) for row in weights]

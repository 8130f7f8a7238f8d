"""The bundles in a case base: a copy for each space, so that a search needs nothing else."""

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sonoprior.bundle.folder import open_bundle, parts_of
from sonoprior.bundle.learnt import read_learnt
from sonoprior.bundle.manifest import ONTOLOGY, Manifest
from sonoprior.core.folder import whole_folder
from sonoprior.knowledge.ontology import Ontology
from sonoprior.knowledge.yaml_form import read_yaml

from .store import Space

if TYPE_CHECKING:
    from sonoprior.runtime import Recogniser


@dataclass(frozen=True)
class Bundle:
    """The bundle of a space, opened as far as it is used.

    Attributes:
        folder: of the base's copy.
    """

    folder: Path

    @cached_property
    def manifest(self) -> Manifest:
        """What it says of itself."""
        return open_bundle(self.folder)

    @cached_property
    def ontology(self) -> Ontology | None:
        """Its ontology; None without one."""
        path = self.folder / ONTOLOGY
        return read_yaml(path.read_bytes(), str(path)) if ONTOLOGY in self.manifest.files else None

    @cached_property
    def learnt(self) -> frozenset[str]:
        """The digests of the cases that had a part in its training."""
        return read_learnt(self.folder)

    @cached_property
    def recogniser(self) -> "Recogniser":
        """What embeds and names frames."""
        from sonoprior.runtime import Recogniser

        return Recogniser(self.folder)


class Bundles:
    """The bundles of a base, each opened once.

    Args:
        folder: that holds them, each called by its space.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened: dict[str, Bundle] = {}

    def of(self, space: Space) -> Bundle:
        """The bundle of a space."""
        return self._opened.setdefault(space.id, Bundle(self._folder / space.id))

    def copy(self, bundle: Path) -> Space:
        """Take in a bundle, in place of one of the same space.

        Raises:
            FolderError: if it cannot be used or copied.
        """
        manifest = open_bundle(bundle)
        space = space_of(manifest)
        shutil.rmtree(self._folder / space.id, ignore_errors=True)
        with whole_folder(self._folder / space.id) as copy:
            for part in parts_of(bundle, manifest):
                target = copy / part.relative_to(bundle)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(part, target)
        self._opened.pop(space.id, None)
        return space

    def keep_only(self, space: Space) -> None:
        """Remove all others, and what was left of them."""
        for other in self._folder.iterdir():
            if other.name != space.id:
                shutil.rmtree(other, ignore_errors=True)


def space_of(manifest: Manifest) -> Space:
    """The space of a bundle's embeddings."""
    return Space(manifest.space, manifest.dimension)

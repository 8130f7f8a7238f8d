"""What objectives may know beside the images: the hierarchy of a run, and what is said of its classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from sonoprior.core.errors import RecipeError
from sonoprior.models.text_encoders import text_encoder
from sonoprior.objectives.base import ShownTerms
from sonoprior.objectives.text_towers import FrozenTextTower, TrainedTextTower

from .hierarchy import Hierarchy
from .hierarchy_settings import LanguageSettings
from .language import ONTOLOGY, class_text, embedding_of, text_embeddings, text_similarities


@dataclass(frozen=True)
class KnowledgeOfRun:
    """The knowledge of a run, computed when an objective asks for it.

    Attributes:
        hierarchy: of the labels.
        language: the encoder and the captions.
        cache: the folder where embeddings of captions are kept; none keeps them nowhere.
    """

    hierarchy: Hierarchy
    language: LanguageSettings
    cache: Path | None = None

    @property
    def classes(self) -> Mapping[str, Sequence[str]]:
        """The classes of every level, the leaf's first."""
        return self.hierarchy.classes

    @property
    def paths(self) -> Tensor:
        """(C, L), for each leaf class the number of its class at every level."""
        return torch.from_numpy(self.hierarchy.levels.paths)

    def similarity(self, level: str) -> Tensor:
        """(C_l, C_l): how near what is said of the classes of a level is."""
        if self.language.encoder == ONTOLOGY:
            return torch.from_numpy(self.hierarchy.similarity(level)).float()
        found = text_similarities(self.language, self.hierarchy.levels, self.cache)
        return torch.from_numpy(found[level]).float()

    def distances(self, level: str) -> Tensor:
        """(C_l, C_l): how far apart the classes of a level are, 0 on the diagonal."""
        return torch.from_numpy(self.hierarchy.distances(level)).float()

    def texts(self, level: str, dimension: int, *, trained: bool) -> nn.Module:
        """A module from class numbers (T,) to embeddings (T, `dimension`) of what is said of them.

        Raises:
            RecipeError: if the ontology, which has nothing to be trained, shall be trained.
        """
        if trained:
            if self.language.encoder == ONTOLOGY:
                raise RecipeError(
                    "text 'trained' needs a language model, but language.encoder is 'ontology'; name 'minilm'"
                    " or the folder of a transformers model, or leave the text side frozen."
                )
            captions = class_text(self.language, self.hierarchy.levels)[level]
            return TrainedTextTower(text_encoder(self.language.encoder), captions, dimension)
        return FrozenTextTower(self._embeddings(level), dimension)

    def _embeddings(self, level: str) -> Tensor:
        if self.language.encoder == ONTOLOGY:
            return torch.from_numpy(embedding_of(self.hierarchy.similarity(level))).float()
        found = text_embeddings(self.language, self.hierarchy.levels, self.cache)
        return torch.from_numpy(found[level]).float()

    def terms(self) -> ShownTerms:
        """Which terms every case of the set shows, and how near they are.

        Raises:
            RecipeError: if there is no ontology, or no case has terms.
        """
        hierarchy = self.hierarchy
        shown = {code for case in hierarchy.shown for code in case}
        if not shown:
            raise RecipeError(
                f"graph_guidance needs cases with terms, but {hierarchy.case_set.root} has none."
            )
        partner = hierarchy.mirrored
        codes = sorted(shown | {partner.get(code, code) for code in shown})
        # A term that the ontology does not have is like itself alone.
        near = hierarchy.terms.with_codes(codes).between(codes, codes)
        return ShownTerms(
            shown=torch.from_numpy(hierarchy.shows(codes)),
            similarity=torch.from_numpy(near).float(),
            partners=torch.tensor([codes.index(partner.get(code, code)) for code in codes]),
        )


def said(hierarchy: Hierarchy, language: LanguageSettings, cache: Path | None) -> dict[str, np.ndarray]:
    """How near what is said of the classes is, by level (C_l, C_l); empty where nothing is said of them."""
    if hierarchy.ontology is None and language.encoder == ONTOLOGY:
        return {}
    knowledge = KnowledgeOfRun(hierarchy, language, cache)
    return {level: knowledge.similarity(level).numpy() for level in hierarchy.classes}

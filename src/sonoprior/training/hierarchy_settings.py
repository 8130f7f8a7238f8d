"""What a recipe says of the hierarchy of its labels, of its language, and of retrieval. Free of torch."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from sonoprior.core.checks import listed, one_of
from sonoprior.knowledge.information import ANNOTATIONS, INTRINSIC
from sonoprior.knowledge.similarity import MEASURES

from .recipe_part import RecipePart


class SimilaritySettings(RecipePart):
    """How near two terms of an ontology are.

    Attributes:
        measure: as `knowledge.similarity` names it.
        information: where the information content of a term comes from: "seco" or "sanchez", the graph alone,
            or "annotations", the terms of the training cases.
        relations: typed edges that count too, such as "suggests" and "seen_in".
        relations_weight: how much they count beside `is_a`.
    """

    measure: str = "simsuog_like"
    information: str = "sanchez"
    relations: tuple[str, ...] = ()
    relations_weight: Annotated[float, Field(ge=0, le=1)] = 0.5

    @field_validator("measure")
    @classmethod
    def _known_measure(cls, value: str) -> str:
        return one_of("measure", value, MEASURES.names())

    @field_validator("information")
    @classmethod
    def _known_information(cls, value: str) -> str:
        return one_of("information", value, [*INTRINSIC, ANNOTATIONS])


class HierarchySettings(SimilaritySettings):
    """The levels of the labels, the ontology that they come from, and how near its terms are when it guides.

    Attributes:
        levels: label levels, the leaf's first, then upwards.
        ontology: the name of one that comes with the project, or a file; with none the path of a label is
            read off the cases, and classes are as near as their paths.
        depths: the depth in the ontology, counted from its root, of the terms of a level that the case set
            does not have.
        terms: the term of a class, by code, name or synonym, where it is not called like the class.
    """

    levels: Annotated[tuple[str, ...], Field(min_length=1)]
    ontology: str | None = None
    depths: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    terms: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _levels_are_told_apart(self) -> "HierarchySettings":
        if len(set(self.levels)) < len(self.levels):
            raise ValueError(f"levels must be different ones, but got {listed(self.levels)}")
        for level in self.depths:
            if level not in self.levels[1:]:
                above = listed(self.levels[1:]) or "none"
                raise ValueError(f"depths must name levels above the first ({above}), but got '{level}'")
        if self.depths and self.ontology is None:
            raise ValueError("depths need an ontology, but hierarchy.ontology is not set")
        return self


class LanguageSettings(RecipePart):
    """What is said of a class, and who turns it into numbers.

    Attributes:
        encoder: "ontology" (the similarity of terms itself, which needs no language model), "minilm" (a
            sentence encoder whose weights come with its package), or the folder of a `transformers` model.
        templates: by level captions in a row, the richest first; see `knowledge.captions`. A level without
            one is captioned by its class alone.
    """

    encoder: str = "ontology"
    templates: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(default_factory=dict)


class RetrievalSettings(RecipePart):
    """How the nearest cases are looked for when an embedding is measured.

    Attributes:
        gallery: "part": the other cases of the query's part; "train": the training cases.
        own_group: "left_out": nothing of the query's own patient or exam is ever found, nor a near-duplicate
            of it, since that a frame looks like the frame before it proves nothing; "kept": only the query
            itself is left out. Near-duplicates are known where `split.keep_duplicates_together` is on, as by
            default; where it is off they are found as any other case.
        also: further label levels that are measured.
        kinds: by a name of your own a term of the ontology; two cases match where their `terms` share one
            below it.
        similarity: by which similarity of terms it is told how wrong a case is, and how well images agree
            with terms. It is the same for all variants of a study, whatever similarity each learns by.
    """

    gallery: Literal["part", "train"] = "part"
    own_group: Literal["left_out", "kept"] = "left_out"
    also: tuple[str, ...] = ()
    kinds: dict[str, str] = Field(default_factory=dict)
    similarity: SimilaritySettings = SimilaritySettings()

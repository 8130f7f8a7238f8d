"""What a recipe says of the network. Free of torch, so that a recipe is checked without it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

GIVEN = "given"


class EmbeddingSpec(BaseModel):
    """An embedding for each of some label levels, instead of logits or beside them.

    Attributes:
        dimension: D of each.
        levels: which label levels have one, the first being the leaf's; the hierarchy's where none are named,
            and else the level that is learnt.
        inference: what is compared at inference: the "leaf" embedding, or the concatenation of the levels
            that are named.
        logits: whether the network gives logits of the leaf classes too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dimension: Annotated[int, Field(ge=1)] = 128
    levels: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    inference: Literal["leaf"] | Annotated[tuple[str, ...], Field(min_length=1)] = "leaf"
    logits: bool = False


class CombinationsSpec(BaseModel):
    """A logit for each label combination, beside those of the classes: the second head of paper 002.

    Attributes:
        least: how many labelled training cases a combination must have; rarer ones have no logit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    least: Annotated[int, Field(ge=1)] = 1


class ClustersSpec(BaseModel):
    """A logit for each cluster, instead of those of the classes or beside them.

    Attributes:
        count: how many, or as many as there are label "combinations" in the training part; of a level with
            one label a case these are its classes. A run that trains without a label counts the validation
            part, by which its clusters are matched.
        least: how many cases a combination must have to count, where `count` is "combinations".
        logits: whether the network gives logits of the classes too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: Annotated[int, Field(ge=2)] | Literal["combinations"] = "combinations"
    least: Annotated[int, Field(ge=1)] = 1
    logits: bool = False


class ModelSpec(BaseModel):
    """A backbone, its weights, and the place where its attribution is read.

    Attributes:
        backbone: a timm name ("regnetx_002"), or "module:callable" for your own; the callable is called
            with `num_classes` and `in_chans=1` and returns a `torch.nn.Module`.
        tap: "default", "last" (the last feature map), "stage1", "stage2", ... (as timm counts the stages of
            the backbone; the blocks of a vision transformer), or the path of any submodule
            ("layer3.1.conv2").
        weights: "none", "hub" (needs a network), the path of a safetensors file, a state dict or a run, or
            "pretraining:NAME" for a run of the recipe's `pretraining` that is trained first. "given" stands
            for what `given` names, in any variant and in any run of `pretraining`.
        given: what weights "given" are: "hub", or the path of a file or a run. It is named once, for all
            that begin with it.
        dropout: probability of dropping a feature before the last layer.
        embedding: what the network embeds, and not only classifies; none for a classifier.
        combinations: logits of label combinations beside those of the classes, if any.
        clusters: logits of clusters, if any.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: str = "regnetx_002"
    tap: str = "stage3"
    weights: str = "none"
    given: str = "hub"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    embedding: EmbeddingSpec | None = None
    combinations: CombinationsSpec | None = None
    clusters: ClustersSpec | None = None

    @model_validator(mode="before")
    @classmethod
    def _given_weights(cls, content: Any) -> Any:
        if not isinstance(content, dict) or content.get("weights") != GIVEN:
            return content
        return {**content, "weights": content.get("given", cls.model_fields["given"].default)}

    @property
    def classifies(self) -> bool:
        """Whether the network gives logits of the classes: as its only head, or because it is told to."""
        others = [head for head in (self.embedding, self.clusters) if head is not None]
        return not others or any(head.logits for head in others)

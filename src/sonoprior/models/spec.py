"""What a recipe says of the network. Free of torch, so that a recipe is checked without it."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


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


class ModelSpec(BaseModel):
    """A backbone, its weights, and the place where its attribution is read.

    Attributes:
        backbone: a timm name ("regnetx_002"), or "module:callable" for your own; the callable is called
            with `num_classes` and `in_chans=1` and returns a `torch.nn.Module`.
        tap: "default", "last" (the last feature map), "stage1", "stage2", ... (as timm counts the stages of
            the backbone; the blocks of a vision transformer), or the path of any submodule
            ("layer3.1.conv2").
        weights: "none", "hub" (needs a network), or the path of a safetensors file or a state dict.
        dropout: probability of dropping a feature before the last layer.
        embedding: what the network embeds, and not only classifies; none for a classifier.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: str = "regnetx_002"
    tap: str = "stage3"
    weights: str = "none"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    embedding: EmbeddingSpec | None = None

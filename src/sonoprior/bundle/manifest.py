"""`bundle.json`: what a bundle says of itself, and which files it consists of."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

KIND, FORMAT = "bundle", 1
FILE = "bundle.json"
NETWORK, OVERLAY, TEXT = "network.onnx", "overlay.onnx", "text.onnx"
TOKENIZER, CONFIDENCE, ONTOLOGY = "tokenizer.json", "confidence.json", "ontology.yaml"
FEATURES = "features"
"""The name of the embedding of a run that was not trained to embed: what its last layer reads."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Views(_Part):
    """How the logits of the network become views.

    Attributes:
        level: the label level that is named.
        classes: the K classes that are named, in the order of the logits; of clusters what they are matched
            with, and then the logits are those of the clusters.
        named_by: "logits" of classes of which one is shown; "several": a logit each for classes that are
            decided on by themselves; "clusters": logits of clusters, matched with classes; "means": cosines
            to the mean training embedding of each class, for a run that was trained to embed alone.
    """

    level: str
    classes: list[str]
    named_by: Literal["logits", "several", "clusters", "means"] = "logits"

    @property
    def several(self) -> bool:
        """Whether each class is decided on by itself, so that a frame may show several or none."""
        return self.named_by in ("several", "clusters")


class Overlay(_Part):
    """Where a run looks, as a graph without autograd.

    Attributes:
        asked: the tap that the run was guided or explained at.
        tap: the one whose overlay the bundle holds: the asked one, or the last where that cannot be exported.
        how: "closed form", where average pooling and a linear layer follow the tap, or a "graph".
        reason: why it is not the asked tap; empty where it is.
        method: "grad", "grad_input" or "grad_cam", see `attribution.gradients`.
        target: "sum" of the outputs, or the "predicted" ones.
        width: W, the outputs that are attributed: the logits, or the leaf's embedding where there are none
            of a classifier.
        maps: the names of the priors that channels belong to, then "free channels", in the graph's order.
    """

    asked: str
    tap: str
    how: Literal["closed form", "graph"]
    reason: str = ""
    method: Literal["grad", "grad_input", "grad_cam"]
    target: Literal["sum", "predicted"]
    width: int
    maps: list[str]


class TextSide(_Part):
    """A text encoder that shares the space of the images.

    Attributes:
        encoder: its name; of a folder the last part.
        longest: how many tokens of a text are read.
    """

    encoder: str
    longest: int


class Manifest(_Part):
    """What a bundle holds. Its graphs are described here, by input and output.

    `network.onnx` reads `squares`, uint8 (B, 1, side, side): grey frames in a square as
    `cases.loading.letterbox` makes them; averaging to the training size and normalising stand in the graph.
    It gives `logits` (B, K), `embedding` (B, D) of length 1, `embedding.<level>` (B, D_level) of length 1 for
    each level of a run that embeds, `features` (B, C) that its last layer reads, `map` (B, C', h, w) at the
    tap, and `unfamiliarity` (B,).

    `overlay.onnx` reads as many of `squares`, `map` and `weights` (B, W) as it needs, where the weights say
    how much each attributed output counts, and gives `maps` (B, M, h, w).

    `text.onnx` reads `input_ids` and `attention_mask`, int64 (B, T), and gives `embedding` (B, D).

    Attributes:
        name: of the run, for people.
        side: of the squares, in pixels.
        views: how logits become views; None for a run that can name none.
        levels: the classes of every level with an embedding of its own, the leaf's first; empty without.
        compared: the levels whose embeddings are joined to the one that is compared, or `features`.
        dimension: D of that one.
        overlay: where it looked; None where neither the asked tap nor the last can be exported.
        no_overlay: why there is none; empty where there is.
        text: the text encoder; None without.
        terms: by level, the code of the ontology's term of each class that has one; empty without ontology.
        case_set: the name of the set that it was trained on.
        simulated: whether a simulator made that.
        trained: what is worth knowing of the training, in rows of name and value, as the card shows it.
        files: the SHA-256 of every other file.
    """

    name: str
    side: int
    views: Views | None
    levels: dict[str, list[str]]
    compared: list[str]
    dimension: int
    overlay: Overlay | None
    no_overlay: str = ""
    text: TextSide | None = None
    terms: dict[str, dict[str, str]]
    case_set: str
    simulated: bool
    trained: dict[str, str]
    files: dict[str, str]

    @property
    def space(self) -> str:
        """What identifies the space of the embeddings: two bundles with the same network have the same."""
        return self.files[NETWORK][:16]

    def class_terms(self, level: str) -> Mapping[str, str]:
        """The code of each class of a level that has a term."""
        return self.terms.get(level, {})

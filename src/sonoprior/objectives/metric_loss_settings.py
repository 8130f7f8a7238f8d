"""The settings of every metric loss, told apart by their name.

Free of torch, so that a recipe is checked without it.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from sonoprior.core.errors import RecipeError

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Loss(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SoftmaxSettings(_Loss):
    """Normalised softmax: cross-entropy over the cosines to one proxy a class.

    Attributes:
        temperature: what the cosines are divided by.
    """

    name: Literal["softmax"] = "softmax"
    temperature: Positive = 0.05


class ContrastiveSettings(_Loss):
    """Contrastive loss, eq 3.2.

    Attributes:
        margin: the Euclidean distance, in [0, 2], that cases of two classes shall have at least.
        sampling: "all" pairs, or "distance_weighted": those of triplets drawn as for the margin loss.
        cutoff, farthest: of that drawing, see `MarginSettings`.
    """

    name: Literal["contrastive"] = "contrastive"
    margin: Positive = 1.0
    sampling: Literal["all", "distance_weighted"] = "all"
    cutoff: Positive = 0.5
    farthest: Positive = 1.4


class TripletSettings(_Loss):
    """Triplet loss, eq 3.3, on squared Euclidean distances.

    Attributes:
        margin: by how much the negative shall be farther than the positive.
        selection: which triplets count. "all": every one, on average; "informative": every one, averaged
            over those with a loss, which moves from batch-all to batch-hard while training goes on;
            "semi_hard": the negative is farther than the positive, but within the margin; "hard": for
            each anchor the farthest positive and the nearest negative; "distance_weighted": drawn as for
            the margin loss.
        cutoff, farthest: of that drawing, see `MarginSettings`.
    """

    name: Literal["triplet"] = "triplet"
    margin: Positive = 0.2
    selection: Literal["all", "informative", "semi_hard", "hard", "distance_weighted"] = "informative"
    cutoff: Positive = 0.5
    farthest: Positive = 1.4


class NPairSettings(_Loss):
    """N-pair loss: one pair a class in the batch, drawn at random, against the positives of the others.

    Attributes:
        normalised: whether the inner products are of normalised embeddings; the paper's are not.
    """

    name: Literal["n_pair"] = "n_pair"
    normalised: bool = True


class QuadrupletSettings(_Loss):
    """Quadruplet loss on squared Euclidean distances.

    Attributes:
        margin: by how much the negative of an anchor shall be farther than its positive.
        other_margin: by how much two cases of two *other* classes shall be farther apart than the
            positives; below `margin`, since it is the weaker demand.
    """

    name: Literal["quadruplet"] = "quadruplet"
    margin: Positive = 0.2
    other_margin: Positive = 0.1


class MarginSettings(_Loss):
    """Margin loss, eq 3.5, on Euclidean distances, with the sampler it was made for.

    Attributes:
        alpha: the margin of separation.
        beta: the boundary between positive and negative pairs, or where it starts.
        learn_beta: whether beta is learned. per_class: whether every class learns its own.
        sampling: "distance_weighted", or "all" triplets.
        cutoff: distances below are taken for this one when weights are computed.
        farthest: negatives beyond this distance are never drawn.
    """

    name: Literal["margin"] = "margin"
    alpha: Positive = 0.2
    beta: Positive = 1.2
    learn_beta: bool = False
    per_class: bool = False
    sampling: Literal["distance_weighted", "all"] = "distance_weighted"
    cutoff: Positive = 0.5
    farthest: Positive = 1.4

    @model_validator(mode="after")
    def _learned_if_per_class(self) -> Self:
        if self.per_class and not self.learn_beta:
            raise ValueError("per_class needs learn_beta: betas that nobody learns are one beta")
        return self


class MultiSimilaritySettings(_Loss):
    """Multi-similarity loss, eq 3.7, on cosines, with its miner.

    Attributes:
        positive_scale: alpha of eq 3.7. negative_scale: beta. base: lambda.
        epsilon: how much easier than the hardest pair on the other side a pair may be and still count;
            None: every pair counts.
    """

    name: Literal["multi_similarity"] = "multi_similarity"
    positive_scale: Positive = 2.0
    negative_scale: Positive = 50.0
    base: Annotated[float, Field(ge=-1, le=1)] = 0.5
    epsilon: NotNegative | None = 0.1


class ArcFaceSettings(_Loss):
    """ArcFace: a softmax over proxies with a margin added to the angle of the label.

    Attributes:
        margin: radians. scale: what the cosines are multiplied by.
    """

    name: Literal["arcface"] = "arcface"
    margin: Annotated[float, Field(ge=0, lt=1.57)] = 0.5
    scale: Positive = 64.0


class CosFaceSettings(_Loss):
    """CosFace: a softmax over proxies with a margin taken off the cosine of the label.

    Attributes:
        margin: of a cosine. scale: what the cosines are multiplied by.
    """

    name: Literal["cosface"] = "cosface"
    margin: NotNegative = 0.35
    scale: Positive = 64.0


class SphereFaceSettings(_Loss):
    """SphereFace: a softmax over proxies with the angle of the label multiplied.

    Attributes:
        margin: the whole number that the angle is multiplied by.
        normalised: whether embeddings have norm 1; the paper's do not, and multiply the cosines by theirs.
        scale: multiplies the cosines too; 1 in the paper. Embeddings of norm 1 need one.
    """

    name: Literal["sphereface"] = "sphereface"
    margin: Annotated[int, Field(ge=1)] = 4
    normalised: bool = True
    scale: Positive = 30.0


MetricLossSettings = Annotated[
    SoftmaxSettings
    | ContrastiveSettings
    | TripletSettings
    | NPairSettings
    | QuadrupletSettings
    | MarginSettings
    | MultiSimilaritySettings
    | ArcFaceSettings
    | CosFaceSettings
    | SphereFaceSettings,
    Field(discriminator="name"),
]


def metric_loss_settings(name: str, **settings: Any) -> MetricLossSettings:
    """The settings of a metric loss by its name; what is not given has its default.

    >>> metric_loss_settings("triplet", selection="hard").margin
    0.2

    Raises:
        RecipeError: naming the setting that cannot be used.
    """
    try:
        return TypeAdapter(MetricLossSettings).validate_python({"name": name, **settings})
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"]) or "name"
        raise RecipeError(f"metric loss, {place}: {problem['msg']}, but got {problem['input']!r}.") from error

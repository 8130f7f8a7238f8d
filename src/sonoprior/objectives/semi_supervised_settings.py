"""The settings of the objectives on labelled and unlabelled images together.

Free of torch, so that a recipe is checked without it.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .metric_loss_settings import NotNegative, Positive
from .unlabelled_settings import UnlabelledSettings

Share = Annotated[float, Field(ge=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AlignmentSettings(_Settings):
    """Distribution alignment: predictions are led to the class frequencies of the labelled cases.

    Attributes:
        decay: of the running mean of predictions; 0.99 remembers about the last 100 batches.
    """

    decay: Decay = 0.99


class DebiasingSettings(_Settings):
    """Debiased pseudo-labels: what the network predicts often has to be predicted with more evidence.

    Attributes:
        strength: what log of the running mean is multiplied by before it is taken off the weak view's logits;
            the source's lambda.
        margins: whether it is added to the strong view's logits in the loss, so that classes that are
            predicted rarely are learned with a larger margin; the head of several labels has none.
        decay: of the running mean of predictions; 0.99 remembers about the last 100 batches.
    """

    strength: NotNegative = 0.5
    margins: bool = True
    decay: Decay = 0.99


class FlexibleThresholdSettings(_Settings):
    """FlexMatch: a class that is learned more slowly has a lower threshold.

    Attributes:
        warm_up: whether all thresholds stay low until most images have reached the full one.
    """

    warm_up: bool = True


class InlierSettings(_Settings):
    """InPL: an image is learnt from where it is like the labelled ones, however sure its label is.

    Attributes:
        energy: what the energy of the weak view's logits may be at most. Its scale is that of the logits,
            so there is no usual value; -log K is that of K logits of 0.
        temperature: T of the energy.
    """

    energy: Annotated[float, Field(allow_inf_nan=False)]
    temperature: Positive = 1.0


class FixMatchSettings(UnlabelledSettings):
    """FixMatch with one label an image; the weight of the objective is lambda of eq 13.

    Attributes:
        threshold: tau of eq 12; a pseudo-label is used where the largest probability is at least this one.
        alignment: distribution alignment, if any.
        debiasing: against imbalance, if any; in place of alignment, not beside it, since both divide by what
            the network predicts on average.
        flexible: thresholds of classes, if any.
        inliers: a bound on the energy, if any; in place of the threshold, so not beside flexible ones.
    """

    threshold: Share = 0.95
    alignment: AlignmentSettings | None = None
    debiasing: DebiasingSettings | None = None
    flexible: FlexibleThresholdSettings | None = None
    inliers: InlierSettings | None = None

    @model_validator(mode="after")
    def _one_correction(self) -> Self:
        if self.alignment is not None and self.debiasing is not None:
            raise ValueError("alignment and debiasing correct for the same mean; choose one of them")
        return self

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if self.flexible is not None and self.inliers is not None:
            raise ValueError("flexible and inliers both say which images are used; choose one of them")
        return self


class OneHeadFixMatchSettings(UnlabelledSettings):
    """FixMatch with several labels an image; the weight of the objective is lambda of eq 13.

    Attributes:
        threshold: tau; the pseudo-labels of an image are used where the largest probability is at least this.
        cut: the probability from which on a pseudo-label is 1.
    """

    threshold: Share = 0.95
    cut: Share = 0.5


class TwoHeadFixMatchSettings(FixMatchSettings):
    """FixMatch on label combinations, beside a head for several labels; the objective's weight is lambda.

    Attributes:
        learner: which head learns from the pseudo-labels. "single_label": that of the combinations, as
            section 2.3.2 of the paper has it; "multi_label": the other one, from the labels of the
            combination; "both": the sum of the two.
    """

    learner: Literal["single_label", "multi_label", "both"] = "single_label"


class MultiLabelCrossEntropySettings(_Settings):
    """Cross-entropy with several labels an image, eq 9, on the labelled stream; it has no choices."""


class TwoHeadCrossEntropySettings(_Settings):
    """Cross-entropy on the label combinations and on the labels, on the labelled stream; without choices."""

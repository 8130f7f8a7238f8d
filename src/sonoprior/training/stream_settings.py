"""What a recipe says of a stream of cases that is read beside the labelled ones. Free of torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, model_validator

from sonoprior.cases.loading.policies import UNCHANGED, VIEWS
from sonoprior.cases.loading.spec import AugmentSpec
from sonoprior.core.checks import one_of

from .recipe_part import RecipePart


class StreamSettings(RecipePart):
    """A stream of cases, most of them without a label that may be learnt from.

    Attributes:
        cases: a case set of its own, all of whose cases are read; the whole training side of the run's case
            set where none is named, cases without a label and with a hidden one included.
        views: how many views of each case there are and how they are augmented: "plain" (one, as it is),
            "weak-strong", or "two" (first and second, both strong).
        augment: view to those of its settings that are not the policy's ("plain": none at all).
        batch_size: cases in a batch; all of them where there are fewer.
        sampling: "shuffle", or "exams": batches of `batch_size` / `frames_per_exam` exams, so that nearly all
            views of an exam are in a batch (paper 002, section 3.2).
        frames_per_exam: of each exam in a batch, for "exams".
        read: "all" of these cases, or only the "labelled" ones: a control, which tells what an objective
            gains by its views from what it gains by unlabelled cases.
        only: column of the case set to the values whose cases are read, all where none is named: to see what
            cases cost that do not belong there.
        share: the part of the stream's groups (patients or exams) that is read, the same in every run; to
            see how many unlabelled cases are worth what.
    """

    cases: Path | None = None
    views: Literal["plain", "weak-strong", "two"] = "weak-strong"
    augment: dict[str, AugmentSpec] = Field(default_factory=dict)
    batch_size: PositiveInt = 64
    sampling: Literal["shuffle", "exams"] = "shuffle"
    frames_per_exam: PositiveInt = 4
    read: Literal["all", "labelled"] = "all"
    only: dict[str, Annotated[list[str], Field(min_length=1)]] = Field(default_factory=dict)
    share: Annotated[float, Field(gt=0, le=1)] = 1.0

    @model_validator(mode="before")
    @classmethod
    def _the_rest_is_the_policy_s(cls, content: Any) -> Any:
        if not isinstance(content, dict) or not isinstance(content.get("augment"), dict):
            return content
        policies = VIEWS.get(content.get("views", cls.model_fields["views"].default), {})
        augment = {
            view: (policies.get(view) or UNCHANGED).model_dump() | given if isinstance(given, dict) else given
            for view, given in content["augment"].items()
        }
        return {**content, "augment": augment}

    @model_validator(mode="after")
    def _augments_what_is_there(self) -> "StreamSettings":
        for name in self.augment:
            one_of("a view of augment", name, list(VIEWS[self.views]))
        return self

    @model_validator(mode="after")
    def _whole_exams(self) -> "StreamSettings":
        if self.sampling == "exams" and self.batch_size % self.frames_per_exam:
            raise ValueError(
                f"batch_size must be a multiple of frames_per_exam ({self.frames_per_exam}), where sampling"
                f" is 'exams', but got {self.batch_size}"
            )
        return self

    @model_validator(mode="after")
    def _labels_are_of_the_own_set(self) -> "StreamSettings":
        if self.cases is not None and self.read == "labelled":
            raise ValueError("read: labelled is for the run's own cases, but cases names another set")
        return self

    @property
    def specs(self) -> Mapping[str, AugmentSpec | None]:
        """The views by name, each with its augmentation; None for the plain image."""
        return dict(VIEWS[self.views]) | self.augment

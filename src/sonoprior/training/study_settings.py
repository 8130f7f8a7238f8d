"""What a study asks, as it stands in a recipe before anything is trained. Free of torch."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from pydantic import Field, FiniteFloat, PositiveInt, field_validator, model_validator

from sonoprior.core.checks import one_of, within
from sonoprior.metrics.catalogue import metric_named

from .recipe_part import RecipePart, settings_of_a_run

_VARIANT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.+=-]*")
_FRACTION = "split.label_fraction"
OF_VARIANTS = frozenset({_FRACTION})

Line = dict[FiniteFloat, str]


class LabelsSavedSettings(RecipePart):
    """How many labels do with something what more labels do without it, read off two lines of a curve.

    Attributes:
        without: the line without it.
        using: a line with it to what it is, in the words that follow "with", such as "the unlabelled frames".
    """

    without: str
    using: dict[str, str] = Field(min_length=1)


class CurveSettings(RecipePart):
    """A figure of the primary metric over something that variants differ in.

    Attributes:
        axis: what is drawn from left to right, in words.
        lines: name of a line to its points: the place on the axis and the variant that stands there.
        labels_saved: the lines that are read for the number of labels that are saved.
    """

    axis: str
    lines: dict[str, Line] = Field(min_length=1)
    labels_saved: LabelsSavedSettings | None = None

    @model_validator(mode="after")
    def _lines_are_there(self) -> "CurveSettings":
        if self.labels_saved is None:
            return self
        for name in (self.labels_saved.without, *self.labels_saved.using):
            one_of("a line of labels_saved", name, list(self.lines))
        if self.labels_saved.without in self.labels_saved.using:
            raise ValueError(
                f"labels_saved must compare two lines, but got '{self.labels_saved.without}' with itself"
            )
        for name in self.labels_saved.using:
            if len(self.lines[name]) < 2:
                raise ValueError(
                    f"labels_saved reads between the places of '{name}', so that line must have at least 2,"
                    f" but got {len(self.lines[name])}"
                )
        return self

    def numbered_by_labels(self, variants: Mapping[str, Mapping[str, Any]]) -> None:
        """Refuse lines that labels are read off, if their variants do not differ in how many they use.

        Raises:
            ValueError: naming the first such line.
        """
        saved = self.labels_saved
        for name in () if saved is None else (saved.without, *saved.using):
            shares = [variants[variant].get(_FRACTION, 1) for _, variant in sorted(self.lines[name].items())]
            # What is no number is refused where the variant itself is read.
            numbers = [share for share in shares if isinstance(share, int | float)]
            if any(right <= left for left, right in pairwise(numbers)):
                raise ValueError(
                    f"labels_saved needs a {_FRACTION} that rises along the line '{name}', but got"
                    f" {', '.join(f'{share:g}' for share in numbers)}"
                )


class SpreadSettings(RecipePart):
    """How the primary metric of several methods spreads over seeds, and over the values of a setting.

    Attributes:
        axis: the setting, in words.
        groups: name of a method to its places: the value of the setting and the variant that stands there.
            The first is what the others are compared with.
    """

    axis: str
    groups: dict[str, Line] = Field(min_length=1)

    @model_validator(mode="after")
    def _places_are_there(self) -> "SpreadSettings":
        for name, places in self.groups.items():
            if not places:
                raise ValueError(f"spread.groups.{name} must have at least 1 place, but got none")
        return self


class ContrastSettings(RecipePart):
    """Two kinds of test cases, told apart by a column of the case set.

    What a variant loses is its metric on the kept cases less its metric on the lost ones.

    Attributes:
        column: of the case set, such as `extra.mark_agrees`.
        kept: the value of the cases on which the shortcut still holds.
        lost: the value of those on which it does not.
    """

    column: str
    kept: str
    lost: str

    @model_validator(mode="after")
    def _two_kinds(self) -> "ContrastSettings":
        if self.kept == self.lost:
            raise ValueError(f"kept and lost must be two values of {self.column}, but both are '{self.kept}'")
        return self


class StudySettings(RecipePart):
    """What a study compares.

    Attributes:
        question: one sentence that the study answers; it stands first on the result page.
        baseline: the variant that the others are compared with.
        primary: the metric of the comparison, fixed beforehand.
        secondary: further metrics that are compared in the same way, each as a family of its own; nothing is
            chosen by them.
        seeds: runs of each variant and fold.
        variants: name to the settings in which it differs, as dotted keys. `split.label_fraction` is the
            only key of the split among them: such a variant trains on a part of the training cases, and
            what a smaller fraction keeps, a larger one keeps too.
        against: a variant to another one that it is compared with instead of the baseline.
        controls: a variant that is a control to the variant that it controls.
        shown: the variants that a page looks at more closely, beside the one that it chooses and what that is
            compared with; a page of many variants shows no others side by side, but for controls.
        curve: a figure over something that variants differ in.
        contrast: what is lost from one kind of test cases to the other.
        spread: how the primary metric spreads over runs, and over the values of a setting.
        chosen: a variant to the settings that tuning chose for it, as dotted keys, one entry a fold; a
            single entry holds for every fold. Written by `sonoprior tune`.
        left_out: variants that the recipe had and that were left out, with all that spoke of them. Written by
            `leave_out`.
    """

    question: str = ""
    baseline: str = "plain"
    primary: str = "balanced_accuracy"
    secondary: tuple[str, ...] = ()
    seeds: PositiveInt = 5
    variants: dict[str, dict[str, Any]] = Field(default_factory=lambda: {"plain": {}}, min_length=1)
    against: dict[str, str] = Field(default_factory=dict)
    controls: dict[str, str] = Field(default_factory=dict)
    shown: tuple[str, ...] = ()
    curve: CurveSettings | None = None
    contrast: ContrastSettings | None = None
    spread: SpreadSettings | None = None
    chosen: dict[str, list[dict[str, Any]]] = Field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    @field_validator("primary")
    @classmethod
    def _known_primary(cls, value: str) -> str:
        return metric_named(value, "primary").name

    @field_validator("secondary")
    @classmethod
    def _known_secondary(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(metric_named(name, "secondary").name for name in value)

    @field_validator("variants")
    @classmethod
    def _usable_variants(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name, settings in value.items():
            if not _VARIANT_NAME.fullmatch(name):
                raise ValueError(
                    "a variant's name must be letters, digits, spaces and any of _ . + = -, starting with a"
                    f" letter or digit, because it names a folder, but got '{name}'"
                )
            settings_of_a_run(f"the variant '{name}'", settings, OF_VARIANTS)
        return value

    @model_validator(mode="after")
    def _each_endpoint_once(self) -> "StudySettings":
        seen = {self.primary}
        for name in self.secondary:
            if name in seen:
                raise ValueError(
                    "secondary must name metrics other than the primary one, each of them once, but got"
                    f" '{name}' again"
                )
            seen.add(name)
        return self

    @model_validator(mode="after")
    def _something_can_be_lost(self) -> "StudySettings":
        if self.contrast and not metric_named(self.primary).higher_is_better:
            raise ValueError(
                "contrast needs a primary metric of which more is better, for that is what is lost, but got"
                f" '{self.primary}'"
            )
        return self

    @model_validator(mode="after")
    def _names_are_variants(self) -> "StudySettings":
        one_of("baseline", self.baseline, list(self.variants))
        self._check_pairs("against", self.against)
        self._check_pairs("controls", self.controls)
        self._check_names("a variant of shown", self.shown)
        for line, points in (self.curve.lines if self.curve else {}).items():
            self._check_names(f"a variant of curve.lines.{line}", list(points.values()))
        if self.curve:
            self.curve.numbered_by_labels(self.variants)
        for group, places in (self.spread.groups if self.spread else {}).items():
            self._check_names(f"a variant of spread.groups.{group}", list(places.values()))
        self._check_names("a variant of chosen", list(self.chosen))
        for name, entries in self.chosen.items():
            for entry in entries:
                settings_of_a_run(f"chosen.{name}", entry)
        return self

    def _check_pairs(self, key: str, pairs: Mapping[str, str]) -> None:
        for name, other in pairs.items():
            self._check_names(f"a variant of {key}", [name, other])
            if name == other:
                raise ValueError(f"{key} must name two variants, but got '{name}' with itself")

    def _check_names(self, what: str, names: Sequence[str]) -> None:
        for name in names:
            one_of(what, name, list(self.variants))

    def compared_with(self, variant: str) -> str:
        """The variant that another one is compared with: the baseline, if nothing else is said."""
        return self.against.get(variant, self.baseline)

    def reference(self, variant: str) -> str | None:
        """As `compared_with`; none for a variant that only others are compared with."""
        references = ({self.baseline} | set(self.against.values())) - set(self.against)
        return None if variant in references else self.compared_with(variant)

    def chosen_for(self, variant: str, fold: int | None = None) -> dict[str, Any]:
        """What tuning chose for a variant on a fold, as dotted keys; nothing if it was not tuned.

        Args:
            variant: its name.
            fold: from 0; none asks for what holds for every fold, and settings chosen fold by fold do not.

        Raises:
            SonopriorError: if there is no such fold.
        """
        entries = self.chosen.get(variant, [])
        if len(entries) == 1:
            return entries[0]
        if not entries or fold is None:
            return {}
        return entries[within("fold", fold, 0, len(entries) - 1)]

"""The recipe: everything that decides a training run, as one typed model. Free of torch."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    SerializeAsAny,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from sonoprior.cases.loading.spec import AugmentSpec
from sonoprior.cases.priors import PriorSpec
from sonoprior.core.checks import one_of
from sonoprior.metrics.classification import SCALARS
from sonoprior.models.spec import ModelSpec
from sonoprior.objectives.settings import SETTINGS

FORMAT = 1
_VARIANT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.+=-]*")
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSettings(_Part):
    """What is read of a case set.

    Attributes:
        level: the level of labels that is learnt; the first of the case set if none is named.
        size: side of the square that the network sees, in pixels.
        priors: where the spatial priors come from; none for a run without.
    """

    level: str | None = None
    size: Annotated[int, Field(ge=16, le=2048)] = 112
    priors: PriorSpec | None = None


class ObjectiveEntry(_Part):
    """One term of the loss: its type, its weight, and the settings of that type.

    In a recipe the settings stand beside `type` and `weight`. An objective of weight 0 is not built; for
    guidance, its settings still say how localisation is measured.
    """

    type: str
    weight: NonNegativeFloat = 1.0
    settings: SerializeAsAny[BaseModel]

    @model_validator(mode="before")
    @classmethod
    def _gather_settings(cls, content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        own = {key: value for key, value in content.items() if key in {"type", "weight"}}
        return own | {"settings": {key: value for key, value in content.items() if key not in own}}

    @field_validator("type")
    @classmethod
    def _known_type(cls, value: str) -> str:
        return one_of("type", value, sorted(SETTINGS))

    @field_validator("settings", mode="plain")
    @classmethod
    def _typed_settings(cls, value: Any, info: ValidationInfo) -> BaseModel:
        kind = info.data.get("type")
        return SETTINGS[kind].model_validate(value) if kind else _Part()

    @model_serializer
    def _flat(self) -> dict[str, Any]:
        return {"type": self.type, "weight": self.weight, **self.settings.model_dump(mode="json")}


class TrainingSettings(_Part):
    """The optimiser, its schedule, and when to stop.

    Attributes:
        schedule_power: the learning rate falls as (1 - step / steps) to this power.
        patience: epochs without a better `monitor` after which training stops; none never stops early.
        monitor: the metric on the validation part that chooses the weights that are kept.
        sampling: "shuffle", or "balanced" (every class equally often).
        threads: threads of one run; none shares the cores among the workers.
        checkpoint_every: epochs between two checkpoints.
    """

    epochs: PositiveInt = 60
    batch_size: PositiveInt = 32
    learning_rate: PositiveFloat = 1e-3
    weight_decay: NonNegativeFloat = 0.0
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    optimiser: Literal["adam", "adamw"] = "adam"
    schedule_power: NonNegativeFloat = 0.9
    patience: PositiveInt | None = None
    monitor: str = "balanced_accuracy"
    sampling: Literal["shuffle", "balanced"] = "shuffle"
    threads: PositiveInt | None = None
    checkpoint_every: PositiveInt = 1

    @field_validator("monitor")
    @classmethod
    def _known_monitor(cls, value: str) -> str:
        return one_of("monitor", value, sorted(SCALARS))


class SplitSettings(_Part):
    """How cases become training, validation and test parts; no patient or exam is ever cut.

    Attributes:
        protocol: "hold_out" (fractions), "k_fold" (each case is tested once), or "given" (the case set's
            own `split` column).
        folds: parts of a k-fold.
        validation: fraction of all cases (hold-out), of the cases outside the test fold (k-fold), or of the
            training part where a given split has no validation part.
        test: fraction of all cases (hold-out).
        label_fraction: fraction of the training cases whose labels are used; smaller fractions are
            contained in larger ones.
        keep_duplicates_together: near-duplicate images count as one group.
    """

    protocol: Literal["hold_out", "k_fold", "given"] = "k_fold"
    folds: Annotated[int, Field(ge=2)] = 5
    validation: Fraction = 0.1
    test: Fraction = 0.2
    label_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: Annotated[int, Field(ge=0)] = 0
    keep_duplicates_together: bool = True

    @model_validator(mode="after")
    def _leaves_training(self) -> "SplitSettings":
        if self.validation + self.test >= 1:
            raise ValueError(
                "validation and test must leave something to train with, but got"
                f" {self.validation:g} and {self.test:g}"
            )
        return self

    @property
    def count(self) -> int:
        """Number of splits that the protocol makes."""
        return self.folds if self.protocol == "k_fold" else 1


class StudySettings(_Part):
    """What a study compares.

    Attributes:
        baseline: the variant that the others are compared with.
        primary: the metric of the comparison, fixed beforehand.
        seeds: runs of each variant and fold.
        variants: name to the settings in which it differs, as dotted keys.
    """

    baseline: str = "plain"
    primary: str = "balanced_accuracy"
    seeds: PositiveInt = 5
    variants: dict[str, dict[str, Any]] = Field(default_factory=lambda: {"plain": {}}, min_length=1)

    @field_validator("primary")
    @classmethod
    def _known_primary(cls, value: str) -> str:
        return one_of("primary", value, sorted(SCALARS))

    @field_validator("variants")
    @classmethod
    def _usable_names(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name in value:
            if not _VARIANT_NAME.fullmatch(name):
                raise ValueError(
                    "a variant's name must be letters, digits, spaces and any of _ . + = -, starting with a"
                    f" letter or digit, because it names a folder, but got '{name}'"
                )
        return value

    @model_validator(mode="after")
    def _baseline_is_a_variant(self) -> "StudySettings":
        one_of("baseline", self.baseline, list(self.variants))
        return self


class PublishedTable(_Part):
    """Numbers that others published, shown beside ours and never mixed with them.

    Attributes:
        table: its number where it was printed.
        about: data, network and protocol behind it, and what differs here.
        metric: what the numbers are.
        rows: one row a method; `variant` names ours that it belongs to, `value` is the printed mean.
    """

    table: str
    about: str = ""
    metric: str = "accuracy"
    rows: list[dict[str, str | float | None]]


class Recipe(_Part):
    """Everything that decides a training run and a study of it.

    `quick` holds dotted keys and the values that they take in the quick form.
    """

    format: Literal[1]
    name: str
    about: str = ""
    data: DataSettings = DataSettings()
    model: ModelSpec = ModelSpec()
    objectives: dict[str, ObjectiveEntry] = Field(min_length=1)
    augment: AugmentSpec = Field(default_factory=lambda: AugmentSpec.model_validate({}))
    training: TrainingSettings = TrainingSettings()
    split: SplitSettings = SplitSettings()
    study: StudySettings = StudySettings()
    quick: dict[str, Any] = Field(default_factory=dict)
    published: list[PublishedTable] = Field(default_factory=list)

    @model_validator(mode="after")
    def _something_is_learnt(self) -> "Recipe":
        if not self.active_objectives:
            raise ValueError("at least one objective must have a weight above 0, but all are 0")
        return self

    @model_validator(mode="after")
    def _guidance_has_priors(self) -> "Recipe":
        if "prior_guided_attribution" in self._active_types() and self.data.priors is None:
            raise ValueError(
                "prior_guided_attribution needs priors, but data.priors is not set; give it a source and a"
                " grouping, such as {source: outlines, grouping: one}"
            )
        return self

    @property
    def active_objectives(self) -> dict[str, ObjectiveEntry]:
        """The objectives that are built: those with a weight above 0."""
        return {name: entry for name, entry in self.objectives.items() if entry.weight > 0}

    @property
    def guidance(self) -> ObjectiveEntry | None:
        """The guidance entry, of any weight; it says how attribution is measured."""
        guiding = [entry for entry in self.objectives.values() if entry.type == "prior_guided_attribution"]
        return guiding[0] if guiding else None

    def _active_types(self) -> set[str]:
        return {entry.type for entry in self.active_objectives.values()}

    def content(self) -> dict[str, Any]:
        """The recipe as plain values, as it stands in YAML."""
        return self.model_dump(mode="json")

    def decisive(self) -> dict[str, Any]:
        """What decides a single run: the content without what only describes or compares."""
        return self.model_dump(mode="json", exclude={"about", "study", "quick", "published"})


def differing_keys(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Dotted keys whose values differ between two recipes' contents.

    >>> differing_keys({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "c": 2})
    ['a.b']
    """
    found: list[str] = []
    for key in dict.fromkeys([*one, *other]):
        left, right = one.get(key), other.get(key)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            found += differing_keys(left, right, f"{prefix}{key}.")
        elif left != right:
            found.append(f"{prefix}{key}")
    return found

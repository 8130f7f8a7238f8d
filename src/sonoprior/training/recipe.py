"""The recipe: everything that decides a training run, as one typed model. Free of torch."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
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
from sonoprior.metrics.catalogue import Names, class_of, metric_named, metric_names, monitor_names
from sonoprior.models.spec import ModelSpec
from sonoprior.objectives.settings import SETTINGS, AttributionSettings

from .hierarchy_settings import HierarchySettings, LanguageSettings, RetrievalSettings, SimilaritySettings
from .recipe_part import Fraction, NonNegativeFloat, PositiveFloat, RecipePart
from .stream_settings import StreamSettings
from .study_settings import StudySettings
from .tune_settings import TuneSettings

FORMAT = 1
_CLASS_ACTIVATION = AttributionSettings(method="grad_cam", target="predicted", allocation="mean")
LABELLED, PRETRAINING = "labelled", "pretraining:"


class DataSettings(RecipePart):
    """What is read of a case set.

    Attributes:
        level: the level of labels that is learnt; the first of the case set if none is named.
        several: whether each class of the level is a decision of its own, so that a case may show several, or
            none. Without it a level in which cases show several is learnt by label combinations, each of
            which is then one class.
        size: side of the square that the network sees, in pixels.
        priors: where the spatial priors come from; none for a run without.
    """

    level: str | None = None
    several: bool = False
    size: Annotated[int, Field(ge=16, le=2048)] = 112
    priors: PriorSpec | None = None


class ObjectiveEntry(RecipePart):
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
        return SETTINGS[kind].model_validate(value) if kind else RecipePart()

    @model_serializer
    def _flat(self) -> dict[str, Any]:
        return {"type": self.type, "weight": self.weight, **self.settings.model_dump(mode="json")}


class TrainingSettings(RecipePart):
    """The optimiser, its schedule, and when to stop.

    Attributes:
        schedule_power: the learning rate falls as (1 - step / steps) to this power.
        patience: epochs without a better `monitor` after which training stops; none never stops early.
        monitor: the metric on the validation part that chooses the weights that are kept.
        sampling: "shuffle"; "balanced" (every class equally often); "classes" (`cases_per_class` cases of
            each of batch_size / `cases_per_class` classes, for losses that compare cases); or "hierarchical"
            (the same, with the classes of a batch drawn from `metas_per_batch` classes of the level above).
        cases_per_class: of a batch, for "classes" and "hierarchical".
        metas_per_batch: for "hierarchical".
        steps_per_epoch: how many steps an epoch has; none: as many batches as the labelled stream has, or the
            first where it is not read. A stream that is shorter begins anew, a longer one goes on in another
            order in the next epoch.
        keep: the weights of the "best" epoch by `monitor`, or of the "last".
        frozen: what is not trained: "nothing", the whole "backbone" (all but the last layer), or all of it up
            to and with a stage, named as a tap: "stage2".
        precision: what the network computes in: "float32", or "bfloat16" (automatic mixed precision: its
            convolutions and matrix products in bfloat16, all else in single precision). On a GPU, and on
            processors that have bfloat16, a step then takes about half the time. What is measured, validation
            included, is measured in single precision.
        recorded: on a GPU, record a step once and replay it, where every objective allows it
            (`Objective.recordable`): several times faster for small networks. Turn it off for a backbone that
            decides by the values of its tensors.
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
    sampling: Literal["shuffle", "balanced", "classes", "hierarchical"] = "shuffle"
    cases_per_class: PositiveInt = 4
    metas_per_batch: PositiveInt = 2
    steps_per_epoch: PositiveInt | None = None
    keep: Literal["best", "last"] = "best"
    frozen: str = "nothing"
    precision: Literal["float32", "bfloat16"] = "float32"
    recorded: bool = True
    threads: PositiveInt | None = None
    checkpoint_every: PositiveInt = 1

    @model_validator(mode="after")
    def _patience_waits_for_something(self) -> "TrainingSettings":
        if self.patience is not None and self.keep == "last":
            raise ValueError(
                f"patience waits for an epoch that is better than the one kept, but keep is 'last', and got"
                f" {self.patience}; set patience to null, or keep to 'best'"
            )
        return self

    @model_validator(mode="after")
    def _whole_classes(self) -> "TrainingSettings":
        if self.sampling in {"classes", "hierarchical"} and self.batch_size % self.cases_per_class:
            raise ValueError(
                f"batch_size must be a multiple of cases_per_class ({self.cases_per_class}), where sampling"
                f" is '{self.sampling}', but got {self.batch_size}"
            )
        return self

    @field_validator("monitor")
    @classmethod
    def _known_monitor(cls, value: str) -> str:
        return metric_named(value, "monitor").name


class SplitSettings(RecipePart):
    """How cases become training, validation and test parts; no patient or exam is ever cut.

    Attributes:
        protocol: as in table 2.1 of the thesis: "single_split" (fractions); "cross_evaluation" (train,
            validation and test in every fold, so that each case is tested once); "fixed_test" (one test
            part for all folds: the case set's own, or a fraction; the rest is divided into folds, each of
            which validates once); or "given" (the case set's own `split` column). Besides, "open_set": no
            class that is tested was trained or validated with, as in section 3.5.1.1.
        folds: of a cross-evaluation, or of what a fixed test part leaves.
        validation: fraction of all cases (single split), of the cases outside the test fold
            (cross-evaluation), of the training side (open set), or of the training part where a given split
            has no validation part; a fixed test part leaves one fold to validate with.
        test: fraction of all cases (single split, and a fixed test part where the case set has none), or of
            the cases in groups that hold classes of both sides (open set).
        calibration: fraction of the training part that is set aside as the part "calibration". Nothing is
            trained, stopped, chosen or tuned by it, so that what an exported bundle says of its confidence
            can be fitted on it; 0 sets nothing aside.
        test_classes: those that are tested, by name (open set only); none: the last half of the level's
            classes in their order, the first half being the larger one.
        label_fraction: fraction of the labelled training cases whose labels are used; smaller fractions are
            contained in larger ones. A variant of a study may have its own.
        keep_duplicates_together: near-duplicate images count as one group, in splits and in retrieval.
            Near-duplicates of a fixed test part that the case set names are left out; a given split is taken
            as it is.
    """

    protocol: Literal["single_split", "cross_evaluation", "fixed_test", "given", "open_set"] = (
        "cross_evaluation"
    )
    folds: Annotated[int, Field(ge=2)] = 5
    validation: Fraction = 0.1
    test: Fraction = 0.2
    calibration: Annotated[float, Field(ge=0, lt=1)] = 0.0
    test_classes: list[str] | None = None
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

    @model_validator(mode="after")
    def _classes_are_for_an_open_set(self) -> "SplitSettings":
        if self.test_classes is not None and self.protocol != "open_set":
            raise ValueError(
                f"test_classes is for the protocol open_set, but got {self.protocol}; leave test_classes out"
            )
        return self

    @property
    def count(self) -> int:
        """Number of splits that the protocol makes."""
        return self.folds if self.protocol in {"cross_evaluation", "fixed_test"} else 1


class PublishedTable(RecipePart):
    """Numbers that others published, shown beside ours and never mixed with them.

    Attributes:
        table: its number where it was printed; or the "figure 2.10" or "section 3.3.4" that it was read off.
        about: data, network and protocol behind it, and what differs here.
        metric: what the numbers are. The name of a metric, such as weighted_f1, puts ours beside them.
        alpha: which form of guidance the printed alpha belongs to, in words.
        weights: what the networks started from.
        split: how cases were split, and over how many runs the numbers are means.
        rows: one row a method or a class; `variant` names ours that it belongs to, which need not be there,
            `metric` the metric of a row that has one of its own, such as f1.liver; `value` is the printed
            mean.
    """

    table: str
    about: str = ""
    metric: str = "accuracy"
    alpha: str = ""
    weights: str = ""
    split: str = ""
    rows: list[dict[str, str | float | None]]


class Recipe(RecipePart):
    """Everything that decides a training run and a study of it.

    `quick` holds dotted keys and the values that they take in the quick form, and under `without` the
    variants that it leaves out. `streams` are read beside the labelled cases, by the objectives that name
    them. `pretraining` holds runs by name, as the dotted keys in which they differ from this recipe; one is
    trained before a run whose `model.weights` names it.
    """

    format: Literal[1]
    name: str
    about: str = ""
    data: DataSettings = DataSettings()
    model: ModelSpec = ModelSpec()
    hierarchy: HierarchySettings | None = None
    language: LanguageSettings = LanguageSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    objectives: dict[str, ObjectiveEntry] = Field(min_length=1)
    streams: dict[str, StreamSettings] = Field(default_factory=dict)
    pretraining: dict[str, dict[str, Any]] = Field(default_factory=dict)
    augment: AugmentSpec = Field(default_factory=lambda: AugmentSpec.model_validate({}))
    training: TrainingSettings = TrainingSettings()
    split: SplitSettings = SplitSettings()
    study: StudySettings = StudySettings()
    tune: TuneSettings | None = None
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

    @model_validator(mode="after")
    def _streams_are_known(self) -> "Recipe":
        if LABELLED in self.streams:
            raise ValueError(
                f"streams must not be called '{LABELLED}', the stream of labelled cases, whose settings stand"
                " in training and augment"
            )
        known = [LABELLED, *self.streams]
        for name, entry in self.active_objectives.items():
            one_of(f"objectives.{name}: the stream", stream_of(entry), known)
        return self

    @model_validator(mode="after")
    def _pretraining_is_known(self) -> "Recipe":
        wanted = self.pretrained_with
        if wanted is not None:
            one_of(f"model.weights '{PRETRAINING}NAME': the run", wanted, list(self.pretraining))
        return self

    @model_validator(mode="after")
    def _one_leaf(self) -> "Recipe":
        named = {
            "hierarchy.levels": self.hierarchy and self.hierarchy.levels[0],
            "model.embedding.levels": self._embedded and self._embedded[0],
        }
        for key, first in named.items():
            if first is not None and first != self.data.level:
                raise ValueError(
                    f"{key} must begin with the level that is learnt, data.level ({self.data.level}), but got"
                    f" '{first}'"
                )
        return self

    @model_validator(mode="after")
    def _metrics_are_measured(self) -> "Recipe":
        """Whether every metric named is one that these runs have; of levels only where they are named."""
        levels = [*(self.embedded_levels or ()), *self.retrieval.also]
        for kind in self.retrieval.kinds:
            if kind in levels:
                raise ValueError(f"retrieval.kinds must not be called like a level, but got '{kind}'")
        if self.model.embedding and not self.embedded_levels:
            return self  # the case set names the level
        levels = levels if self.model.embedding else []
        known = metric_names(self.names_by, levels, list(self.retrieval.kinds))
        self._check_metric("training.monitor", self.training.monitor, monitor_names(self.names_by, levels))
        self._check_metric("study.primary", self.study.primary, known)
        for name in self.study.secondary:
            self._check_metric("a metric of study.secondary", name, known)
        if self.tune and self.tune.metric:
            self._check_metric("tune.metric", self.tune.metric, known)
        return self

    def _check_metric(self, key: str, name: str, known: list[str]) -> None:
        """Whether a metric is measured; the class of one that has a class is checked with the case set."""
        if not (self.decides and class_of(name)):
            one_of(key, name, known)

    @model_validator(mode="after")
    def _unseen_classes_are_only_embedded(self) -> "Recipe":
        if self.split.protocol == "open_set" and self.classifies:
            raise ValueError(
                "split.protocol open_set tests classes that were never trained with, which a classifier"
                " cannot name; set model.embedding, without logits"
            )
        return self

    @model_validator(mode="after")
    def _chosen_for_every_fold(self) -> "Recipe":
        for variant, entries in self.study.chosen.items():
            if len(entries) not in {1, self.split.count}:
                raise ValueError(
                    f"study.chosen.{variant} must have one entry, or one for each of the {self.split.count}"
                    f" folds, but has {len(entries)}"
                )
        return self

    @model_validator(mode="after")
    def _same_budget_for_all(self) -> "Recipe":
        if self.tune is None:
            return self
        variants, baseline = self.study.variants, self.study.baseline
        for name in self.tune.variants:
            one_of("a variant of tune.variants", name, list(variants))
        if not self.tune.grid_of(baseline):
            raise ValueError(
                f"tune must try settings for the baseline '{baseline}' too, or the others win by their"
                " tuning, but neither tune.grid nor tune.variants names any for it"
            )
        for name in variants:
            offered = self.tune.offered(name)
            if offered < self.tune.budget:
                raise ValueError(
                    f"tune.budget must be spent by every variant, but '{name}' offers {offered} distinct"
                    f" settings for a budget of {self.tune.budget}; widen its grid, or lower the budget"
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

    @property
    def attribution(self) -> AttributionSettings:
        """How attribution is measured: as the guidance says, whatever its weight.

        Without any, no channels belong to a prior, and what is shown is the class activation map.
        """
        settings = self.guidance.settings if self.guidance else None
        return settings if isinstance(settings, AttributionSettings) else _CLASS_ACTIVATION

    @property
    def attributed(self) -> Literal["sum", "predicted"]:
        """What is attributed where no label is known: nobody has it when a run is used."""
        return "predicted" if self.classifies and self.attribution.target != "sum" else "sum"

    @property
    def classifies(self) -> bool:
        """Whether the network gives logits of the classes."""
        return self.model.classifies

    @property
    def names_by(self) -> Names | None:
        """What the network names classes by; None if it names none."""
        if self.classifies:
            return "decisions" if self.data.several else "probabilities"
        return "clusters" if self.model.clusters else None

    @property
    def decides(self) -> bool:
        """Whether every single class is decided on, by a threshold of its own."""
        return self.names_by in {"decisions", "clusters"}

    @property
    def metrics_named(self) -> list[str]:
        """The metrics that the recipe names: its monitor, its endpoints and that of its tuning."""
        tuned = [self.tune.metric] if self.tune and self.tune.metric else []
        return [self.training.monitor, self.study.primary, *self.study.secondary, *tuned]

    @property
    def pretrained_with(self) -> str | None:
        """The name of the run in `pretraining` whose weights this one begins with, if any."""
        weights = self.model.weights
        return weights.removeprefix(PRETRAINING) if weights.startswith(PRETRAINING) else None

    @property
    def streams_read(self) -> list[str]:
        """The streams that the active objectives read, the labelled one first."""
        read = {stream_of(entry) for entry in self.active_objectives.values()}
        return [name for name in (LABELLED, *self.streams) if name in read]

    @property
    def embedded_levels(self) -> tuple[str, ...]:
        """The levels whose retrieval is measured by name, the leaf's first; empty if the case set says."""
        leaf = () if self.data.level is None else (self.data.level,)
        hierarchy = self.hierarchy.levels if self.hierarchy else leaf
        return tuple(dict.fromkeys([*hierarchy, *(self._embedded or ())]))

    @property
    def _embedded(self) -> tuple[str, ...] | None:
        return self.model.embedding.levels if self.model.embedding else None

    def _active_types(self) -> set[str]:
        return {entry.type for entry in self.active_objectives.values()}

    def content(self) -> dict[str, Any]:
        """The recipe as plain values, as it stands in YAML."""
        return self.model_dump(mode="json")

    def decisive(self) -> dict[str, Any]:
        """What decides a single run: the content without what only describes or compares.

        A setting that came later and is off is left out, so that what was trained before it is still known.
        """
        content = self.model_dump(mode="json", exclude={"about", "study", "tune", "quick", "published"})
        del content["model"]["given"]  # of a run that begins with it, these are the weights
        if not self.split.calibration:
            del content["split"]["calibration"]
        if self.retrieval.similarity == SimilaritySettings():
            del content["retrieval"]["similarity"]
        return content


def stream_of(entry: ObjectiveEntry) -> str:
    """The stream that an objective reads: the one that its settings name, or the labelled one."""
    return getattr(entry.settings, "stream", LABELLED)


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

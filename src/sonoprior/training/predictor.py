"""A run in use: it labels images, shows where it looked, and is measured on other cases."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sonoprior.attribution.integrated import integrated_gradients
from sonoprior.attribution.maps import attribution_maps
from sonoprior.bundle.decider import Decider
from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.images import read_grey
from sonoprior.cases.loading.cache import Cache
from sonoprior.cases.loading.letterbox import from_letterbox
from sonoprior.cases.loading.shrink import network_input
from sonoprior.cases.priors import PriorSpec, prior_names
from sonoprior.core.checks import listed
from sonoprior.core.errors import DataError, FolderError, RecipeError
from sonoprior.core.folder import read_json, require
from sonoprior.models.heads import Heads
from sonoprior.models.network import build_network
from sonoprior.models.taps import inference

from .assemble import available_priors
from .checkpoint import read_tensors
from .evaluation import Evaluation, Model, decides, evaluate, probabilities_of
from .image_files import find_images
from .machine import choose_device
from .parts import case_groups, read_table
from .recipe import Recipe
from .recipe_file import recipe_of_run
from .run import FORMAT, KIND, WEIGHTS, asked_of
from .task import heads_of, level_of, task_of

Grey = NDArray[np.uint8]
Image = Grey | Path | str
Images = Path | str | Iterable[Image]


@dataclass(frozen=True)
class Prediction:
    """What a run says of one image.

    Attributes:
        image: the file's path, or the image's number among those that were handed over.
        label: the most probable class; where each class is decided on by itself the label combination of all
            that are predicted, "liver + kidney", or "none".
        confidence: its probability; that of the least certain class of several.
        probabilities: every class with its probability. Those of classes that are decided on by themselves do
            not sum to one; of a network that clusters it is the share of the class in the image's cluster.
        cluster: the cluster of the image, of a network that clusters.
    """

    image: str
    label: str
    confidence: float
    probabilities: Mapping[str, float]
    cluster: int | None = None


@dataclass(frozen=True)
class Attribution:
    """Where a run looked in one image.

    Attributes:
        image: as in `Prediction`.
        picture: uint8 (H, W), the image itself.
        prediction: what the run says of it; None for a run that only embeds.
        maps: for each prior the attribution of the channels that belong to it, float32 (H, W).
        free: the attribution of the other channels, float32 (H, W).
        pixels: the size of the Integrated Gradients of the predicted class at each pixel, float32 (H, W), if
            they were asked for.
    """

    image: str
    picture: Grey
    prediction: Prediction | None
    maps: Mapping[str, NDArray[np.float32]]
    free: NDArray[np.float32]
    pixels: NDArray[np.float32] | None = None


class Predictor:
    """A trained run. Nothing but images is needed to use it.

    Args:
        folder: the run folder.
        device: "auto", "cpu", "cuda", ...

    Raises:
        FolderError: if it is no run folder, is not finished, is damaged, or newer than this version.
    """

    def __init__(self, folder: Path, device: str = "auto") -> None:
        require(folder, KIND, FORMAT)
        self.folder = folder
        self.recipe: Recipe = recipe_of_run(folder / "recipe.yaml")
        self.identity: dict[str, Any] = read_json(folder / "run.json")
        self.priors: list[str] = self.identity["priors"]
        self.model = self._model(choose_device(device))

    def _model(self, device: torch.device) -> Model:
        classes = self.identity["classes"]
        untrained = self.recipe.model.model_copy(update={"weights": "none"})
        singles = self.identity.get("singles", classes)
        heads = heads_of(
            self.recipe,
            self.identity["level"],
            len(singles if self.recipe.data.several else classes),
            self.identity.get("combinations", 0),
            self.identity.get("clusters", 0),
        )
        network, tap = build_network(untrained, heads.width, self.recipe.data.size)
        _fill(network, self.folder / WEIGHTS)
        return Model(
            network=network.to(device).eval(),
            tap=tap,
            level=self.identity["level"],
            classes=classes,
            heads=heads,
            attribution=self.recipe.attribution,
            target=self.recipe.attributed,
            device=device,
            singles=singles,
            decider=Decider.read(self.folder, singles) if decides(heads) else None,
        )

    @property
    def classes(self) -> Sequence[str]:
        """The classes that the run tells apart; single ones, where each is decided on by itself."""
        return self.model.singles if self.model.decider else self.model.classes

    def embed(
        self,
        images: Images,
        *,
        batch_size: int = 32,
        on_unreadable: Callable[[str], None] | None = None,
    ) -> dict[str, NDArray[np.float32]]:
        """Where images lie among others: by image an embedding (d,) of length 1; near is similar.

        Arguments and errors as in `predict`.

        Raises:
            RecipeError: if the run was not trained to embed.
        """
        if not self.model.heads.embeds:
            raise RecipeError(f"{self.folder} was trained to classify and gives no embeddings.")
        found: dict[str, NDArray[np.float32]] = {}
        for batch in _batches(_named(images, on_unreadable), batch_size):
            compared = self.model.heads.compared(self._outputs([picture for _, picture in batch]))
            found |= {name: row for (name, _), row in zip(batch, compared.float().numpy(), strict=True)}
        return found

    def _outputs(self, pictures: Sequence[Grey]) -> torch.Tensor:
        images = network_input(pictures, self.recipe.data.size)
        with inference(self.model.network), torch.no_grad():
            return self.model.network(images.to(self.model.device)).cpu()

    def predict(
        self,
        images: Images,
        *,
        batch_size: int = 32,
        on_unreadable: Callable[[str], None] | None = None,
    ) -> list[Prediction]:
        """Label images.

        Args:
            images: a folder (searched with all folders in it), an image file, or several files or uint8
                arrays (H, W).
            batch_size: images at a time.
            on_unreadable: called with a sentence for each image that cannot be read, which is then left
                out; without it the first such image is an error.

        Raises:
            DataError: if there is no image, or one cannot be read.
            RecipeError: if the run only embeds.
        """
        self._check_classifies()
        pictures = _named(images, on_unreadable)
        return [one for batch in _batches(pictures, batch_size) for one in self._label(batch)]

    def attribution(self, images: Images, *, integrated: bool = False) -> list[Attribution]:
        """Where the run looks in images; arguments and errors as in `predict`.

        With `integrated` the Integrated Gradients at the pixels come too, which takes fifty passes an image.
        """
        return [self._looked(name, picture, integrated) for name, picture in _named(images)]

    def _check_classifies(self) -> None:
        if not self._names_classes:
            raise RecipeError(
                f"{self.folder} was trained to embed and names no class; ask which known cases lie nearest,"
                " with `sonoprior similar` or `embed`."
            )

    @property
    def _names_classes(self) -> bool:
        return self.model.heads.classifies or self.model.decider is not None

    def parts_of(self, case_set: CaseSet) -> dict[str, NDArray[np.int64]]:
        """The parts that the run gave to cases of this set; "new" are those that it has never seen.

        Only a set of the same name can hold cases that the run has learnt from.

        Raises:
            FolderError: if the run was trained to tune settings on this set.
        """
        table = read_table(self.folder / "split.csv")
        same = case_set.info.name == self.identity["case_set"]
        if same and "test" not in set(table["part"]):
            raise FolderError(
                f"{self.folder} was trained to tune settings and has no test part; measured on"
                f" {case_set.root}, it would let the test cases choose. Measure a run of `sonoprior refit`."
            )
        known = dict(zip(table["case"], table["part"], strict=True)) if same else {}
        parts = np.array([known.get(case, "new") for case in case_set.ids])
        return {str(part): np.flatnonzero(parts == part) for part in dict.fromkeys(parts.tolist())}

    def evaluate(
        self, case_set: CaseSet, positions: Mapping[str, NDArray[np.int64]] | None = None
    ) -> Evaluation:
        """Measure the run on the labelled cases of a case set.

        Args:
            case_set: with the classes that the run was trained on.
            positions: part to positions in the set; all labelled cases, as the part "all", if None.

        Raises:
            DataError: if the classes differ, or no case is labelled.
        """
        self._check_classes(case_set)
        labels = case_set.labels(self.model.level)
        wanted = {"all": np.arange(len(case_set))} if positions is None else positions
        known = {part: cases[labels[cases] >= 0] for part, cases in wanted.items()}
        known = {part: cases for part, cases in known.items() if len(cases)}
        if not known:
            raise DataError(f"{case_set.root} has no case whose '{self.model.level}' label is known.")
        data = self.recipe.data
        groups = case_groups(self.recipe.split, case_set)
        with TemporaryDirectory(prefix="sonoprior-") as folder:
            priors = self._same_priors(case_set)
            cache = Cache.build(case_set, Path(folder), size=data.size, priors=priors)
            parts = self.parts_of(case_set)
            task = task_of(self.recipe, case_set, parts if "train" in parts else None)
            asked = asked_of(self.recipe, task, case_set, groups, parts.get("train"))
            return evaluate(self.model, cache, known, groups, self.recipe.training.batch_size, asked)

    def _check_classes(self, case_set: CaseSet) -> None:
        level = level_of(self.recipe, case_set)
        has = case_set.singles(level) if self.model.decider else case_set.classes(level)
        if has != list(self.classes):
            raise DataError(
                f"{case_set.root} must have the classes of {self.folder}, {listed(self.classes)}, but has"
                f" {listed(has)}."
            )

    def _same_priors(self, case_set: CaseSet) -> PriorSpec | None:
        """The priors by which localisation is measured, if this set has the same as the one of training."""
        spec = available_priors(self.recipe.data.priors, case_set)
        return spec.real if spec is not None and prior_names(case_set, spec) == self.priors else None

    def _label(self, batch: Sequence[tuple[str, Grey]]) -> list[Prediction]:
        outputs = self._outputs([picture for _, picture in batch])
        return self._predictions([name for name, _ in batch], outputs)

    def _predictions(self, names: Sequence[str], outputs: torch.Tensor) -> list[Prediction]:
        decider, heads = self.model.decider, self.model.heads
        if decider is not None:
            return _decisions(names, outputs, heads, decider)
        given = probabilities_of(heads, outputs).tolist()
        return [self._prediction(name, row) for name, row in zip(names, given, strict=True)]

    def _prediction(self, name: str, probabilities: Sequence[float]) -> Prediction:
        by_class = dict(zip(self.classes, probabilities, strict=True))
        label = max(by_class, key=by_class.__getitem__)
        return Prediction(name, label, by_class[label], by_class)

    def _predicted(self, name: str, outputs: torch.Tensor) -> Prediction | None:
        return self._predictions([name], outputs)[0] if self._names_classes else None

    def _looked(self, name: str, picture: Grey, integrated: bool) -> Attribution:
        settings = self.model.attribution
        seen = network_input([picture], self.recipe.data.size).to(self.model.device)
        maps = attribution_maps(
            self.model.network,
            self.model.tap,
            seen,
            priors=max(1, len(self.priors)),
            method=settings.method,
            target=self.model.target,
            heads=self.model.heads,
            allocation=settings.allocation,
        )
        height, width = picture.shape

        def in_picture(one: torch.Tensor) -> NDArray[np.float32]:
            return from_letterbox(one.cpu().numpy(), (height, width))

        allocated = [in_picture(one) for one in maps.allocated[0]]
        return Attribution(
            image=name,
            picture=picture,
            prediction=self._predicted(name, maps.outputs),
            maps=dict(zip(self.priors or ["attribution"], allocated, strict=True)),
            free=in_picture(maps.free[0]),
            pixels=in_picture(
                integrated_gradients(self.model.network, seen, heads=self.model.heads)[0, 0].abs()
            )
            if integrated
            else None,
        )


def _decisions(
    names: Sequence[str], outputs: torch.Tensor, heads: Heads, decider: Decider
) -> list[Prediction]:
    """Predictions of classes that are decided on by themselves, or by the cluster of the image."""
    probabilities = probabilities_of(heads, outputs).numpy() if heads.classifies else None
    clusters = None if heads.classifies else heads.cluster_logits(outputs).argmax(1).cpu().numpy()
    scores = decider.scores(probabilities, clusters)
    labels, sure = decider.names(scores), decider.confidence(scores)
    return [
        Prediction(
            image=name,
            label=labels[at],
            confidence=float(sure[at]),
            probabilities=dict(zip(decider.classes, scores[at].tolist(), strict=True)),
            cluster=None if clusters is None else int(clusters[at]),
        )
        for at, name in enumerate(names)
    ]


def load(folder: Path | str, device: str = "auto") -> Predictor:
    """Open a run folder to use it; see `Predictor`."""
    return Predictor(Path(folder), device)


def _fill(network: torch.nn.Module, path: Path) -> None:
    if not path.is_file():
        raise FolderError(f"{path.parent} is not finished: it has no {path.name}; resume its training first.")
    weights = read_tensors(path)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise FolderError(f"{path} is not of this run: {str(error).splitlines()[0]}.") from error


def _named(images: Images, on_unreadable: Callable[[str], None] | None = None) -> Iterator[tuple[str, Grey]]:
    if isinstance(images, Path | str):
        images = find_images([Path(images)]).paths
    for number, image in enumerate(images):
        if isinstance(image, np.ndarray):
            yield str(number), _checked(image, number)
            continue
        try:
            picture = read_grey(Path(image))
        except DataError as error:
            if on_unreadable is None:
                raise
            on_unreadable(str(error))
        else:
            yield str(image), picture


def _checked(image: Grey, number: int) -> Grey:
    if image.ndim != 2 or image.dtype != np.uint8 or not image.size:
        raise DataError(
            f"image {number} must be a uint8 array (H, W) of grey levels, but is {image.dtype} of shape"
            f" {image.shape}."
        )
    return image


def _batches(images: Iterator[tuple[str, Grey]], size: int) -> Iterable[list[tuple[str, Grey]]]:
    while batch := list(islice(images, size)):
        yield batch

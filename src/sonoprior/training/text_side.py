"""The text side of a run: what brings captions into the space of its images, kept beside the weights.

A run that compares images with texts (the objective `clip`) learns a projection of the texts, and with
`text: trained` a text encoder. At inference images need neither; a search by text needs both.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn import functional

from sonoprior.core.errors import FolderError
from sonoprior.core.folder import refuse_newer
from sonoprior.models.heads import Heads
from sonoprior.objectives.base import Objective, TextSpace

from .checkpoint import State, write_tensors
from .experiment import AnyObjective
from .hierarchy_settings import LanguageSettings
from .language import ONTOLOGY

TEXT = "text.safetensors"
PROJECTION = "projection.weight"
ENCODER = "encoder."
"""Where the weights of an encoder begin that was trained with the images."""
_SAID = "said"
_FORMAT = 1


@dataclass(frozen=True)
class KeptTexts:
    """What a run folder keeps of its text side.

    Attributes:
        encoder: as the recipe named it.
        level: whose embedding is compared with the texts.
        captions: of the C classes of that level.
        weights: of the tower: `projection.weight` (D, E), and those of the encoder if it was trained.
        said: (C, D), where the captions lie among the images, of length 1.
    """

    encoder: str
    level: str
    captions: list[str]
    weights: State
    said: Tensor


def text_space(
    objectives: Mapping[str, tuple[float, AnyObjective]], heads: Heads, language: LanguageSettings
) -> TextSpace | None:
    """What brings texts to the embedding that images are compared by; the first of them, None without any.

    The ontology in the place of a text encoder reads no texts, and a level that is not compared at inference
    has a space that no image is searched in.
    """
    if language.encoder == ONTOLOGY:
        return None
    return next((space for space in _spaces(objectives.values()) if space.level in heads.inference), None)


def _spaces(objectives: Iterable[tuple[float, AnyObjective]]) -> Iterable[TextSpace]:
    found = (objective.text_space for _, objective in objectives if isinstance(objective, Objective))
    return (space for space in found if space is not None)


def keep_texts(run: Path, space: TextSpace, weights: State, captions: Sequence[str], encoder: str) -> None:
    """Write the text side of a run.

    Args:
        run: the run folder.
        space: of the run; its tower is left with these weights, in evaluation mode.
        weights: of the tower, in the epoch that is kept.
        captions: of all classes of its level.
        encoder: as the recipe named it.
    """
    tower = space.tower.eval()
    tower.load_state_dict(weights)
    device = next(tower.parameters()).device
    with torch.no_grad():
        said = functional.normalize(tower(torch.arange(len(captions), device=device))).cpu()
    about = {"format": _FORMAT, "encoder": encoder, "level": space.level, "captions": list(captions)}
    write_tensors(run / TEXT, weights | {_SAID: said}, {"sonoprior": json.dumps(about)})


def read_texts(run: Path) -> KeptTexts | None:
    """What a run keeps of its text side; None where it has none.

    Raises:
        FolderError: if the file is damaged or newer than this version.
    """
    path = run / TEXT
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})["sonoprior"])
            tensors: State = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
        refuse_newer(path, "text side", about["format"], _FORMAT)
        said = tensors.pop(_SAID)
        return KeptTexts(about["encoder"], about["level"], about["captions"], tensors, said)
    except (SafetensorError, OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise FolderError(f"{path} is damaged: {error}; train the run again.") from error

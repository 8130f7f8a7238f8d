"""A text encoder from the folder of a `transformers` model.

Nothing is downloaded or unpickled, and no code that lies in the folder is run.
"""

import json
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from sonoprior.core.checks import listed
from sonoprior.core.errors import ModelError

from .text_encoder import Pool, TextEncoder, masked_mean
from .text_encoders import missing

try:
    transformers: Any = import_module("transformers")  # its names are made when they are asked for
except ModuleNotFoundError as error:
    if error.name != "transformers":
        raise
    raise missing("a text encoder", "transformers") from error

_SAFELY: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
_CLIP = ("clip", "clip_text_model")
_UNUSED = "pooler."
"""Weights of BERT that the mean over tokens does not need, and that many files lack."""
_DAMAGED = (
    AttributeError,
    ImportError,  # of a library that this one tokeniser needs
    KeyError,
    OSError,
    RuntimeError,
    SafetensorError,
    TypeError,
    ValueError,
)
_LONGEST = 512
"""Tokens of a caption that are read by a model without positions of its own."""


def read_text_encoder(folder: Path) -> TextEncoder:
    """The text model of a folder; of a whole CLIP its text side.

    Raises:
        ModelError: if the folder does not hold a text model whole.
    """
    with _quiet(), _of_ours(folder), torch.random.fork_rng(devices=[]):  # a cached run must draw the same
        config = transformers.AutoConfig.from_pretrained(folder, **_SAFELY)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **_SAFELY)
        kind, pool, width = _kind(config)
        network, loading = kind.from_pretrained(
            folder, **_SAFELY, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
    _check_whole(folder, loading["missing_keys"])
    _check_pooling(folder)
    _check_tokenizer(folder, tokenizer)
    if network.config.is_encoder_decoder:
        network = network.get_encoder()
    text = network.config.get_text_config()
    longest = min(tokenizer.model_max_length, getattr(text, "max_position_embeddings", _LONGEST))
    encoder = TextEncoder(tokenizer, network, pool, getattr(text, width), longest)
    _check_reads(folder, encoder)
    return encoder


def _projected(outputs: Any, mask: Tensor) -> Tensor:  # noqa: ARG001  (the signature of Pool)
    """What CLIP projects a text to: (n, E)."""
    return outputs.text_embeds


def _at_the_end(outputs: Any, mask: Tensor) -> Tensor:  # noqa: ARG001  (the signature of Pool)
    """What a text side of CLIP without a projection says at the last token: (n, E)."""
    return outputs.pooler_output


def _kind(config: Any) -> tuple[Any, Pool, str]:
    """What reads a model's text side, how its outputs are pooled, and what their width is called."""
    if config.model_type not in _CLIP:
        return transformers.AutoModel, masked_mean, "hidden_size"
    if "CLIPTextModel" in (config.architectures or ()):
        return transformers.CLIPTextModel, _at_the_end, "hidden_size"
    return transformers.CLIPTextModelWithProjection, _projected, "projection_dim"


def _check_whole(folder: Path, absent: set[str]) -> None:
    """What a file lacks is drawn at random by `transformers`, with a warning that nobody reads."""
    lost = sorted(name for name in absent if not name.startswith(_UNUSED))
    if lost:
        raise ModelError(f"{folder} does not hold its text model whole: {listed(lost, most=3)} is missing.")


def _check_pooling(folder: Path) -> None:
    """A sentence encoder says itself how it pools; numbers from another pooling would not be its own."""
    path = folder / "1_Pooling" / "config.json"
    if not path.is_file():
        return
    with _of_ours(folder):
        said = json.loads(path.read_text(encoding="utf-8"))
        mean = said.get("pooling_mode_mean_tokens", said.get("pooling_mode") == "mean")
    if not mean:
        raise ModelError(f"{folder} must pool by the mean over its tokens, but {path.name} says otherwise.")


def _check_tokenizer(folder: Path, tokenizer: Any) -> None:
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise ModelError(f"{folder} must hold the vocabulary of its tokeniser, but has none.")
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise ModelError(f"{folder} must have a tokeniser that can fill up short texts, but has not.")
        tokenizer.pad_token = tokenizer.eos_token  # behind the mask any token will do


def _check_reads(folder: Path, encoder: TextEncoder) -> None:
    """Models of images or sound have the same kind of folder; what reads text is found by giving it some."""
    try:
        encoder.embed(["a text"])
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(f"{folder} does not hold a model that reads text alone: {_line(error)}.") from error


@contextmanager
def _of_ours(folder: Path) -> Generator[None, None, None]:
    """Whatever a library says of a damaged folder, in our words."""
    try:
        yield
    except _DAMAGED as error:
        raise ModelError(f"{folder} cannot be read as a transformers text model: {_line(error)}.") from error


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


@contextmanager
def _quiet() -> Generator[None, None, None]:
    """No bars, and no report of the weights that a text side leaves out: those that matter are checked."""
    logging: Any = import_module("transformers.utils.logging")
    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()

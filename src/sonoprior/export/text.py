"""The text side of a bundle: a graph from tokens to where a text lies among the images, and its tokeniser."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sonoprior.bundle.manifest import TEXT, TOKENIZER, TextSide
from sonoprior.core.checks import one_of
from sonoprior.core.errors import FolderError, ModelError
from sonoprior.models.heads import Heads
from sonoprior.models.onnx_file import BATCH, check_onnx, write_onnx
from sonoprior.models.text_encoder import TextEncoder
from sonoprior.models.text_encoders import TEXT_ENCODERS, text_encoder
from sonoprior.training.language import ONTOLOGY
from sonoprior.training.predictor import Predictor
from sonoprior.training.recipe import Recipe
from sonoprior.training.text_side import ENCODER, PROJECTION, KeptTexts, read_texts
from sonoprior.training.text_side import TEXT as KEPT

TOLERANCE = 1e-4
"""By how much an exported number may differ from the encoder's."""
_MOVED = 1e-2
"""By how much the captions may lie elsewhere than after training; a graphics card rounds more coarsely."""
_TRIED = (
    "",
    "a",
    "λοξή τομή της μήτρας",
    "子宫纵切面 🫄",
    "[MASK] of the <|endoftext|>",
    "a long text " * 400,
)
"""Texts that are no captions, by which tokens are compared."""


class ExportedText(nn.Module):
    """What `text.onnx` computes, see `bundle.manifest.Manifest`.

    Where the embeddings of several levels are joined for the images, a text stands in the part of its own
    level, with zeros in the others. Its cosine to an image is then that at its level times a constant, so
    that images are found in the same order.

    Args:
        encoder: of captions.
        projection: (D, E), into the space of the level that texts are compared at.
        heads: which levels are joined.
        level: the one that texts are compared at.

    Raises:
        ModelError: if the level is not compared, or its embedding has another length.
    """

    projection: Tensor

    def __init__(self, encoder: TextEncoder, projection: Tensor, heads: Heads, level: str) -> None:
        super().__init__()
        one_of("the level of the texts", level, heads.inference, ModelError)
        if projection.shape != (heads.dimension, encoder.width):
            raise ModelError(
                f"the projection of texts must be {(heads.dimension, encoder.width)}, but is"
                f" {tuple(projection.shape)}."
            )
        self.encoder = encoder
        start = heads.inference.index(level) * heads.dimension
        self.columns = slice(start, start + heads.dimension)
        after = (len(heads.inference) - 1) * heads.dimension - start
        self.register_buffer("projection", functional.pad(projection, (0, 0, start, after)))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor]:
        """Of tokens (B, T) and their mask (B, T), embeddings (B, D) of length 1."""
        unit = self.encoder.encoded({"input_ids": input_ids, "attention_mask": attention_mask})
        return (functional.normalize(unit @ self.projection.T),)


def export_text(predictor: Predictor, folder: Path) -> TextSide | None:
    """Write `text.onnx` and `tokenizer.json` of a run into a folder, if it has a text side.

    Args:
        predictor: the run.
        folder: of the bundle.

    Returns:
        what the manifest says of it; None for a run without, see `why_no_text`.

    Raises:
        FolderError: if the run's text side is damaged.
        ModelError: if the encoder is not there any more, is another one than the run learnt with, has a
            tokeniser that only Python code can run, or gives other numbers when it is exported.
        MissingExtraError: if a library of the encoder is missing.
    """
    kept = read_texts(predictor.folder)
    if kept is None:
        return None
    graph = _graph(kept, predictor).eval()
    encoder = graph.encoder
    _check_same(graph, kept, predictor.folder)
    _write_tokenizer(encoder, folder / TOKENIZER, kept.encoder)
    _check_tokens(encoder, folder / TOKENIZER, [*kept.captions, *_TRIED], kept.encoder)
    what = f"the text encoder '{kept.encoder}'"
    write_onnx(graph, encoder.tokens(_TRIED), ["embedding"], folder / TEXT, what, free=(BATCH, "tokens"))
    for texts in (kept.captions, _TRIED, _TRIED[:3]):
        check_onnx(folder / TEXT, graph, encoder.tokens(texts), TOLERANCE, what)
    return TextSide(encoder=_name(kept.encoder), longest=encoder.longest)


def why_no_text(recipe: Recipe) -> str:
    """Why a run of this recipe has no text side, as a part of a sentence."""
    if all(entry.type != "clip" for entry in recipe.active_objectives.values()):
        return "no objective of the run compares images with texts; `clip` does"
    if recipe.language.encoder == ONTOLOGY:
        return "language.encoder is the ontology, which reads no texts"
    return "the run compares texts at a level that images are not compared at"


def _graph(kept: KeptTexts, predictor: Predictor) -> ExportedText:
    try:
        encoder = text_encoder(kept.encoder).frozen()
    except ModelError as error:
        raise ModelError(
            f"{predictor.folder} needs its text encoder to be exported, but {error} To export it without a"
            f" search by text, remove its {KEPT}."
        ) from error
    learnt = {name.removeprefix(ENCODER): of for name, of in kept.weights.items() if name.startswith(ENCODER)}
    try:
        encoder.load_state_dict(learnt or encoder.state_dict())
        return ExportedText(encoder, kept.weights[PROJECTION], predictor.model.heads, kept.level)
    except (KeyError, ModelError, RuntimeError) as error:
        raise FolderError(
            f"{predictor.folder / KEPT} is not of this run and its text encoder '{kept.encoder}':"
            f" {str(error).splitlines()[0].rstrip('.')}."
        ) from error


def _check_same(graph: ExportedText, kept: KeptTexts, run: Path) -> None:
    """Refuse an encoder whose files are not those that the run learnt with."""
    with torch.no_grad():
        (found,) = graph(**graph.encoder.tokens(kept.captions))
    apart = float((found[:, graph.columns] - kept.said).abs().max())
    if not apart <= _MOVED:
        raise ModelError(
            f"the text encoder '{kept.encoder}' is not the one that {run} learnt with: a caption of its"
            f" classes lies {apart:.2g} from where it was then; put the earlier files back, or train again."
        )


def _write_tokenizer(encoder: TextEncoder, path: Path, name: str) -> None:
    """Write the tokeniser of an encoder, with how it cuts off and fills up.

    Raises:
        ModelError: if the tokeniser is Python code, which a bundle does not carry.
    """
    from tokenizers import Tokenizer  # it comes with transformers, which a run without texts does not need

    backend: Any = getattr(encoder.tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        raise ModelError(
            f"the text encoder '{name}' must have a tokeniser of the library tokenizers to be exported, but"
            f" has a {type(encoder.tokenizer).__name__}; save its fast tokeniser in its folder."
        )
    tokenizer = Tokenizer.from_str(backend.to_str())
    tokenizer.enable_truncation(encoder.longest)
    filler = encoder.tokenizer.pad_token
    tokenizer.enable_padding(pad_id=encoder.tokenizer.pad_token_id, pad_token=filler)
    tokenizer.save(str(path), pretty=False)


def _check_tokens(encoder: TextEncoder, path: Path, texts: list[str], name: str) -> None:
    """Refuse a tokeniser whose file gives other tokens than the encoder was given, or more than it knows."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    network: Any = encoder.network
    last, known = max(tokenizer.get_vocab().values()), len(network.get_input_embeddings().weight)
    if last >= known:
        raise ModelError(
            f"the text encoder '{name}' reads tokens below {known}, but its tokeniser gives up to {last}."
        )
    read = tokenizer.encode_batch(texts)
    wanted = encoder.tokens(texts)
    found = {"input_ids": [one.ids for one in read], "attention_mask": [one.attention_mask for one in read]}
    for kind, rows in found.items():
        differing = [
            text for text, row, of in zip(texts, rows, wanted[kind].tolist(), strict=True) if row != of
        ]
        if differing:
            raise ModelError(
                f"the tokeniser of the text encoder '{name}' gives other tokens when it is exported, for"
                f" example for '{differing[0][:40]}'."
            )


def _name(encoder: str) -> str:
    """As people call it: a folder's own name, without where it lay."""
    return encoder if encoder in TEXT_ENCODERS.names() else Path(encoder).resolve().name

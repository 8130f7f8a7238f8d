"""Texts into the space of the images, by the text side of a bundle. Free of torch and transformers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoprior.bundle.manifest import TEXT, TOKENIZER, Manifest
from sonoprior.core.checks import listed
from sonoprior.core.errors import DataError, FolderError, ModelError

from .engine import library, open_engine

Floats = NDArray[np.float32]
Tokens = Mapping[str, NDArray[np.int64]]
LONGEST_TEXT = 10_000
"""Characters; whatever is longer is no caption, and only its beginning would be read."""
INPUTS, OUTPUT = ("input_ids", "attention_mask"), "embedding"
_AT_ONCE = 64
"""Texts in a batch: enough to fill the cores, few enough that the longest texts fit into memory."""


class TextEncoder:
    """The text side of a bundle.

    Args:
        folder: of the bundle, which `bundle.folder.open_bundle` has checked.
        manifest: of the bundle.
        threads: to compute on; all cores where None.

    Raises:
        ModelError: if the bundle has no text side.
        FolderError: if its tokeniser or graph is damaged, or they do not belong together.
        MissingExtraError: if tokenizers or onnxruntime is not installed.

    For example:

        encoder = TextEncoder(folder, open_bundle(folder))
        encoder.embed(["transverse view of the left adnexa"]) @ embeddings.T  # (1, n) cosines to images
    """

    def __init__(self, folder: Path, manifest: Manifest, threads: int | None = None) -> None:
        if manifest.text is None:
            raise ModelError(
                f"the bundle {folder} reads no texts, because its run did not learn to compare images with"
                " them; search by an image or a term, or train with the objective `clip` and a text encoder."
            )
        self.longest = manifest.text.longest
        self._folder = folder
        self._tokenizer = _tokenizer(folder / TOKENIZER, self.longest)
        self._graph = open_engine("onnxruntime", folder / TEXT, threads)
        self.dimension = manifest.dimension
        self._check_they_fit()

    def embed(self, texts: Sequence[str]) -> Floats:
        """Where texts lie among the images: (n, D), of length 1.

        The first `longest` tokens of a text are read.

        Args:
            texts: n of them, in any alphabet.

        Raises:
            DataError: if it is one text instead of several, or one of them is no text or too long.
        """
        _check(texts)
        starts = range(0, len(texts), _AT_ONCE)
        found = [self._run(self._tokens(texts[start : start + _AT_ONCE])) for start in starts]
        return np.concatenate(found) if found else np.zeros((0, self.dimension), np.float32)

    def _tokens(self, texts: Sequence[str]) -> Tokens:
        """(n, T) each, filled up to the longest of these texts."""
        read = self._tokenizer.encode_batch(list(texts))
        rows = {
            "input_ids": [one.ids for one in read],
            "attention_mask": [one.attention_mask for one in read],
        }
        return {name: np.array(of, np.int64) for name, of in rows.items()}

    def _run(self, tokens: Tokens) -> Floats:
        return self._graph.run(tokens, [OUTPUT])[OUTPUT]

    def _check_they_fit(self) -> None:
        """Refuse a tokeniser with more tokens than the graph has, and a graph of another space."""
        if sorted(self._graph.inputs) != sorted(INPUTS) or OUTPUT not in self._graph.outputs:
            raise FolderError(
                f"{self._folder / TEXT} must read {' and '.join(INPUTS)} and give {OUTPUT}, but reads"
                f" {listed(self._graph.inputs)} and gives {listed(self._graph.outputs)}."
            )
        last = np.array([[max(self._tokenizer.get_vocab().values(), default=0)]])
        try:
            found = self._run({"input_ids": last, "attention_mask": np.ones_like(last)})
        except Exception as error:  # onnxruntime's errors share no class but this one
            if not type(error).__module__.startswith("onnxruntime"):
                raise
            raise FolderError(
                f"{TOKENIZER} of {self._folder} is not that of its {TEXT}, which cannot read its token"
                f" {last[0, 0]}."
            ) from error
        if found.shape != (1, self.dimension):
            raise FolderError(
                f"{self._folder / TEXT} must give {self.dimension} numbers a text, but gives"
                f" {found.shape[-1]}."
            )


def _check(texts: Sequence[str]) -> None:
    if isinstance(texts, str):
        raise DataError(f"texts must be a list of texts, but got the text '{texts[:40]}'.")
    for number, text in enumerate(texts):
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]  (it comes from outside)
            raise DataError(f"text {number} must be a text, but is a {type(text).__name__}.")
        if len(text) > LONGEST_TEXT:
            raise DataError(
                f"a text must have up to {LONGEST_TEXT} characters, but text {number} has {len(text)}."
            )
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise DataError(f"text {number} must be Unicode, but holds a half of a character.")


def _tokenizer(path: Path, longest: int) -> Any:
    tokenizers = library("tokenizers", "runtime")
    if not path.is_file():
        raise FolderError(f"{path} is missing; the bundle can read no texts without it.")
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise FolderError(f"{path} is damaged: {str(error).splitlines()[0]}.") from error
    if tokenizer.padding is None:
        raise FolderError(f"{path} is damaged: it must say how short texts are filled up, but does not.")
    tokenizer.enable_truncation(longest)
    return tokenizer

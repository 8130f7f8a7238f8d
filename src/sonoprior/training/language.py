"""What is said of the classes of every level, as embeddings and as similarities, made once and kept.

Source: thesis on privileged information, sections 3.3.2.6 and 3.4.2: the captions of the classes, simple or
rich, by a frozen text encoder.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sonoprior.core.errors import RecipeError
from sonoprior.knowledge.captions import class_captions
from sonoprior.knowledge.levels import Levels
from sonoprior.models.text_encoders import text_encoder, text_identity

from .checkpoint import checks, write_tensors
from .hierarchy_settings import LanguageSettings

Floats = NDArray[np.float32]
Texts = Mapping[str, list[str]]
ONTOLOGY = "ontology"
_FORMAT = 1


def class_text(settings: LanguageSettings, levels: Levels) -> dict[str, list[str]]:
    """The captions of all classes by level, in the order of the level's classes.

    Raises:
        OntologyError: if a template does not fit the levels.
    """
    return class_captions(levels, settings.templates)


def text_similarities(
    settings: LanguageSettings, levels: Levels, cache: Path | None = None
) -> dict[str, Floats]:
    """The cosines of the captions of every two classes: by level (C_l, C_l), S_text of eq 3.9.

    Args:
        settings: the encoder and the templates.
        levels: the classes of every level.
        cache: see `text_embeddings`.

    Raises:
        RecipeError: see `text_embeddings`.
    """
    found = text_embeddings(settings, levels, cache)
    return {level: _cosines(embeddings) for level, embeddings in found.items()}


def text_embeddings(
    settings: LanguageSettings, levels: Levels, cache: Path | None = None
) -> dict[str, Floats]:
    """The embeddings of the captions of all classes: by level (C_l, E), of length 1.

    Args:
        settings: the encoder and the templates.
        levels: the classes of every level.
        cache: a folder where they are kept, for the same encoder and captions; a damaged file is made anew.

    Raises:
        RecipeError: if the encoder is the ontology, which reads no captions: the similarity of its terms
            serves in their place, and `embedding_of` that where an embedding is needed.
        ModelError: if the encoder is unknown or damaged.
        MissingExtraError: if a library of the encoder is missing.
        OntologyError: if a template does not fit the levels.
        FolderError: if the cache cannot be written.
    """
    if settings.encoder == ONTOLOGY:
        raise RecipeError(
            "embeddings of captions need a text encoder, but language.encoder is 'ontology', where the"
            " similarity of terms takes their place."
        )
    texts = class_text(settings, levels)
    if cache is None:
        return _arrays(_embedded(settings.encoder, texts))
    path = cache / f"text-{_key(settings.encoder, texts)}.safetensors"
    kept = _read(path)
    if kept is None:
        kept = _embedded(settings.encoder, texts)
        write_tensors(path, kept, {"checks": json.dumps(checks(kept))})
    return _arrays(kept)


def embedding_of(similarity: ArrayLike) -> Floats:
    """Embeddings whose cosines are a given similarity, for what needs embeddings and has only that.

    The symmetric square root of the similarity by its eigenvalues, of which those below 0 are left out. So
    the cosines are the similarity itself where that is positive semi-definite, and else the nearest such
    matrix (Frobenius), brought back to ones on the diagonal. Unlike eigenvectors the root has no sign or
    order to choose, so it is the same on every machine.

    Args:
        similarity: (C, C), symmetric; its diagonal counts as 1, as that of cosines is.

    Returns:
        (C, C), one row a class, of length 1.

    Raises:
        RecipeError: if it is not a symmetric matrix of finite numbers.
    """
    wanted = np.array(similarity, dtype=np.float64)
    if wanted.ndim != 2 or not np.isfinite(wanted).all() or not _symmetric(wanted):
        raise RecipeError(
            f"a similarity must be a symmetric matrix of finite numbers, but got {wanted.shape} with"
            f" {np.count_nonzero(~np.isfinite(wanted))} that are not finite."
        )
    np.fill_diagonal(wanted, 1)
    values, vectors = np.linalg.eigh(wanted)
    root = vectors * np.sqrt(values.clip(min=0)) @ vectors.T
    return (root / np.linalg.norm(root, axis=1, keepdims=True)).astype(np.float32)


def _symmetric(matrix: NDArray[np.float64]) -> bool:
    return matrix.shape[0] == matrix.shape[1] and np.allclose(matrix, matrix.T, atol=1e-6)


def _cosines(embeddings: Floats) -> Floats:
    found = embeddings.astype(np.float64) @ embeddings.astype(np.float64).T
    return found.clip(-1, 1).astype(np.float32)


def _embedded(encoder: str, texts: Texts) -> dict[str, Tensor]:
    model = text_encoder(encoder).frozen()
    return {level: model.embed(captions) for level, captions in texts.items()}


def _arrays(found: Mapping[str, Tensor]) -> dict[str, Floats]:
    return {level: embeddings.numpy() for level, embeddings in found.items()}


def _key(encoder: str, texts: Texts) -> str:
    said = json.dumps([_FORMAT, text_identity(encoder), texts])
    return sha256(said.encode()).hexdigest()[:16]


def _read(path: Path) -> dict[str, Tensor] | None:
    """What was kept, by level in the order of the levels; None where there is nothing, or it is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            wanted: dict[str, int] = json.loads(file.metadata()["checks"])
            found: dict[str, Tensor] = {level: file.get_tensor(level) for level in wanted}
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        return None
    return found if checks(found) == wanted else None

"""A tiny text side for a made bundle: the mean of random vectors of words."""

from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper, parser
from tokenizers import Tokenizer, models, pre_tokenizers

from sonoprior.bundle.manifest import TEXT, TOKENIZER, TextSide

WORDS = ["[PAD]", "[UNK]", "view", "of", "the", "left", "right", "adnexa", "uterus", "матка", "子宫"]
_TEXT = """
<ir_version: 9, opset_import: ["" : 18]>
text (int64[batch, tokens] input_ids, int64[batch, tokens] attention_mask)
    => (float[batch, {dimension}] embedding) {{
    words = Gather (vectors, input_ids)
    read = Cast <to = 1> (attention_mask)
    weights = Unsqueeze (read, last)
    counted = Mul (words, weights)
    summed = ReduceSum <keepdims = 0> (counted, middle)
    embedding = LpNormalization <axis = 1, p = 2> (summed)
}}
"""


def vectors(dimension: int = 8, words: int = len(WORDS)) -> np.ndarray:
    """(W, D), what each word means."""
    return np.random.default_rng(7).standard_normal((words, dimension)).astype(np.float32)


def made_text(dimension: int = 8, longest: int = 12, words: int = len(WORDS)) -> dict[str, Any]:
    """Arguments of `made_bundle` for a bundle that reads `WORDS`.

    Args:
        dimension: D, of the bundle.
        longest: how many words are read.
        words: how many the graph knows.
    """
    graph = parser.parse_model(_TEXT.format(dimension=dimension))
    weights = {"vectors": vectors(dimension, words), "last": np.array([-1]), "middle": np.array([1])}
    graph.graph.initializer.extend(numpy_helper.from_array(each, name) for name, each in weights.items())
    onnx.checker.check_model(graph, full_check=True)
    files = {TEXT: graph.SerializeToString(), TOKENIZER: tokenizer().to_str().encode()}
    return {"extra": files, "text": TextSide(encoder="made", longest=longest)}


def tokenizer(filled: bool = True) -> Tokenizer:
    """Words between spaces, in any alphabet."""
    made = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if filled:
        made.enable_padding(pad_id=0, pad_token="[PAD]")
    return made

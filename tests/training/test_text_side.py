"""The text side of a run: kept with the epoch whose weights are kept, resumed, left out, and damaged."""

import json
from dataclasses import replace
from itertools import count

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import normalize

from sonoprior.cases import CaseSet
from sonoprior.core.errors import FolderError
from sonoprior.models.text_encoders import text_encoder
from sonoprior.training.checkpoint import Checkpoint
from sonoprior.training.machine import choose_device
from sonoprior.training.parts import without_test
from sonoprior.training.run import CHECKPOINT, Computing, plan_run, train_run
from sonoprior.training.text_side import TEXT, read_texts
from sonoprior.training.validation import Validation
from tiny import VIEWS, write_views
from tiny_texts import clip_recipe

CPU = Computing(choose_device("cpu"))
MONITOR = "val.recall@1.view"


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    return CaseSet.open(write_views(tmp_path_factory.mktemp("views") / "set"))


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    pytest.importorskip("transformers")
    from small_text_models import write_bert

    return str(write_bert(tmp_path_factory.mktemp("bert")))


def plan(views, encoder, epochs=3, **settings):
    return plan_run(clip_recipe(encoder, epochs, **settings), views, "plain")


def second_is_best(monkeypatch):
    """Whatever the network finds, the second epoch is measured as the best one."""
    measured, epoch, values = Validation.measured, count(), [0.5, 0.9, 0.1]
    monkeypatch.setattr(
        Validation, "measured", lambda *args: measured(*args) | {MONITOR: values[next(epoch) % 3]}
    )


def towers(seen):
    """What keeps the weights of the text tower after every epoch."""

    def keep(fit):
        seen.append({name: of.clone() for name, of in fit.training.texts.tower.state_dict().items()})

    return keep


def same(found, wanted):
    return found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("text", ["frozen", "trained"])
def test_the_epoch_that_is_kept_keeps_its_text_side(views, bert, tmp_path, monkeypatch, text):
    second_is_best(monkeypatch)
    seen = []
    run = train_run(plan(views, bert, text=text), tmp_path / "run", CPU, after_epoch=towers(seen))
    kept = read_texts(run)
    assert same(kept.weights, seen[1])
    assert not torch.equal(seen[1]["projection.weight"], seen[2]["projection.weight"])
    assert (kept.encoder, kept.level) == (bert, "view")
    assert kept.captions == [f"{view} from the {meta}" for view, meta in VIEWS.items()]
    assert ("encoder.network.embeddings.word_embeddings.weight" in kept.weights) == (text == "trained")


@pytest.mark.parametrize("text", ["frozen", "trained"])
def test_it_says_where_the_captions_of_the_classes_lie(views, bert, tmp_path, text):
    kept = read_texts(train_run(plan(views, bert, 1, text=text), tmp_path / "run", CPU))
    encoder = text_encoder(bert)
    learnt = {
        name.removeprefix("encoder."): of for name, of in kept.weights.items() if name.startswith("encoder.")
    }
    encoder.load_state_dict(learnt or encoder.state_dict())
    wanted = normalize(encoder.embed(kept.captions) @ kept.weights["projection.weight"].T)
    torch.testing.assert_close(kept.said, wanted, atol=1e-5, rtol=0)


def test_a_stopped_run_ends_with_the_text_side_of_one_that_never_stopped(views, bert, tmp_path, monkeypatch):
    second_is_best(monkeypatch)
    whole = train_run(plan(views, bert, text="trained"), tmp_path / "whole", CPU)

    def stop(fit):
        if fit.progress.epochs == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_run(plan(views, bert, text="trained"), tmp_path / "again", CPU, after_epoch=stop)
    again = train_run(plan(views, bert, text="trained"), tmp_path / "again", CPU, resume=True)
    assert (again / TEXT).read_bytes() == (whole / TEXT).read_bytes()
    assert same(load_file(again / "weights.safetensors"), load_file(whole / "weights.safetensors"))


def test_a_run_that_takes_what_another_learnt_takes_its_text_side(views, bert, tmp_path, monkeypatch):
    second_is_best(monkeypatch)
    asked = plan(views, bert, text="trained")
    before = train_run(replace(asked, parts=without_test(asked.parts)), tmp_path / "before", CPU)
    after = train_run(asked, tmp_path / "after", CPU, trained=before)
    assert (after / TEXT).read_bytes() == (before / TEXT).read_bytes()
    assert (after / "embeddings.safetensors").is_file()


def test_a_checkpoint_without_a_text_side_goes_on(views, bert, tmp_path, monkeypatch):
    second_is_best(monkeypatch)

    def as_before(fit):
        if fit.progress.epochs == 2:
            path = tmp_path / "run" / CHECKPOINT
            checkpoint = Checkpoint.load(path)
            checkpoint.texts = {}
            checkpoint.save(path)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_run(plan(views, bert), tmp_path / "run", CPU, after_epoch=as_before)
    run = train_run(plan(views, bert), tmp_path / "run", CPU, resume=True)
    assert read_texts(run) is None


@pytest.mark.parametrize(
    ("encoder", "settings"),
    [
        ("ontology", {}),
        ("bert", {"level": "meta"}),
        ("bert", {"weight": 0}),
    ],
)
def test_what_brings_no_texts_to_the_images_that_are_compared_keeps_nothing(
    views, bert, tmp_path, encoder, settings
):
    of = plan(views, bert if encoder == "bert" else encoder, 1, **settings)
    run = train_run(of, tmp_path / "run", CPU)
    assert not (run / TEXT).exists()
    assert read_texts(run) is None


def test_texts_of_one_of_several_levels_that_are_compared_are_kept(views, bert, tmp_path):
    run = train_run(plan(views, bert, 1, inference=("view", "meta"), level="meta"), tmp_path / "run", CPU)
    assert read_texts(run).level == "meta"


def test_a_damaged_or_newer_file_is_refused(views, bert, tmp_path):
    path = train_run(plan(views, bert, 1), tmp_path / "run", CPU) / TEXT
    whole = path.read_bytes()
    for damaged in (b"", whole[:-9], whole.replace(b"encoder", b"encodex", 1)):
        path.write_bytes(damaged)
        with pytest.raises(FolderError, match=r"text\.safetensors is damaged: .*train the run again"):
            read_texts(tmp_path / "run")
    save_file({"said": torch.ones(1)}, path, {"sonoprior": json.dumps({"format": 2})})
    with pytest.raises(FolderError, match="this text side has format 2"):
        read_texts(tmp_path / "run")

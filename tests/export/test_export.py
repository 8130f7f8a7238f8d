"""A bundle gives what its run gives, and a run that cannot be exported leaves nothing."""

import json
import shutil

import numpy as np
import onnxruntime
import pytest
import torch

import sonoprior
from sonoprior.attribution import attribution_maps
from sonoprior.bundle.confidence import Confidence, probabilities_of
from sonoprior.bundle.decider import Decider
from sonoprior.bundle.folder import open_bundle
from sonoprior.bundle.learnt import digest, read_learnt
from sonoprior.cases import CaseSet
from sonoprior.cases.loading.letterbox import letterbox
from sonoprior.cases.loading.shrink import network_input
from sonoprior.core.errors import DataError, FolderError, ModelError
from sonoprior.export import overlay, run
from sonoprior.export.run import export_run
from sonoprior.knowledge import read_ontology
from tiny import CASES, write_blobs

KINDS = ("classifier", "several", "clusters", "embedding", "both")


def frames(count=5):
    """Grey frames of different shapes, one of them black."""
    rng = np.random.default_rng(3)
    shapes = [(48, 48), (60, 80), (200, 31), (17, 64), (33, 33)]
    return [rng.integers(0, 256, shape, dtype=np.uint8) for shape in shapes[: count - 1]] + [
        np.zeros((40, 50), np.uint8)
    ]


def given(one, name="network.onnx", **inputs):
    session = onnxruntime.InferenceSession(one.out / name, providers=["CPUExecutionProvider"])
    found = session.run(None, inputs)
    return dict(zip([of.name for of in session.get_outputs()], found, strict=True))


def squares(one, pictures):
    return np.stack([letterbox(picture, one.manifest.side) for picture in pictures])[:, None]


@pytest.fixture(params=KINDS)
def one(request, bundles):
    return bundles(request.param)


def test_the_same_answers_as_the_run(one):
    predictor, pictures = sonoprior.load(one.run, device="cpu"), frames()
    found = given(one, squares=squares(one, pictures))
    views = one.manifest.views
    if views.named_by == "means":
        cosines = found["embedding"] @ means_of(one, predictor).T
        np.testing.assert_allclose(found["logits"], cosines, atol=1e-4)
    else:
        if views.named_by == "clusters":
            decider = Decider.read(one.out, views.classes)
            scores = decider.scores(None, found["logits"].argmax(1))
        else:
            scores = probabilities_of(found["logits"], several=views.several)
        wanted = [list(said.probabilities.values()) for said in predictor.predict(pictures)]
        np.testing.assert_allclose(scores, wanted, atol=1e-4)
        assert views.classes == list(predictor.classes)
    if one.manifest.levels:
        wanted = np.stack(list(predictor.embed(pictures).values()))
        np.testing.assert_allclose(found["embedding"], wanted, atol=1e-4)
    assert found["embedding"].shape == (len(pictures), one.manifest.dimension)
    np.testing.assert_allclose(np.linalg.norm(found["embedding"], axis=1), 1, atol=1e-5)


def means_of(one, predictor):
    """The mean embedding of every class, computed from the files of its training cases."""
    table = dict(line.rsplit(",", 1) for line in (one.run / "split.csv").read_text().splitlines()[1:] if line)
    labels, train = one.case_set.label_names("view"), []
    for name in one.manifest.views.classes:
        places = [
            at
            for at, case in enumerate(one.case_set.ids)
            if labels[at] == name and table.get(case) == "train"
        ]
        rows = predictor.embed([one.case_set.image_path(at) for at in places])
        train.append(np.mean(list(rows.values()), axis=0))
    return np.stack(train) / np.linalg.norm(train, axis=1, keepdims=True)


def test_it_remembers_what_had_a_part_in_the_training_by_digests(one):
    rows = [line.rsplit(",", 1) for line in (one.run / "split.csv").read_text().splitlines()[1:] if line]
    told = {digest(one.case_set.info.name, case): part for case, part in rows}
    learnt = read_learnt(one.out)
    assert {told[mark] for mark in learnt} <= {"train", "unlabelled", "validation"}
    assert {part for mark, part in told.items() if mark not in learnt} <= {"test", "calibration"}


def test_one_by_one_as_in_a_batch(one):
    pictures = frames()
    together = given(one, squares=squares(one, pictures))
    for at, picture in enumerate(pictures):
        alone = given(one, squares=squares(one, [picture]))
        for name, values in together.items():
            np.testing.assert_allclose(alone[name][0], values[at], atol=1e-4, rtol=1e-4)


def test_the_overlay_is_the_attribution_in_eval_mode(one):
    predictor, pictures = sonoprior.load(one.run, device="cpu"), frames()
    said, model = one.manifest.overlay, predictor.model
    assert (said.asked, said.tap, said.reason) == (model.tap.layer, model.tap.layer, "")
    given_map = given(one, squares=squares(one, pictures))["map"]
    weights = np.ones((len(pictures), said.width), np.float32)
    maps = given(one, "overlay.onnx", map=given_map, weights=weights)["maps"]
    looked = attribution_maps(
        model.network,
        model.tap,
        network_input(pictures, predictor.recipe.data.size),
        priors=max(1, len(predictor.priors)),
        method=said.method,
        heads=model.heads,
        allocation=model.attribution.allocation,
    )
    wanted = torch.cat([looked.allocated, looked.free[:, None]], 1).numpy()
    np.testing.assert_allclose(maps, wanted, atol=1e-3 * np.abs(wanted).max())
    assert said.maps == [*(predictor.priors or ["attribution"]), "free channels"]


def test_names_and_levels(bundles):
    told = {kind: bundles(kind).manifest for kind in KINDS}
    how = [told[kind].views.named_by for kind in KINDS]
    assert how == ["logits", "several", "clusters", "means", "logits"]
    assert told["classifier"].views.classes == ["dark", "bright"]
    assert told["several"].views.classes == ["disc", "bar", "frame"]
    assert list(told["both"].levels) == ["view", "meta"]
    assert (told["both"].compared, told["both"].dimension) == (["view", "meta"], 16)
    assert told["classifier"].compared == ["features"]
    assert (told["classifier"].name, told["embedding"].name) == ("tiny, guided", "tiny-embedding, plain")


def test_every_part_of_the_network_stands_in_the_graph(bundles):
    found = given(bundles("both"), squares=squares(bundles("both"), frames()))
    levels = ["embedding.view", "embedding.meta"]
    assert list(found) == ["logits", "embedding", *levels, "features", "map", "unfamiliarity"]
    joined = np.concatenate([found[name] for name in levels], 1) / np.sqrt(2)
    np.testing.assert_allclose(found["embedding"], joined, atol=1e-5)
    assert found["unfamiliarity"].shape == (5,)


def test_a_strange_frame_is_stranger_than_the_cases_of_training(bundles):
    one = bundles("classifier")
    noise = np.random.default_rng(0).integers(0, 256, (20, 1, 48, 48), dtype=np.uint8)
    known = squares(one, [one.case_set.read_image(at) for at in range(CASES)])
    strange, familiar = (given(one, squares=each)["unfamiliarity"] for each in (noise, known))
    assert np.median(strange) > np.median(familiar)
    assert Confidence.read(one.out, one.manifest.views).limit > np.median(familiar)


def test_a_bundle_is_opened_and_says_what_it_was_trained_on(one):
    assert open_bundle(one.out) == one.manifest
    assert one.manifest.case_set == one.case_set.info.name
    assert one.manifest.trained["recipe"].startswith("tiny")
    card = (one.out / "card.md").read_text()
    assert "no diagnosis" in card
    assert str(one.run.parent) not in card


def test_classes_that_are_terms_bring_their_ontology(bundles):
    one = bundles("embedding")
    own = read_ontology(one.out / "ontology.yaml")
    assert own.descendants("adnexal view") == read_ontology("early_pregnancy").descendants("adnexal view")
    assert set(one.manifest.terms) == {"view", "meta"}
    assert one.manifest.class_terms("meta")["adnexal view"] == "adnexal view"
    assert bundles("classifier").manifest.terms == {}


def test_the_same_run_gives_the_same_bytes(bundles, tmp_path):
    one = bundles("classifier")
    assert export_run(one.run, tmp_path / "again") == one.manifest


def test_nothing_of_the_machine_is_in_a_graph(bundles):
    one = bundles("classifier")
    for name in ("network.onnx", "overlay.onnx"):
        content = (one.out / name).read_bytes()
        for said in (b".py", b"site-packages", b"sonoprior/"):
            assert said not in content


@pytest.mark.usefixtures("without_overlay")
def test_a_run_without_its_case_set_is_exported_and_says_what_it_lacks(bundles, tmp_path):
    one = bundles("embedding")
    lost = copy(one.run, tmp_path, case_set=str(tmp_path / "gone"))
    manifest = export_run(lost, tmp_path / "bundle")
    confidence = Confidence.read(tmp_path / "bundle", manifest.views)
    assert manifest.views is None
    assert (confidence.calibrated, confidence.limit) == (False, None)
    assert "there is no such folder" in confidence.reason
    assert "logits" not in given(bundles_at(tmp_path / "bundle"), squares=np.zeros((1, 1, 48, 48), np.uint8))
    again = export_run(lost, tmp_path / "with data", case_set=one.case_set)
    assert again.files["network.onnx"] == one.manifest.files["network.onnx"]


def bundles_at(out):
    from types import SimpleNamespace

    return SimpleNamespace(out=out)


def copy(folder, tmp_path, **environment):
    """A run folder of one's own, with another environment."""
    target = tmp_path / "run"
    shutil.copytree(folder, target)
    content = json.loads((target / "environment.json").read_text()) | environment
    (target / "environment.json").write_text(json.dumps(content))
    return target


def test_another_case_set_is_refused_by_name(bundles, tmp_path):
    other = CaseSet.open(write_blobs(tmp_path / "other", name="other blobs"))
    with pytest.raises(DataError, match=r"was trained on the case set 'blobs', but .*other is 'other blobs'"):
        export_run(bundles("classifier").run, tmp_path / "bundle", case_set=other)
    fewer = CaseSet.open(write_blobs(tmp_path / "fewer", cases=20))
    with pytest.raises(DataError, match="names the case 'case"):
        export_run(bundles("classifier").run, tmp_path / "bundle", case_set=fewer)
    assert not (tmp_path / "bundle").exists()


def test_an_unfinished_and_a_damaged_run_are_refused(bundles, tmp_path):
    broken = copy(bundles("classifier").run, tmp_path)
    (broken / "metrics.json").unlink()
    with pytest.raises(FolderError, match="is not finished: it was never measured"):
        export_run(broken, tmp_path / "bundle")
    weights = (broken / "weights.safetensors").read_bytes()
    (broken / "weights.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(FolderError, match="is damaged"):
        export_run(broken, tmp_path / "bundle")
    (broken / "weights.safetensors").unlink()
    with pytest.raises(FolderError, match="is not finished"):
        export_run(broken, tmp_path / "bundle")
    with pytest.raises(FolderError, match="is not a run folder"):
        export_run(tmp_path, tmp_path / "bundle")


def test_an_existing_folder_is_left_as_it_is(bundles, tmp_path):
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(FolderError, match="exists already"):
        export_run(bundles("classifier").run, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


@pytest.mark.usefixtures("without_overlay")
def test_a_graph_with_other_numbers_is_refused_and_leaves_nothing(bundles, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "TOLERANCE", -1.0)
    with pytest.raises(ModelError, match="the network gives other numbers as ONNX than as it was trained"):
        export_run(bundles("classifier").run, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def refusing(*layers):
    """A writer of attributions that refuses those at some layers, half-written."""
    real = overlay.write_attribution

    def write(of, squares, area, path):
        if of.tap.layer in layers:
            path.write_text("half")
            raise ModelError(f"the attribution at '{of.tap.layer}' cannot be traced: it depends.")
        return real(of, squares, area, path)

    return write


def test_a_tap_that_cannot_be_exported_gives_way_to_the_last_map(bundles, tmp_path, monkeypatch):
    monkeypatch.setattr(overlay, "write_attribution", refusing("backbone.layer2"))
    found = export_run(bundles("classifier").run, tmp_path / "bundle").overlay
    assert (found.asked, found.tap, found.how) == ("backbone.layer2", "backbone.layer4", "closed form")
    assert "cannot be traced: it depends. Shown is the last map" in found.reason
    assert found.maps == ["attribution", "free channels"]
    one = bundles_at(tmp_path / "bundle")
    pictures = squares(bundles("classifier"), frames())
    features = given(one, squares=pictures)["map"]
    maps = given(one, "overlay.onnx", map=features, weights=np.ones((5, 2), np.float32))["maps"]
    weight = sonoprior.load(bundles("classifier").run, device="cpu").model.network.backbone.fc.weight
    slope = weight.detach().numpy().sum(0)[:, None, None] / features[0, 0].size
    np.testing.assert_allclose(maps[:, 0], (np.abs(slope) * features).mean(1), atol=1e-5)


def test_without_any_tap_there_is_no_overlay_and_a_reason(bundles, tmp_path, monkeypatch):
    monkeypatch.setattr(overlay, "write_attribution", refusing("backbone.layer2", "backbone.layer4"))
    manifest = export_run(bundles("classifier").run, tmp_path / "bundle")
    assert manifest.overlay is None
    assert "Nor can the last map be used" in manifest.no_overlay
    assert "overlay.onnx" not in manifest.files

"""The recogniser on tiny bundles: against the graph run by ONNX's reference, then the edges."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from made_bundle import MAPS, SIDE, made_bundle
from sonoprior.bundle.confidence import ClassFloor, Confidence
from sonoprior.bundle.decider import Decider
from sonoprior.cases.images import write_png
from sonoprior.cases.loading.letterbox import from_letterbox, letterbox
from sonoprior.core.errors import DataError, FolderError, MissingExtraError, ModelError, SonopriorError
from sonoprior.runtime import Recogniser

CLASSES = ("liver", "kidney", "spleen")
ENGINES = ["onnxruntime", "openvino"]
SHAPES = [(48, 64), (64, 48), (16, 300), (24, 24), (17, 16)]


@pytest.fixture(scope="module")
def frames():
    rng = np.random.default_rng(3)
    return [rng.integers(0, 256, shape).astype(np.uint8) for shape in SHAPES]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return made_bundle(tmp_path_factory.mktemp("made") / "bundle", classes=CLASSES)


@pytest.fixture(scope="module")
def recogniser(bundle):
    return Recogniser(bundle, threads=1)


def by_reference(bundle, frames):
    """The outputs of the network by name, by ONNX's slow reference."""
    model = onnx.load(bundle / "network.onnx")
    squares = np.stack([letterbox(frame, SIDE) for frame in frames])[:, None]
    found = ReferenceEvaluator(model).run(None, {"squares": squares})
    return dict(zip([each.name for each in model.graph.output], found, strict=True))


def calibrated(named_by, floors, limit=None, temperature=1.0):
    known = {
        name: ClassFloor(floor=floor, patients=20, pool="class")
        for name, floor in zip(CLASSES, floors, strict=True)
    }
    return Confidence(
        named_by=named_by,
        classes=list(CLASSES),
        calibrated=True,
        floors=known,
        limit=limit,
        temperature=temperature,
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_it_answers_what_the_graphs_say(bundle, frames, engine):
    given = by_reference(bundle, frames)
    answers = Recogniser(bundle, engine=engine, threads=1).answers(frames)
    rising = np.exp(given["logits"] - given["logits"].max(1, keepdims=True))
    chances = rising / rising.sum(1, keepdims=True)
    assert [one.view for one in answers] == [CLASSES[place] for place in chances.argmax(1)]
    assert [one.shown for one in answers] == [(one.view,) for one in answers]
    assert np.allclose([list(one.probabilities.values()) for one in answers], chances, atol=1e-4)
    assert np.allclose([one.confidence for one in answers], chances.max(1), atol=1e-4)
    assert np.allclose([one.embedding for one in answers], given["embedding"], atol=1e-4)
    assert np.allclose([one.unfamiliarity for one in answers], given["unfamiliarity"], atol=1e-4)
    assert all(one.overlay is None and one.cluster is None for one in answers)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_overlay_lies_on_its_frame(bundle, frames, engine):
    given = by_reference(bundle, frames)
    weights = np.eye(len(CLASSES), dtype=np.float32)[given["logits"].argmax(1)]
    of_squares = ReferenceEvaluator(onnx.load(bundle / "overlay.onnx")).run(
        None, {"map": given["map"], "weights": weights}
    )[0]
    recogniser = Recogniser(bundle, engine=engine, threads=1)
    for frame, maps, answer in zip(frames, of_squares, recogniser.answers(frames, overlay=True), strict=True):
        assert list(answer.overlay.maps) == MAPS
        assert (answer.overlay.of, answer.overlay.tap) == (answer.view, "last")
        for found, wanted in zip(answer.overlay.maps.values(), maps, strict=True):
            assert found.shape == frame.shape
            assert found.dtype == np.float32
            assert np.allclose(found, from_letterbox(wanted, frame.shape), atol=1e-4)


def test_another_class_can_be_looked_for(recogniser, frames):
    looked = {name: recogniser.overlay(frames[0], of=name) for name in CLASSES}
    assert [one.of for one in looked.values()] == list(CLASSES)
    predicted = recogniser.answer(frames[0], overlay=True)
    for name, one in looked.items():
        same = np.allclose(one.maps["disc"], predicted.overlay.maps["disc"], atol=1e-6)
        assert same == (name == predicted.view)
    with pytest.raises(DataError, match="a class must be one of liver, kidney, spleen, but got 'livre'"):
        recogniser.overlay(frames[0], of="livre")


def test_the_sum_of_the_outputs_weighs_all_alike(tmp_path, frames):
    recogniser = Recogniser(made_bundle(tmp_path / "b", classes=CLASSES, target="sum"), threads=1)
    looked = recogniser.overlay(frames[0])
    assert looked.of == "all outputs"
    single = recogniser.overlay(frames[0], of="kidney")
    assert not np.allclose(looked.maps["disc"], single.maps["disc"])


def test_frames_together_are_answered_as_one_by_one(recogniser, frames):
    many = frames * 5  # more than one batch
    together = recogniser.answers(many, overlay=True)
    for frame, answer in zip(many, together, strict=True):
        alone = recogniser.answer(frame, overlay=True)
        assert alone.view == answer.view
        assert np.allclose(alone.embedding, answer.embedding, atol=1e-5)
        assert np.allclose(alone.overlay.maps["disc"], answer.overlay.maps["disc"], atol=1e-5)
    assert np.allclose(recogniser.embed(many), [one.embedding for one in together], atol=1e-6)


def test_files_are_read_as_arrays_are(recogniser, frames, tmp_path):
    write_png(tmp_path / "a.png", frames[0])
    assert recogniser.answer(tmp_path / "a.png").confidence == recogniser.answer(frames[0]).confidence
    assert recogniser.embed([str(tmp_path / "a.png")]).tolist() == recogniser.embed([frames[0]]).tolist()


@pytest.mark.parametrize("engine", ENGINES)
def test_several_threads_may_ask_at_once(bundle, frames, engine):
    recogniser = Recogniser(bundle, engine=engine, threads=1)
    wanted = [recogniser.answer(frame, overlay=True) for frame in frames]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda frame: recogniser.answer(frame, overlay=True), frames * 8))
    for at, answer in enumerate(found):
        assert np.array_equal(answer.embedding, wanted[at % len(frames)].embedding)


def test_what_is_not_contiguous_is_the_same_picture(recogniser, frames):
    turned = np.ascontiguousarray(frames[0][::-1, ::-1])[::-1, ::-1]
    assert np.array_equal(recogniser.embed([turned]), recogniser.embed([frames[0]]))


def test_no_frames_give_no_answers(recogniser):
    assert recogniser.answers([]) == []
    assert recogniser.embed([]).shape == (0, 8)


def test_an_open_stream_of_frames_is_read_as_it_comes(recogniser, frames):
    assert len(recogniser.answers(frame for frame in frames)) == len(frames)


class TestConfidence:
    def test_candidates_and_limits_are_those_of_the_bundle(self, tmp_path, frames):
        sure = calibrated("logits", [0.0, 0.4, None], limit=4.5, temperature=3.0)
        bundle = made_bundle(tmp_path / "b", classes=CLASSES, confidence=sure)
        given = by_reference(bundle, frames)
        for at, answer in enumerate(Recogniser(bundle, threads=1).answers(frames)):
            chances = sure.probabilities(given["logits"])[at]
            assert list(answer.probabilities.values()) == pytest.approx(chances, abs=1e-5)
            held = {"liver"} | {CLASSES[chances.argmax()]} | ({"kidney"} if chances[1] >= 0.4 else set())
            assert set(answer.candidates) == held
            assert answer.limit == 4.5
            assert answer.familiar == (given["unfamiliarity"][at] <= 4.5)

    def test_nothing_is_said_that_is_not_known(self, recogniser, frames):
        answer = recogniser.answer(frames[0])
        assert answer.candidates is answer.familiar is answer.limit is None
        assert answer.unfamiliarity > 0

    @pytest.mark.parametrize("level", [0, 80, 255])
    def test_a_frame_that_shows_nothing_is_never_familiar(self, tmp_path, level):
        easy = calibrated("logits", [0, 0, 0], limit=1e9)
        recogniser = Recogniser(made_bundle(tmp_path / "b", classes=CLASSES, confidence=easy), threads=1)
        answer = recogniser.answer(np.full((40, 60), level, np.uint8), overlay=True)
        assert answer.familiar is False
        assert np.isfinite(answer.embedding).all()
        assert all(np.isfinite(one).all() for one in answer.overlay.maps.values())
        assert recogniser.answer(np.eye(40, dtype=np.uint8)).familiar is True

    def test_a_network_need_not_know_what_is_strange(self, tmp_path, frames):
        recogniser = Recogniser(made_bundle(tmp_path / "b", classes=CLASSES, unfamiliarity=False), threads=1)
        assert recogniser.answer(frames[0]).unfamiliarity is None


class TestOtherWaysOfNaming:
    def test_several_views_at_once(self, tmp_path, frames):
        bundle = made_bundle(tmp_path / "b", classes=CLASSES, named_by="several")
        chances = 1 / (1 + np.exp(-by_reference(bundle, frames)["logits"].astype(float)))
        answers = Recogniser(bundle, threads=1).answers(frames, overlay=True)
        for row, answer in zip(chances, answers, strict=True):
            shown = tuple(name for name, chance in zip(CLASSES, row, strict=True) if chance >= 0.5)
            assert answer.shown == shown
            assert answer.view == answer.overlay.of == (" + ".join(shown) or "none")
            assert list(answer.probabilities.values()) == pytest.approx(row, abs=1e-5)
            assert 0 <= answer.confidence <= 1

    def test_what_is_shown_is_a_candidate(self, tmp_path, frames):
        strict = calibrated("several", [None, None, None])
        bundle = made_bundle(tmp_path / "b", classes=CLASSES, named_by="several", confidence=strict)
        for answer in Recogniser(bundle, threads=1).answers(frames):
            assert answer.candidates == answer.shown

    def test_clusters_stand_for_classes(self, tmp_path, frames):
        bundle = made_bundle(tmp_path / "b", classes=CLASSES, named_by="clusters", target="sum")
        clusters = by_reference(bundle, frames)["logits"].argmax(1)
        shares = Decider.read(bundle, CLASSES).clusters
        recogniser = Recogniser(bundle, threads=1)
        for cluster, answer in zip(clusters, recogniser.answers(frames, overlay=True), strict=True):
            assert answer.cluster == cluster
            assert list(answer.probabilities.values()) == pytest.approx(shares[cluster])
            assert answer.overlay.of == "all outputs"
        with pytest.raises(ModelError, match="attributes no single class"):
            recogniser.overlay(frames[0], of="liver")

    def test_means_are_named_as_classes_are(self, tmp_path, frames):
        bundle = made_bundle(tmp_path / "b", classes=CLASSES, named_by="means", overlay=False)
        best = by_reference(bundle, frames)["logits"].argmax(1)
        answers = Recogniser(bundle, threads=1).answers(frames)
        assert [one.view for one in answers] == [CLASSES[place] for place in best]

    def test_a_bundle_that_names_nothing(self, tmp_path, frames):
        recogniser = Recogniser(made_bundle(tmp_path / "b", named_by=None, target="sum"), threads=1)
        answer = recogniser.answer(frames[0], overlay=True)
        assert answer.view is answer.confidence is answer.candidates is None
        assert (answer.shown, dict(answer.probabilities)) == ((), {})
        assert answer.overlay.of == "all outputs"
        assert answer.embedding.shape == (8,)


WRONG = [
    (np.zeros((1, 1), np.uint8), "at least 16 pixels on each side, but has 1 x 1"),
    (np.zeros((0, 40), np.uint8), "at least 16 pixels on each side, but has 40 x 0"),
    (np.zeros((10_000, 10_000), np.uint8), "not have more than 67,108,864 pixels, but has 10000 x 10000"),
    (np.zeros((40, 40, 3), np.uint8), "uint8 of shape .40, 40, 3.; take the luminance of colours"),
    (np.full((40, 40), np.nan), "float64 of shape .40, 40.; scale it to whole numbers from 0 to 255"),
    (np.zeros((40, 40, 3), np.float32), "take the luminance of colours.*, and scale it"),
    (np.zeros((40,), np.uint8), "but is uint8 of shape .40,."),
    ([[1, 2], [3, 4]], "the path of an image, but is of type list"),
    (None, "but is of type NoneType"),
]


class TestWrongInput:
    @pytest.mark.parametrize(("frame", "said"), WRONG)
    def test_a_frame_that_is_none(self, recogniser, frame, said):
        with pytest.raises(DataError, match=said):
            recogniser.answer(frame)
        with pytest.raises(DataError, match=f"frame 0 must .*{said}"):
            recogniser.embed([frame])

    def test_a_long_thin_frame_takes_no_more_memory_than_it_has(self, recogniser):
        for shape in [(16, 200_000), (200_000, 16)]:
            answer = recogniser.answer(np.eye(*shape, dtype=np.uint8), overlay=True)
            assert all(one.shape == shape for one in answer.overlay.maps.values())

    @pytest.mark.parametrize("one", [np.zeros((40, 40), np.uint8), "frame.png"])
    def test_one_frame_instead_of_several(self, recogniser, one):
        with pytest.raises(DataError, match="must be several of them"):
            recogniser.answers(one)

    def test_frames_that_cannot_be_used_are_told_of(self, recogniser, frames, tmp_path):
        (tmp_path / "broken.png").write_bytes(b"nothing")
        said: list[str] = []
        found = recogniser.answers([frames[0], tmp_path / "broken.png", frames[1]], on_unreadable=said.append)
        assert len(found) == 2
        assert "broken.png" in said[0]
        with pytest.raises(DataError, match=r"broken\.png"):
            recogniser.embed([tmp_path / "broken.png"])

    def test_an_engine_that_does_not_exist(self, bundle):
        with pytest.raises(SonopriorError, match="must be one of onnxruntime, openvino, but got 'tensorrt'"):
            Recogniser(bundle, engine="tensorrt")

    @pytest.mark.parametrize(
        ("engine", "extra"), [("onnxruntime", "runtime"), ("openvino", "openvino")], ids=ENGINES
    )
    def test_an_engine_that_is_not_installed(self, bundle, monkeypatch, engine, extra):
        monkeypatch.setitem(sys.modules, engine, None)
        with pytest.raises(MissingExtraError, match=rf"needs {engine}.*pip install 'sonoprior\[{extra}\]'"):
            Recogniser(bundle, engine=engine)

    @pytest.mark.parametrize("threads", [0, -2, True])
    def test_threads_that_are_none(self, bundle, threads):
        with pytest.raises(SonopriorError, match="threads must be a whole number of 1 or more"):
            Recogniser(bundle, threads=threads)

    def test_a_bundle_without_overlay(self, tmp_path, frames):
        recogniser = Recogniser(made_bundle(tmp_path / "b", overlay=False), threads=1)
        with pytest.raises(ModelError, match="cannot say where it looked: it was made without"):
            recogniser.answer(frames[0], overlay=True)

    def test_a_bundle_that_reads_no_texts(self, recogniser):
        with pytest.raises(ModelError, match="reads no texts"):
            recogniser.embed_text(["a liver"])

    @pytest.mark.parametrize("engine", ENGINES)
    def test_a_graph_that_is_none(self, tmp_path, engine):
        broken = made_bundle(tmp_path / "b", extra={"network.onnx": b"not a graph"})
        with pytest.raises(FolderError, match=r"network\.onnx cannot be run"):
            Recogniser(broken, engine=engine)

    def test_a_graph_of_another_kind(self, tmp_path, bundle):
        other = (bundle / "overlay.onnx").read_bytes()
        with pytest.raises(FolderError, match="must read squares and give embedding, logits, but reads map"):
            Recogniser(made_bundle(tmp_path / "b", extra={"network.onnx": other}))
        wrong = made_bundle(tmp_path / "c", extra={"overlay.onnx": (bundle / "network.onnx").read_bytes()})
        with pytest.raises(FolderError, match=r"overlay\.onnx must read some of squares, map, weights"):
            Recogniser(wrong, threads=1).overlay(np.eye(40, dtype=np.uint8))

    def test_a_file_that_is_missing(self, tmp_path):
        bundle = made_bundle(tmp_path / "b")
        (bundle / "overlay.onnx").unlink()
        with pytest.raises(FolderError, match=r"overlay\.onnx is missing"):
            Recogniser(bundle)


ALONE = """
import socket, sys
import numpy as np

def refused(*_):
    raise AssertionError("nothing may be sent")

socket.socket.connect = socket.getaddrinfo = refused
from sonoprior.runtime import Recogniser

answer = Recogniser(sys.argv[1], engine=sys.argv[2]).answer(np.eye(40, dtype=np.uint8), overlay=True)
assert answer.overlay is not None
print(sorted({"torch", "timm", "transformers", "openvino_telemetry"} & set(sys.modules)))
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_it_loads_no_torch_and_sends_nothing(bundle, engine):
    shown = subprocess.run(
        [sys.executable, "-c", ALONE, str(bundle), engine], capture_output=True, text=True, check=False
    )
    assert shown.stdout.strip() == "[]", shown.stderr

"""A case base from case sets and a tiny real bundle: what goes in, what is found, and what is refused."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from made_bundle import made_bundle
from sonoprior.bundle.folder import open_bundle
from sonoprior.casebase import base as bases
from sonoprior.casebase import network_shares
from sonoprior.casebase.base import CaseBase
from sonoprior.casebase.hnsw import Hnsw
from sonoprior.casebase.record import pixels_of
from sonoprior.casebase.store import number_of
from sonoprior.cases import CaseSet, CaseSetWriter, DatasetInfo
from sonoprior.cases.images import read_grey
from sonoprior.core.errors import DataError, FolderError, SonopriorError
from sonoprior.core.folder import stamp
from sonoprior.knowledge import read_ontology
from sonoprior.metrics.neighbours import Embedded, nearest
from sonoprior.runtime import Recogniser
from tiny import VIEWS, write_views

CASES = 20


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    """A case set without labels above the views."""
    return write_views(tmp_path_factory.mktemp("views") / "set", CASES, metas=False)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return made_bundle(tmp_path_factory.mktemp("bundle") / "bundle")


@pytest.fixture(scope="module")
def built(views, bundle, tmp_path_factory):
    """A base that no test changes."""
    return CaseBase.build(bundle, [views], tmp_path_factory.mktemp("built") / "base")


@pytest.fixture
def base(built, tmp_path):
    """One that a test may change."""
    shutil.copytree(built.folder, tmp_path / "base")
    return CaseBase.open(tmp_path / "base")


def small_set(folder, name="small", cases=3, **columns):
    rng = np.random.default_rng(1)
    info = DatasetInfo(name=name, levels={"view": list(VIEWS)})
    with CaseSetWriter(folder, info) as writer:
        for number in range(cases):
            writer.add(f"c{number}", rng.integers(0, 256, (40, 30)).astype(np.uint8), **columns)
    return folder


# --- Built ---


def test_a_base_holds_the_cases_of_its_sets_with_the_embeddings_of_its_bundle(built, views, bundle):
    case_set, recogniser = CaseSet.open(views), Recogniser(bundle)
    vectors = built.vectors()
    assert len(built.store) == CASES
    frames = [case_set.read_image(at) for at in range(CASES)]
    assert vectors.matrix == pytest.approx(recogniser.embed(frames), abs=1e-5)
    records = built.store.records(vectors.ids.tolist())
    assert [record.key for record in records] == [f"stripes/{case}" for case in case_set.ids]
    assert [record.group for record in records] == [f"stripes/{group}" for group in case_set.groups()]
    assert vectors.groups.tolist() == [number_of(record.group) for record in records]
    for at, record in enumerate(records):
        assert record.exam == f"stripes/{case_set.column('exam')[at]}"
        assert record.facts["label.view"] == [case_set.label_names("view")[at]]
        assert record.facts["terms"] == case_set.column("terms")[at].split(";")
        assert record.facts["set"] == ["stripes"]
        assert record.facts["image"] == [record.source["image"]]
        assert record.source["root"] == str(views.resolve())
        assert record.source["pixels"] == pixels_of(frames[at])
        assert record.thumbnail.startswith(b"\xff\xd8")


def test_a_base_needs_nothing_but_its_folder(built, bundle):
    assert built.manifest == open_bundle(bundle)
    assert built.ontology is None
    assert built.recogniser.folder.is_relative_to(built.folder)
    assert built.problems() == []


def test_several_sets_with_what_only_some_say(bundle, views, tmp_path):
    info = DatasetInfo(name="organs", levels={"organ": ["liver", "kidney"]}, several=["organ"], licence="CC0")
    with CaseSetWriter(tmp_path / "organs", info) as writer:
        for number, label in enumerate(("liver;kidney", "@empty", None)):
            writer.add(
                f"o{number}",
                np.full((30, 40), 60 * number + 9, np.uint8),
                labels={} if label is None else {"organ": label},
                patient="p1" if number < 2 else None,
                caption="liver and kidney" if number == 0 else None,
            )
    base = CaseBase.build(bundle, [views, CaseSet.open(tmp_path / "organs")], tmp_path / "base")
    first, second, third = base.store.records(base.store.where({"set": ["organs"]}).tolist())
    assert first.facts["label.organ"] == ["liver", "kidney"]
    assert second.facts["label.organ"] == ["none"]
    assert "label.organ" not in third.facts
    assert (first.group, third.group, third.exam) == ("organs/patient:p1", "organs/case:o2", None)
    assert (first.caption, second.caption) == ("liver and kidney", "")
    assert first.source["licence"] == "CC0"
    stats = base.stats()
    assert stats.sets == {"stripes": CASES, "organs": 3}
    assert stats.labels["organ"] == {"kidney": 1, "liver": 1, "none": 1}
    assert (stats.cases, stats.exams, stats.groups) == (CASES + 3, 4, 6)
    assert stats.dimension == 8
    assert stats.size > 10_000


def test_labels_at_higher_levels_follow_from_the_ontology(views, tmp_path):
    leaf, meta = list(VIEWS), list(dict.fromkeys(VIEWS.values()))
    codes = {name: read_ontology("early_pregnancy").find(name).id for name in leaf + meta}
    terms = {"view": {name: codes[name] for name in leaf}, "meta": {name: codes[name] for name in meta}}
    bundle = made_bundle(tmp_path / "bundle", classes=leaf, ontology="early_pregnancy", terms=terms)
    base = CaseBase.build(bundle, [views], tmp_path / "base")
    for record in base.store.records(base.vectors().ids.tolist()):
        assert record.facts["label.meta"] == [VIEWS[record.facts["label.view"][0]]]
    assert base.ontology is not None


def test_the_nearest_are_those_of_the_slow_search(built):
    vectors = built.vectors()
    expected = nearest(Embedded(vectors.matrix, vectors.groups), Embedded(vectors.matrix, vectors.groups), 4)
    ids, near = built.nearest(vectors.matrix, 4, leave_out=vectors.groups)
    assert np.array_equal(ids, vectors.ids[expected.index])
    assert near == pytest.approx(expected.similarity, abs=1e-5)
    among = vectors.ids[[3, 5, 7]]
    ids, near = built.nearest(vectors.matrix[:2], 5, among=np.append(among, [999, -5]))
    assert {*ids[0, :3].tolist()} == {*among.tolist()}
    assert (ids[:, 3:] == -1).all()
    assert np.isneginf(near[:, 3:]).all()


def test_a_query_of_another_length_is_refused(built):
    with pytest.raises(
        DataError, match=r"must have the shape \(queries, 8\).*but have \(1, 9\); was another"
    ):
        built.nearest(np.ones((1, 9), np.float32), 1)


# --- Refused ---


def test_what_cannot_be_built_leaves_nothing(bundle, views, tmp_path, monkeypatch):
    out = tmp_path / "base"
    with pytest.raises(
        DataError, match=r"index of a case base must be one of auto, exact, hnsw, but got 'hsnw'"
    ):
        CaseBase.build(bundle, [views], out, index="hsnw")
    with pytest.raises(FolderError, match="is not a bundle folder"):
        CaseBase.build(views, [views], out)
    with pytest.raises(FolderError, match="there is no such folder"):
        CaseBase.build(bundle, [tmp_path / "none"], out)
    with pytest.raises(DataError, match="both have the case 'stripes/case00'"):
        shutil.copytree(views, tmp_path / "again")
        CaseBase.build(bundle, [views, tmp_path / "again"], out)
    shutil.rmtree(tmp_path / "again")
    part = SimpleNamespace(mountpoint=str(tmp_path), fstype="nfs4", opts="rw")
    with monkeypatch.context() as context:
        context.setattr(network_shares, "_partitions", lambda: [part])
        with pytest.raises(FolderError, match="network share"):
            CaseBase.build(bundle, [views], out)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_not_written_over(built, bundle, views):
    with pytest.raises(FolderError, match="exists already; name a new folder"):
        CaseBase.build(bundle, [views], built.folder)


def test_what_is_no_base_or_a_newer_one_is_refused(base, views, tmp_path, monkeypatch):
    with pytest.raises(FolderError, match="is not a case base folder"):
        CaseBase.open(views)
    part = SimpleNamespace(mountpoint=str(tmp_path), fstype="cifs", opts="rw")
    with monkeypatch.context() as context:
        context.setattr(network_shares, "_partitions", lambda: [part])
        with pytest.raises(FolderError, match=r"network share \(cifs\)"):
            CaseBase.open(base.folder)
    stamp(base.folder, "case base", 2)
    with pytest.raises(FolderError, match="has format 2, and this version of sonoprior reads up to 1"):
        CaseBase.open(base.folder)


@pytest.mark.parametrize("name", ["settings.json", "cases.db"])
def test_a_missing_file_is_named(base, name):
    base.close()
    (base.folder / name).unlink()
    with pytest.raises(FolderError, match=rf"{name} is missing"):
        CaseBase.open(base.folder)


def test_damaged_settings_and_bundles_are_named(base):
    (base.folder / "settings.json").write_text(json.dumps({"index": "fast"}))
    with pytest.raises(FolderError, match=r"settings.json: index must be one of auto, exact, hnsw, but got"):
        CaseBase.open(base.folder)
    network = next(base.folder.rglob("network.onnx"))
    network.write_bytes(network.read_bytes() + b"x")
    assert "network.onnx is damaged" in base.problems()[0]
    with pytest.raises(FolderError, match=r"network.onnx is damaged"):
        _ = base.recogniser


# --- Added and removed ---


def test_cases_are_added(base, tmp_path):
    before = base.vectors()
    assert base.add([small_set(tmp_path / "a", "a"), small_set(tmp_path / "b", "b", 2)]) == 5
    after = base.vectors()
    assert np.array_equal(after.matrix[:CASES], before.matrix)
    assert [record.key for record in base.store.records(after.ids[CASES:].tolist())] == [
        *("a/c0", "a/c1", "a/c2"),
        *("b/c0", "b/c1"),
    ]
    assert base.problems() == []


def test_cases_that_are_there_already_are_refused_before_anything_is_embedded(base, views, monkeypatch):
    monkeypatch.setattr(Recogniser, "embed", None)
    with pytest.raises(
        DataError, match=r"20 of the 20 cases of .* already, such as 'stripes/case00'; remove"
    ):
        base.add([views])
    assert len(base.store) == CASES


def test_an_image_that_cannot_be_used_is_listed_or_refused(base, tmp_path):
    folder = small_set(tmp_path / "a", "a", 4)
    case_set = CaseSet.open(folder)
    case_set.image_path(1).write_bytes(b"no image")
    Image.new("L", (3, 300)).save(case_set.image_path(2))
    with pytest.raises(DataError, match=r"must be a PNG"):
        base.add([folder])
    assert len(base.store) == CASES
    told = []
    assert base.add([folder], told.append) == 2
    assert [record.key for record in base.store.records(base.vectors().ids[CASES:].tolist())] == [
        "a/c0",
        "a/c3",
    ]
    assert len(told) == 2
    assert "must be a PNG" in told[0]
    assert "at least 16 pixels on each side, but has 3 x 300" in told[1]


def test_a_base_of_nothing_but_unreadable_images_is_not_written(bundle, tmp_path):
    folder = small_set(tmp_path / "a", "a", 1)
    CaseSet.open(folder).image_path(0).write_bytes(b"no image")
    with pytest.raises(DataError, match="was not written: no image of the case sets can be used"):
        CaseBase.build(bundle, [folder], tmp_path / "base", on_unreadable=lambda _: None)
    assert not (tmp_path / "base").exists()


def test_a_frame_in_which_the_network_finds_nothing_is_listed_or_refused(base, tmp_path):
    with CaseSetWriter(tmp_path / "flat", DatasetInfo(name="flat")) as writer:
        writer.add("black", np.zeros((30, 30), np.uint8))
        writer.add("grey", np.full((30, 30), 99, np.uint8))
    with pytest.raises(DataError, match=r"the network finds nothing in the image of case 'flat/black'"):
        base.add([tmp_path / "flat"])
    told = []
    assert base.add([tmp_path / "flat"], told.append) == 1
    assert [problem[:29] for problem in told] == ["the network finds nothing in "]
    assert np.isfinite(base.vectors().matrix).all()


def test_an_add_that_fails_adds_nothing(base, tmp_path, monkeypatch):
    monkeypatch.setattr(Recogniser, "embed", lambda self, frames: np.ones((len(frames), 7), np.float32))
    with pytest.raises(DataError, match="must have the shape"):
        base.add([small_set(tmp_path / "a")])
    assert len(base.store) == CASES


def test_cases_are_removed_by_key_exam_and_set(base, tmp_path):
    base.add([small_set(tmp_path / "a", "a")])
    assert base.remove(keys=["stripes/case00", "stripes/case01"], exams=["stripes/e0"]) == 5
    assert base.remove(exams=["stripes/e1"]) == 5
    assert base.remove(sets=["a"]) == 3
    assert len(base.store) == CASES - 10
    assert base.stats().sets == {"stripes": CASES - 10}
    assert base.remove(sets=["stripes"]) == CASES - 10
    assert len(base.store) == 0
    ids, _ = base.nearest(np.ones((1, 8), np.float32), 3)
    base.vectors()
    assert base.nearest(np.ones((1, 8), np.float32), 3)[0].tolist() == [[-1, -1, -1]]
    assert ids.shape == (1, 3)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ({"keys": ["stripes/case99"]}, "there is no case 'stripes/case99'"),
        ({"exams": ["stripes/e99"]}, "there is no exam 'stripes/e99' in .*; exams are named SET/EXAM"),
        ({"exams": ["e0"]}, "there is no exam 'e0'"),
        ({"sets": ["stripe"]}, "must be one of stripes, but got 'stripe'. Did you mean 'stripes'?"),
    ],
)
def test_what_is_not_there_cannot_be_removed(base, what, message):
    with pytest.raises(DataError, match=message):
        base.remove(**what)
    assert len(base.store) == CASES


def test_what_another_process_adds_is_found(base, tmp_path):
    reader = CaseBase.open(base.folder)
    assert reader.vectors() is reader.vectors()
    base.add([small_set(tmp_path / "a", "a")])
    assert len(reader.vectors().ids) == CASES + 3


# --- Embedded anew ---


def test_all_cases_are_embedded_anew(base, views, tmp_path):
    other = made_bundle(tmp_path / "other", seed=1, dimension=5)
    reader = CaseBase.open(base.folder)
    old = reader.vectors()
    assert base.reembed(other) == CASES
    frames = [CaseSet.open(views).read_image(at) for at in range(CASES)]
    for each in (base, reader, CaseBase.open(base.folder)):
        vectors = each.vectors()
        assert vectors.matrix == pytest.approx(Recogniser(other).embed(frames), abs=1e-5)
        assert np.array_equal(vectors.ids, old.ids)
        assert each.manifest == open_bundle(other)
        assert each.recogniser.manifest.dimension == 5
    assert [each.name for each in (base.folder / "bundles").iterdir()] == [open_bundle(other).space]
    assert base.problems() == []


def test_a_reader_keeps_to_one_space_until_it_reads_again(base, tmp_path):
    reader = CaseBase.open(base.folder)
    old, recogniser = reader.vectors(), reader.recogniser
    base.reembed(made_bundle(tmp_path / "other", seed=1, dimension=5))
    assert reader.recogniser is recogniser
    assert reader.nearest(old.matrix[:1], 1)[0].tolist() == [[1]]
    assert reader.vectors().space.dimension == reader.recogniser.manifest.dimension == 5


def test_a_bundle_of_the_same_network_is_refused(base, bundle):
    with pytest.raises(DataError, match="embedded by this network already"):
        base.reembed(bundle)
    assert base.problems() == []


def test_a_set_that_has_moved_is_named_and_may_be_given(base, bundle, views, tmp_path):
    shutil.copytree(views, tmp_path / "here")
    base = CaseBase.build(bundle, [tmp_path / "here"], tmp_path / "own")
    (tmp_path / "here").rename(tmp_path / "there")
    other = made_bundle(tmp_path / "other", seed=1, dimension=5)
    with pytest.raises(DataError, match=r"'stripes' is not at .*here any more; .*--moved 'stripes=FOLDER'"):
        base.reembed(other)
    with pytest.raises(DataError, match="must be one of stripes, but got 'strips'"):
        base.reembed(other, {"strips": tmp_path / "there"})
    assert base.vectors().space.dimension == 8
    assert base.reembed(other, {"stripes": tmp_path / "there"}) == CASES


def test_an_image_that_is_another_one_by_now_is_refused(bundle, tmp_path):
    folder = small_set(tmp_path / "a", "a")
    base = CaseBase.build(bundle, [folder], tmp_path / "base")
    image = CaseSet.open(folder).image_path(1)
    Image.fromarray(255 - read_grey(image)).save(image)
    with pytest.raises(DataError, match=r"case 'a/c1' has another image in .* than when it was added"):
        base.reembed(made_bundle(tmp_path / "other", seed=1))
    image.unlink()
    with pytest.raises(DataError, match=r"c1.png is missing"):
        base.reembed(made_bundle(tmp_path / "third", seed=2))
    assert base.problems() == []


def test_an_interrupted_reembedding_goes_on(base, tmp_path, monkeypatch):
    monkeypatch.setattr(bases, "_AT_ONCE", 6)
    embed, calls = Recogniser.embed, []

    def interrupted(self, frames):
        calls.append(len(frames))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return embed(self, frames)

    monkeypatch.setattr(Recogniser, "embed", interrupted)
    other = made_bundle(tmp_path / "other", seed=1, dimension=5)
    with pytest.raises(KeyboardInterrupt):
        base.reembed(other)
    assert CaseBase.open(base.folder).vectors().space.dimension == 8
    assert CaseBase.open(base.folder).recogniser.manifest.dimension == 8
    assert base.reembed(other) == CASES - 12
    assert base.vectors().space.dimension == 5
    assert len(list((base.folder / "bundles").iterdir())) == 1


# --- Found by a graph ---


def test_a_graph_is_linked_when_the_base_is_built_and_grows_with_it(bundle, views, tmp_path):
    base = CaseBase.build(bundle, [views], tmp_path / "base", index="hnsw")
    assert (base.folder / "index" / "graph.faiss").is_file()
    vectors = base.vectors()
    assert base.nearest(vectors.matrix, 1)[0][:, 0].tolist() == vectors.ids.tolist()
    base.add([small_set(tmp_path / "a", "a")])
    vectors = base.vectors()
    assert base.nearest(vectors.matrix, 1)[0][:, 0].tolist() == vectors.ids.tolist()
    assert isinstance(base._loaded().index, Hnsw)
    assert base.stats().index == "hnsw"


def test_every_error_is_of_the_project(tmp_path):
    with pytest.raises(SonopriorError):
        CaseBase.open(tmp_path / "none")

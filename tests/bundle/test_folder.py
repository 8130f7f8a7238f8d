"""The bundle as a folder: sealed, opened, and refused where it is not what was exported."""

import json

import pytest

from sonoprior.bundle.folder import open_bundle, parts_of, seal
from sonoprior.bundle.manifest import FILE, Manifest, Overlay, Views
from sonoprior.core.errors import FolderError
from sonoprior.core.folder import STAMP

SAID = {
    "name": "run",
    "side": 48,
    "views": Views(level="view", classes=["left", "right"]),
    "levels": {},
    "compared": ["features"],
    "dimension": 4,
    "overlay": Overlay(
        asked="stage3",
        tap="stage3",
        how="graph",
        method="grad",
        target="sum",
        width=2,
        maps=["lesion", "free channels"],
    ),
    "terms": {"view": {"left": "T1"}},
    "case_set": "phantom",
    "simulated": True,
    "trained": {"recipe": "tiny"},
}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "bundle"
    made.mkdir()
    (made / "network.onnx").write_bytes(b"a network")
    (made / "card.md").write_text("what it is for")
    return made


def changed(folder, **fields):
    content = json.loads((folder / FILE).read_text()) | fields
    (folder / FILE).write_text(json.dumps(content))


def test_what_was_sealed_is_what_is_opened(folder):
    sealed = seal(folder, SAID)
    opened = open_bundle(folder)
    assert opened == sealed
    assert set(opened.files) == {"network.onnx", "card.md"}
    assert opened.space == opened.files["network.onnx"][:16]
    assert opened.class_terms("view") == {"left": "T1"}
    assert opened.class_terms("stage") == {}
    assert opened.views is not None
    assert opened.views.classes == ["left", "right"]


def test_the_space_is_that_of_the_network_alone(folder):
    before = seal(folder, SAID).space
    (folder / FILE).unlink(), (folder / STAMP).unlink()
    (folder / "card.md").write_text("a better card")
    assert seal(folder, SAID).space == before
    (folder / FILE).unlink(), (folder / STAMP).unlink()
    (folder / "network.onnx").write_bytes(b"another network")
    assert seal(folder, SAID).space != before


def test_all_parts_are_copied(folder, tmp_path):
    manifest = seal(folder, SAID)
    copy = tmp_path / "copy"
    copy.mkdir()
    for part in parts_of(folder, manifest):
        (copy / part.name).write_bytes(part.read_bytes())
    assert open_bundle(copy) == manifest


@pytest.mark.parametrize("several", ["several", "clusters"])
def test_views_say_whether_a_frame_may_show_several(several):
    assert Views(level="organ", classes=["liver"], named_by=several).several
    assert not Views(level="organ", classes=["liver"], named_by="means").several


def test_a_bundle_that_names_nothing_names_nothing(folder):
    seal(folder, SAID | {"views": None})
    assert open_bundle(folder).views is None


def test_a_missing_file_is_named(folder):
    seal(folder, SAID)
    (folder / "network.onnx").unlink()
    with pytest.raises(FolderError, match=r"network\.onnx is missing"):
        open_bundle(folder)


def test_a_damaged_file_is_named(folder):
    seal(folder, SAID)
    (folder / "network.onnx").write_bytes(b"a networj")
    with pytest.raises(FolderError, match=r"network\.onnx is damaged"):
        open_bundle(folder)


def test_a_newer_bundle_is_refused_with_what_to_do(folder):
    seal(folder, SAID)
    stamped = json.loads((folder / STAMP).read_text()) | {"format": 2}
    (folder / STAMP).write_text(json.dumps(stamped))
    with pytest.raises(FolderError, match=r"bundle has format 2.*install a newer sonoprior"):
        open_bundle(folder)


def test_another_kind_of_folder_is_refused(folder, tmp_path):
    with pytest.raises(FolderError, match="not a bundle folder"):
        open_bundle(tmp_path)
    seal(folder, SAID)
    (folder / STAMP).write_text('{"kind": "run", "format": 1}')
    with pytest.raises(FolderError, match="must be a bundle folder, but it is marked as 'run'"):
        open_bundle(folder)


def test_a_damaged_manifest_names_the_field(folder):
    seal(folder, SAID)
    changed(folder, dimension="many")
    with pytest.raises(FolderError, match=r"bundle.json is damaged: 'dimension'"):
        open_bundle(folder)


def test_a_file_outside_of_the_bundle_is_never_read(folder, tmp_path):
    manifest: Manifest = seal(folder, SAID)
    (tmp_path / "secret").write_text("not yours")
    changed(folder, files=manifest.files | {"../secret": "0" * 64})
    with pytest.raises(FolderError, match="lies outside of the bundle"):
        open_bundle(folder)


def test_a_link_that_leads_outside_is_never_read(folder, tmp_path):
    (tmp_path / "secret").write_text("not yours")
    seal(folder, SAID)
    (folder / "card.md").unlink()
    (folder / "card.md").symlink_to(tmp_path / "secret")
    with pytest.raises(FolderError, match="lies outside of the bundle"):
        open_bundle(folder)

import pytest

from sonoprior.core.errors import DataError
from sonoprior.training.image_files import find_images


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("b.png", "a.PNG", "a_mask.png", "notes.txt", "deep/c.jpg", "deep/c_mask_1.png"):
        (tmp_path / name).touch()
    return tmp_path


def names(found):
    return [path.name for path in found.paths]


def test_a_folder_with_everything_in_it_but_the_outlines(folder):
    found = find_images([folder])
    assert names(found) == ["a.PNG", "b.png", "c.jpg"]
    assert found.left_out == 2


def test_no_pattern_takes_all(folder):
    assert len(find_images([folder], exclude="").paths) == 5


def test_a_file_that_is_named_is_taken(folder):
    found = find_images([folder / "a_mask.png", folder / "deep"])
    assert names(found) == ["a_mask.png", "c.jpg"]


def test_a_place_that_is_not_there(folder):
    with pytest.raises(DataError, match=r"there is no file or folder .*nowhere"):
        find_images([folder / "nowhere"])


def test_nothing_to_find(tmp_path):
    with pytest.raises(DataError, match=r"must hold images \(.png, .*, but holds none\.$"):
        find_images([tmp_path])
    (tmp_path / "x_mask.png").touch()
    with pytest.raises(DataError, match=r"holds none besides 1 that '\*_mask\*' leaves out"):
        find_images([tmp_path])

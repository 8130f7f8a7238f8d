"""Which cases had a part in a run, without their names."""

import pytest

from sonoprior.bundle.learnt import FILE, digest, read_learnt, write_learnt
from sonoprior.core.errors import FolderError


def test_what_was_written_is_read_and_names_nobody(tmp_path):
    write_learnt(tmp_path, "clinic", ["smith-1", "smith-2"])
    assert read_learnt(tmp_path) == {digest("clinic", "smith-1"), digest("clinic", "smith-2")}
    assert digest("clinic", "smith-1") != digest("other", "smith-1")
    assert "smith" not in (tmp_path / FILE).read_text()


@pytest.mark.parametrize("content", ['{"a": 1}', "[1, 2]", "no json"])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / FILE).write_text(content)
    with pytest.raises(FolderError, match=r"learnt\.json"):
        read_learnt(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FolderError, match=r"learnt\.json is missing"):
        read_learnt(tmp_path)

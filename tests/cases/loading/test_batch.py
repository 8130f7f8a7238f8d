import subprocess
import sys

import pytest
import torch

from sonoprior.cases import loading
from sonoprior.cases.loading import Batch


def test_a_batch_gives_its_fields_by_name():
    batch = Batch({"index": torch.tensor([3, 1]), "image": torch.zeros(2, 1, 4, 4)}, {})
    assert len(batch) == 2
    assert "image" in batch
    assert "prior" not in batch
    assert batch["index"].tolist() == [3, 1]


def test_a_batch_moves_whole():
    batch = Batch({"index": torch.tensor([3])}, {"prior": torch.ones(1, 2, dtype=torch.bool)}).to("meta")
    assert batch["index"].device.type == "meta"
    assert batch.present["prior"].device.type == "meta"


def test_settings_and_geometry_load_no_torch():
    code = "import sys, sonoprior.cases.loading as it; it.AugmentSpec; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_exported_name_is_there():
    assert all(getattr(loading, name) for name in loading.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Loadr'"):
        loading.Loadr  # noqa: B018

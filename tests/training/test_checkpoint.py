import math
import struct
from dataclasses import replace

import pytest
import torch
from safetensors import SafetensorError
from torch import nn

from sonoprior.core.errors import FolderError
from sonoprior.training.checkpoint import (
    Checkpoint,
    Progress,
    copied,
    optimiser_state,
    restore_optimiser,
)


@pytest.fixture
def checkpoint():
    weights = {"layer.weight": torch.arange(6.0).reshape(2, 3), "count": torch.tensor(5)}
    optimiser = {"0.exp_avg": torch.ones(2, 3), "0.step": torch.tensor(4.0)}
    row = {"epoch": 1, "train.loss": 0.1 + 0.2, "val.auroc": math.nan}
    return Checkpoint(Progress(2, 1, 1 / 3, [row]), weights, {"half": torch.ones(3).half()}, optimiser)


def test_what_is_saved_comes_back_bit_for_bit(checkpoint, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    checkpoint.save(path)
    again = Checkpoint.load(path)
    assert again.progress.best_value == 1 / 3
    assert again.progress.rows[0]["train.loss"] == 0.1 + 0.2
    assert math.isnan(again.progress.rows[0]["val.auroc"])
    for part in ("weights", "best", "optimiser"):
        kept, came = getattr(checkpoint, part), getattr(again, part)
        assert kept.keys() == came.keys()
        assert all(torch.equal(kept[name], came[name]) for name in kept)
        assert all(kept[name].dtype == came[name].dtype for name in kept)


def test_nothing_else_is_left_in_the_folder(checkpoint, tmp_path):
    checkpoint.save(tmp_path / "checkpoint.safetensors")
    checkpoint.save(tmp_path / "checkpoint.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]


def damage_header(content: bytes) -> bytes:
    return b"\xff" + content[1:]


def damage_tensor(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def drop_metadata(_content: bytes) -> bytes:
    header = b"{}"
    return struct.pack("<Q", len(header)) + header


@pytest.mark.parametrize(
    "damage", [damage_header, damage_tensor, drop_metadata, lambda content: content[:-3], lambda _: b""]
)
def test_a_damaged_checkpoint_is_refused(checkpoint, tmp_path, damage):
    path = tmp_path / "checkpoint.safetensors"
    checkpoint.save(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(FolderError, match=r"checkpoint\.safetensors is damaged: .*remove it and resume"):
        Checkpoint.load(path)


def test_a_newer_checkpoint_is_refused(checkpoint, tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.safetensors"
    monkeypatch.setattr("sonoprior.training.checkpoint.FORMAT", 2)
    checkpoint.save(path)
    monkeypatch.undo()
    with pytest.raises(FolderError, match="this checkpoint has format 2"):
        Checkpoint.load(path)


def test_a_disk_that_fills_up_leaves_the_last_checkpoint(checkpoint, tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.safetensors"
    checkpoint.save(path)

    def full(_tensors, place, metadata):
        place.write_bytes(b"half")
        raise SafetensorError("No space left on device")

    monkeypatch.setattr("sonoprior.training.checkpoint.save_file", full)
    with pytest.raises(FolderError, match=r"cannot write .*checkpoint\.safetensors: No space left on device"):
        checkpoint.save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.safetensors"]
    assert Checkpoint.load(path).progress.epochs == 2


def network() -> nn.Module:
    # A fused step reads memory in order, and a file forgets that the channels were last.
    layers = nn.Conv2d(3, 5, 2), nn.Flatten(), nn.Linear(20, 2)
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def steps(model: nn.Module, optimiser: torch.optim.Optimizer, count: int) -> None:
    images = torch.arange(54.0).reshape(2, 3, 3, 3).div(54).to(memory_format=torch.channels_last)
    for _ in range(count):
        optimiser.zero_grad()
        model(images).square().sum().backward()
        optimiser.step()


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
def test_an_optimiser_goes_on_as_if_it_had_never_stopped(kind, fused, checkpoint, tmp_path):
    torch.manual_seed(0)
    model = network()
    optimiser = kind(model.parameters(), lr=0.1, fused=fused)
    steps(model, optimiser, 3)
    kept = replace(checkpoint, weights=copied(model), optimiser=optimiser_state(optimiser))
    kept.save(tmp_path / "checkpoint.safetensors")
    steps(model, optimiser, 2)

    read = Checkpoint.load(tmp_path / "checkpoint.safetensors")
    resumed = network()
    resumed.load_state_dict(read.weights)
    other = kind(resumed.parameters(), lr=0.1, fused=fused)
    restore_optimiser(other, read.optimiser)
    steps(resumed, other, 2)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), resumed.parameters(), strict=True))


def test_a_copy_does_not_change_with_the_module():
    model = nn.Linear(3, 2)
    before = copied(model)
    with torch.no_grad():
        model.weight.add_(1)
    assert not torch.equal(before["weight"], model.weight)

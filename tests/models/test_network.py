"""Backbones, taps and weights by name, and what is said where they cannot be had."""

import pickle
import re

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sonoprior.core.errors import ModelError
from sonoprior.models import ModelSpec, build_network, list_taps
from sonoprior.models.catalogue import named_taps


def own(num_classes: int, in_chans: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(in_chans, 4, 3), nn.Flatten(), nn.LazyLinear(num_classes))


def not_a_module(**_settings: int) -> str:
    return "nothing"


@pytest.mark.parametrize(
    ("backbone", "tap", "path"),
    [
        ("resnet18", "stage3", "backbone.layer3"),
        ("resnet18", "layer2.1.conv1", "backbone.layer2.1.conv1"),
        ("regnetx_002", "stage3", "backbone.s3"),
        ("regnetx_002", "default", "backbone.s3"),
        ("vgg16", "default", "backbone.features.27"),
        ("efficientnet_b0", "last", "backbone.blocks.6"),
    ],
)
def test_taps_by_name_and_by_path(backbone, tap, path):
    assert build_network(ModelSpec(backbone=backbone, tap=tap), 2)[1].layer == path


def test_normalisation_stands_inside():
    network, _ = build_network(ModelSpec(backbone="test_resnet", tap="last"), 2)
    network.eval()
    images = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(network(images), network.backbone((images - network.mean) / network.std))
    assert {"mean", "std"} < set(network.state_dict())


def test_a_module_of_ones_own():
    network, tap = build_network(ModelSpec(backbone=f"{__name__}:own", tap="0"), 2)
    assert network(torch.rand(3, 1, 8, 8)).shape == (3, 2)
    assert tap.layer == "backbone.0"
    assert named_taps(network.backbone) == {}


def test_every_listed_tap_can_be_built():
    network, _ = build_network(ModelSpec(backbone="resnet18", tap="last"), 2)
    listed = dict(list_taps(network.backbone))
    assert listed == {
        "stage1": "layer1",
        "stage2": "layer2",
        "stage3, default": "layer3",
        "last, stage4": "layer4",
    }


def state(classes: int, channels: int = 1) -> dict[str, torch.Tensor]:
    import timm

    torch.manual_seed(5)
    return timm.create_model("test_resnet", num_classes=classes, in_chans=channels).state_dict()


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_weights_from_a_file(tmp_path, suffix):
    path = tmp_path / f"weights.{suffix}"
    save_file(state(2), path) if suffix == "safetensors" else torch.save(state(2), path)
    network, _ = build_network(ModelSpec(backbone="test_resnet", tap="last", weights=str(path)), 2)
    for name, value in state(2).items():
        torch.testing.assert_close(network.backbone.state_dict()[name], value)


def test_weights_made_for_colour_and_other_classes(tmp_path):
    save_file(state(10, channels=3), tmp_path / "rgb.safetensors")
    spec = ModelSpec(backbone="test_resnet", tap="last", weights=str(tmp_path / "rgb.safetensors"))
    loaded = build_network(spec, 2)[0].backbone
    colour = state(10, channels=3)
    torch.testing.assert_close(loaded.conv1[0].weight, colour["conv1.0.weight"].sum(1, keepdim=True))
    assert loaded.get_classifier().weight.shape[0] == 2


class Payload:
    def __reduce__(self):
        return print, ("opened",)


def test_nothing_is_unpickled(tmp_path, capsys):
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Payload(), protocol=2))
    torch.save({"model": Payload()}, tmp_path / "zipped.pth")
    for name in ("evil.pth", "zipped.pth"):
        spec = ModelSpec(backbone="test_resnet", tap="last", weights=str(tmp_path / name))
        with pytest.raises(ModelError, match="holds more than tensors and is not opened"):
            build_network(spec, 2)
    assert "opened" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"backbone": "resnet_of_mine"}, "backbone must be a timm name or 'module:callable', but got"),
        ({"backbone": "no.such:thing"}, "backbone 'no.such:thing' cannot be imported"),
        ({"backbone": f"{__name__}:absent"}, "cannot be imported"),
        ({"backbone": f"{__name__}:not_a_module"}, "must return a torch module, but gave"),
        ({"backbone": f"{__name__}:own", "weights": "hub"}, "the hub has no weights for your own backbone"),
        (
            {"tap": "stage9"},
            "tap must be one of default, stage1.*last, or the path of a submodule, but got 'stage9'",
        ),
        (
            {"weights": "missing.safetensors"},
            "weights must be 'none', 'hub', a file or the folder of a run, but there is no missing",
        ),
    ],
)
def test_what_cannot_be_had_is_said(spec, message):
    with pytest.raises(ModelError, match=message):
        build_network(ModelSpec(**({"backbone": "test_resnet", "tap": "last"} | spec)), 2)


def test_without_a_network_the_hub_says_what_to_do(monkeypatch):
    import timm

    def unreachable(*_args, **_settings):
        raise OSError("no route to host")

    monkeypatch.setattr(timm, "create_model", unreachable)
    with pytest.raises(
        ModelError, match=r"cannot be fetched from the hub; set model.weights to a safetensors file"
    ):
        build_network(ModelSpec(backbone="resnet18", tap="last", weights="hub"), 2)


def test_damaged_and_misfit_weights(tmp_path):
    (tmp_path / "damaged.safetensors").write_bytes(b"\x00" * 20)
    (tmp_path / "damaged.pth").write_bytes(b"PK\x03\x04 not a zip")
    save_file({"other": torch.zeros(2)}, tmp_path / "other.safetensors")
    torch.save([torch.zeros(2)], tmp_path / "list.pth")
    messages = {
        "damaged.safetensors": "cannot be read as weights",
        "damaged.pth": "cannot be read as weights",
        "other.safetensors": "does not fit the backbone 'test_resnet': missing .* unknown other",
        "list.pth": "must hold a state dict",
    }
    for name, message in messages.items():
        with pytest.raises(ModelError, match=message) as caught:
            build_network(ModelSpec(backbone="test_resnet", tap="last", weights=str(tmp_path / name)), 2)
        assert re.search(name, str(caught.value))

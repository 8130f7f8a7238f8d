import numpy as np
import onnxruntime
import pytest
import torch
from sklearn.covariance import LedoitWolf

from sonoprior.core.errors import DataError
from sonoprior.export.unfamiliarity import Unfamiliarity


def drawn(n=400, channels=12, seed=0):
    rng = np.random.default_rng(seed)
    mixed = np.random.default_rng(99).normal(size=(channels, channels))
    return (rng.normal(size=(n, channels)) @ mixed + 3).astype(np.float32)


def strangeness(module, features):
    return module(torch.from_numpy(features)).numpy()


def test_it_is_the_mahalanobis_distance_of_scikit_learn():
    features, new = drawn(), drawn(50, seed=1)
    squared = LedoitWolf().fit(features.astype(np.float64)).mahalanobis(new)
    found = strangeness(Unfamiliarity.fit(features), new)
    assert found == pytest.approx(np.sqrt(squared / 12), rel=1e-4)


def test_training_frames_lie_about_one_away():
    features = drawn(2000)
    assert (strangeness(Unfamiliarity.fit(features), features) ** 2).mean() == pytest.approx(1, abs=0.15)


def test_what_lies_further_out_is_stranger():
    features = drawn()
    outwards = features.mean(0) + np.arange(1, 5, dtype=np.float32)[:, None] * (
        features[0] - features.mean(0)
    )
    assert (np.diff(strangeness(Unfamiliarity.fit(features), outwards)) > 0).all()


def test_fewer_frames_than_channels_and_channels_without_use_do_not_break_it():
    features = drawn(20, channels=64)
    features[:, 5:30] = 0
    module = Unfamiliarity.fit(features)
    assert np.isfinite(strangeness(module, features)).all()
    far = strangeness(module, features + 100)
    assert (far > strangeness(module, features).max()).all()


def test_it_stands_in_a_graph(tmp_path):
    features = drawn()
    module = Unfamiliarity.fit(features).eval()
    program = torch.onnx.export(
        module,
        (torch.from_numpy(features[:3]),),
        dynamo=True,
        dynamic_shapes={"features": {0: torch.export.Dim("b")}},
    )
    program.save(tmp_path / "strange.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "strange.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: features[:17]})
    assert found == pytest.approx(strangeness(module, features[:17]), rel=1e-5)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.ones((1, 4)), r"of two frames or more, but got shape \(1, 4\)"),
        (np.ones(4), r"but got shape \(4,\)"),
        (np.ones((5, 4)), "but all 5 are the same"),
        (np.array([[1.0, np.nan], [1, 2]]), "needs finite features, but got NaN"),
    ],
)
def test_what_cannot_be_used_is_refused(features, message):
    with pytest.raises(DataError, match=message):
        Unfamiliarity.fit(features)

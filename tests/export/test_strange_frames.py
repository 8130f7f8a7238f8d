"""What is none of the training's pictures is found by the number that a bundle keeps, with a tiny network."""

import cv2
import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images

from sonoprior.bundle.confidence import Confidence
from sonoprior.cases import CaseSet
from sonoprior.cases.loading.letterbox import letterbox
from sonoprior.export.confidence import Seen, fit_confidence
from sonoprior.export.graph import ExportedNetwork
from sonoprior.export.unfamiliarity import Unfamiliarity
from sonoprior.training.machine import choose_device
from sonoprior.training.predictor import load
from sonoprior.training.recipe_file import validated
from sonoprior.training.run import Computing, plan_run, train_run
from tiny import TINY, write_blobs


class Judge:
    """A tiny run with its limit of what is familiar."""

    def __init__(self, folder):
        case_set = CaseSet.open(write_blobs(folder / "set", cases=200))
        plan = plan_run(validated(TINY, "tiny"), case_set, "plain")
        model = load(train_run(plan, folder / "run", Computing(choose_device("cpu"))), "cpu").model
        self.network = ExportedNetwork(model.network, model.tap, model.heads, 32).eval()
        frames = {part: [case_set.read_image(int(at)) for at in of] for part, of in plan.parts.items()}
        self.module = Unfamiliarity.fit(self.features(frames["train"]))
        seen = {
            part: Seen(
                np.empty((len(of), 0)),
                np.zeros(len(of), int),
                plan.groups[plan.parts[part]],
                self.strangeness(of),
            )
            for part, of in frames.items()
        }
        self.confidence: Confidence = fit_confidence(
            None, {part: seen[part] for part in ("validation", "test")}
        )

    def features(self, frames):
        squares = np.stack([letterbox(frame, self.network.side) for frame in frames])
        with torch.no_grad():
            found = self.network(torch.from_numpy(squares)[:, None])
        return found[self.network.outputs().index("features")].numpy()

    def strangeness(self, frames):
        with torch.no_grad():
            return self.module(torch.from_numpy(self.features(frames))).numpy()

    def found(self, frames):
        """The share of frames that is not familiar."""
        return 1 - self.confidence.familiar(self.strangeness(frames)).mean()


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    return Judge(tmp_path_factory.mktemp("judge"))


def photographs():
    for photograph in load_sample_images().images:
        grey = cv2.cvtColor(photograph, cv2.COLOR_RGB2GRAY)
        for start in range(0, 400, 50):
            yield grey[20:320, start : start + 240]


def checkerboards():
    rows, columns = np.mgrid[:64, :64]
    for field in range(4, 20):
        yield (255 * ((rows // field + columns // field) % 2)).astype(np.uint8)


def gradients():
    rows, columns = np.mgrid[:64, :64]
    for share in np.linspace(0, 1, 9):
        yield (4 * (share * rows + (1 - share) * columns)).clip(0, 255).astype(np.uint8)


def noise():
    rng = np.random.default_rng(0)
    for _ in range(16):
        yield rng.integers(0, 256, (64, 64)).astype(np.uint8)


def screens():
    for grey in (0, 128, 255):
        yield np.full((64, 64), grey, np.uint8)


def test_most_test_frames_are_familiar(judge):
    assert judge.confidence.familiar_on_test.value >= 0.9


@pytest.mark.parametrize("pictures", [photographs, checkerboards, gradients, noise, screens])
def test_what_is_no_such_picture_is_found(judge, pictures):
    assert judge.found(list(pictures())) >= 0.9

"""Alignment, debiasing and flexible thresholds over several batches, against slow loops and counters."""

import math
import threading
from collections import Counter

import pytest
import torch

from sonoprior.core.errors import RecipeError
from sonoprior.objectives.fixmatch import FixMatch
from sonoprior.objectives.fixmatch_two_heads import HeadLogits, TwoHeadFixMatch
from sonoprior.objectives.flexible_thresholds import FlexibleThresholds
from sonoprior.objectives.semi_supervised_settings import (
    FixMatchSettings,
    FlexibleThresholdSettings,
    TwoHeadFixMatchSettings,
)

COUNTS = torch.tensor([6, 3, 1])
DECAY = 0.8
EVERY = [
    {"alignment": {"decay": DECAY}},
    {"debiasing": {"decay": DECAY}},
    {"debiasing": {"decay": DECAY, "strength": 1.5, "margins": False}},
    {"flexible": {}},
    {"flexible": {"warm_up": False}},
    {"flexible": {}, "alignment": {"decay": DECAY}},
    {"inliers": {"energy": -2.5}},
    {"inliers": {"energy": -2.5, "temperature": 2.0}, "debiasing": {"decay": DECAY}},
]
every = pytest.mark.parametrize("given", EVERY, ids=str)


def batch(seed, size=8):
    generator = torch.Generator().manual_seed(seed)
    weak, strong = 2 * torch.randn(2, size, 3, generator=generator, dtype=torch.float64)
    images = torch.randperm(20, generator=generator)[:size]
    return weak + torch.tensor([1.0, 0.0, -1.0]), strong.requires_grad_(), images


def fixmatch(given, threshold=0.7):
    return FixMatch(FixMatchSettings(threshold=threshold, **given), 3, COUNTS, images=20)


class Slow:
    """FixMatch with its corrections, image by image."""

    def __init__(self, given, threshold=0.7):
        self.given, self.threshold = given, threshold
        self.mean = [1 / 3] * 3
        self.reached = [-1] * 20

    def thresholds(self):
        if "flexible" not in self.given:
            return [self.threshold] * 3
        counts = Counter(self.reached)
        if not self.given["flexible"].get("warm_up", True):
            counts.pop(-1, None)
        most = max(counts.values(), default=1)
        status = [counts[c] / most for c in range(3)]
        return [self.threshold * each / (2 - each) for each in status]

    def is_used(self, logits, highest, threshold):
        if "inliers" not in self.given:
            return highest >= threshold
        temperature = self.given["inliers"].get("temperature", 1.0)
        total = sum(math.exp(each / temperature) for each in logits.tolist())
        return -temperature * math.log(total) <= self.given["inliers"]["energy"]

    def __call__(self, weak, strong, images):
        p = weak.softmax(1)
        self.mean = [DECAY * self.mean[c] + (1 - DECAY) * float(p[:, c].mean()) for c in range(3)]
        mean = torch.tensor(self.mean, dtype=torch.float64)
        if "debiasing" in self.given:
            strength = self.given["debiasing"].get("strength", 0.5)
            p = (weak - strength * mean.log()).softmax(1)
            if self.given["debiasing"].get("margins", True):
                strong = strong + strength * mean.log()
        if "alignment" in self.given:
            p = torch.stack([row * COUNTS / 10 / mean for row in p])
            p = torch.stack([row / row.sum() for row in p])
        total, used, thresholds = 0.0, 0, self.thresholds()
        for i, row in enumerate(p):
            c = int(row.argmax())
            if self.is_used(weak[i], float(row[c]), thresholds[c]):
                used += 1
                total -= float(strong[i].log_softmax(0)[c])
            if row[c] >= self.threshold:
                self.reached[int(images[i])] = c
        return total, used


@every
def test_over_several_batches_they_are_their_slow_loop(given):
    loss, slow, used = fixmatch(given), Slow(given), []
    for seed in range(6):
        weak, strong, images = batch(seed)
        total, count = slow(weak, strong.detach(), images)
        term = loss(weak, strong, images=images)
        assert term.total.item() == pytest.approx(total, rel=1e-5)
        assert term.monitors["pseudo_label_rate"] == (float(count), 8.0)
        used.append(count)
    assert 0 < sum(used) < 48


@every
def test_gradients_are_those_of_finite_differences(given):
    loss = fixmatch(given)
    weak, strong, images = batch(0)
    loss(weak, strong, images=images)
    loss.eval()  # the buffers stay where they are
    assert torch.autograd.gradcheck(lambda x: loss(weak, x, images=images).total, (strong,), rtol=1e-3)


@every
def test_the_state_comes_back_and_evaluation_leaves_it(given):
    loss, copy = fixmatch(given), fixmatch(given)
    for seed in range(3):
        weak, strong, images = batch(seed)
        loss(weak, strong, images=images)
    state = {name: value.clone() for name, value in loss.state_dict().items()}
    assert len(state) == len(given.keys() - {"inliers"})
    loss.eval()
    loss(*batch(7)[:2], images=batch(7)[2])
    torch.testing.assert_close(dict(loss.state_dict()), state)
    copy.load_state_dict(state)
    loss.train()
    weak, strong, images = batch(8)
    found, again = loss(weak, strong, images=images), copy(weak, strong, images=images)
    torch.testing.assert_close(found.total, again.total)
    torch.testing.assert_close(dict(loss.state_dict()), dict(copy.state_dict()))


@every
def test_what_is_not_a_number_enters_no_buffer(given):
    loss, without = fixmatch(given), fixmatch(given)
    weak, strong, images = batch(0)
    strange = weak.clone()
    strange[2] = torch.nan
    kept = torch.arange(8) != 2
    term = loss(strange, strong, images=images)
    wanted = without(weak[kept], strong[kept], images=images[kept])
    torch.testing.assert_close(term.total, wanted.total)
    torch.testing.assert_close(dict(loss.state_dict()), dict(without.state_dict()))
    fixmatch(given)(weak[:0], strong[:0], images=images[:0])


def test_an_image_of_no_class_is_not_learnt_however_sure_its_label_is():
    """A softmax is sure of the least unlikely class, too, where all are unlikely."""
    weak = torch.tensor([[9.0, 0.0, 0.0], [-20.0, -20.0, -9.0]])
    strong = torch.zeros(2, 3)
    sure = FixMatch(FixMatchSettings(threshold=0.95), 3)(weak, strong)
    inliers = FixMatch(FixMatchSettings(inliers={"energy": -8}), 3)(weak, strong)
    assert sure.monitors["pseudo_label_rate"] == (2.0, 2.0)
    assert inliers.monitors["pseudo_label_rate"] == (1.0, 2.0)
    infinite = torch.tensor([[torch.inf, 0.0, 0.0]])
    assert FixMatch(FixMatchSettings(inliers={"energy": 0}), 3)(infinite, strong[:1]).total == 0


def test_aligned_predictions_have_the_labelled_shares():
    """The paper's point: once the mean is known, the mean of rows scaled by it is the labelled one."""
    loss = fixmatch({"alignment": {"decay": 0}})
    p = batch(0)[0].softmax(1)
    loss.labeller.alignment(p)
    scaled = (p * loss.labeller.alignment.wanted / p.mean(0)).mean(0)
    torch.testing.assert_close(scaled, COUNTS.double() / 10, rtol=1e-5, atol=1e-6)
    absent = FixMatch(FixMatchSettings(threshold=0, alignment={}), 3, torch.tensor([1, 1, 0]))
    sure_of_it = torch.tensor([[0.0, 0.0, 9.0]])
    truth = torch.tensor([2])
    assert absent(sure_of_it, sure_of_it, truth).monitors["pseudo_label_accuracy"] == (0.0, 1.0)


def test_a_bias_that_every_image_shares_is_taken_off():
    """With strength 1 and no evidence, what is left after many batches is uniform."""
    loss = fixmatch({"debiasing": {"decay": 0.5, "strength": 1.0}}, threshold=0)
    same = torch.tensor([3.0, 0.0, -1.0]).repeat(8, 1)
    for _ in range(40):
        loss(same, same)
    left = loss.labeller.debiasing.eval()(same).softmax(1)
    torch.testing.assert_close(left, torch.full((8, 3), 1 / 3), rtol=1e-4, atol=1e-5)


def test_the_two_heads_take_the_corrections_on_the_combinations():
    combinations = torch.tensor([[0, 1], [1, 0], [1, 1]])
    for given in EVERY:
        settings = TwoHeadFixMatchSettings(threshold=0.7, **given)
        two_heads = TwoHeadFixMatch(settings, combinations, COUNTS, images=20)
        plain = fixmatch(given)
        for seed in range(3):
            weak, strong, images = batch(seed)
            of_labels = strong[:, :2]
            found = two_heads(HeadLogits(weak, of_labels), HeadLogits(strong, of_labels), images=images)
            torch.testing.assert_close(found.total, plain(weak, strong, images=images).total)


class Together:
    """Stands in for the reductions of two processes that run as threads."""

    def __init__(self):
        self.barrier, self.given = threading.Barrier(2, timeout=20), {}

    def all_reduce(self, tensor, operation):
        self.given[threading.get_ident()] = tensor.clone()
        self.barrier.wait()
        both = torch.stack(list(self.given.values()))
        found = both.sum(0) if operation == torch.distributed.ReduceOp.SUM else both.amax(0)
        self.barrier.wait()
        tensor.copy_(found)


@every
def test_two_processes_keep_the_state_of_one(given, monkeypatch):
    """An uneven split, and in the second batch one process has no image at all."""
    weak, strong, images = batch(0)
    whole = fixmatch(given)
    parts = [fixmatch(given), fixmatch(given)]
    splits = [[slice(0, 5), slice(5, 8)], [slice(0, 8), slice(8, 8)]]
    for _ in splits:
        whole(weak, strong, images=images)

    def train(loss, slices):
        for rows in slices:
            loss(weak[rows], strong[rows], images=images[rows])

    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "all_reduce", Together().all_reduce)
    threads = [
        threading.Thread(target=train, args=(parts[rank], [each[rank] for each in splits])) for rank in (0, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for part in parts:
        torch.testing.assert_close(dict(part.state_dict()), dict(whole.state_dict()))


def test_thresholds_rise_to_the_full_one_as_classes_are_learned():
    flexible = FlexibleThresholds(FlexibleThresholdSettings(), 0.9, classes=3, images=6)
    assert flexible.thresholds().tolist() == [0, 0, 0]
    sure = torch.full((6,), 0.95)
    flexible(sure[:3], torch.tensor([0, 0, 1]), torch.arange(3))
    # Three images have not reached it yet; 2 / 3 and 1 / 3 of that many have, and x / (2 - x) of these is:
    torch.testing.assert_close(flexible.thresholds(), 0.9 * torch.tensor([1 / 2, 1 / 5, 0]))
    flexible(sure, torch.arange(6) % 3, torch.arange(6))
    torch.testing.assert_close(flexible.thresholds(), torch.full((3,), 0.9))


def test_bad_input_is_refused():
    settings = FixMatchSettings(flexible={}, alignment={})
    with pytest.raises(RecipeError, match=r"labelled cases of each of the 3 classes, but got None"):
        FixMatch(settings, 3, images=5)
    with pytest.raises(RecipeError, match=r"labelled cases of each of the 4 classes, but got \(3,\)"):
        FixMatch(settings, 4, COUNTS, images=5)
    with pytest.raises(RecipeError, match=r"at least 0 each and not all 0, but got \[0, 0, 0\]"):
        FixMatch(settings, 3, 0 * COUNTS, images=5)
    with pytest.raises(RecipeError, match="how many unlabelled images there are, at least 1, but got None"):
        FixMatch(settings, 3, COUNTS)
    loss, (weak, strong, images) = fixmatch({"flexible": {}}), batch(0)
    with pytest.raises(RecipeError, match="need the numbers of the 8 images of the batch, but got None"):
        loss(weak, strong)
    with pytest.raises(RecipeError, match=r"must lie in \[0, 20\), but got .* to 2\d"):
        loss(weak, strong, images=images + 10)

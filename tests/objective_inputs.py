"""A small network with every head, a context around it, and batches for any objective."""

from types import SimpleNamespace

import torch
from torch import nn

from sonoprior.models.heads import Heads
from sonoprior.models.taps import Tap
from sonoprior.objectives import OBJECTIVES
from sonoprior.objectives.base import Context, Output, ShownTerms
from sonoprior.objectives.settings import SETTINGS
from sonoprior.objectives.text_towers import FrozenTextTower

MEMBERS = torch.tensor([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 1], [1, 1, 1]]).bool()
"""Five label combinations of three labels; the last one has no logit of its own."""
STREAM = torch.tensor([30, 3, 5, 8, 12, 13, 21, 22, 34, 40])
"""Where the cases of the unlabelled stream stand in their case set, in no order."""
VIEWS = ("only", "first", "second", "weak", "strong")


def heads(several=False, **changes):
    given = {
        "classes": 3 if several else 4,
        "levels": ("view", "meta"),
        "dimension": 8,
        "inference": ("view",),
        "several": several,
        "combinations": 4,
        "clusters": 5,
    }
    return Heads(**(given | changes))


def network(width, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 8, 3, stride=2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, width),
    )


class Knowledge:
    """Four views of two meta-views, said and drawn at random."""

    def __init__(self):
        self.classes = {"view": ["a", "b", "c", "d"], "meta": ["ab", "cd"]}
        self.paths = torch.tensor([[0, 0], [1, 0], [2, 1], [3, 1]])

    def similarity(self, level):
        return self._symmetric(len(self.classes[level]))

    def distances(self, level):
        return self._symmetric(len(self.classes[level])).fill_diagonal_(0)

    def texts(self, level, dimension, *, trained):
        return FrozenTextTower(torch.eye(len(self.classes[level])), dimension)

    def terms(self):
        return ShownTerms(torch.eye(4).bool().repeat(12, 1), self._symmetric(4), torch.tensor([0, 2, 1, 3]))

    def _symmetric(self, size):
        drawn = torch.rand(size, size, generator=torch.Generator().manual_seed(1))
        return ((drawn + drawn.T) / 2).fill_diagonal_(1)


def context(several=False, **changes):
    given = changes.pop("heads", heads(several))
    values = {
        "network": network(given.width),
        "tap": Tap("2"),
        "example": torch.rand(2, 1, 16, 16),
        "level": "view",
        "class_counts": torch.tensor([1, 4, 3, 2, 0] if several else [4, 3, 2, 1]),
        "priors": ("lesion",),
        "heads": given,
        "sizes": {"view": 5 if several else 4, "meta": 2},
        "knowledge": Knowledge(),
        "members": MEMBERS if several else None,
        "combinations": torch.arange(4) if several else None,
        "streams": {"labelled": torch.arange(9), "unlabelled": STREAM, "other": STREAM},
    }
    return Context(**(values | changes))


def objective(name, given=None, **settings):
    return OBJECTIVES.load(name)(SETTINGS[name](**settings), context() if given is None else given)


def batch(size=8, seed=0, several=False):
    """Cases of known labels, with priors for most, at the first places of the stream."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.arange(size) % 4
    fields = {
        "image": torch.rand(size, 1, 16, 16, generator=generator),
        "index": STREAM.sort().values[:size],
        "mirrored": torch.arange(size) % 3 == 0,
        "label.view": numbers,
        "label.meta": numbers // 2,
        "label.truth": (numbers + 1) % (5 if several else 4),
        "prior": torch.rand(size, 1, 16, 16, generator=generator),
    }
    return SimpleNamespace(fields=fields, present={"prior": (torch.arange(size) > 0)[:, None]})


def batches(size=8, several=False):
    """Every stream with every view, each with images of its own."""
    views = {view: batch(size, seed, several) for seed, view in enumerate(VIEWS)}
    return {"labelled": views, "unlabelled": views, "other": views}


def drawn(given, size=8, scale=6.0):
    """Outputs of every view as if a network had given them, that can be differentiated."""
    torch.manual_seed(3)
    return {
        view: Output((scale * torch.randn(size, given.heads.width)).requires_grad_(), heads=given.heads)
        for view in VIEWS
    }

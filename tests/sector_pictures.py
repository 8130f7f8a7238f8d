"""Simple pictures of sectors, and which of B images is shown when."""

import numpy as np
import torch

from sonoprior.cases.loading.draws import Showing

SIDE = 96


def places(side=SIDE):
    """x and y of each pixel, -1 to 1, (side, side) each."""
    centres = (np.arange(side) * 2 + 1) / side - 1
    return np.meshgrid(centres, centres)


def fan(apex=(0.0, -1.4), half_angle=0.5, begins=0.6, ends=2.2, level=120, side=SIDE):
    """A fan of even grey, (side, side) uint8."""
    x, y = places(side)
    angle, far = np.arctan2(x - apex[0], y - apex[1]), np.hypot(x - apex[0], y - apex[1])
    return (((np.abs(angle) < half_angle) & (far > begins) & (far < ends)) * level).astype(np.uint8)


def box(rows=slice(10, 80), columns=slice(20, 70), level=120):
    """A box of even grey, as of a linear probe, (SIDE, SIDE) uint8."""
    picture = np.zeros((SIDE, SIDE), np.uint8)
    picture[rows, columns] = level
    return picture


def batch_of(*pictures):
    return torch.from_numpy(np.stack(pictures))[:, None]


def showing(count, seed=0, epoch=0, view=""):
    return Showing(seed, epoch, np.arange(count), np.zeros(count, np.int64), view)

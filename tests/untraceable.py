"""A backbone whose tail no trace can follow, by its import path."""

import torch
from torch import nn

UNTRACEABLE = "untraceable:depends"


class Depends(nn.Module):
    """What follows the tap depends on what it sees."""

    def __init__(self, num_classes, in_chans):
        super().__init__()
        self.stem = nn.Conv2d(in_chans, 4, 3, stride=4)
        self.head = nn.Linear(4, num_classes)

    def forward(self, images):
        found = self.stem(images)
        found = torch.relu(found) if found.mean() > 0 else found.exp()
        return self.head(found.amax((2, 3)))


def depends(num_classes, in_chans):
    return Depends(num_classes, in_chans)

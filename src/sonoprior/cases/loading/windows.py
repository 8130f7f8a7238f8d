"""Which part of the picture fills the image: zooms that know where the probe and the sector are."""

import numpy as np
import torch
from torch import Tensor

from .draws import Showing
from .sector import Sectors
from .warp import grid, sample

_TRIED = 6  # windows drawn for an image; the first that holds enough tissue is taken
_POINTS = 16  # places a side where a window is asked for tissue


def zoomed_in_depth(most: float, sectors: Sectors, showing: Showing) -> Tensor:
    """Maps from places in the result to places in the source, (B, 2, 3), about the middle of the upper edge.

    Args:
        most: 0.2 is between 1.2 times smaller and 1.2 times larger.
        sectors: of the B images.
        showing: what is drawn for.
    """
    top = sectors.top()
    sign = 2 * showing.uniforms("depth_zoom")[0] - 1
    side = _column((1 + most) ** -sign, top)
    return _window(top * (1 - side), side)


def zoomed_into_sector(most: float, sectors: Sectors, showing: Showing) -> Tensor:
    """Maps as above, each onto a square part of the sector.

    No part holds less tissue, as a share of its area, than the smallest square around the whole sector,
    which is taken itself where none of the parts drawn holds as much.

    Args:
        most: 0.2 is up to 1.2 times larger than the whole sector.
        sectors: of the B images.
        showing: what is drawn for.
    """
    centre, half = sectors.boxes()
    u = showing.uniforms("sector_zoom")
    whole = half.amax(1, keepdim=True)
    side = whole * _column((1 + most) ** -u[0], centre)
    room = (half - side).clamp(min=0)
    drawn = torch.from_numpy(u[1:].astype(np.float32)).to(centre.device).reshape(_TRIED, 2, -1)
    places = centre + room * (2 * drawn.transpose(1, 2) - 1)  # (tried, B, 2)
    tried = torch.stack([_window(place, side) for place in places] + [_window(centre, whole)])
    shares = torch.stack([_tissue_share(window, sectors.tissue) for window in tried])
    first = (shares >= shares[-1]).int().argmax(0)
    return tried[first, torch.arange(len(centre), device=centre.device)]


def composed(outer: Tensor, inner: Tensor) -> Tensor:
    """The map that goes through `inner` first and then through `outer`, (B, 2, 3)."""
    turned = outer[:, :, :2] @ inner
    return torch.cat([turned[:, :, :2], turned[:, :, 2:] + outer[:, :, 2:]], 2)


def _tissue_share(window: Tensor, tissue: Tensor) -> Tensor:
    return sample(tissue[:, None].float(), grid(window, _POINTS)).mean((1, 2, 3))


def _window(centre: Tensor, side: Tensor) -> Tensor:
    """The map (B, 2, 3) onto the square about `centre` (B, 2) with half the side `side` (B, 1)."""
    return torch.cat([torch.eye(2, device=side.device) * side[:, :, None], centre[:, :, None]], 2)


def _column(values: np.ndarray, like: Tensor) -> Tensor:
    return torch.from_numpy(values.astype(np.float32)).to(like.device)[:, None]

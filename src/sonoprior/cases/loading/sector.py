"""Where an image shows tissue, and which way its beams run, found from its pixels."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, max_pool2d

from .shrink import unit

_CELLS = 48
_BLACK = 4 / 255  # the mean grey level of a cell of background, that compression may have lifted a little
_OPENED = 3  # cells; smaller bright things are text, rulers and grey bars
_STEEP = 0.15  # tan of the least angle between the beam at the border of a fan and the vertical
_STRAIGHT = 0.03  # how far a border may be off a line, in image sides of 2, before a row counts less
_ROWS = 4  # that a border must be seen on
_LARGEST = 5.0  # radius of an arc, in half image sides; a flatter one says too little about its centre
_ASIDE = 0.25  # how far the centre of an arc may be from the middle of the image
_MOST = 0.6  # of the columns must end on the arc
_TURNS = 4  # of fitting a line with less weight for what is far from the last one
_TINY = 1e-6


@dataclass(frozen=True, eq=False)
class Sectors:
    """The sectors of B images; places are (x, y) from -1 (left, top edge) to 1.

    Attributes:
        tissue: bool (B, 48, 48), the cells inside, dark ones between lit ones included. All of them where
            an image is black.
        fan: bool (B,), whether the beams fan out; else they run straight down.
        apex: (B, 2), where the beams of a fan meet; of no meaning where there is none.
        across: (B, 2), the first and last beam: angles from the vertical, or x where straight.
        along: (B, 2), where the picture begins and ends: distances from the apex, or y where straight.
    """

    tissue: Tensor
    fan: Tensor
    apex: Tensor
    across: Tensor
    along: Tensor

    def beams(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Which beam each point (B, h, w, 2) is on, -1 to 1, and how deep, 0 to 1; (B, h, w) each.

        Points outside the sector have values outside these ranges.
        """
        x, y = points.unbind(-1)
        ax, ay = (self.apex[:, i, None, None] for i in range(2))
        fan = self.fan[:, None, None]
        beam = torch.where(fan, torch.atan2(x - ax, y - ay), x)
        depth = torch.where(fan, torch.hypot(x - ax, y - ay), y)
        return 2 * _between(beam, self.across) - 1, _between(depth, self.along)

    def top(self) -> Tensor:
        """The middle of the upper edge, (B, 2)."""
        middle = self.across.mean(1)
        from_apex = self.along[:, :1] * torch.stack([middle.sin(), middle.cos()], 1)
        return torch.where(
            self.fan[:, None], self.apex + from_apex, torch.stack([middle, self.along[:, 0]], 1)
        )

    def boxes(self) -> tuple[Tensor, Tensor]:
        """The centre of the box around the tissue and half its sides, (B, 2) each."""
        first, last = _extent(self.tissue)
        return (first + last) / 2, (last - first) / 2


def sectors(images: Tensor) -> Sectors:
    """Find the sectors of uint8 images (B, 1, S, S).

    A fan is taken for one where both borders of the picture run outwards along lines, alike to both sides, or
    where its lower edge is an arc about a place above. Anything else, such as a box cut from a fan, counts as
    straight.
    """
    tissue = _tissue(images)
    first, last = _extent(tissue)
    by_borders, apex = _apex(_border(tissue.flip(2)), _border(tissue))
    by_arc, centre = _arc(tissue)
    fan = by_borders | by_arc
    apex = torch.where(by_borders[:, None], apex, centre)
    sides, ends = torch.stack([first, last], 1).unbind(2)
    angles, distances = _reach(tissue, apex)
    across = torch.where(fan[:, None], angles, sides)
    along = torch.where(fan[:, None], distances, ends)
    return Sectors(tissue, fan, apex, across, along)


@dataclass(frozen=True, eq=False)
class _Border:
    """The line x = offset + slope * y that the right border follows downwards, (B,) each.

    Attributes:
        offset, slope: of the line.
        rows: on how many rows it was seen before it turned back or left the image.
    """

    offset: Tensor
    slope: Tensor
    rows: Tensor


def _apex(left: _Border, right: _Border) -> tuple[Tensor, Tensor]:
    """Whether the borders, the left one mirrored, are those of a fan (B,), and where they meet (B, 2)."""
    slopes = torch.stack([left.slope, right.slope], 1)
    alike = (left.slope - right.slope).abs() < slopes.sum(1) / 2
    seen = torch.minimum(left.rows, right.rows) >= _ROWS
    fan = seen & alike & (slopes.amin(1) > _STEEP)
    y = -(left.offset + right.offset) / torch.where(fan, slopes.sum(1), 1)
    return fan, torch.stack([right.offset + right.slope * y, y], 1)


def _arc(tissue: Tensor) -> tuple[Tensor, Tensor]:
    """Whether the lower edge of the tissue is an arc of a circle (B,), and its centre (B, 2)."""
    x = _centres(tissue).expand(len(tissue), -1)
    y = torch.where(tissue, _centres(tissue)[:, None] + 1 / _CELLS, -2).amax(1)
    seen = (y > -1) & (y < 1 - 1 / _CELLS)
    centre, radius = _circle(x, y, seen.float())
    for _ in range(_TURNS):
        error = _off_circle(x, y, centre, radius)
        centre, radius = _circle(x, y, seen / (1 + (error / _STRAIGHT) ** 2))
    error = _off_circle(x, y, centre, radius)
    on_it = (seen & (error < _STRAIGHT)).sum(1) / tissue.any(1).sum(1)
    plausible = (radius < _LARGEST) & (centre[:, 1] < 0) & (centre[:, 0].abs() < _ASIDE)
    return plausible & (on_it > _MOST), centre


def _circle(x: Tensor, y: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The circle through points (B, n): x^2 + y^2 = 2 a x + 2 b y + c by least squares; (a, b) and radius."""
    terms = torch.stack([2 * x, 2 * y, torch.ones_like(x)], 2).double()
    weighted = (terms * weights[:, :, None]).transpose(1, 2)
    ridge = _TINY * torch.eye(3, device=x.device, dtype=torch.float64)
    solved = torch.linalg.solve(weighted @ terms + ridge, weighted @ (x**2 + y**2).double()[:, :, None])
    a, b, c = solved[:, :, 0].float().unbind(1)
    return torch.stack([a, b], 1), (a**2 + b**2 + c).clamp(min=_TINY).sqrt()


def _off_circle(x: Tensor, y: Tensor, centre: Tensor, radius: Tensor) -> Tensor:
    return (torch.hypot(x - centre[:, :1], y - centre[:, 1:]) - radius[:, None]).abs()


def _reach(tissue: Tensor, apex: Tensor) -> tuple[Tensor, Tensor]:
    """The least and largest angle and distance of the tissue, seen from the apex, (B, 2) each."""
    y, x = torch.meshgrid(_centres(tissue), _centres(tissue), indexing="ij")
    right, down = x - apex[:, 0, None, None], y - apex[:, 1, None, None]
    seen = torch.stack([torch.atan2(right, down), torch.hypot(right, down)], 1)
    within = tissue[:, None]
    least = torch.where(within, seen, torch.inf).amin((2, 3))
    most = torch.where(within, seen, -torch.inf).amax((2, 3))
    angles, distances = torch.stack([least, most], 2).unbind(1)
    return angles, distances


def _tissue(images: Tensor) -> Tensor:
    lit = (adaptive_avg_pool2d(unit(images), _CELLS) > _BLACK).float()
    eroded = -max_pool2d(-lit, _OPENED, 1, _OPENED // 2)
    opened = max_pool2d(eroded, _OPENED, 1, _OPENED // 2)[:, 0] > 0
    inside = _filled(opened, 1) & _filled(opened, 2)
    return inside | ~inside.any(2).any(1)[:, None, None]


def _filled(lit: Tensor, dim: int) -> Tensor:
    """Everything between two lit cells of a row or column."""
    before = lit.int().cummax(dim).values
    after = lit.int().flip(dim).cummax(dim).values.flip(dim)
    return (before & after) > 0


def _border(tissue: Tensor) -> _Border:
    """The right border of the tissue from its first row to the first of its widest."""
    edges = torch.where(tissue, _centres(tissue) + 1 / _CELLS, -2).amax(2)
    row = torch.arange(_CELLS, device=tissue.device)
    lit = tissue.any(2)
    counted = (row >= lit.int().argmax(1)[:, None]) & (row < edges.argmax(1)[:, None]) & lit
    offset, slope = _line(edges, counted.float(), _centres(tissue))
    for _ in range(_TURNS):
        error = edges - offset[:, None] - slope[:, None] * _centres(tissue)
        offset, slope = _line(edges, counted / (1 + (error / _STRAIGHT) ** 2), _centres(tissue))
    return _Border(offset, slope, counted.sum(1))


def _line(x: Tensor, weights: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Least squares of x (B, n) against y (n,): offset and slope, (B,) each; 0 where nothing has weight."""
    total = weights.sum(1).clamp(min=_TINY)
    mean_x, mean_y = (weights * x).sum(1) / total, (weights * y).sum(1) / total
    off = y - mean_y[:, None]
    slope = (weights * off * x).sum(1) / (weights * off**2).sum(1).clamp(min=_TINY)
    return mean_x - slope * mean_y, slope


def _extent(tissue: Tensor) -> tuple[Tensor, Tensor]:
    """The upper left and the lower right corner of the box around the tissue, (B, 2) each."""
    half = 1 / _CELLS
    lit = torch.stack([tissue.any(1), tissue.any(2)], 1)
    first = torch.where(lit, _centres(tissue), 2).amin(2) - half
    last = torch.where(lit, _centres(tissue), -2).amax(2) + half
    return first, last


def _centres(tissue: Tensor) -> Tensor:
    return (torch.arange(_CELLS, device=tissue.device) * 2 + 1) / _CELLS - 1


def _between(values: Tensor, ends: Tensor) -> Tensor:
    first, last = ends[:, 0, None, None], ends[:, 1, None, None]
    return (values - first) / (last - first)

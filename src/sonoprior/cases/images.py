"""Reading images and outlines: bounded, whole, and nothing but pixels."""

import struct
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from sonoprior.core.errors import DataError

Grey: TypeAlias = NDArray[np.uint8]
Mask: TypeAlias = NDArray[np.bool_]

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif"})
SMALLEST_SIDE = 16
"""Images with a shorter side carry nothing to learn from."""
MOST_PIXELS = 64 * 1024**2
"""Images with more pixels are not read: no scanner makes them, and they fill the memory."""

_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF")
_MOST_BYTES = 256 * 1024**2
_ORIENTATION = 0x0112  # the EXIF tag; 5 to 8 stand on their side
_SIXTEEN_BITS = ("I", "I;16", "I;16B", "I;16L")
# On speckle, run lengths pack as well as the best level of zlib, in a quarter of its time.
_QUICK = {"compress_level": 1, "compress_type": zlib.Z_RLE}
# What Pillow raises on damaged files, by format; the bomb warning only where warnings are errors.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


def read_grey(path: Path) -> Grey:
    """An image as grey levels, (H, W) uint8, upright by its EXIF orientation.

    Sixteen bits are scaled by their full range, colours become luminance (ITU-R 601), and what is
    transparent is black.

    Raises:
        DataError: if the file is missing, empty, too large, damaged, or not one still image.
    """
    image = _load(path)
    if image.mode in _SIXTEEN_BITS:
        return _from_sixteen_bits(np.asarray(image), path)
    return _luminance(image, path)


def read_mask(path: Path, shape: tuple[int, int]) -> Mask:
    """An outline as (H, W) bool: true where the image is not black.

    In a JPEG, whose black is noisy, inside is what is at least half as bright as white.

    Args:
        path: the file.
        shape: (H, W) of the image that it outlines.

    Raises:
        DataError: if the file cannot be read (see `read_grey`) or has another size.
    """
    image = _load(path)
    check_shape(path, (image.height, image.width), shape)
    if image.mode in _SIXTEEN_BITS:
        return np.asarray(image) != 0
    return _luminance(image, path) >= (128 if path.suffix.lower() in (".jpg", ".jpeg") else 1)


def read_indexed(path: Path, shape: tuple[int, int]) -> Grey:
    """An indexed image as its indices, (H, W) uint8, whatever colours its palette has.

    Raises:
        DataError: if the file cannot be read, has another size, or is neither palette nor 8-bit grey.
    """
    image = _load(path)
    check_shape(path, (image.height, image.width), shape)
    if image.mode not in ("P", "L"):
        raise DataError(f"{path} must be an indexed or an 8-bit grey PNG, but has the mode '{image.mode}'.")
    return np.array(image)


def read_shape(path: Path) -> tuple[int, int]:
    """(H, W) of an image, from its header alone.

    Raises:
        DataError: if the header cannot be read, or promises more than `read_grey` takes.
    """
    with _reported(path), Image.open(path, formats=_FORMATS) as image:
        _check_header(image, path)
        on_its_side = image.getexif().get(_ORIENTATION, 1) >= 5
        return (image.width, image.height) if on_its_side else (image.height, image.width)


def check_shape(path: Path, shape: tuple[int, int], wanted: tuple[int, int]) -> None:
    """Refuse a map of another size than the image that it belongs to.

    Raises:
        DataError: naming both sizes.
    """
    if shape != wanted:
        raise DataError(
            f"{path} must have the size of its image, {wanted[1]} x {wanted[0]} pixels (width x height),"
            f" but has {shape[1]} x {shape[0]}."
        )


def write_png(path: Path, pixels: Grey) -> None:
    """Write grey levels (H, W) as a PNG, compressed quickly."""
    Image.fromarray(pixels).save(path, format="PNG", **_QUICK)


def write_indexed(path: Path, indices: Grey) -> None:
    """Write indices (H, W) as a PNG with a palette in which neighbouring indices are easy to tell apart."""
    image = Image.fromarray(indices).convert("P")
    image.putpalette(_palette())
    image.save(path, format="PNG", **_QUICK)


def _palette() -> list[int]:
    """Black, then hues a golden angle apart."""
    golden = 0.618
    hues = (np.arange(256) * golden % 1.0)[:, None]
    channels = np.abs((hues + np.array([0.0, 2 / 3, 1 / 3])) % 1.0 * 6 - 3) - 1
    colours = np.clip(channels, 0, 1) * 255
    colours[0] = 0
    return colours.astype(np.uint8).ravel().tolist()


def _load(path: Path) -> Image.Image:
    """An image within bounds, decoded to its end, and upright."""
    with _reported(path), Image.open(path, formats=_FORMATS) as image:
        _check_header(image, path)
        image.load()
        return ImageOps.exif_transpose(image)


@contextmanager
def _reported(path: Path) -> Generator[None, None, None]:
    """Turn what goes wrong while a file is decoded into one sentence about it."""
    _check_bytes(path)
    try:
        yield
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"{path} must be a PNG, JPEG, BMP, TIFF, WebP or GIF image, but is none.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{path} must not have more than {MOST_PIXELS:,} pixels: {error}") from error
    except _DAMAGE as error:
        raise DataError(f"{path} is damaged or cut short: {error}.") from error


def _check_bytes(path: Path) -> None:
    if not path.is_file():
        raise DataError(f"{path} is missing or is not a file.")
    size = path.stat().st_size
    if size == 0:
        raise DataError(f"{path} must be an image, but is empty (0 bytes).")
    if size > _MOST_BYTES:
        raise DataError(f"{path} must not be larger than {_MOST_BYTES:,} bytes, but has {size:,}.")


def _check_header(image: Image.Image, path: Path) -> None:
    if image.width * image.height > MOST_PIXELS:
        raise DataError(
            f"{path} must not have more than {MOST_PIXELS:,} pixels, but has {image.width} x {image.height}."
        )
    frames = getattr(image, "n_frames", 1)
    if frames != 1:
        raise DataError(f"{path} must be one still image, but holds {frames} frames.")


def _luminance(image: Image.Image, path: Path) -> Grey:
    if image.mode == "F":
        raise DataError(f"{path} must have 8 or 16 bits a channel, but has floating point pixels.")
    if image.has_transparency_data:
        image = _on_black(image)
    return np.array(image.convert("L"))


def _from_sixteen_bits(pixels: NDArray[np.integer], path: Path) -> Grey:
    if pixels.min() < 0 or pixels.max() > 65535:
        raise DataError(f"{path} must have 8 or 16 bits a channel, but has values up to {pixels.max()}.")
    return np.round(pixels / np.float32(257)).astype(np.uint8)


def _on_black(image: Image.Image) -> Image.Image:
    coloured = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", coloured.size, (0, 0, 0, 255)), coloured)

"""Pictures as bytes inside a page, so that one HTML file is all there is to send."""

from base64 import b64encode
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

Picture = np.ndarray | bytes | Path
"""A picture: uint8 (H, W) or (H, W, 3) RGB, the bytes of a PNG, JPEG, WebP or SVG file, or such a file."""

_SIGNATURES = (
    (b"\x89PNG", "image/png", ".png"),
    (b"\xff\xd8", "image/jpeg", ".jpg"),
    (b"RIFF", "image/webp", ".webp"),
    (b"<svg", "image/svg+xml", ".svg"),
    (b"<?xml", "image/svg+xml", ".svg"),
)


def data_uri(picture: Picture) -> str:
    """The picture as a `data:` address; arrays become PNG, so they arrive unchanged.

    Raises:
        ValueError: if an array is not uint8 (H, W) or (H, W, 3), or bytes are no known picture format.
    """
    content = content_of(picture)
    return f"data:{_signed(content)[0]};base64,{b64encode(content).decode()}"


def ending_of(content: bytes) -> str:
    """How the name of a picture's file ends: ".svg".

    Raises:
        ValueError: if the bytes are no known picture format.
    """
    return _signed(content)[1]


def _signed(content: bytes) -> tuple[str, str]:
    for signature, kind, ending in _SIGNATURES:
        if content.startswith(signature):
            return kind, ending
    raise ValueError(f"a picture must be PNG, JPEG, WebP or SVG, but its bytes begin with {content[:8]!r}.")


def thumbnail(image: np.ndarray, longest: int = 160) -> bytes:
    """A small JPEG of an image, for galleries of many: about 5 kB instead of the 30 kB of a PNG.

    Args:
        image: uint8 (H, W) or (H, W, 3) RGB.
        longest: the longer side in pixels; a smaller image is not enlarged.
    """
    height, width = image.shape[:2]
    scale = min(1.0, longest / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return _encoded(cv2.resize(image, size, interpolation=cv2.INTER_AREA), "JPEG", quality=85)


def content_of(picture: Picture) -> bytes:
    """A picture as the bytes of a file; arrays become PNG."""
    if isinstance(picture, np.ndarray):
        return _encoded(picture, "PNG", optimize=True)
    if isinstance(picture, Path):
        return picture.read_bytes()
    return picture


def _encoded(image: np.ndarray, kind: str, **options: int | bool) -> bytes:
    if image.dtype != np.uint8 or image.ndim not in {2, 3} or (image.ndim == 3 and image.shape[2] != 3):
        raise ValueError(f"an array must be uint8 (H, W) or (H, W, 3), but got {image.dtype} {image.shape}.")
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()

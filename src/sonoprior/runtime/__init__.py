"""A bundle in use: a frame goes in, and view, confidence, overlay and embedding come out. No torch."""

from .answer import Answer, Overlay
from .recogniser import Recogniser

__all__ = ["Answer", "Overlay", "Recogniser"]

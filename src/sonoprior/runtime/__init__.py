"""A bundle in use: a frame goes in, and view, confidence, overlay and embedding come out. No torch."""

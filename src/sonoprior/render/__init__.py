"""Pages, plots and overlays: how results are shown. Nothing here computes a result."""

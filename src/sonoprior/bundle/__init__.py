"""The bundle: what a trained run hands over. Written by `export`, read by `runtime`; free of torch."""

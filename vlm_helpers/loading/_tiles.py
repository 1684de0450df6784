"""Pictures that a model cuts into tiles: what its largest grid cannot show is said."""

from __future__ import annotations

import warnings
from typing import Any

SHRUNK = 0.95  # of a picture's size; above it nothing is lost that could be read


def warn_of_shrinking(name: str, processor: Any, sizes: Any) -> None:
    """Warns of each picture that is larger than the grid it is fitted to.

    Args:
        name: what the model is called.
        processor: the model's; only those with `image_grid_pinpoints` (LLaVA-NeXT's way) cut tiles.
        sizes: (height, width) of the pictures, a tensor [pictures, 2], or None.
    """
    grids = getattr(processor.image_processor, "image_grid_pinpoints", None)
    if sizes is None or not grids:
        return
    from transformers.image_processing_utils import select_best_resolution

    for height, width in sizes.tolist():
        rows, columns = select_best_resolution((height, width), grids)
        scale = min(rows / height, columns / width)
        if scale < SHRUNK:
            warnings.warn(
                f"{name} sees this picture of {width:,} x {height:,} pixels on a grid of {columns} "
                f"x {rows}, at {scale:.0%} of its size: print 20 pixels high becomes "
                f"{20 * scale:.1f}. Cut out the part that matters.",
                stacklevel=5,  # whoever calls `ask`, `chat` or `stream`
            )

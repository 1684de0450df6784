"""vlm_helpers: the thin package under the course "Vision Language Models, Hands On".

Everything is imported when it is first used, so that `import vlm_helpers` costs nothing:
torch and transformers come in with `load`, matplotlib with `figures`.
"""

import importlib
import logging

from vlm_helpers import _threads  # noqa: F401  (before torch comes in)

# In a new home matplotlib builds its list of fonts, in one that cannot be written it keeps that
# elsewhere, and it says so in red below the first cell that draws, though nothing is wrong.
_MATPLOTLIB_SAYS = (
    "mkdir -p failed",
    "is not a writable directory",
    "temporary cache directory",
    "is building the font cache",
)
for _name in ("matplotlib", "matplotlib.font_manager"):
    logging.getLogger(_name).addFilter(
        lambda record: not any(part in str(record.msg) for part in _MATPLOTLIB_SAYS)
    )

_SUBMODULES = (
    "boxes",
    "catalog",
    "collators",
    "conversations",
    "evaluation",
    "exercises",
    "figures",
    "loading",
    "pages",
    "pictures",
    "prompts",
    "scenes",
    "training",
    "widgets",
    "zoo",
)
_FROM_LOADING = ("VLM", "load")

__all__ = [*_SUBMODULES, *_FROM_LOADING, "__version__"]


def __getattr__(name):
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _FROM_LOADING:
        return getattr(importlib.import_module(f"{__name__}.loading"), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("vlm-helpers")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)

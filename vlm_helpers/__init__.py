"""vlm_helpers: the thin package under the course "Vision Language Models, Hands On".

Everything is imported when it is first used, so that `import vlm_helpers` costs nothing:
torch and transformers come in with `load`, matplotlib with `figures`.
"""

import importlib

from vlm_helpers import _threads  # noqa: F401  (before torch comes in)

_SUBMODULES = (
    "boxes",
    "catalog",
    "collators",
    "conversations",
    "evaluation",
    "exercises",
    "figures",
    "loading",
    "pictures",
    "prompts",
    "scenes",
    "training",
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

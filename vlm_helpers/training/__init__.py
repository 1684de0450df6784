"""Help around training: a look at the data before, curves that grow while a model learns.

    print(vh.training.preflight(rows, collator))    # every row once; all faults at once
    print(vh.training.preflight_rewards(rows, rewards, vlm))    # the same before GRPO
    print(vh.training.estimate("llava-hf/llava-1.5-7b-hf", quantization="4bit", lora=16))

    with vh.training.LiveCurve(200, panels=("loss", "accuracy")) as curve:
        for step in range(1, 201):
            …
            curve.add(step, loss=loss.item())
            if step % 50 == 0:
                curve.add(step, accuracy={"color": 0.4, "shape": 0.7})

The training itself stays in the notebook, or with TRL.
"""

import importlib

# Each comes with its first use: what one of them imports, the others need not wait for.
_NAMES = {
    "Estimate": "_estimate",
    "LiveCurve": "_curve",
    "Preflight": "_preflight",
    "PreflightError": "_preflight",
    "RewardError": "_rewards",
    "RewardsPreflight": "_rewards",
    "as_stored": "_preflight",
    "estimate": "_estimate",
    "preflight": "_preflight",
    "preflight_rewards": "_rewards",
}

__all__ = list(_NAMES)


def __getattr__(name):
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)

"""Loading a vision language model, one that ships with the course or any other.

`load` finds a checkpoint, checks it before it costs anything, and gives a `VLM`: the plain `model`
and `processor` of transformers, with `ask`, `chat` and `stream` on top. Nothing is hidden: the
same two objects can be used directly, and `VLM(model, processor)` wraps any pair that is at hand,
for instance after training.

    vlm = vh.load()                                            # the pocket model
    vlm = vh.load("llava-hf/llava-v1.6-mistral-7b-hf")         # one on the Hub
    vlm.ask(picture, "What is this?")

`browse` lists what the Hub has for a task. `estimate_memory` says what a model needs before it is
fetched, `get_folder` and `pocket_folder` where its files are; `to_rgb` opens a picture as `ask`
does.
"""

from vlm_helpers.loading._browse import browse
from vlm_helpers.loading._card import Card
from vlm_helpers.loading._checkpoints import SHIPPED, get_folder, pocket_folder
from vlm_helpers.loading._load import estimate_memory, load
from vlm_helpers.loading._vlm import VLM
from vlm_helpers.pictures import to_rgb

__all__ = [
    "SHIPPED",
    "VLM",
    "Card",
    "browse",
    "estimate_memory",
    "get_folder",
    "load",
    "pocket_folder",
    "to_rgb",
]

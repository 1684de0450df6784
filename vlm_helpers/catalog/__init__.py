"""Facts of some thirty vision language models, each with where it was read.

    vh.catalog.table()                                      all of them, a DataFrame
    vh.catalog.table(commercial=True, max_parameters=3)     those of up to 3 billion parameters
    vh.catalog.table(abilities=("grounding",), loads="native", max_memory_4bit=8)
    vh.catalog.get("Qwen-VL").sources["parameters"]         where a fact was read
    vh.catalog.differences()                                where the 2024 article says otherwise

The facts stand in `models.toml` beside this file, one block a model. A fact that nothing published
could be found for is not filled in: it shows as "?" (a missing number as NaN) and its name stands
in the column `unverified`. The article is "Vision Language Models Explained" (April 2024,
https://huggingface.co/blog/vlms); its own figures are kept apart, in `Model.article`.

What the columns mean:

    parameters      billions, all of them; of a mixture of experts too, since all are loaded
    resolution      width x height in pixels of the largest picture that the model takes in without
                    shrinking it, with the settings that its processor comes with
    side            pixels along one side of the square with as many pixels
    tile            pixels along one side of a tile, for models that cut a picture into tiles
    tokens          what a picture of that resolution costs in the decoder's sequence
    commercial      "yes", "conditions" (see `terms`), or "no"
    abilities       what the model's authors say that it was made for, out of `ABILITIES`
    loads           "native" (a class of transformers), "remote" (code from the Hub, to be pinned),
                    or "repository" (the authors' own code)
    memory_bf16     GiB to have free for one question at a time, in bfloat16
    memory_4bit     the same with bitsandbytes in 4 bits

Memory is computed, never typed in: weights are 2 bytes a parameter in bfloat16, and in 4 bits 0.53
bytes for nine tenths of the parameters and 2 for the rest (embeddings and output layer stay in 16
bits); a tenth on top and 0.25 GiB are for activations and the cache. `vh.load` reckons in the same
way, and more exactly, since it knows the shapes.
"""

from vlm_helpers.catalog._models import ABILITIES, ARTICLE, FACTS, Article, Model, get, models
from vlm_helpers.catalog._table import differences, table

__all__ = [
    "ABILITIES", "ARTICLE", "FACTS", "Article", "Model",
    "differences", "get", "models", "table",
]  # fmt: skip

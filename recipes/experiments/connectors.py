"""Which connector learns fastest between pocket-llava's own tower and decoder?

Five connectors, each from random weights; tower and decoder are frozen. Every run sees 100 batches
of 4 pictures with 4 questions each, about colour or shape, each picture once, in an order drawn
with the run's seed, as the connector's weights are; only answers are in the loss. Each connector
runs at three or four learning rates with one seed, and at the best of those that have a lower and a
higher one beside them (by right answers in the end) with two seeds more. The score is how many
first words are right, over 120 questions about 60 other pictures, after 25, 50 and 100 updates, and
in the end with every question about one and the same picture (`blind`). Floors over the same
questions: `majority`, the commonest answer of each kind, and `candidate`, what any object of the
picture would give. `tokens` is what the picture takes in the decoder's input.

What the race cannot be fair in: the decoder was trained behind an MLP that gave it 64 tokens, one a
patch, and it stays as it is. Whoever gives it the same has the least to learn.
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import nn

import vlm_helpers as vh

UPDATES, BATCH = 100, 4  # pictures in a batch
MARKS = (25, 50, 100)  # updates after which the score is taken
RATES = {
    "linear": (1e-3, 3e-3, 1e-2, 3e-2),
    "MLP": (1e-3, 3e-3, 1e-2),
    "2 x 2 pooled": (3e-4, 1e-3, 3e-3, 1e-2),
    "16 queries": (3e-4, 1e-3, 3e-3, 1e-2),
    "cross-attention": (1e-3, 3e-3, 1e-2),
}
BEST = {"linear": 1e-2, "MLP": 3e-3, "2 x 2 pooled": 1e-3, "16 queries": 1e-3,
        "cross-attention": 3e-3}  # fmt: skip
VISION, WIDTH, HEADS = 192, 256, 4  # of the tower's features, of the decoder; and its heads
SKILLS = ("color", "shape")


def settings() -> list[dict]:
    sweep = [(name, rate, 0) for name, rates in RATES.items() for rate in rates]
    more = [(name, BEST[name], seed) for seed in (1, 2) for name in CONNECTORS]
    return [{"connector": n, "rate": rate, "seed": seed} for n, rate, seed in (*sweep, *more)]


def mlp(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH))


class Pooled(nn.Module):
    """Four neighbouring patches side by side in one vector (pixel shuffle), then an MLP."""

    def __init__(self):
        super().__init__()
        self.mlp = mlp(4 * VISION)

    def forward(self, features):  # [batch, 64, 192] -> [batch, 16, 256]
        grid = features.unflatten(1, (4, 2, 4, 2))  # [batch, rows, 2, columns, 2, 192]
        return self.mlp(grid.transpose(2, 3).flatten(3).flatten(1, 2))


class Queries(nn.Module):
    """Learnt queries look at all patches once, with norms where Qwen-VL has them."""

    def __init__(self, number: int = 16):
        super().__init__()
        self.queries = nn.Parameter(torch.randn(number, WIDTH))
        self.widen, self.norm = nn.Linear(VISION, WIDTH), nn.LayerNorm(WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.after, self.out = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, features):  # [batch, 64, 192] -> [batch, 16, 256]
        values = self.norm(self.widen(features))
        asked = self.queries.expand(len(features), -1, -1)
        seen = self.attention(asked, values, values, need_weights=False)[0]
        return self.out(self.after(seen))


class Crossing(nn.Module):
    """No picture in the sequence: before each layer of the decoder the words look at the patches.

    As in Flamingo: an attention and an MLP, each behind a gate that is shut (0) at the start.
    """

    def __init__(self, layers: int = 5):
        super().__init__()
        self.layers = nn.ModuleList(nn.ModuleDict({
            "norm": nn.LayerNorm(WIDTH),
            "attention": nn.MultiheadAttention(
                WIDTH, HEADS, kdim=VISION, vdim=VISION, batch_first=True),
            "mlp": nn.Sequential(nn.LayerNorm(WIDTH), mlp(WIDTH)),
        }) for _ in range(layers))  # fmt: skip
        self.gates = nn.Parameter(torch.zeros(layers, 2))

    def look(self, number: int, x, features):  # x: [pictures * questions, tokens, 256]
        layer, (one, two) = self.layers[number], self.gates[number].tanh()
        asked = layer["norm"](x).unflatten(0, (len(features), -1)).flatten(1, 2)
        seen = layer["attention"](asked, features, features, need_weights=False)[0]
        x = x + one * seen.reshape(x.shape)
        return x + two * layer["mlp"](x)


CONNECTORS = {
    "linear": lambda: nn.Linear(VISION, WIDTH),
    "MLP": lambda: mlp(VISION),
    "2 x 2 pooled": Pooled,
    "16 queries": Queries,
    "cross-attention": Crossing,
}


@functools.cache
def _frozen():
    vlm = vh.load()
    vlm.model.requires_grad_(False)
    return vlm


@functools.cache
def data(split: str, pictures: int, each: int):
    """`each` questions of both skills about every picture.

    Returns the features [pictures, 64, 192], the tokens after the picture [pictures, questions,
    tokens], whose last two are the answer, one word here, and its end, and the questions as items.
    """
    vlm, scenes, seed = _frozen(), [], 0
    while len(scenes) < pictures:
        scene, seed = vh.scenes.sample(seed, split, sign=False), seed + 1
        asked = [q for q in scene.questions(SKILLS, 2 * each) if q.answer != "none"]
        chosen = [[q for q in asked if q.skill == skill][:each] for skill in SKILLS]
        if all(len(some) == each for some in chosen):
            scenes.append((scene, sum(chosen, [])))
    with torch.no_grad():
        features = torch.cat([see(vlm, scene.render()) for scene, _ in scenes])
    items = [{**vars(q), "question": q.text} for _, asked in scenes for q in asked]
    texts = [f"\n{item['question']} ASSISTANT: {item['answer']}</s>" for item in items]
    ids = vlm.processor.tokenizer(
        texts, add_special_tokens=False, padding=True, padding_side="left", return_tensors="pt"
    )["input_ids"]
    return features, ids.unflatten(0, (pictures, -1)), items


def see(vlm, picture):
    """What the tower says of each patch, [1, 64, 192]."""
    pixels = vlm.processor.image_processor(picture, return_tensors="pt")["pixel_values"]
    return vlm.model.model.vision_tower(pixels).last_hidden_state[:, 1:]


def answer(connector: nn.Module, features, ids) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss over answers and end tokens, and which answers are right.

    The picture is read once, and its keys and values serve all questions about it.
    """
    vlm = _frozen()
    decoder, tokenizer = vlm.model.model.language_model, vlm.processor.tokenizer
    embed = vlm.model.get_input_embeddings()
    before = embed(tokenizer("USER: ", return_tensors="pt")["input_ids"])
    before = before.expand(len(ids), -1, -1)  # [pictures, tokens, 256]
    number, ids = ids.shape[1], ids.flatten(0, 1)  # [pictures * questions, tokens]
    hooks = []
    if isinstance(connector, Crossing):
        for layer, block in enumerate(decoder.layers):

            def look(_, args, layer=layer):
                return (connector.look(layer, args[0], features), *args[1:])

            hooks.append(block.register_forward_pre_hook(look))
    else:
        before = torch.cat([before, connector(features)], dim=1)
    try:
        past = decoder(inputs_embeds=before, use_cache=True).past_key_values
        past.batch_repeat_interleave(number)
        read = torch.ones(len(ids), before.shape[1])
        mask = torch.cat([read, ids != tokenizer.pad_token_id], dim=1)
        out = decoder(inputs_embeds=embed(ids), attention_mask=mask, past_key_values=past)
    finally:
        for hook in hooks:
            hook.remove()
    logits = vlm.model.lm_head(out.last_hidden_state[:, -3:-1])  # before answer and end token
    loss = F.cross_entropy(logits.flatten(0, 1), ids[:, -2:].flatten())
    return loss, logits[:, 0].argmax(-1) == ids[:, -2]


def run(connector: str, rate: float, seed: int) -> list[dict]:
    features, ids, _ = data("train", UPDATES * BATCH, 2)
    shown, asked, items = data("test", 60, 1)
    floors = vh.evaluation.floors(items).mean()
    torch.manual_seed(seed)
    module = CONNECTORS[connector]()
    tokens = 0 if isinstance(module, Crossing) else module(shown[:1]).shape[1]
    optimizer = torch.optim.AdamW(module.parameters(), lr=rate)
    rows = []
    for step, batch in enumerate(torch.randperm(len(ids)).split(BATCH), 1):
        loss, _ = answer(module, features[batch], ids[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in MARKS:
            with torch.no_grad():
                right = answer(module, shown, asked)[1]
            rows.append({"updates": step, "right": int(right.sum())})
    with torch.no_grad():
        blind = answer(module, shown[:1].expand_as(shown), asked)[1]
    common = {
        "n": len(items), "blind": int(blind.sum()), "majority": floors["majority"],
        "candidate": floors["any candidate"], "tokens": tokens,
        "parameters": sum(p.numel() for p in module.parameters()),
    }  # fmt: skip
    return [{**row, **common} for row in rows]

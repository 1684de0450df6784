"""Exercises of notebook 08, supervised fine-tuning."""

from collections.abc import Mapping

import torch

from vlm_helpers import collators, loading, scenes
from vlm_helpers.exercises._engine import Exercise, Wrong, call

# --- fine_tuning.collate --------------------------------------------------------------------------


def collate(processor, rows):
    texts = [processor.apply_chat_template(row["messages"]) for row in rows]
    images = [row["images"] for row in rows]
    batch = processor(
        text=texts, images=images, padding=True, padding_side="right", return_tensors="pt"
    )
    batch["labels"] = torch.full_like(batch["input_ids"], -100)
    for i, row in enumerate(rows):
        prompt = processor.apply_chat_template(row["messages"][:-1], add_generation_prompt=True)
        start = len(processor(text=prompt, images=row["images"])["input_ids"][0])
        end = batch["attention_mask"][i].sum()
        batch["labels"][i, start:end] = batch["input_ids"][i, start:end]
    return batch


def _materials():
    """A processor whose padding token is the end token, as many have it, and three rows."""
    processor = loading.load("pocket-llava", device="cpu", dtype="float32").processor
    processor.tokenizer.pad_token = processor.tokenizer.eos_token
    skills = ("caption", "color", "locate_all")
    rows = [scenes.sample(seed).messages(skills=(s,)) for seed, s in zip((3, 4, 10), skills)]
    return processor, rows


def _pairs(batch, i) -> list[tuple[int, int]]:
    """(token, label) of row i, without padding."""
    kept = batch["attention_mask"][i].bool()
    return list(zip(batch["input_ids"][i][kept].tolist(), batch["labels"][i][kept].tolist()))


def _places(batch, i) -> list[int]:
    """Where the labels of row i stand, counted from its first token that is no padding."""
    labels = torch.tensor([label for _, label in _pairs(batch, i)])
    return labels.ne(-100).nonzero().flatten().tolist()


def _same_pictures(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one.float(), other.float(), atol=1e-2)


def examine_collate(answer, materials) -> None:
    processor, rows = materials
    image, end = processor.image_token_id, processor.tokenizer.eos_token_id
    want = collators.AnswerCollator(processor)(rows)
    got = call(answer, processor, rows)
    if not isinstance(got, Mapping) and not hasattr(got, "keys"):
        raise Wrong(f"Return the batch, a dict of tensors; this is of type {type(got).__name__}.")
    for key in ("input_ids", "attention_mask", "pixel_values", "labels"):
        if key not in got:
            raise Wrong(f"Your batch has no {key!r}; the processor makes all but the labels.")
        if not isinstance(got[key], torch.Tensor):
            how = "`return_tensors='pt'` makes one."
            if key == "labels":
                how = "pad each row to the longest with -100, and `torch.tensor(…)` makes one."
            kind = type(got[key]).__name__
            raise Wrong(f"{key!r} is of type {kind}, and the model takes tensors: {how}")
    if got["labels"].shape != got["input_ids"].shape:
        raise Wrong(
            f"Your labels are {list(got['labels'].shape)} and the tokens are "
            f"{list(got['input_ids'].shape)}: each token has a label, -100 where none is learnt."
        )
    if got["labels"].dtype != torch.long:
        raise Wrong(
            f"Your labels are {got['labels'].dtype}; they are ids, so make them torch.long, as "
            "`input_ids` are."
        )
    if len(got["labels"]) != len(rows):
        raise Wrong(f"For {len(rows)} rows your batch has {len(got['labels'])}.")
    for i in range(len(rows)):
        gap = int(got["attention_mask"][i].argmax())
        learnt = got["labels"][i].ne(-100).nonzero().flatten().tolist()
        if gap and learnt and learnt[0] == _places(want, i)[0]:
            raise Wrong(
                f"The processor padded row {i} on the left, with {gap} tokens, and you count from "
                "its left end: pass `padding_side='right'`, or begin after the padding."
            )
    if got["labels"][~got["attention_mask"].bool()].ne(-100).any():
        raise Wrong(
            "Padding is learnt: its labels must be -100. Where `attention_mask` is 0 there is "
            "padding."
        )
    if not _same_pictures(got["pixel_values"], want["pixel_values"]):
        raise Wrong(
            "The pictures are not those of the rows, in the order of the rows: "
            "`images=[row['images'] for row in rows]`."
        )
    for i in range(len(rows)):
        pairs, right = _pairs(got, i), _pairs(want, i)
        tokens, labels = [t for t, _ in pairs], [label for _, label in pairs]
        learnt = [label for label in labels if label != -100]
        answer_ids = [label for _, label in right if label != -100]
        if tokens != [t for t, _ in right]:
            raise Wrong(
                "The tokens are not those of the conversation: render `row['messages']` with "
                "`processor.apply_chat_template` and give it to the processor with the pictures."
            )
        if labels == tokens:
            raise Wrong(
                "All tokens are learnt, the question and the picture among them: only the answer "
                "and its end token should be."
            )
        if image in learnt:
            raise Wrong("Tokens of the picture are learnt: nobody can predict them; -100.")
        if not learnt:
            raise Wrong(f"In row {i} nothing is learnt: where does its answer begin?")
        if learnt == answer_ids[:-1] and answer_ids[-1] == end:
            raise Wrong(
                "The end token is not learnt, so the model would never stop. Do you mask where "
                "`input_ids == pad_token_id`? Here padding and end are the same token."
            )
        if learnt == answer_ids and labels != [label for _, label in right]:
            raise Wrong(
                "Your labels are shifted. The model shifts them itself: each label stands at its "
                "own token."
            )
        if len(learnt) > len(answer_ids) and learnt[-len(answer_ids) :] == answer_ids:
            more = processor.tokenizer.decode(learnt[: -len(answer_ids)])
            raise Wrong(
                f"More than the answer is learnt: of the prompt, {more!r} is too. Did you render "
                "it with `add_generation_prompt=True`?"
            )
        if learnt != answer_ids:
            raise Wrong(
                f"In row {i} you learn {processor.tokenizer.decode(learnt)!r}; right is "
                f"{processor.tokenizer.decode(answer_ids)!r}."
            )


# --- fine_tuning.merge ----------------------------------------------------------------------------


def merge(weight, A, B, alpha):
    rank = A.shape[0]
    return weight + alpha / rank * (B @ A)


def _adapters() -> list[tuple]:
    """A wide, a high and a square matrix, each with an adapter of another rank and alpha."""
    dice = torch.Generator().manual_seed(0)
    cases = [(5, 4, 2, 7.0), (3, 8, 1, 5), (7, 7, 3, 2.0)]
    return [
        (
            torch.randn(out, into, generator=dice),
            torch.randn(rank, into, generator=dice),
            torch.randn(out, rank, generator=dice),
            alpha,
        )
        for out, into, rank, alpha in cases
    ]


_SHAPES = "A has a row, and B a column, for each of the r dimensions: only B @ A has W's shape."


def examine_merge(answer, adapters) -> None:
    for weight, A, B, alpha in adapters:
        given = [weight.clone(), A.clone(), B.clone()]
        got = call(
            answer, *given, alpha, because={"shape|size|broadcast|inconsistent tensor": _SHAPES}
        )
        if not isinstance(got, torch.Tensor):
            raise Wrong(f"Return the matrix, a tensor; this is of type {type(got).__name__}.")
        got = got.detach()
        if got.shape != weight.shape:
            raise Wrong(
                f"W is {list(weight.shape)}, and what you return is {list(got.shape)}. {_SHAPES}"
            )
        for name, before, after in zip(("weight", "A", "B"), (weight, A, B), given):
            if not torch.equal(before, after):
                raise Wrong(
                    f"Your function changes `{name}` itself, so a second call would begin with "
                    "something else: write no `+=`, `add_` or `mul_`, and return a new tensor."
                )
        _examine_merged(got, weight, A, B, alpha)


def _examine_merged(got, weight, A, B, alpha) -> None:
    """One case; `got` has W's shape."""
    rank, product = A.shape[0], B @ A
    right = weight + alpha / rank * product

    def is_(value) -> bool:
        return torch.allclose(got.to(value.dtype), value, rtol=1e-3, atol=1e-4)

    if is_(right):
        return
    if is_(right - weight):
        raise Wrong("That is only what the adapter adds: the merged matrix is W plus that.")
    if is_(weight):
        raise Wrong("That is W, unchanged: add the scaled product of B and A.")
    if is_(2 * weight - right):
        raise Wrong("You subtract what is to be added: that would take the adapter out again.")
    rounded = f"alpha / r is {alpha / rank:g} here, and you round it: divide by `/`, not by `//`."
    scales = {
        float(alpha // rank): rounded,
        float(-(-alpha // rank)): rounded,
        1.0: "The product is not scaled: multiply it by alpha / r.",
        float(alpha): "You scale by alpha alone: divide it by the rank r, the number of A's rows.",
        rank / alpha: "The scale is upside down: alpha / r, not r / alpha.",
        1 / rank: "You divide by r but leave out alpha: the scale is alpha / r.",
        alpha / rank**0.5: "alpha / √r is the scale of rsLoRA, a variant; here it is alpha / r.",
        alpha / A.shape[1]: "You divide by the number of A's columns: r is that of its rows.",
        alpha / B.shape[0]: "You divide by the number of B's rows: r is that of its columns.",
        alpha * rank: "You multiply by r; the scale divides by it: alpha / r.",
    }
    for scale, message in scales.items():
        if is_(weight + scale * product):
            raise Wrong(message)
    if is_(alpha / rank * (weight + product)) or is_(weight * alpha / rank + product):
        raise Wrong("You scale W too: only the product of B and A is multiplied by alpha / r.")
    square = weight.shape[0] == weight.shape[1]
    if square and (is_(weight + alpha / rank * product.T) or is_(right.T)):
        raise Wrong("What you add is transposed: B @ A, and not its transpose.")
    raise Wrong(
        f"For a W of {list(weight.shape)}, r = {rank} and alpha = {alpha:g} the first number is to "
        f"be {right[0, 0]:.4f}; yours is {got[0, 0]:.4f}."
    )


EXERCISES = (
    Exercise(
        name="fine_tuning.collate",
        title="Write the collator",
        difficulty=4,
        minutes=20,
        takeaway="Answers and their end tokens, no picture, no padding. `AnswerCollator` adds "
        "several turns, templates of all kinds, a limit of length, and sentences for bad rows.",
        hints=(
            "`processor(text=…, images=…, padding=True, return_tensors='pt')` makes all but the "
            "labels. Start these as `torch.full_like(batch['input_ids'], -100)`.",
            "The prompt is the conversation without its last message, rendered with "
            "`add_generation_prompt=True`. As many tokens as it has, with the picture, are not "
            "learnt.",
            "Where a row ends, `attention_mask` says: `batch['attention_mask'][i].sum()`, if "
            "padding goes to the right.",
        ),
        solved=collate,
        materials=_materials,
        examine=examine_collate,
    ),
    Exercise(
        name="fine_tuning.merge",
        title="Merge an adapter",
        difficulty=2,
        minutes=8,
        takeaway="That is all that `merge_and_unload` does, matrix by matrix: what comes out has "
        "the old shape and costs nothing more. Once merged, A and B can't be told from W.",
        hints=(
            "`B @ A` has the shape of W. It is scaled by alpha / r, and r is the number of A's "
            "rows: `A.shape[0]`.",
            "`weight + alpha / A.shape[0] * (B @ A)`.",
        ),
        solved=merge,
        materials=_adapters,
        examine=examine_merge,
    ),
)

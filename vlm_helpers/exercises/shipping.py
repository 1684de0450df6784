"""Exercises of notebook 10, shipping."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from vlm_helpers import collators, scenes
from vlm_helpers.exercises._engine import Exercise, NotAttempted, Wrong, call, pocket

# --- shipping.culprit -----------------------------------------------------------------------------


def culprit(reference, exported, pictures):
    import numpy as np

    given = list(pictures)
    for name, step in reference.items():
        wanted = [np.asarray(step(x)) for x in given]
        found = [np.asarray(exported[name](x)) for x in given]
        for a, b in zip(wanted, found):
            # `allclose` is False for NaN, as it should be
            if a.shape != b.shape or not np.allclose(a, b, rtol=0, atol=1e-5 * abs(a).max()):
                return name
        given = wanted  # so that every step is judged by itself
    return "nothing"


SIDE, PATCH = 24, 8
_WEIGHT = np.random.default_rng(0).normal(size=(3 * PATCH * PATCH, 64)).astype(np.float32)


def _resize(picture):
    from PIL import Image

    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def _normalize(pixels):
    return (pixels.astype(np.float32) / 255 - 0.5) / 0.25


def _patches(pixels):
    n = SIDE // PATCH
    return pixels.reshape(n, PATCH, n, PATCH, 3).swapaxes(1, 2).reshape(n * n, -1)


def _features(patches):
    return patches @ _WEIGHT


def _scores(features):
    shares = np.exp(features - features.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


REFERENCE = {
    "resize": _resize, "normalize": _normalize, "patches": _patches, "features": _features,
    "scores": _scores,
}  # fmt: skip


def _nearest(picture):
    from PIL import Image

    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.NEAREST))


def _cropped(picture):
    return np.asarray(picture.resize((SIDE + 8, SIDE + 8)))[4:-4, 4:-4]


def _other_order(patches):
    """The same sum, term by term from the last: equal but for rounding, on every processor."""
    total = np.zeros((len(patches), _WEIGHT.shape[1]), np.float32)
    for values, weights in zip(patches.T[::-1], _WEIGHT[::-1]):
        total += values[:, None] * weights
    return total


def _overflowing(features):
    with np.errstate(all="ignore"):
        shares = np.exp((features + 20).astype(np.float16))  # e¹¹ is the most that float16 holds
        return (shares / shares.sum(1, keepdims=True)).astype(np.float32)


def _one_off(pixels):
    patches = _patches(pixels).copy()
    patches[0, 0] += 1
    return patches


@dataclass(frozen=True)
class Export:
    """A pipeline: what was changed in it, step by step, and the first step that broke something."""

    what: str
    changes: dict[str, Callable]
    broken: str

    @property
    def steps(self) -> dict[str, Callable]:
        return {**REFERENCE, **self.changes}


# First what every picture shows, so that a fault missed there was not hidden by the pictures.
EXPORTS = (
    Export("that forgets to divide by 255",
           {"normalize": lambda pixels: (pixels.astype(np.float32) - 0.5) / 0.25}, "normalize"),
    Export("where nothing is changed", {}, "nothing"),
    Export("that subtracts 0.49 where it should be 0.5",
           {"normalize": lambda pixels: (pixels.astype(np.float32) / 255 - 0.49) / 0.25},
           "normalize"),
    Export("that subtracts 0.4998 where it should be 0.5",
           {"normalize": lambda pixels: (pixels.astype(np.float32) / 255 - 0.4998) / 0.25},
           "normalize"),
    Export("with one number wrong, of 1,728", {"patches": _one_off}, "patches"),
    Export("whose shares add up to 1.02", {"scores": lambda x: 1.02 * _scores(x)}, "scores"),
    Export("with another resampling", {"resize": _nearest}, "resize"),
    Export("that cuts the edges off", {"resize": _cropped}, "resize"),
    Export("with CLIP's mean and deviation",
           {"normalize": lambda pixels: (pixels.astype(np.float32) / 255 - 0.46) / 0.27},
           "normalize"),
    Export("with blue and red exchanged",
           {"normalize": lambda pixels: _normalize(pixels)[..., ::-1]}, "normalize"),
    Export("with rows and columns exchanged",
           {"patches": lambda pixels: _patches(pixels.swapaxes(0, 1))}, "patches"),
    Export("that loses its last patch", {"patches": lambda pixels: _patches(pixels)[:-1]},
           "patches"),
    Export("whose sums run in another order", {"features": _other_order}, "nothing"),
    Export("in float16, which ends at 65,504", {"scores": _overflowing}, "scores"),
    Export("with another resampling, and an overflow",
           {"resize": _nearest, "scores": _overflowing}, "resize"),
    Export("with blue and red exchanged, and an overflow",
           {"normalize": lambda pixels: _normalize(pixels)[..., ::-1], "scores": _overflowing},
           "normalize"),
    Export("with another order of sums, and an overflow",
           {"features": _other_order, "scores": _overflowing}, "scores"),
)  # fmt: skip


@cache
def _pictures() -> tuple:
    from PIL import Image

    # Each hides a fault. With red in place of blue: that the two are exchanged. Grey: any resizing.
    # One that is small already, and its own mirror image: resampling, and rows for columns.
    drawn, other = (scenes.sample(seed, "test", sign=False).image.convert("RGB") for seed in (3, 4))
    red, green, _ = drawn.split()
    half = np.asarray(other.resize((SIDE, SIDE)))
    upper = np.triu(np.ones((SIDE, SIDE), bool))[..., None]
    return (
        Image.merge("RGB", (red, green, red)),
        Image.new("RGB", (48, 48), (128, 128, 128)),
        Image.fromarray(np.where(upper, half, half.swapaxes(0, 1))),
    )


_WHY = {
    "interpreted as an integer|has no attribute": "The first step takes the picture itself, each "
    "other one the array that the step before gave.",
    "broadcast|shapes|dimensions|mismatch": "Two outputs of different shapes cannot be "
    "subtracted: a different shape is a difference too, so look at shapes first.",
}


def _apart(export: Export, picture, at: str) -> str:
    """How far what the step `at` gives is from the reference's, in words."""
    given = picture
    for name, step in REFERENCE.items():
        wanted, found = step(given), export.steps[name](given)
        if name == at:
            break
        given = wanted
    if wanted.shape != found.shape:
        return f"have the shapes {wanted.shape} and {found.shape}"
    off, largest = np.abs(wanted * 1.0 - found).max(), np.abs(wanted).max()
    return f"differ by up to {off:.2g} (of numbers up to {largest:.2g})"


def examine_culprit(answer, pictures) -> None:
    for export in EXPORTS:
        with np.errstate(all="ignore"):
            alone = [culprit(REFERENCE, export.steps, [picture]) for picture in pictures]
            try:
                named = call(answer, dict(REFERENCE), export.steps, list(pictures), because=_WHY)
            except NotAttempted:
                if export is EXPORTS[0]:
                    raise
                raise Wrong(
                    f"For an export {export.what} it returns None: return the name of a step, or "
                    'the string "nothing".'
                ) from None
        if named == export.broken:
            continue
        steps = [*REFERENCE, "nothing"]
        if not isinstance(named, str) or named not in steps:
            raise Wrong(
                f"It gives {named!r:.60}: return the name of a step, {', '.join(REFERENCE)}, "
                'or "nothing".'
            )
        said = f"For an export {export.what} it names {named!r}, and the step is {export.broken!r}"
        if export.broken == "nothing" and not export.changes:
            raise Wrong(f"{said}: both pipelines are the same. Is the rest of your function right?")
        if export.broken == "nothing":
            raise Wrong(
                f"{said}: the two {_apart(export, pictures[0], named)} there, which is rounding. "
                "Compare with a tolerance, such as numpy's `allclose` with rtol=0 and, as atol, a "
                "hundred-thousandth of the largest number: its own, 1e-8 and a hundred-thousandth "
                "of each number, is too narrow for numbers near 0."
            )
        if steps.index(named) < steps.index(export.broken):
            raise Wrong(f"{said}: at {named!r} the two differ by no more than rounding.")
        if named in alone:
            hiding = " or ".join(str(i) for i, name in enumerate(alone, 1) if name == named)
            raise Wrong(
                f"{said}: that is the answer of picture {hiding} alone, which hides the fault. "
                "Compare all pictures at one step before you go on to the next, number by number."
            )
        if named != "nothing":
            raise Wrong(
                f"{said}: later steps differ because they are given what an earlier one broke. "
                "Name the first."
            )
        if export.changes.get("scores") is _overflowing:
            raise Wrong(
                f"{said}: it gives NaN, and NaN is neither larger nor smaller than a tolerance: "
                "ask whether all is close, not whether something is far."
            )
        raise Wrong(
            f"{said}: the two {_apart(export, pictures[0], export.broken)} there, and not by "
            "rounding. Is your tolerance too wide, or is something not compared?"
        )


# --- shipping.keep --------------------------------------------------------------------------------


def keep(tokens, n):
    median = tokens.quantile(0.5, dim=0)  # [width]: what most tokens are like, the background
    far = (tokens - median).norm(dim=1)  # [tokens]
    return far.topk(n).indices.sort().values


KEPT = 8
# Of the answers. Tokens far from the median or the mean, or from each other, leave .91 to .96 of
# them, a grid .68, tokens at random about half.
ENOUGH = 0.85
SEEDS = (3, 4, 7, 8, 16, 21, 22, 29)
SKILLS = ("color", "shape", "size", "count", "exists", "relation", "number", "word")


@dataclass(frozen=True)
class Exam:
    """Questions about pictures: the pictures' tokens, [pictures, 64, width]; which picture each
    question is about; and prompts with their answers as the collator gives them."""

    tokens: torch.Tensor
    about: list[int]
    batch: dict


@cache
def _exam() -> Exam:
    vlm, rows, about = pocket(), [], []
    drawn = [scenes.sample(seed, "test") for seed in SEEDS]
    for number, scene in enumerate(drawn):
        for question in scene.questions(SKILLS):
            parts = [{"type": "image"}, {"type": "text", "text": question.text}]
            answer = [{"type": "text", "text": question.answer}]
            rows.append({"messages": [{"role": "user", "content": parts},
                                      {"role": "assistant", "content": answer}],
                         "images": [scene.image]})  # fmt: skip
            about.append(number)
    pictures = [scene.image for scene in drawn]
    pixels = vlm.processor.image_processor(pictures, return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        seen = torch.stack(list(vlm.model.model.get_image_features(pixels).pooler_output))
    return Exam(seen.clone(), about, collators.AnswerCollator(vlm.processor)(rows))


def share_right(exam: Exam, chosen: list[list[int]]) -> float:
    """The share of right answers where of each picture only the chosen tokens are left."""
    model, batch = pocket().model, exam.batch
    ids, labels = batch["input_ids"], batch["labels"]  # [questions, length]
    is_picture = ids == model.config.image_token_id
    rows = model.get_input_embeddings()(ids).detach().clone()
    rows[is_picture] = exam.tokens[exam.about].flatten(0, 1)
    kept = torch.zeros(exam.tokens.shape[:2], dtype=torch.bool)
    for row, numbers in zip(kept, chosen):
        row[numbers] = True
    used = ~is_picture
    used[is_picture] = kept[exam.about].flatten()
    n = len(ids)  # each row has as many tokens left as every other
    with torch.inference_mode():
        hidden = model.model.language_model(
            inputs_embeds=rows[used].view(n, -1, rows.shape[-1]),
            attention_mask=batch["attention_mask"][used].view(n, -1),
            position_ids=used.nonzero()[:, 1].view(n, -1),
        ).last_hidden_state[:, :-1]
        wanted = labels[used].view(n, -1)[:, 1:]
        learnt = wanted != -100  # the answer's tokens, and its end
        wrong = model.lm_head(hidden[learnt]).argmax(-1) != wanted[learnt]
    return 1 - len(learnt.nonzero()[wrong, 0].unique()) / n


def _numbers(value, n: int) -> list[int]:
    """What the rule returns, as distinct numbers of tokens. Raises `Wrong`."""
    given = np.asarray(value)
    if given.dtype == bool:
        raise Wrong("It returns a mask of True and False: return the numbers of the kept tokens.")
    if given.ndim != 1 or not np.issubdtype(given.dtype, np.integer):
        raise Wrong(
            f"It returns {given.dtype} of shape {list(given.shape)}: return the {n} numbers of the "
            "kept tokens, such as `topk(n).indices`."
        )
    if len(given) != n or len(set(given.tolist())) != n:
        raise Wrong(
            f"Of {n} tokens asked for it gives {len(set(given.tolist()))} different ones, in a "
            f"list of {len(given)}."
        )
    if given.min() < 0 or given.max() > 63:
        raise Wrong("It names tokens that there are not: they are numbered from 0 to 63.")
    return given.tolist()


def examine_keep(answer, exam) -> None:
    chosen = [_numbers(call(answer, tokens.clone(), KEPT), KEPT) for tokens in exam.tokens]
    if any(kept != sorted(kept) for kept in chosen):
        raise Wrong(
            "The numbers are not in the order of the picture: sort them, or the decoder reads the "
            "patches in another order than it learnt to."
        )
    _numbers(call(answer, exam.tokens[0].clone(), 16), 16)
    share = share_right(exam, chosen)
    if share >= ENOUGH:
        return
    hint = "Look for tokens that are unlike most others."
    if all(kept == chosen[0] for kept in chosen):
        hint = "It keeps the same tokens of every picture: a rule that doesn't look. Use `tokens`."
    elif share < 0.3:
        hint = "Does it keep the tokens *nearest* to the median? They are the background."
    raise Wrong(
        f"With the {KEPT} tokens kept, {share:.0%} of {len(exam.about)} answers are right, and "
        f"{ENOUGH:.0%} are wanted; tokens at random leave about half. {hint}"
    )


EXERCISES = (
    Exercise(
        name="shipping.culprit",
        title="Find the step that broke the answers",
        difficulty=3,
        minutes=12,
        takeaway="Compared step by step, an export names its first fault: a narrow tolerance for "
        "rounding, none for NaN, and several pictures, as each can hide something.",
        hints=(
            "Go through `reference.items()`; keep a list of inputs, one for each picture.",
            "Give both steps the *reference's* output of the step before; compare what they give.",
            "`numpy.allclose(a, b, rtol=0, atol=1e-5 * abs(a).max())` is False for NaN; look at "
            "shapes first.",
        ),
        solved=culprit,
        materials=_pictures,
        examine=examine_culprit,
    ),
    Exercise(
        name="shipping.keep",
        title="Choose the tokens worth keeping",
        difficulty=2,
        minutes=8,
        takeaway="On a plain background, tokens unlike most others carry the answers. Photographs "
        "have no plain background: there other rules win, and answers say which.",
        hints=(
            "Most tokens are background, so the median of each feature over the 64 tokens is one.",
            "`tokens.quantile(0.5, dim=0)`, the distance of each token to it, and "
            "`topk(n).indices`, sorted.",
        ),
        solved=keep,
        materials=_exam,
        examine=examine_keep,
    ),
)

"""Exercises of notebook 01, architecture."""

from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from vlm_helpers.exercises._engine import Exercise, Wrong, call


def _tensor(got: Any, shape: str) -> torch.Tensor:
    """What an answer returned, if it is one array of numbers, numpy's too."""
    if isinstance(got, np.ndarray) and np.issubdtype(got.dtype, np.number):
        return torch.as_tensor(got)
    if not isinstance(got, torch.Tensor):
        raise Wrong(f"Return one tensor {shape}; this is {type(got).__name__}.")
    return got


def _equal(got: torch.Tensor, want: torch.Tensor) -> bool:
    """The same numbers, in whatever precision."""
    return got.shape == want.shape and bool((got.to(want.dtype) == want).all())


# --- architecture.patchify ------------------------------------------------------------------------


def patchify(pixels, size):
    batch, channels, height, width = pixels.shape
    rows, columns = height // size, width // size
    cut = pixels.reshape(batch, channels, rows, size, columns, size)
    cut = cut.permute(0, 2, 4, 1, 3, 5)  # [batch, rows, columns, channels, size, size]
    return cut.reshape(batch, rows * columns, channels * size * size)


def _pictures() -> tuple[torch.Tensor, int]:
    """Two pictures whose numbers are all different, wider than they are high; and a patch size."""
    return torch.arange(2 * 3 * 8 * 12, dtype=torch.float32).reshape(2, 3, 8, 12), 4


class _NoUnfold(TorchFunctionMode):
    """Refuses torch's own function for it, by whichever name it is called."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func.__name__ in ("unfold", "unfold_copy", "im2col"):
            raise Wrong("Your function calls `unfold`: cut with `reshape` and `permute` alone.")
        return func(*args, **(kwargs or {}))


def _by(*order, flip=False, swap=False):
    """Wrong ways to cut: `order` permutes [batch, channels, rows, size, columns, size]."""

    def cut(pixels, size):
        batch, channels, height, width = pixels.shape
        rows, columns = height // size, width // size
        if flip:  # taken for [batch, channels, width, height]
            rows, columns = columns, rows
        split = (size, rows, size, columns) if swap else (rows, size, columns, size)
        parts = pixels.reshape(batch, channels, *split).permute(order)
        return parts.reshape(batch, rows * columns, channels * size * size)

    return cut


_MISTAKES = (
    (
        lambda pixels, size: pixels.reshape(len(pixels), -1, pixels.shape[1] * size * size),
        "It has the right shape, but `reshape` alone takes the numbers in the order in which they "
        "lie in memory, and cuts runs out of one channel's rows: split height and width first, "
        "then `permute`, then join.",
    ),
    (
        _by(0, 4, 2, 1, 3, 5),
        "Your patches come column by column. The tower numbers them row by row, as one reads: "
        "rows before columns in `permute`.",
    ),
    (
        _by(0, 2, 4, 3, 5, 1),
        "Within a patch your numbers go pixel by pixel, with the channels last. The tower's "
        "weights want all of the first channel, then the next: channels before the two sides.",
    ),
    (
        _by(0, 2, 4, 5, 3, 1),
        "Within a patch your numbers go column by column, with the channels last: channels come "
        "first, then height, then width.",
    ),
    (
        _by(0, 4, 2, 1, 5, 3),
        "You exchange height and width twice: rows before columns, and within a patch height "
        "before width.",
    ),
    (
        _by(0, 2, 4, 1, 5, 3),
        "Each of your patches is turned on its side: within it, height comes before width.",
    ),
    (
        _by(0, 1, 2, 4, 3, 5),
        "You cut each channel for itself: a patch holds all channels, so rows and columns come "
        "before them.",
    ),
    (
        _by(0, 3, 5, 1, 2, 4, swap=True),
        "You split a side into (size, rows), which puts together what lies far apart: neighbours "
        "in one patch want (rows, size).",
    ),
    (
        _by(0, 2, 4, 1, 3, 5, flip=True),
        "You take height for width: `pixels.shape` is [batch, channels, height, width].",
    ),
)


def examine_patchify(answer, materials) -> None:
    """Compare with the right patches; where they differ, with what usual mistakes give."""
    pixels, size = materials
    want = patchify(pixels, size)
    given = pixels.clone()
    with _NoUnfold():
        got = call(answer, given, size, because=_BECAUSE_PATCHIFY)
    if not torch.equal(given, pixels):
        raise Wrong("Your function changes the pixels that it was given: make new ones.")
    got = _tensor(got, "[batch, patches, numbers]")
    if got.shape != want.shape:
        raise Wrong(_shape_in_words(list(got.shape), list(want.shape), list(pixels.shape), size))
    if _equal(got, want):
        return
    for imitate, diagnosis in _MISTAKES:
        if _equal(got, imitate(pixels, size)):
            raise Wrong(diagnosis)
    batch, patch, place = (got != want).nonzero()[0].tolist()
    raise Wrong(
        f"The shape is right, but patch {patch} of picture {batch} holds, from its number {place} "
        f"on, {_few(got[batch, patch, place:])}; it should hold "
        f"{_few(want[batch, patch, place:])}."
    )


def _few(numbers) -> str:
    return ", ".join(f"{number:g}" for number in numbers[:4].tolist()) + ", …"


def _shape_in_words(got: list, want: list, pixels: list, size: int) -> str:
    told = f"For pixels {pixels} and patches of {size}, return {want}, not {got}"
    if sorted(got) == sorted(want):
        return f"{told}: the same numbers in another order of axes."
    if len(got) == 6:
        return f"{told}: join rows and columns, and join what is inside a patch, with `reshape`."
    if got == [want[0], want[1] + 1, want[2]]:
        return f"{told}: the class token is not a patch."
    if len(got) == 2:
        return f"{told}: the batch must stay an axis of its own."
    return f"{told}."


_BECAUSE_PATCHIFY = {
    r"shape '.*' is invalid": "A `reshape` must keep the number of numbers: which product of sides "
    "is off?",
    r"permute\(sparse_coo\)|number of dimensions": "`permute` names every axis once: how many does "
    "your tensor have after the first `reshape`?",
    r"view size is not compatible": "After `permute` the numbers lie in another order: `reshape` "
    "copies them, `view` cannot.",
}

# --- architecture.splice --------------------------------------------------------------------------

IMAGE_ID = 4


def splice(embeds, features, ids, image_id):
    joined = embeds.clone()
    joined[ids == image_id] = features.flatten(0, 1).to(embeds.dtype)
    return joined


def _sequences() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two sequences with their picture at different places."""
    ids = torch.tensor([[1, 7, 4, 4, 4, 9, 2], [1, 4, 4, 4, 8, 7, 9]])
    embeds = torch.arange(2 * 7 * 2, dtype=torch.float32).reshape(2, 7, 2)
    features = torch.arange(100, 112, dtype=torch.float32).reshape(2, 3, 2)
    return embeds, features, ids


def examine_splice(answer, materials) -> None:
    """In one precision first, so that a second one hides no other mistake; then in two."""
    embeds, features, ids = materials
    _splice_of(answer, embeds, features, ids)
    _splice_of(answer, embeds.bfloat16(), features, ids)


def _splice_of(answer, embeds: torch.Tensor, features: torch.Tensor, ids: torch.Tensor) -> None:
    """Compare with the right splice; say what stands in the wrong place."""
    want = splice(embeds, features, ids, IMAGE_ID)
    given = [tensor.clone() for tensor in (embeds, features, ids)]
    got = call(answer, *given, IMAGE_ID, because=_BECAUSE_SPLICE)
    if not torch.equal(given[0], embeds):
        raise Wrong(
            "Your function writes into `embeds`, which the caller still owns: `clone` it first."
        )
    if isinstance(got, list | tuple) and all(isinstance(row, torch.Tensor) for row in got):
        raise Wrong("You return the sequences one by one: `torch.stack` makes one tensor of them.")
    got = _tensor(got, "[batch, tokens, width]")
    if got.shape != want.shape:
        longer = got.ndim == 3 and got.shape[1] > want.shape[1]
        raise Wrong(
            f"The result must be as long as the ids, {list(want.shape)}; yours is "
            f"{list(got.shape)}."
            + (
                " The picture takes the places of the image tokens; it is not put before them."
                if longer
                else ""
            )
        )
    if got.dtype != embeds.dtype:
        raise Wrong(
            f"The decoder works in {embeds.dtype} and you return {got.dtype}: bring the features "
            "to the dtype of the embeddings."
        )
    if torch.equal(got, want):
        return
    there = ids == IMAGE_ID
    if torch.equal(got, embeds):
        raise Wrong("Nothing has changed: the embeddings come back as they went in.")
    if torch.equal(got[there], want[there]):
        raise Wrong("The picture is in its places, but embeddings of words have changed too.")
    if torch.equal(got[there], want[there] + embeds[there]):
        raise Wrong("You add the features to the image tokens' embeddings: they replace them.")
    fixed = embeds.clone()
    start = int(there[0].nonzero()[0])
    fixed[:, start : start + features.shape[1]] = features.to(embeds.dtype)
    if torch.equal(got, fixed):
        raise Wrong(
            "The first sequence is right. In the second the picture stands elsewhere: find its "
            "places in each sequence, with `ids == image_id`."
        )
    if torch.equal(got[there], features[:1].expand_as(features).flatten(0, 1).to(got.dtype)):
        raise Wrong("Every sequence gets the first picture: each has its own, `features[row]`.")
    if torch.equal(got[there], features.flip(0).flatten(0, 1).to(got.dtype)):
        raise Wrong("The pictures are exchanged: the first belongs to the first sequence.")
    swapped = features.transpose(0, 1).reshape(-1, features.shape[-1]).to(got.dtype)
    if torch.equal(got[there], swapped):
        raise Wrong(
            "The features are mixed between the pictures: [batch, patches, width] is to be "
            "flattened as it is, all patches of the first picture first."
        )
    row, place = (got != want).any(dim=-1).nonzero()[0].tolist()
    what = "picture" if there[row, place] else "word"
    raise Wrong(
        f"Place {place} of sequence {row} (a {what}) holds {got[row, place].tolist()}; it should "
        f"hold {want[row, place].tolist()}."
    )


_BECAUSE_SPLICE = {
    r"shape mismatch|expand": "There is one vector for each image token, over the whole batch: "
    "`features.flatten(0, 1)` is [batch * patches, width].",
    r"dtype|ScalarType": "Embeddings and features differ in precision: "
    "`features.to(embeds.dtype)`.",
    r"must match the (size|existing)": "A mask [batch, tokens] chooses whole vectors of [batch, "
    "tokens, width]; `masked_scatter` wants it as [batch, tokens, 1].",
}

# --- architecture.merge ---------------------------------------------------------------------------


def merge(features, side):
    grid = features.unflatten(1, (side // 2, 2, side // 2, 2))  # rows, 2, columns, 2
    return grid.transpose(2, 3).flatten(3).flatten(1, 2)


def _grids() -> tuple[torch.Tensor, int]:
    """Two pictures of 6 x 6 patches, three numbers a patch, all of them different."""
    return torch.arange(2 * 36 * 3, dtype=torch.float32).reshape(2, 36, 3), 6


def _joined(*order):
    """Wrong ways to join: `order` permutes [batch, rows, 2, columns, 2, width]."""

    def join(features, side):
        grid = features.unflatten(1, (side // 2, 2, side // 2, 2)).permute(order)
        return grid.reshape(len(features), side * side // 4, -1)

    return join


_MERGING_MISTAKES = (
    (
        lambda features, side: features.reshape(len(features), side * side // 4, -1),
        "You join four patches in a row. Neighbours are two of one row and the two below them: "
        "split rows and columns first, with `unflatten`, then bring the two axes of 2 together.",
    ),
    (
        lambda features, side: (
            features.reshape(len(features), 4, side * side // 4, -1).transpose(1, 2).flatten(2)
        ),
        "You join patches that lie a quarter of the picture apart: neighbours lie side by side.",
    ),
    (
        lambda features, side: (
            features.unflatten(1, (2, side // 2, 2, side // 2))
            .permute(0, 2, 4, 1, 3, 5)
            .reshape(len(features), side * side // 4, -1)
        ),
        "You split a side into (2, side // 2) and join patches half the picture apart: neighbours "
        "want (side // 2, 2).",
    ),
    (
        _joined(0, 3, 1, 2, 4, 5),
        "Your blocks come column by column: they are numbered row by row, as one reads.",
    ),
    (
        _joined(0, 1, 3, 4, 2, 5),
        "Within a block your patches go down first: the upper two come before the lower two.",
    ),
    (
        _joined(0, 3, 1, 4, 2, 5),
        "You exchange rows and columns, of the blocks and within them: read row by row.",
    ),
    (
        _joined(0, 1, 3, 5, 2, 4),
        "You mix the numbers of the four patches: all of the first patch come first, then all of "
        "the second.",
    ),
)


def examine_merge(answer, materials) -> None:
    """Compare with the right blocks; where they differ, with what usual mistakes give."""
    features, side = materials
    want, given = merge(features, side), features.clone()
    got = _tensor(call(answer, given, side, because=_BECAUSE_MERGE), "[batch, tokens, numbers]")
    if not torch.equal(given, features):
        raise Wrong("Your function changes the features that it was given: make new ones.")
    if list(got.shape) == [2, 9, 3]:
        raise Wrong(
            "You keep the width, so something is thrown away (a mean blurs, a maximum picks): put "
            "the four vectors one after the other, four times as wide."
        )
    if got.shape != want.shape:
        told = f"For features {list(features.shape)}, return {list(want.shape)}"
        rest = ": rows and columns are to be joined" if got.ndim > want.ndim else ""
        raise Wrong(f"{told}, not {list(got.shape)}{rest}.")
    if _equal(got, want):
        return
    for imitate, diagnosis in _MERGING_MISTAKES:
        if _equal(got, imitate(features, side)):
            raise Wrong(diagnosis)
    batch, block, place = (got != want).nonzero()[0].tolist()
    raise Wrong(
        f"The shape is right, but token {block} of picture {batch} holds, from its number {place} "
        f"on, {_few(got[batch, block, place:])}; it should hold "
        f"{_few(want[batch, block, place:])}."
    )


_BECAUSE_MERGE = {
    r"shape '.*' is invalid|unflatten": "Rows and columns are each split in two: (side // 2, 2).",
    r"permute\(sparse_coo\)|number of dimensions": "`permute` names every axis once.",
    r"view size is not compatible": "After `permute` the numbers lie in another order: `reshape` "
    "or `flatten` copy them, `view` cannot.",
}

EXERCISES = (
    Exercise(
        name="architecture.patchify",
        title="Cut a picture into patches",
        difficulty=3,
        minutes=15,
        takeaway=(
            "Every patch is a row of numbers now. A convolution with stride = kernel size does the "
            "same cut and the first linear layer in one step, which is what the tower has."
        ),
        hints=(
            "Split the height into (rows, size) and the width into (columns, size): one `reshape` "
            "to six axes.",
            "`permute` so that rows and columns come right after the batch, and channels, height, "
            "width of a patch after them. A second `reshape` joins each group.",
        ),
        solved=patchify,
        materials=_pictures,
        examine=examine_patchify,
    ),
    Exercise(
        name="architecture.splice",
        title="Put the picture among the words",
        difficulty=2,
        minutes=10,
        takeaway=(
            "That is all there is to fusion in LLaVA: from here on the decoder cannot tell a "
            "patch from a word."
        ),
        hints=(
            "`ids == image_id` is true where the picture belongs: [batch, tokens].",
            "A mask as index picks vectors of the whole batch, in order: "
            "`joined[mask] = features.flatten(0, 1)`.",
        ),
        solved=splice,
        materials=_sequences,
        examine=examine_splice,
    ),
    Exercise(
        name="architecture.merge",
        title="A quarter of the tokens",
        difficulty=3,
        minutes=10,
        takeaway=(
            "Nothing is thrown away: four vectors stand in one, and the next linear layer decides "
            "what of them to keep. InternVL calls it pixel shuffle, Qwen2-VL patch merging."
        ),
        hints=(
            "`features.unflatten(1, (side // 2, 2, side // 2, 2))` gives the patches their rows "
            "and columns back, in twos.",
            "The two axes of length 2 belong together, just before the width: `transpose(2, 3)` "
            "brings them there. `flatten` joins what belongs together.",
        ),
        solved=merge,
        materials=_grids,
        examine=examine_merge,
    ),
)

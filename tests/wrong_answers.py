"""Answers that people give to the exercises: wrong ones with words that their check must say.

`WRONG_ANSWERS[exercise name]` lists (answer, words), `RIGHT_ANSWERS` right ones in other styles
than the solution's. `test_exercises.py` gives each one to the check. A new exercise needs entries
here: without wrong answers its test fails.
"""

import ast
import itertools
import json
import math
import re
from collections import Counter
from fractions import Fraction

import numpy
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps

import vlm_helpers as vh
from vlm_helpers.exercises import choosing_and_evaluating as evaluating
from vlm_helpers.exercises import documents_charts_and_screens as documents
from vlm_helpers.exercises import (
    grounding,
    preferences_and_rewards,
    prompt_templates,
    shipping,
    welcome,
)
from vlm_helpers.exercises.inference import cache_gib as _cache


def _loop(
    choose=lambda logits: logits[0, -1].argmax(),
    *,
    cached=True,
    picture="first",
    ends=True,
    extra_steps=0,
    after=lambda new_ids, model, inputs: new_ids,
):
    """A greedy loop with faults to order.

    `picture` is passed in the "first" step, in "every" step or "never"; `cached` passes the
    newest token with the cache, else the whole text; `after` makes what is returned.
    """

    def greedy(model, inputs, max_new_tokens):
        ids, cache, new_ids = inputs["input_ids"], None, []
        for step in range(max_new_tokens + extra_steps):
            sees = picture == "every" or (picture == "first" and step == 0)
            pixels = {"pixel_values": inputs["pixel_values"]} if sees else {}
            with torch.no_grad():
                output = model(input_ids=ids, past_key_values=cache, use_cache=cached, **pixels)
            new_ids.append(int(choose(output.logits)))
            if ends and new_ids[-1] == model.generation_config.eos_token_id:
                break
            new = torch.tensor([new_ids[-1:]])
            ids, cache = (
                (new, output.past_key_values) if cached else (torch.cat([ids, new], 1), None)
            )
        return after(new_ids, model, inputs)

    return greedy


def _sampled(logits):
    return torch.multinomial(logits[0, -1].softmax(dim=-1), 1)


def _with_prompt(new_ids, model, inputs):
    return torch.cat([inputs["input_ids"], torch.tensor([new_ids])], dim=1)


def _without_end(new_ids, model, inputs):
    return [i for i in new_ids if i != model.generation_config.eos_token_id]


def newest_token_alone(model, inputs, max_new_tokens):
    new_ids = [model(**inputs).logits[0, -1].argmax()]
    while len(new_ids) < max_new_tokens:
        new_ids.append(model(input_ids=new_ids[-1].view(1, 1)).logits[0, -1].argmax())
    return torch.stack(new_ids)


def same_prompt_every_time(model, inputs, max_new_tokens):
    return [model(**inputs).logits[0, -1].argmax().item() for _ in range(max_new_tokens)]


def prompts_mask(model, inputs, max_new_tokens):
    ids = inputs["input_ids"]
    for _ in range(max_new_tokens):
        next_id = model(**{**inputs, "input_ids": ids}).logits[:, -1].argmax(dim=-1)
        ids = torch.cat([ids, next_id[:, None]], dim=1)
        if next_id.item() == model.generation_config.eos_token_id:
            break
    return ids[0, inputs["input_ids"].shape[1] :]


def prompts_mask_and_the_cache(model, inputs, max_new_tokens):
    step, cache, new_ids = dict(inputs), None, []
    for _ in range(max_new_tokens):
        output = model(**step, past_key_values=cache, use_cache=True)
        new_ids.append(output.logits[0, -1].argmax())
        if new_ids[-1] == model.generation_config.eos_token_id:
            break
        step["input_ids"], cache = new_ids[-1].view(1, 1), output.past_key_values
        step.pop("pixel_values", None)
    return torch.stack(new_ids)


def argmax_over_batch(model, inputs, max_new_tokens):
    return model(**inputs).logits[:, -1].argmax(dim=0)


def argmax_over_positions(model, inputs, max_new_tokens):
    return [model(**inputs).logits[0].argmax(dim=0) for _ in range(max_new_tokens)]


def argmax_over_everything(model, inputs, max_new_tokens):
    ids = inputs["input_ids"]
    for _ in range(max_new_tokens):
        next_id = model(input_ids=ids, pixel_values=inputs["pixel_values"]).logits.argmax()
        ids = torch.cat([ids, next_id.view(1, 1)], dim=1)
    return ids[:, inputs["input_ids"].shape[1] :]


def item_of_many(model, inputs, max_new_tokens):
    return [model(**inputs).logits.argmax(dim=-1).item()]


def appends_without_batch(model, inputs, max_new_tokens):
    next_id = model(**inputs).logits[:, -1].argmax(dim=-1)
    return torch.cat([inputs["input_ids"], next_id], dim=1)


def logits(model, inputs, max_new_tokens):
    return model(**inputs).logits[0, -1]


def whole_output(model, inputs, max_new_tokens):
    return model(**inputs)


def one_id(model, inputs, max_new_tokens):
    return model(**inputs).logits[0, -1].argmax()


def calls_generate(model, inputs, max_new_tokens):
    return model.generate(**inputs, do_sample=False, max_new_tokens=max_new_tokens)


def never_ends(model, inputs, max_new_tokens):
    while True:
        model(**inputs)


def breaks(model, inputs, max_new_tokens):
    scores = model(**inputs).logits
    return scores[0, 99_999]


def _patches(*order, first=lambda pixels: pixels, last=lambda cut: cut):
    """A cut into patches with the axes [batch, channels, rows, size, columns, size] in `order`."""

    def patchify(pixels, size):
        pixels = first(pixels)
        batch, channels, height, width = pixels.shape
        parts = pixels.reshape(batch, channels, height // size, size, width // size, size)
        return last(parts.permute(order).reshape(batch, -1, channels * size * size))

    return patchify


def _spliced(where=lambda ids, image: ids == image, what=lambda features: features.flatten(0, 1)):
    def splice(embeds, features, ids, image_id):
        joined = embeds.clone()
        joined[where(ids, image_id)] = what(features).to(embeds.dtype)
        return joined

    return splice


def splice_in_front(embeds, features, ids, image_id):
    return torch.cat([features.to(embeds.dtype), embeds], dim=1)


def splice_in_place(embeds, features, ids, image_id):
    embeds[ids == image_id] = features.flatten(0, 1).to(embeds.dtype)
    return embeds


def splice_at_the_first_place(embeds, features, ids, image_id):
    joined, start = embeds.clone(), int((ids[0] == image_id).nonzero()[0])
    joined[:, start : start + features.shape[1]] = features.to(embeds.dtype)
    return joined


def splice_by_adding(embeds, features, ids, image_id):
    joined = embeds.clone()
    joined[ids == image_id] += features.flatten(0, 1).to(embeds.dtype)
    return joined


def splice_in_float32(embeds, features, ids, image_id):
    return _spliced()(embeds.float(), features, ids, image_id)


def splice_without_flatten(embeds, features, ids, image_id):
    joined = embeds.clone()
    joined[ids == image_id] = features.to(embeds.dtype)
    return joined


def splice_without_clone_of_masks(embeds, features, ids, image_id):
    joined = embeds.clone()
    joined[ids == image_id] = features.flatten(0, 1).to(embeds.dtype)
    joined[:, 0] = 0
    return joined


def splice_at_the_first_place_in_float32(embeds, features, ids, image_id):
    return splice_at_the_first_place(embeds.float(), features, ids, image_id)


def splice_without_dtype(embeds, features, ids, image_id):
    joined = embeds.clone()
    joined[ids == image_id] = features.flatten(0, 1)
    return joined


def splice_row_by_row(embeds, features, ids, image_id):
    rows = []
    for words, picture, numbers in zip(embeds, features.to(embeds.dtype), ids):
        start = numbers.tolist().index(image_id)
        rows.append(torch.cat([words[:start], picture, words[start + len(picture) :]]))
    return torch.stack(rows)


def splice_with_where(embeds, features, ids, image_id):
    there = ids == image_id
    which = (there.cumsum(1) - 1).clamp(0)
    spread = torch.stack([picture[index] for picture, index in zip(features, which)])
    return torch.where(there[..., None], spread.to(embeds.dtype), embeds)


def patches_cut_across(pixels, size):
    batch, channels, height, width = pixels.shape
    parts = pixels.reshape(batch, channels, height // size, width // size, size, size)
    return parts.permute(0, 2, 3, 1, 4, 5).reshape(batch, -1, channels * size * size)


def patches_by_slices(pixels, size):
    height, width = pixels.shape[2:]
    corners = [(y, x) for y in range(0, height, size) for x in range(0, width, size)]
    cut = [pixels[:, :, y : y + size, x : x + size].flatten(1) for y, x in corners]
    return torch.stack(cut, dim=1)


def _parsed(change, runs=grounding.parse):
    return lambda text: [tuple(change(box)) for box in runs(text)]


def _any_run(text):
    """Takes the first four of every run for a box."""
    runs = [re.findall(r"\d\d", run) for run in re.findall(r"(?:<loc_\d\d>)+", text)]
    return [tuple((int(n) + 0.5) / 64 for n in run[:4]) for run in runs]


def _four_of_six(text):
    """Takes the first four tokens of an outline for a box, and no points."""
    runs = [re.findall(r"\d\d", run) for run in re.findall(r"(?:<loc_\d\d>){4,}", text)]
    return [tuple((int(n) + 0.5) / 64 for n in run[:4]) for run in runs]


def _overlap(one, other):
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0) * max(height, 0)


def _area(box):
    return (box[2] - box[0]) * (box[3] - box[1])


def _around(one, other):
    return (max(one[2], other[2]) - min(one[0], other[0])) * (
        max(one[3], other[3]) - min(one[1], other[1])
    )


def _iou(shared, more=0):
    """IoU with a fault in how the sides of the overlap are used; `more` is added to every side."""

    def iou(one, other):
        width = min(one[2], other[2]) - max(one[0], other[0])
        height = min(one[3], other[3]) - max(one[1], other[1])
        areas = [(box[2] - box[0] + more) * (box[3] - box[1] + more) for box in (one, other)]
        return shared(width, height) / (sum(areas) - shared(width, height))

    return iou


iou_of_far_boxes = _iou(lambda width, height: width * height)


def generalized(one, other):
    width = max(one[2], other[2]) - min(one[0], other[0])
    around = width * (max(one[3], other[3]) - min(one[1], other[1]))
    areas = [vh.boxes.Box(*box).area for box in (one, other)]
    overlap = vh.boxes.iou(vh.boxes.Box(*one), vh.boxes.Box(*other))
    return overlap - (around - sum(areas) / (1 + overlap)) / around


def iou_of_arrays(one, other):
    a, b = numpy.array(one), numpy.array(other)
    shared = numpy.clip(numpy.minimum(a[2:], b[2:]) - numpy.maximum(a[:2], b[:2]), 0, None).prod()
    return shared / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - shared)


async def later(text):
    return grounding.parse(text)


def _scaled(x, y):
    """A box times these factors, which are given by functions of both sizes."""

    def to_photo(box, photo, seen):
        factors = x(photo, seen), y(photo, seen)
        return [value * factors[i % 2] for i, value in enumerate(box)]

    return to_photo


def _across(photo, seen):
    return photo[0] / seen[0]


def _down(photo, seen):
    return photo[1] / seen[1]


def _scores(hits, objects=None):
    """Precision and recall with a fault in what counts as a hit."""

    def precision_recall(predicted, truth):
        right = hits(predicted, truth)
        return right / len(predicted), (objects or hits)(predicted, truth) / len(truth)

    return precision_recall


def _on_any(boxes, others, threshold=0.5):
    return sum(max(vh.boxes.iou(box, other) for other in others) >= threshold for box in boxes)


def _matched(predicted, truth, threshold=0.5):
    return len(vh.boxes.match(predicted, truth, threshold))


def leaves(text):
    raise SystemExit("no boxes")


def _collate(labels, **options):
    """A collator with faults to order: `labels(processor, batch, row, i)` gives those of a row."""

    def collate(processor, rows):
        options.setdefault("padding_side", "right")
        batch = processor(
            text=[processor.apply_chat_template(row["messages"]) for row in rows],
            images=[row["images"] for row in rows],
            padding=True,
            **{"return_tensors": "pt", **options},
        )
        found = [labels(processor, _tensors(batch), r, i) for i, r in enumerate(rows)]
        batch["labels"] = torch.stack(found)
        return batch

    return collate


def _tensors(batch):
    """Tokens and mask, of a batch of lists too, which are padded to one length."""
    return {key: torch.as_tensor(batch[key]) for key in ("input_ids", "attention_mask")}


def _lists(change):
    """A right collator whose labels are changed into something else."""

    def collate(processor, rows):
        batch = _collate(_from())(processor, rows)
        return {**batch, "labels": change(batch["labels"])}

    return collate


def pictures_exchanged(processor, rows):
    batch = _collate(_from())(processor, rows)
    batch["pixel_values"] = batch["pixel_values"].flip(0)
    return batch


def after_the_padding(processor, rows):
    batch = _collate(_nothing, padding_side="left")(processor, rows)
    for i, row in enumerate(rows):
        prompt = processor.apply_chat_template(row["messages"][:-1], add_generation_prompt=True)
        start = (batch["attention_mask"][i] == 0).sum()
        start += len(processor(text=prompt, images=row["images"])["input_ids"][0])
        batch["labels"][i, start:] = batch["input_ids"][i, start:]
    return dict(batch)


def _from(offset=0, generation=True, end=None, shift=0):
    """Labels from the end of the prompt on, `offset` tokens later."""

    def labels(processor, batch, row, i):
        ids, mask = batch["input_ids"][i], batch["attention_mask"][i]
        prompt = processor.apply_chat_template(
            row["messages"][:-1], add_generation_prompt=generation
        )
        start = len(processor(text=prompt, images=row["images"])["input_ids"][0]) + offset
        found = torch.full_like(ids, -100)
        stop = mask.sum() + (end or 0)
        found[start + shift : stop + shift] = ids[start:stop]
        return found

    return labels


def _by_pad_token(processor, batch, row, i):
    found = _from()(processor, batch, row, i)
    found[batch["input_ids"][i] == processor.tokenizer.pad_token_id] = -100
    return found


def _everything(processor, batch, row, i):
    found = batch["input_ids"][i].clone()
    found[batch["attention_mask"][i] == 0] = -100
    return found


def _all_but_picture(processor, batch, row, i):
    found = _everything(processor, batch, row, i)
    found[found == processor.image_token_id] = -100
    return found


def _picture_too(processor, batch, row, i):
    found = _from()(processor, batch, row, i)
    found[batch["input_ids"][i] == processor.image_token_id] = processor.image_token_id
    return found


def _nothing(processor, batch, row, i):
    return torch.full_like(batch["input_ids"][i], -100)


def _transposed_where_square(weight, A, B, alpha):
    added = alpha / len(A) * (B @ A)
    return weight + (added.T if len(weight) == weight.shape[1] else added)


def _merged_in_place(weight, A, B, alpha):
    weight += alpha / len(A) * (B @ A)
    return weight


def no_labels(processor, rows):
    batch = _collate(_nothing)(processor, rows)
    del batch["labels"]
    return batch


def labels_alone(processor, rows):
    return _collate(_nothing)(processor, rows)["labels"]


def labels_of_answers(processor, rows):
    batch = _collate(_nothing)(processor, rows)
    batch["labels"] = batch["labels"][:, 5:]
    return batch


def first_row_only(processor, rows):
    return _collate(_from())(processor, rows[:1])


def answers_without_question(processor, rows):
    rows = [dict(row, messages=row["messages"][:1] + row["messages"][1:] * 2) for row in rows]
    return _collate(_from())(processor, rows)


def learns_by_proj(name, stage):
    return stage == 2 and "vision" not in name or "proj" in name


def _ends(point):
    """The interval of a point of a curve."""
    return vh.evaluation.interval(*point[1:])


# The same in the form in which the exercise hands it out.
PLAIN_TEMPLATE = (
    "{% for message in messages %}"
    "{{ message.role | upper }}: "
    "{% for part in message.content %}"
    "{% if part.type == 'image' %}<image>\n{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}"
    "{{ '</s>' if message.role == 'assistant' else ' ' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


# Right answers in the styles that people write, for the same checks.
def _merged(*order):
    """The patches of a grid joined by twos, the axes put into `order` before."""

    def merge(features, side):
        grid = features.unflatten(1, (side // 2, 2, side // 2, 2)).permute(order)
        return grid.reshape(len(features), side * side // 4, -1)

    return merge


def merge_by_slices(features, side):
    grid = features.unflatten(1, (side, side))
    corners = [grid[:, row::2, column::2] for row in (0, 1) for column in (0, 1)]
    return torch.cat(corners, dim=-1).flatten(1, 2)


# --- documents, charts and screens ----------------------------------------------------------------


def _cut(**fault):
    return lambda picture, grids, side: documents._cut(picture, grids, side, **fault)


def _grid(choose):
    """`cut` with another grid: the one for which `choose(grid, scale, picture)` is largest."""

    def best(size, grids, side):
        def value(grid):
            scale = min(grid[0] * side / size[0], grid[1] * side / size[1])
            return choose(grid, scale, size)

        return max(grids, key=value)

    return _cut(choose=best)


def cut_by_pillow(picture, grids, side):
    """The same by other means: what is wasted is subtracted, and Pillow pads."""

    def value(grid):
        room = (grid[0] * side, grid[1] * side)
        fitted = ImageOps.contain(picture, room)
        kept = min(fitted.width * fitted.height, picture.width * picture.height)
        return kept, kept - room[0] * room[1]

    columns, rows = max(sorted(grids), key=value)
    whole = ImageOps.pad(picture, (columns * side, rows * side), method=Image.Resampling.BILINEAR)
    boxes = itertools.product(range(rows), range(columns))
    tiles = [
        whole.crop((c * side, r * side, c * side + side, r * side + side)) for r, c in boxes
    ]  # fmt: skip
    return (picture.resize((side, side), Image.Resampling.BILINEAR), *map(numpy.asarray, tiles))


def rows_alone(picture, grids, side):
    columns, rows = max(grids, key=lambda g: g[0] * g[1])
    return [picture.resize((columns * side, side))] * rows


def tiles_mirrored(picture, grids, side):
    return [ImageOps.mirror(tile) for tile in documents.cut(picture, grids, side)]


def _score(**fault):
    return lambda answer, truths, distance: documents._anls(answer, truths, distance, **fault)


def anls_of_the_course(answer, truths, distance):
    return vh.evaluation.anls(answer, truths)


def anls_by_loop(answer, truths, distance):
    scores = []
    for truth in truths:
        a, b = answer.lower().strip(), truth.lower().strip()
        away = distance(a, b) / max(len(a), len(b)) if a or b else 0
        scores.append(1 - away if away < 0.5 else 0)
    return numpy.float64(max(scores))


def plain_json(text):
    return json.loads(text)


def first_to_last_brace(text):
    try:
        return json.loads(text[text.find("{") : text.rfind("}") + 1])
    except json.JSONDecodeError:
        return {}


def as_python(text):
    try:
        return ast.literal_eval(text[text.find("{") : text.rfind("}") + 1])
    except (SyntaxError, ValueError):
        return {}


def pairs_by_pattern(text):
    return dict(re.findall(r'"(\w+)": "([^"]*)"', text))


def closed_by_force(text):
    """Adds what may be missing, and so takes half a number for a whole one."""
    text = text[text.find("{") :] if "{" in text else "{}"
    for end in range(len(text), 0, -1):
        part = text[:end].rstrip().rstrip(",")
        for tail in ("", "}", "]}", "}]}"):
            try:
                return json.loads(part + tail)
            except json.JSONDecodeError:
                continue
    return {}


def commas_by_pattern(text):
    """Mends the comma before a brace wherever it stands, in texts too."""
    return documents.read_json(re.sub(r",\s*}", "}", text))


def half_texts_kept(text):
    """Closes a text that is cut off, and believes it."""
    found = documents.read_json(text)
    half = re.search(r'"(\w+)": "([^"]+)$', text)
    return {**found, half[1]: half[2]} if half else found


def read_by_decoder(text):
    """The same by another road: the decoder stops where the object ends."""
    start = text.find("{")
    if start < 0:
        return {}
    try:
        return json.JSONDecoder().raw_decode(text, start)[0]
    except json.JSONDecodeError:
        found = documents.read_json(text)
    return json.loads(json.dumps(found))


# --- choosing_and_evaluating ----------------------------------------------------------------------


def _rule(rule):
    """A published rule in the place of one's own."""
    return lambda answer, options: vh.evaluation.extract(answer, options, rule)


def _reads(**instead):
    """The solution, but for one step: `case="Letter"` and so on, done before or after it."""
    before = instead.get("before", lambda answer: answer)
    after = instead.get("after", lambda letter, options: letter)
    return lambda answer, options: after(evaluating.extract(before(answer), options), options)


def _groups(turns):
    groups = {}
    for question, truth, taken in turns:
        groups.setdefault(question, []).append((truth, taken))
    return groups.values()


def _questions(lost_or_kept):
    """The share of questions of which `lost_or_kept(pairs)` is true."""
    return lambda turns: sum(map(lost_or_kept, _groups(turns))) / len(_groups(turns))


def _rights(pairs):
    return [truth == taken for truth, taken in pairs]


def in_fours(turns):
    fours = [turns[i : i + 4] for i in range(0, len(turns), 4)]
    return sum(all(t == s for _, t, s in four) for four in fours) / len(fours)


def neighbours(turns):
    groups = [list(group) for _, group in itertools.groupby(turns, key=lambda turn: turn[0])]
    return sum(all(t == s for _, t, s in group) for group in groups) / len(groups)


def with_counters(turns):
    asked, right = Counter(q for q, *_ in turns), Counter(q for q, t, s in turns if t == s)
    return Fraction(sum(asked[q] == right[q] for q in asked), len(asked))


def empties_the_options(answer, options):
    letter = evaluating.extract(answer, options)
    options.clear()
    return letter


def last_capital(answer, options):
    found = [c for c in answer if c in "ABCDEFGHI"[: len(options)]]
    return found[-1] if found else None


def _box_reward(
    *, only=True, bounded=True, once=True, score=preferences_and_rewards._iou, empty=0.0
):
    """A reward read by `json.loads`, with faults to order: what else may stand in the answer,
    whether the numbers are looked at, and whether the key may come twice."""

    def pairs(found):
        if once and len(found) != 1:
            raise ValueError("more keys than one")
        return dict(found)

    def reward(answer, truth):
        try:
            text = answer if only else answer[answer.find("{") : answer.rfind("}") + 1]
            found = json.loads(text, object_pairs_hook=pairs)
            box = found["box"]
            if not all(type(value) in (int, float) for value in box) or len(box) != 4:
                return empty
            box = [float(value) for value in box]
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
            return empty
        x0, y0, x1, y1 = box
        if bounded and not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
            return empty
        return score(box, truth)

    return reward


def _tolerant(box, truth):
    value = preferences_and_rewards._iou(box, truth)
    return 1.0 if value > 0.9 else value


def _within(low, high):
    """A reward that takes boxes from a little outside of the picture."""

    def score(box, truth):
        inside = all(low <= value <= high for value in box) and box[0] < box[2] and box[1] < box[3]
        return preferences_and_rewards._iou(box, truth) if inside else 0.0

    return _box_reward(bounded=False, score=score)


def _per_cent(box, truth):
    """Numbers above 1 are taken for per cent."""
    box = [value / 100 for value in box] if max(box) > 1 else box
    inside = 0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1
    return preferences_and_rewards._iou(box, truth) if inside else 0.0


def _covered(box, truth):
    width = min(box[2], truth[2]) - max(box[0], truth[0])
    height = min(box[3], truth[3]) - max(box[1], truth[1])
    return max(width, 0) * max(height, 0) / ((truth[2] - truth[0]) * (truth[3] - truth[1]))


def _plainly(text):
    return text.strip().rstrip(".").casefold()


def _kinds_of(judge):
    """`faults` by a function (truth, chosen, rejected) -> kind or None, of texts made alike."""

    def faults(pairs):
        kinds = [judge(*(_plainly(p[k]) for k in ("truth", "chosen", "rejected"))) for p in pairs]
        return {number: kind for number, kind in enumerate(kinds) if kind}

    return faults


def _compared(far, *, chained=False, pictures=slice(None), last_first=False, shapes=True):
    """Goes through the steps of an export with faults to order."""

    def culprit(reference, exported, given):
        wanted, found, names = list(given)[pictures], list(given)[pictures], []
        for name, step in reference.items():
            found = [exported[name](x) for x in (found if chained else wanted)]
            wanted = [step(x) for x in wanted]
            differ = [(shapes and a.shape != b.shape) or far(a, b) for a, b in zip(wanted, found)]
            names += [name] if any(differ) else []
        return (names[-1] if last_first else names[0]) if names else "nothing"

    return culprit


def _close(a, b):
    return not numpy.allclose(a, b, rtol=0, atol=1e-5 * abs(a).max())


def _only_the_end(reference, exported, pictures):
    ends = []
    for steps in (reference, exported):
        made = list(pictures)
        for step in steps.values():
            made = [step(x) for x in made]
        ends.append(made)
    return "scores" if any(a.shape != b.shape or _close(a, b) for a, b in zip(*ends)) else "nothing"


def _picture_by_picture(reference, exported, pictures):
    each = (shipping.culprit(reference, exported, [picture]) for picture in pictures)
    return next((name for name in each if name != "nothing"), "nothing")


def _farther_than(tolerance):
    return lambda a, b: not numpy.allclose(a, b, rtol=0, atol=tolerance)


def _named(change):
    return lambda *given: change(shipping.culprit(*given))


def _at_random(tokens, n):
    dice = torch.Generator().manual_seed(int(tokens[0].abs().sum() * 1000))
    return torch.randperm(len(tokens), generator=dice)[:n].sort().values


def _far_from(middle):
    return lambda tokens, n: (tokens - middle(tokens)).norm(dim=1).topk(n).indices.sort().values


def _farthest_from_each_other(tokens, n):
    kept = [int((tokens - tokens.median(0).values).norm(dim=1).argmax())]
    while len(kept) < n:
        kept.append(int(torch.cdist(tokens, tokens[kept]).min(dim=1).values.argmax()))
    return sorted(kept)


RIGHT_ANSWERS = {
    "documents_charts_and_screens.tiles": [cut_by_pillow],
    "documents_charts_and_screens.anls": [anls_of_the_course, anls_by_loop],
    "documents_charts_and_screens.repair": [read_by_decoder],
    "choosing_and_evaluating.circular": [
        with_counters,
        lambda turns: numpy.mean([all(_rights(pairs)) for pairs in _groups(turns)]),
        lambda turns: torch.tensor([all(_rights(p)) for p in _groups(turns)]).float().mean(),
    ],
    "choosing_and_evaluating.extract": [_reads(before=lambda answer: f"  {answer} ")],
    "choosing_and_evaluating.compare": ["BDF", ["B", "D", "F"], "b, d, f", ("F", "D", "B")],
    "welcome.floor": [
        lambda truths: max(Counter(truths).values()) / len(truths),
        lambda truths: Counter(truths).most_common(1)[0][1] / len(truths),
        lambda truths: numpy.unique(truths, return_counts=True)[1].max() / len(truths),
        lambda truths: Fraction(truths.count(max(truths, key=truths.count)), len(truths)),
        lambda truths: torch.tensor(welcome.floor(truths)),
    ],
    "welcome.repair_question": [
        "What color is the large star?",
        "What colour is the large star?",
        "What is the color of the large star?",
        "Name the large star's color.",
        "Of the two stars, what color is the large one?",
        "What color is the large object?",
        "What colour is the large one?",
    ],
    "prompt_templates.repair_template": [
        PLAIN_TEMPLATE,
        PLAIN_TEMPLATE.replace("'</s>'", "eos_token"),
        "{# mended #}" + PLAIN_TEMPLATE,
        vh.prompts.template("pocket-llava"),
    ],
    "architecture.patchify": [
        _patches(0, 2, 4, 1, 3, 5),
        lambda pixels, size: _patches(0, 2, 4, 1, 3, 5)(pixels, size).numpy(),
        lambda pixels, size: _patches(0, 2, 4, 1, 3, 5)(pixels.double(), size),
        patches_by_slices,
    ],
    "architecture.splice": [
        lambda embeds, features, ids, image_id: embeds.masked_scatter(
            (ids == image_id)[..., None], features.to(embeds.dtype)
        ),
        splice_row_by_row,
        splice_with_where,
    ],
    "architecture.merge": [
        lambda features, side: _merged(0, 1, 3, 2, 4, 5)(features, side).numpy(),
        merge_by_slices,
    ],
    "inference.cache_gib": [
        lambda config, tokens, size: numpy.float32(_cache(config, tokens, size)),
        lambda config, tokens, size: torch.tensor(_cache(config, tokens, size)),
    ],
    "prompt_templates.follows": [
        lambda t, p, a: torch.tensor(prompt_templates.follows(t, p, a)),
        lambda t, p, a: numpy.array_equal(
            t(p)["input_ids"], t(p + a)["input_ids"][: len(t(p)["input_ids"])]
        ),
        lambda t, p, a: all(
            i == j for i, j in zip(t(p)["input_ids"], t(p + a)["input_ids"], strict=False)
        ),
    ],
    "training.what_learns": [
        lambda name, stage: bool(re.search("projector", name)) or stage == 2 and "vis" not in name,
        lambda name, stage: int("vision" not in name and (stage == 2 or "projector" in name)),
        lambda name, stage: numpy.bool_("vision" not in name) & (stage == 2 or "proje" in name),
    ],
    "training.surely_above": [
        lambda points, floor: numpy.array([p[0] for p in points if _ends(p)[0] > floor]),
        lambda points, floor: {step: None for step, *of in points if _ends((step, *of))[0] > floor},
        lambda points, floor: torch.tensor([p[0] for p in points if _ends(p)[0] > floor]),
    ],
    "fine_tuning.collate": [
        _collate(_from()),
        after_the_padding,
        _lists(lambda labels: labels.clone()),
    ],
    "fine_tuning.merge": [
        lambda weight, A, B, alpha: torch.einsum("or,ri->oi", B, A) * alpha / len(A) + weight,
        lambda weight, A, B, alpha: torch.addmm(weight, B, A, alpha=alpha / B.shape[1]),
        lambda weight, A, B, alpha: weight.double() + alpha / len(A) * (B @ A).double(),
    ],
    "preferences_and_rewards.reward": [
        _box_reward(),
        lambda answer, truth: torch.tensor(_box_reward()(answer, truth)),
    ],
    "preferences_and_rewards.faults": [
        _kinds_of(
            lambda truth, chosen, rejected: (
                "equal"
                if chosen == rejected
                else "swapped"
                if truth == rejected
                else "both wrong"
                if truth != chosen
                else None
            )
        ),
    ],
    "grounding.parse": [
        lambda text: tuple(map(list, grounding.parse(text))),
        lambda text: [numpy.float32(box) for box in grounding.parse(text)],
        lambda text: torch.tensor(grounding.parse(text), dtype=torch.float64),
        lambda text: (box for box in grounding.parse(text)),
        lambda text: [box.corners for box in vh.boxes.parse(text, "pocket-llava").boxes],
    ],
    "grounding.iou": [
        lambda a, b: numpy.float32(grounding.iou(a, b)),
        lambda a, b: torch.tensor(grounding.iou(a, b)),
        lambda a, b: Fraction(grounding.iou(a, b)),
        lambda a, b: vh.boxes.iou(vh.boxes.Box(*a), vh.boxes.Box(*b)),
        iou_of_arrays,
    ],
    "grounding.resize": [
        lambda box, photo, seen: [round(v * photo[i % 2] / seen[i % 2]) for i, v in enumerate(box)],
        lambda box, photo, seen: (
            torch.tensor(box) * torch.tensor(photo * 2) / torch.tensor(seen * 2)
        ),
        lambda box, photo, seen: numpy.array(box) / (seen * 2) * (photo * 2),
    ],
    "grounding.precision_recall": [
        lambda p, t: vh.boxes.precision_recall([p], [t]),
        lambda p, t: [_matched(p, t) / len(p), _matched(p, t) / len(t)],
        lambda p, t: numpy.array([_matched(p, t) / len(p), _matched(p, t) / len(t)]),
    ],
    "shipping.culprit": [_compared(_close), _compared(_close, chained=True)],
    "shipping.keep": [
        _far_from(lambda tokens: tokens.mean(0)),
        lambda tokens, n: sorted(shipping.keep(tokens, n).tolist()),
        _farthest_from_each_other,
        lambda tokens, n: (
            (F.normalize(tokens, dim=1) @ F.normalize(tokens, dim=1).T)
            .mean(1)
            .topk(n, largest=False)
            .indices.sort()
            .values
        ),
    ],
}


WRONG_ANSWERS = {
    "documents_charts_and_screens.tiles": [
        (_cut(over="none"), "The overview is missing"),
        (_cut(over="last"), "comes last"),
        (_cut(over="fitted"), "Your overview keeps"),
        (_cut(down=True), "row by row"),
        (_cut(corner=True), "belongs in the middle"),
        (_cut(stretch=True), "You stretch"),
        (_grid(lambda grid, scale, size: grid[0] * grid[1]), "show nothing new"),
        (_grid(lambda grid, scale, size: (scale, -grid[0] * grid[1])), "come from enlarging"),
        (
            _grid(lambda grid, scale, size: -abs(grid[0] / grid[1] - size[0] / size[1])),
            "by the proportions alone",
        ),
        (_grid(lambda grid, scale, size: min(scale, 1)), "not the first of them"),
        (
            _grid(lambda grid, scale, size: (min(scale, 1), grid[0] * grid[1])),
            "the one that wastes least",
        ),
        (_cut(choose=lambda size, grids, side: documents._best(size[::-1], grids, side)), "side"),
        (rows_alone, "each has 32 x 32"),
        (tiles_mirrored, "shows something else"),
        (lambda picture, grids, side: documents.cut(picture, grids, side)[:3], "you give 3 tiles"),
        (lambda picture, grids, side: picture, "Return a list of tiles"),
        (lambda picture, grids, side: [picture.size], "Tile 0 is no RGB picture"),
    ],
    "documents_charts_and_screens.anls": [
        (_score(rule=lambda score: score), "no threshold"),
        (_score(rule=lambda score: float(score >= 0.5)), "from the threshold on"),
        (
            lambda a, t, d: float(any(a.strip().lower() == x.lower() for x in t)),
            "exact answers only",
        ),
        (_score(rule=lambda score: score if score < 0.5 else 0.0), "the wrong way round"),
        (_score(rule=lambda score: 1 - score), "You return the distance"),
        (_score(case=True), "Case does not count"),
        (_score(ends=True), "`strip` both"),
        (_score(over=lambda one, other: other), "the length of the truth"),
        (_score(over=lambda one, other: one), "the length of the answer"),
        (_score(over=lambda one, other: one + other), "both lengths together"),
        (_score(many=lambda scores: sum(scores) / len(scores)), "You average"),
        (_score(many=lambda scores: scores[0]), "the first truth only"),
        (_score(many=min), "You take the worst"),
        (lambda answer, truths, distance: 0.5, "you give 0.5, not 1"),
        (lambda answer, truths, distance: 1 / len(answer), "raised ZeroDivisionError"),
        (lambda answer, truths, distance: [1.0], "Return one number"),
        (lambda a, t, d: documents.anls(a, t, d) or None, "scores 0.0"),
    ],
    "documents_charts_and_screens.repair": [
        (plain_json, "raised JSONDecodeError"),
        (first_to_last_brace, "a comma before the last brace"),
        (as_python, "cut off within a text"),
        (pairs_by_pattern, "the shop is not"),
        (closed_by_force, "may have been about to become 12"),
        (commas_by_pattern, "within quotes are text"),
        (half_texts_kept, "cut off within a text"),
        (lambda text: json.dumps(documents.read_json(text)), "not its text"),
        (lambda text: list(documents.read_json(text)), "You give ["),
        (lambda text: documents.read_json(text) or None, "There is no object in it"),
        (lambda text: {}, "try `json.loads` first"),
        (lambda text: documents.read_json(text.replace('\\"', "'")), "after a backslash"),
    ],
    "choosing_and_evaluating.circular": [
        (lambda turns: sum(t == s for _, t, s in turns) / len(turns), "share of all turns"),
        (
            lambda turns: numpy.mean([numpy.mean(_rights(p)) for p in _groups(turns)]),
            "counts by the share of its turns",
        ),
        (_questions(lambda pairs: any(_rights(pairs))), "use `all`, not `any`"),
        (_questions(lambda p: 2 * sum(_rights(p)) > len(p)), "most of their turns"),
        (_questions(lambda pairs: _rights(pairs)[0]), "right in the first turn"),
        (_questions(lambda pairs: _rights(pairs)[-1]), "overwrite what an earlier one said"),
        (_questions(lambda pairs: len({s for _, s in pairs}) == 1), "always says A would pass"),
        (
            lambda turns: evaluating.circular([turn for turn in turns if turn[2]]),
            "in which no letter was found",
        ),
        (in_fours, "four turns at a time"),
        (neighbours, "next to each other"),
        (_questions(lambda p: len(p) == 4 and all(_rights(p))), "fewer than four turns"),
        (
            lambda turns: sum(all(_rights(p)) for p in _groups(turns)) / len(turns),
            "divided by the number of turns",
        ),
        (
            lambda turns: sum(all(_rights(p)) for p in _groups(turns)),
            "how many questions are right",
        ),
        (lambda turns: 100 * evaluating.circular(turns), "in per cent"),
        (lambda turns: 1 - evaluating.circular(turns), "share of questions that are lost"),
        (lambda turns: [all(_rights(p)) for p in _groups(turns)], "gives a list"),
        (lambda turns: str(evaluating.circular(turns)), "between 0 and 1, and it gives"),
        (lambda turns: evaluating.circular(turns) or None, "give 0 where no question"),
        (lambda turns: 0.123, "your function gives 0.123"),
    ],
    "choosing_and_evaluating.extract": [
        (_rule("mmmu"), "Answer 2 of 20, 'c'"),
        (lambda answer, options: re.search("[A-Z]", answer), "it gives a Match"),
        (_rule("mmmu-pro"), "in the other case"),
        (_rule("lmms-eval mcq_extract"), "yours finds none"),
        (_rule("scienceqa"), "Answer 3 of 20, '(D)'"),
        (_rule("ai2d"), "a line break follows the letter"),
        (_rule("vlmevalkit"), "It reads 14 of the 20"),
        (lambda answer, options: answer[:1], "it gives 'c'. Give the letter as a bare capital"),
        (last_capital, "yours finds none: it is a letter, in the other case"),
        (lambda a, options: last_capital(a.upper(), options), "Answer 6 of 20"),
        (_reads(after=lambda letter, options: letter or "A"), "naming all options is no answer"),
        (_reads(after=lambda letter, options: letter or "Z"), "no option's letter. None means"),
        (_reads(after=lambda letter, options: letter and letter.lower()), "as a bare capital"),
        (_reads(after=lambda letter, options: letter and f"({letter})"), "no option's letter"),
        (_reads(after=lambda letter, options: letter and ord(letter) - 65), "the number 1"),
        (_reads(after=lambda letter, options: letter and [letter]), "gives a list"),
        (
            _reads(after=lambda letter, options: letter and options[ord(letter) - 65]),
            "the option 'green' itself",
        ),
        (
            _reads(before=lambda answer: answer.replace("A ", "(A) ")),
            '"A" is a word there, and the answer',
        ),
        (_reads(before=lambda answer: answer.split(",")[-1]), "Answer 7 of 20"),
        (_reads(before=lambda answer: answer.split()[0]), "Answer 20 of 20, '' with"),
        (empties_the_options, "changed the list of options"),
        (lambda answer, options: options.index(answer), "raised ValueError"),
    ],
    "choosing_and_evaluating.compare": [
        ({"A", "B"}, "does not show that two are equal"),
        ("ABCDEFG", "some say more than the interval does"),
        ({"C"}, "no probability that they are equal"),
        ({"E"}, "of other tasks they say nothing"),
        ({"G"}, "the order is turned round"),
        ({"B", "D"}, "and F is too"),
        ({"B", "F"}, "and D is too"),
        ({"D", "F"}, "and B is too"),
        ({"X"}, "no statement 'X'"),
        (3, "is of type int"),
    ],
    "preferences_and_rewards.reward": [
        (_box_reward(once=False), "Fooled by the form's key twice"),
        (_box_reward(only=False), "Fooled by text around the form"),
        (_box_reward(bounded=False), "NaN"),
        (_box_reward(score=_covered), "Fooled by the whole picture"),
        (_box_reward(score=lambda box, truth: float(_covered(box, truth) == 1)), "whole picture"),
        (_box_reward(score=lambda box, truth: 1.0), "Fooled by the whole picture"),
        (
            _box_reward(score=lambda b, t: float(preferences_and_rewards._iou(b, t) > 0.999)),
            "nothing to climb",
        ),
        (_box_reward(empty=0.1), "Fooled by nothing at all"),
        (_box_reward(empty=-1.0), "a reward here lies in 0 to 1"),
        (_box_reward(empty=math.nan), "gets nan"),
        (lambda answer, truth: 0.0, "An honest answer"),
        # a right reward behind one leniency each
        (_box_reward(score=_tolerant), "the reward is the IoU, exactly"),
        (_box_reward(score=lambda b, t: round(preferences_and_rewards._iou(b, t), 3)), "exactly"),
        *(
            (lambda answer, truth, ease=ease: _box_reward()(ease(answer), truth), why)
            for ease, why in (
                (lambda answer: answer.split("\n\n")[0], "I am right.' in a right answer"),
                (lambda answer: answer.split("//")[0], "Fooled by '//'"),
                (lambda answer: re.sub("<[^>]*>", "", answer), "Fooled by '<b>'"),
                (lambda answer: answer[answer.find("{") :], "Fooled by"),
                (lambda answer: answer.strip("` .\n"), "Fooled by"),
                (lambda answer: answer.lower(), "Fooled by the key 'Box'"),
                (lambda answer: answer.replace("'", '"'), "Fooled by other quotation marks"),
                (lambda answer: re.sub(r",\s*\]", "]", answer), "Fooled by ','"),
                (lambda answer: re.sub("true", "1", answer), "Fooled by true as a number"),
            )
        ),
        (_within(-1, 2), "beyond the picture's edge"),
        (_box_reward(bounded=False, score=_per_cent), "Fooled by the right box times 100"),
        (lambda answer, truth: float(answer == json.dumps({"box": [*truth]})), "without spaces"),
        (lambda answer, truth: str(_box_reward()(answer, truth)), "Return one number"),
        (lambda answer, truth: _covered(json.loads(answer)["box"], truth), "whole picture"),
        (
            lambda answer, truth: preferences_and_rewards._iou(json.loads(answer)["box"], truth),
            "At nothing at all, ''",
        ),
    ],
    "preferences_and_rewards.faults": [
        (lambda pairs: {}, "You miss the pair"),
        (lambda pairs: [1, 3, 4], "Return a dict"),
        (_kinds_of(lambda t, c, r: "swapped" if t == r else None), "it is 'equal'"),
        (
            _kinds_of(lambda t, c, r: "swapped" if t == r else "both wrong" if t != c else None),
            "it is 'equal'",
        ),
        (
            _kinds_of(lambda t, c, r: "equal" if c == r else "swapped" if t == r else None),
            "it is 'both wrong'",
        ),
        (
            _kinds_of(lambda t, c, r: "equal" if c == r else "both wrong" if t != c else None),
            "it is 'swapped'",
        ),
        (
            lambda pairs: {i: "swapped" for i, p in enumerate(pairs) if p["truth"] != p["chosen"]},
            "there is no fault in it",
        ),
        (_kinds_of(lambda t, c, r: "bad" if t != c else None), "no kind 'bad'"),
        (
            lambda pairs: {i + 1: k for i, k in preferences_and_rewards.faults(pairs).items()},
            "You miss the pair",
        ),
    ],
    "grounding.parse": [
        (_parsed(lambda box: [v * 64 - 0.5 for v in box]), "divide by 64"),
        (_parsed(lambda box: [v - 0.5 / 64 for v in box]), "add 0.5"),
        (_parsed(lambda box: [(v * 64 - 0.5) / 63 for v in box]), "there are 64 cells"),
        (_parsed(lambda box: (box[1], box[0], box[3], box[2])), "x and y are exchanged"),
        (
            _parsed(lambda box: (box[0], box[1], box[2] - box[0], box[3] - box[1])),
            "width and height",
        ),
        (_any_run, "a run of exactly four"),
        (_four_of_six, "there are 0 boxes, and you find 1"),
        (lambda text: grounding.parse(text) or None, "return an empty list"),
        (lambda text: [], "you find 0"),
        (lambda text: [1, 2], "a list of boxes"),
        (_parsed(lambda box: box[::-1]), "right is"),
        (_parsed(lambda box: (box[0], box[2], box[1], box[3])), "Both x come first"),
        (_parsed(lambda box: [round(v, 2) for v in box]), "are rounded"),
        (lambda text: grounding.parse(text)[:1], "there are 2 boxes, and you"),
        (later, "write an ordinary function"),
        (lambda text: vh.boxes.parse(text, "pocket-llava").boxes, "each of four numbers"),
        (lambda text: grounding.parse(text)[0], "raised IndexError"),
        (leaves, "raised SystemExit: no boxes"),
    ],
    "grounding.iou": [
        (iou_of_far_boxes, "`max(side, 0)` of each."),
        (_iou(lambda width, height: max(width * height, 0)), "not of their product"),
        (_iou(lambda width, height: abs(width * height)), "`abs` makes an overlap"),
        (_iou(lambda width, height: max(width + 1, 0) * max(height + 1, 0), 1), "You add 1"),
        (lambda a, b: 2 * _overlap(a, b) / (_area(a) + _area(b)), "This is Dice"),
        (lambda a, b: _overlap(a, b) / _around(a, b), "the box around both, which"),
        (generalized, "generalized IoU"),
        (lambda a, b: _overlap(a, b) / max(_area(a), _area(b)), "the larger box"),
        (lambda a, b: _overlap(a, b) / _area(b), "one of the boxes, the second"),
        (lambda a, b: _area(a) + _area(b) - _overlap(a, b), "This is the union"),
        (lambda a, b: 1 - grounding.iou(a, b), "a distance"),
        (lambda a, b: 100 * grounding.iou(a, b), "in per cent"),
        (
            lambda a, b: grounding.iou(*[(*c[:2], c[0] + c[2], c[1] + c[3]) for c in (a, b)]),
            "for width and height",
        ),
        (lambda a, b: [grounding.iou(a, b)], "is of type list"),
        (lambda a, b: float("nan"), "you get nan"),
        (lambda a, b: _overlap(a, b) / (_area(a) + _area(b)), "counts the intersection twice"),
        (_overlap, "divide it by the union"),
        (lambda a, b: _overlap(a, b) / min(_area(a), _area(b)), "the smaller box"),
        (lambda a, b: _overlap(a, b) / _area(a), "one of the boxes, the first"),
        (lambda a, b: grounding.iou(a, b) or None, "return 0 for boxes that do not overlap"),
        (lambda a, b: "0.5", "is of type str"),
        (lambda a, b: 0.5, "you get 0.5"),
    ],
    "grounding.resize": [
        (lambda box, photo, seen: box, "still pixels of what the model saw"),
        (_scaled(lambda p, s: s[0] / p[0], lambda p, s: s[1] / p[1]), "the wrong way"),
        (
            lambda b, p, s: [int(v * p[i % 2] / s[i % 2]) for i, v in enumerate(b)],
            "cut off what is behind the point",
        ),
        (_scaled(_across, _across), "alike, by the widths"),
        (_scaled(_down, _down), "alike, by the heights"),
        (_scaled(_down, _across), "for (height, width)"),
        (_scaled(lambda p, s: 1 / s[0], lambda p, s: 1 / s[1]), "These are fractions"),
        (_scaled(lambda p, s: p[0] / 1000, lambda p, s: p[1] / 1000), "as thousandths"),
        (lambda b, photo, seen: (*b[:2], b[2] - b[0], b[3] - b[1]), "and nothing is scaled"),
        (
            lambda b, p, s: grounding.to_photo((*b[:2], b[2] - b[0], b[3] - b[1]), p, s),
            "Your last two numbers are width and height",
        ),
        (
            lambda b, p, s: [v + (p[i % 2] - s[i % 2]) / 2 for i, v in enumerate(b)],
            "You move the box",
        ),
        (lambda box, photo, seen: grounding.to_photo(box, photo, seen)[:2], "Return four numbers"),
        (lambda box, photo, seen: 7, "Return four numbers"),
        (lambda box, photo, seen: "here", "Return four numbers"),
        (lambda box, photo, seen: (1, 2, 3, 4), "you get (1.0, 2.0, 3.0, 4.0), not"),
    ],
    "grounding.precision_recall": [
        (lambda p, t: grounding.precision_recall(t, p), "recall and precision"),
        (_scores(_on_any), "you count two hits"),
        (_scores(_on_any, lambda p, t: _matched(p, t)), "Your recall is right, but two boxes"),
        (_scores(_on_any, lambda p, t: _on_any(t, p)), "Nothing is matched"),
        (_scores(lambda p, t: _on_any(t, p)), "one box lies on two objects, and you count"),
        (_scores(_matched, lambda p, t: _on_any(t, p)), "both count for your recall"),
        (
            _scores(lambda p, t: sum(vh.boxes.iou(*pair) >= 0.5 for pair in zip(p, t))),
            "in any order",
        ),
        (_scores(lambda p, t: _matched(p, t, 0.01)), "at least 0.5."),
        (_scores(lambda p, t: _on_any(p, t, 0.01)), "and objects twice"),
        (lambda p, t: (_matched(p, t) / (len(p) + len(t) - _matched(p, t)),) * 2, "together"),
        (lambda p, t: (_matched(p, t) / len(p),) * 2, "Your precision is right; recall"),
        (lambda p, t: (_matched(p, t) / len(t),) * 2, "Your recall is right; precision"),
        (lambda p, t: (_matched(p, t),) * 2, "divide them"),
        (lambda p, t: [100 * v for v in grounding.precision_recall(p, t)], "per cent"),
        (lambda p, t: 2 * _matched(p, t) / (len(p) + len(t)), "This is F1"),
        (lambda p, t: _matched(p, t), "yours is one"),
        (lambda p, t: (1, 2, 3), "Return two numbers: precision"),
        (lambda p, t: "0.5", "Return two numbers: precision"),
        (lambda p, t: (0.25, 0.75), "you get 0.25 and 0.75, not"),
    ],
    "prompt_templates.follows": [
        (lambda tokenizer, prompt, answer: (prompt + answer).startswith(prompt), "compare the tok"),
        (lambda tokenizer, prompt, answer: not prompt.endswith(" "), "compare the tokens"),
        (lambda tokenizer, prompt, answer: False, "whose tokens do follow"),
        (
            lambda t, p, a: t(p)["input_ids"] + t(a)["input_ids"] == t(p + a)["input_ids"],
            "expect the answer's own tokens",
        ),
        (lambda tokenizer, prompt, answer: tokenizer(prompt)["input_ids"], "True or False"),
    ],
    "prompt_templates.repair_template": [
        (7, "is of type int"),
        ("{% for message in messages %}", "Jinja cannot read it (line 1)"),
        ("{{ messages[7].content }}{{ none + 1 }}", "Jinja cannot render it"),
        (prompt_templates.BROKEN.replace("ASSISTANT:", ""), "`| upper`"),
        ("{{ bos_token }}" + PLAIN_TEMPLATE, "the tokenizer writes it too"),
        (PLAIN_TEMPLATE.replace("<image>\n", "<image>"), "expects a line break"),
        (PLAIN_TEMPLATE.replace("<image>\n", ""), "not as many `<image>` marks"),
        (PLAIN_TEMPLATE.replace("'</s>' if", "'' if"), "never learns to stop"),
        (PLAIN_TEMPLATE.replace("else ' '", "else '</s> '"), "ends answers only"),
        (PLAIN_TEMPLATE.replace("'</s>' if", "'</s> ' if"), "a space after `</s>`"),
        (PLAIN_TEMPLATE.replace("{% if add_generation_prompt %}", "{% if true %}"), "is complete"),
        (PLAIN_TEMPLATE.replace("%}ASSISTANT:{%", "%}{%"), "must end with `ASSISTANT:`"),
        (PLAIN_TEMPLATE.replace("ASSISTANT:", "ASSISTANT: "), "The answer's first token"),
        (
            PLAIN_TEMPLATE.replace("part in message.content", "part in message.content[::-1]"),
            "in the order of the message",
        ),
        (PLAIN_TEMPLATE.replace("| upper }}: ", "| upper }}; "), "must begin with `USER:`"),
        (PLAIN_TEMPLATE.replace("| upper }}: ", "| upper }}:"), "stands a space"),
        ("A chat.\n" + PLAIN_TEMPLATE, "must begin with `USER:`"),
        (PLAIN_TEMPLATE.replace("'assistant'", "'user'"), "ends answers only"),
        (
            PLAIN_TEMPLATE.replace(
                "{% for m", "{% for m in messages %}{{ 1 / 0 }}{% endfor %}{% for m"
            ),
            "Jinja cannot render it: division by zero",
        ),
        (PLAIN_TEMPLATE + "!", "It renders"),
        (PLAIN_TEMPLATE.replace("{{ part.text }}", "{{ part.text | trim }}!"), "It renders"),
    ],
    "architecture.patchify": [
        (_patches(0, 2, 4, 3, 5, 1), "with the channels last"),
        (_patches(0, 4, 2, 1, 3, 5), "column by column"),
        (_patches(0, 2, 4, 1, 5, 3), "turned on its side"),
        (_patches(0, 1, 2, 3, 4, 5), "`reshape` alone takes the numbers"),
        (_patches(0, 2, 4, 1, 3, 5, last=lambda cut: cut[0]), "the batch must stay"),
        (_patches(0, 2, 4, 1, 3, 5, last=lambda cut: cut.mT), "another order of axes"),
        (_patches(0, 2, 4, 1, 3, 5, first=lambda pixels: pixels + 1), "patch 0 of picture 0 holds"),
        (patches_cut_across, "from its number 4 on, 4, 5, 6, 7, …; it should hold 12, 13, 14, 15"),
        (_patches(0, 2, 4, 1, 3, 5, first=lambda pixels: pixels.mul_(2)), "changes the pixels"),
        (lambda pixels, size: pixels.reshape(2, 3, 2, 4, 3, 4).permute(0, 2, 4, 1, 3, 5), "join"),
        (lambda pixels, size: pixels.reshape(2, 5), "keep the number of numbers"),
        (lambda pixels, size: list(pixels), "this is list"),
        (
            lambda pixels, size: (
                pixels.reshape(2, 3, 3, 4, 2, 4).permute(0, 2, 4, 1, 3, 5).reshape(2, 6, 48)
            ),
            "take height for width",
        ),
        (_patches(0, 2, 4, 5, 3, 1), "column by column, with the channels last"),
        (_patches(0, 4, 2, 1, 5, 3), "height and width twice"),
        (_patches(0, 1, 2, 4, 3, 5), "each channel for itself"),
        (
            lambda pixels, size: (
                pixels.reshape(2, 3, 4, 2, 4, 3).permute(0, 3, 5, 1, 2, 4).reshape(2, 6, 48)
            ),
            "want (rows, size)",
        ),
        (lambda pixels, size: F.unfold(pixels, size, stride=size).mT, "calls `unfold`"),
        (lambda pixels, size: torch.nn.Unfold(size, stride=size)(pixels).mT, "calls `unfold`"),
        (lambda pixels, size: pixels.unfold(2, size, size).unfold(3, size, size), "calls `unf"),
        (lambda pixels, size: _patches(0, 2, 4, 1, 3, 5)(pixels, size)[:, :5], "return [2, 6, 48]"),
        (
            lambda pixels, size: (
                pixels.reshape(2, 3, 2, 4, 3, 4).permute(0, 2, 4, 1, 3, 5).view(2, 6, 48)
            ),
            "`view` cannot",
        ),
        (lambda pixels, size: pixels.permute(0, 2, 4, 1, 3, 5), "names every axis once"),
        (
            lambda pixels, size: torch.cat(
                [torch.zeros(2, 1, 48), _patches(0, 2, 4, 1, 3, 5)(pixels, size)], dim=1
            ),
            "the class token is not a patch",
        ),
    ],
    "architecture.merge": [
        (lambda features, side: features.reshape(2, 9, 12), "four patches in a row"),
        (
            lambda features, side: features.reshape(2, 4, 9, 3).transpose(1, 2).flatten(2),
            "a quarter of the picture apart",
        ),
        (
            lambda f, side: (
                f.unflatten(1, (2, 3, 2, 3)).permute(0, 2, 4, 1, 3, 5).reshape(2, 9, 12)
            ),
            "half the picture apart",
        ),
        (
            lambda f, side: f.unflatten(1, (2, 3, 2, 3)).transpose(2, 3).flatten(3).flatten(1, 2),
            "return [2, 9, 12], not [2, 4, 27]",
        ),
        (_merged(0, 3, 1, 2, 4, 5), "column by column"),
        (_merged(0, 1, 3, 4, 2, 5), "go down first"),
        (_merged(0, 3, 1, 4, 2, 5), "exchange rows and columns"),
        (_merged(0, 1, 3, 5, 2, 4), "mix the numbers"),
        (lambda f, side: _merged(0, 1, 3, 2, 4, 5)(f, side).reshape(2, 9, 4, 3).mean(2), "a mean"),
        (lambda f, side: _merged(0, 1, 3, 2, 4, 5)(f, side).unflatten(1, (3, 3)), "to be joined"),
        (lambda f, side: _merged(0, 1, 3, 2, 4, 5)(f, side).flip(1), "token 0 of picture 0 holds"),
        (lambda features, side: features.mul_(2), "changes the features"),
        (lambda features, side: features[:, ::4], "four times as wide"),
        (lambda features, side: features.unflatten(1, (side, 2)), "split in two"),
        (lambda features, side: list(features), "this is list"),
    ],
    "architecture.splice": [
        (lambda embeds, features, ids, image_id: embeds.clone(), "Nothing has changed"),
        (splice_in_front, "not put before them"),
        (splice_in_place, "writes into `embeds`"),
        (splice_at_the_first_place, "In the second the picture stands elsewhere"),
        (splice_by_adding, "they replace them"),
        (splice_in_float32, "bring the features to the dtype"),
        (splice_without_flatten, "`features.flatten(0, 1)`"),
        (_spliced(what=lambda features: features.flip(0).flatten(0, 1)), "exchanged"),
        (_spliced(what=lambda f: f.transpose(0, 1).flatten(0, 1)), "mixed between the pictures"),
        (_spliced(what=lambda f: f.flip(1).flatten(0, 1)), "Place 2 of sequence 0"),
        (lambda embeds, features, ids, image_id: features, "as long as the ids"),
        (splice_without_clone_of_masks, "embeddings of words have changed too"),
        (_spliced(what=lambda f: f[:1].expand_as(f).flatten(0, 1)), "gets the first picture"),
        (_spliced(where=lambda ids, image: (ids == image).roll(1, 1)), "Place 2 of sequence 0"),
        (
            lambda embeds, features, ids, image_id: list(
                _spliced()(embeds, features, ids, image_id)
            ),
            "`torch.stack`",
        ),
        (splice_at_the_first_place_in_float32, "In the second the picture stands elsewhere"),
        (splice_without_dtype, "`features.to(embeds.dtype)`"),
        (
            lambda embeds, features, ids, image_id: embeds.masked_scatter(
                ids == image_id, features
            ),
            "wants it as [batch, tokens, 1]",
        ),
    ],
    "welcome.floor": [
        (lambda truths: max(truths, key=truths.count), "the commonest answer itself"),
        (lambda truths: 100 * max(map(truths.count, truths)) / len(truths), "in per cent"),
        (lambda truths: max(map(truths.count, truths)), "divide it by the number"),
        (lambda truths: 1 / len(set(truths)), "guessing at random"),
        (lambda truths: truths.count("yes") / len(truths), "another answer is commoner"),
        (lambda truths: "0.71 of them", "A score is a number"),
        (lambda truths: "0.71", "A score is a number"),
        (lambda truths: 1 - welcome.floor(truths), "how often that answer is wrong"),
        (lambda truths: welcome.floor(truths) if len(truths) > 1 else None, "gives nothing"),
        (lambda truths: truths.count("yes") / truths.count("no"), "raised ZeroDivisionError"),
        (lambda truths: 0.74, "the floor is 0.71"),
    ],
    "welcome.repair_question": [
        (42, "is of type int"),
        (["What color is the large star?"], "is of type list"),
        ("What is the color?", "names no thing"),
        ("What color is the large thing?", "The model answers"),
        ("What color is the object?", "can still mean 3 things"),
        ("What color is the small object?", "can still mean 2 things"),
        ("What color is the object on the left?", "can still mean 2 things"),
        ("What color is the object that is not small?", "The model answers"),
        ("What color is the thing at the top?", "That is another thing"),
        ("What color is the large thing on the left?", "There is no such thing"),
        ("Which color?", "names no thing"),
        ("What color is the large triangle?", "There is no triangle in this picture"),
        ("What color is the large pentagon?", 'goes by the name of "pentagon"'),
        ("What color is the number 575?", 'goes by the name of "number"'),
        ("What hue?", 'goes by the name of "hue"'),
        ("What color is the star on the left?", "That is the other star"),
        ("Which color has the upper star?", "That is the other star"),
        ("Which color has the lower star?", "The model answers"),
        ("What color is the star at the top right?", "There is no such star"),
        ("What color is the large star on the left?", "There is no such star"),
        ("What color is the star in the middle?", "There is no such star"),
        ("What color is the large moon?", "There is no moon in this picture"),
        ("What color are the hearts?", "There is no heart in this picture"),
        ("What color is the diamond?", "You ask about the diamond"),
        ("What shape is the large star?", "does not ask for a color"),
        ("What color is a star, please?", "can still mean two things"),
        ("Which colour do the stars have?", "can still mean two things"),
        ("What color is the small star?", "That is the other star"),
        ("What color is the smallest star?", "That is the other star"),
        ("What color is the star that isn't small?", "The model answers"),
        ("What color is the star which is not the small one?", "The model answers"),
        ("What color are the stars?", "can still mean two things"),
        ("What color is the large stars?", "speaks of several large stars, and there is one"),
        ("Which color do the biggest stars have?", "write `star`, without the s"),
        ("Is the large star red?", "gives the answer away"),
        ("Color? Not of the star: of large Paris, xyzzy.", "The model answers"),
    ],
    "inference.cache_gib": [
        (lambda config, tokens, size: _cache(config, tokens, size) / 2, "a key and a value"),
        (lambda config, tokens, size: _cache(config, tokens, size) * 2**30, "These are bytes"),
        (lambda config, tokens, size: _cache(config, tokens, size) * 2**30 / 1e9, "divides by 1e9"),
        (
            lambda config, tokens, size: (
                _cache(config, tokens, size)
                * (config.num_attention_heads / config.num_key_value_heads)
            ),
            "counts the attention heads",
        ),
        (
            lambda config, tokens, size: (
                _cache(config, tokens, size)
                * (
                    config.hidden_size
                    / config.num_attention_heads
                    / getattr(config, "head_dim", 128)
                )
            ),
            "gives its own in `head_dim`",
        ),
        (lambda config, tokens, size: _cache(config, 1, size), "for one token"),
        (lambda config, tokens, size: _cache(config, tokens, 2), "two bytes for every number"),
        (lambda config, tokens, size: _cache(config, tokens, 1), "numbers, not bytes"),
        (lambda config, tokens, size: 8 * _cache(config, tokens, size), "These are bits"),
        (
            lambda config, tokens, size: _cache(config, tokens, size) / config.num_key_value_heads,
            "This is for one head",
        ),
        (
            lambda config, tokens, size: _cache(config, tokens, size) / config.num_hidden_layers,
            "multiply by `num_hidden_layers`",
        ),
        (
            lambda config, tokens, size: (
                2 * config.num_hidden_layers * config.hidden_size * tokens * size / 2**30
            ),
            "all that a key holds",
        ),
        (lambda config, tokens, size: config.head_dim * tokens, "Not every configuration has it"),
        (lambda config, tokens, size: "much", "Return one number"),
    ],
    "inference.greedy_loop": [
        ([1, 2, 3], "the function itself, not what it returns"),
        ("greedy", "the function itself"),
        (lambda model, inputs: [1], "must take the arguments `(model, inputs, max_new_tokens)`"),
        (_loop(ends=False), "goes on after the end-of-sequence id"),
        (_loop(after=_with_prompt), "starts with the prompt's own"),
        (_loop(after=_without_end), "Only the last id is missing"),
        (_loop(after=lambda new, *_: new[:2]), "stops after 2 ids"),
        (_loop(after=lambda new, *_: []), "no ids at all"),
        (_loop(after=lambda new, model, inputs: "a red star"), "returns text"),
        (_loop(after=lambda new, model, inputs: ["a", "red"]), "returns text"),
        (_loop(after=lambda new, model, inputs: {"ids": new}), "returns a dict"),
        (_loop(after=lambda new, *_: torch.tensor(new).view(-1, 1, 1)), "[new tokens]"),
        (_loop(extra_steps=1), "off by one"),
        (_loop(extra_steps=-1), "off by one"),
        (_loop(extra_steps=20), "ignores `max_new_tokens`: with 4 it gives"),
        (prompts_mask, "Your `attention_mask` still has the prompt's length"),
        (prompts_mask_and_the_cache, "Your `attention_mask` still has the prompt's length"),
        (_loop(_sampled), "draws its tokens at random"),
        (_loop(lambda logits: logits[0, 0].argmax()), "logits of the first position"),
        (_loop(lambda logits: logits[0, -1].argmin()), "least probable"),
        (_loop(picture="every"), "after the first step leave out `pixel_values`"),
        (_loop(picture="never"), "never sees the picture"),
        (_loop(cached=False), "every step needs the picture"),
        (newest_token_alone, "sees the newest token alone"),
        (same_prompt_every_time, "Every step sees the same prompt"),
        (argmax_over_batch, "as many as the vocabulary has"),
        (argmax_over_positions, "Each step should add one id"),
        (argmax_over_everything, "`argmax()` without `dim`"),
        (item_of_many, "more than one id where you expect one"),
        (appends_without_batch, "`next_id[:, None]`"),
        (logits, "such as logits or probabilities"),
        (whole_output, "the model's output"),
        (
            lambda model, inputs, max_new_tokens: model(**inputs).logits.argmax(-1),
            "one for each token of the prompt",
        ),
        (one_id, "returns one id"),
        (calls_generate, "calls `model.generate`"),
        (never_ends, "goes on: what ends it?"),
        (
            lambda model, inputs, max_new_tokens: model.forward(**inputs).logits[:, -1].softmax(-1),
            "logits or probabilities",
        ),
        (_loop(lambda logits: logits[0, -1].topk(2).indices[1]), "Your new id 0"),
        (breaks, "raised IndexError: index 99999"),
        (breaks, "`return scores[0, 99_999]`"),
    ],
    "training.what_learns": [
        (learns_by_proj, "Do you look for `proj`?"),
        (lambda name, stage: "_proj" in name and "vision" not in name, "whole `multi_modal_proj"),
        (lambda name, stage: "projector" in name or "lm_head" in name, "output layer, `lm_head"),
        (lambda name, stage: "projector" in name or stage == 2, "frozen in both stages"),
        (lambda name, stage: stage == 2 and "vision" not in name, "is all that does"),
        (
            lambda name, stage: "language_model" in name if stage == 2 else "projector" in name,
            "goes on learning",
        ),
        (lambda name, stage: "projector" in name, "the decoder learns, and"),
        (
            lambda name, stage: "projector" in name or stage == 2 and "language_model" in name,
            "though `language_model` is not in its name",
        ),
        (lambda name, stage: re.search("projector", name) or False, "Wrap it in `bool(…)`"),
        (lambda name, stage: re.search("projector", name), "Wrap it in `bool(…)`"),
        (lambda name, stage: True if "projector" in name else None, "your function gives nothing"),
        (lambda name, stage: stage == "2" and "vision" not in name, "the projector is all"),
        (lambda name, stage: stage == 2, "the projector is all that does"),
        (lambda name, stage: [name], "Return True or False"),
        (lambda name, stage: "yes" if "projector" in name else "no", "it is 'no'"),
    ],
    "training.surely_above": [
        (lambda points, floor: [s for s, r, n in points if r / n > floor], "Compare the low end"),
        (lambda points, floor: [p[0] for p in points if _ends(p)[1] > floor], "even the low end"),
        (
            lambda points, floor: [p[0] for p in points if not _ends(p)[0] <= floor <= _ends(p)[1]],
            "all of it lies below",
        ),
        (lambda points, floor: [p[0] for p in points if _ends(p)[0] <= floor], "Turn the compar"),
        (
            lambda points, floor: [i for i, p in enumerate(points) if _ends(p)[0] > floor],
            "these are places in the list",
        ),
        (lambda points, floor: [_ends(p)[0] > floor for p in points], "no yes or no"),
        (lambda points, floor: [p for p in points if _ends(p)[0] > floor], "the whole points"),
        (lambda points, floor: [p[0] for p in points if _ends(p)[0] > floor][:1], "only [80] is"),
        (lambda points, floor: [p[0] for p in points if _ends(p)[0] > floor] or None, "empty list"),
        (lambda points, floor: max(p[0] for p in points), "Return a list of steps"),
        (lambda points, floor: [], "are [80, 160], and you give []"),
        (
            lambda points, floor: [s for s, r, n in points if _ends((s, r / n, n))[0] > floor],
            "not their share",
        ),
        (
            lambda points, floor: [
                p[0] for p in points if vh.evaluation.interval(*p[1:], level=0.9)[0] > floor
            ],
            "promises too much",
        ),
        (
            lambda points, floor: [
                s for s, r, n in points if r / n - 1.96 * (r * (n - r) / n**3) ** 0.5 > floor
            ],
            "promises too much",
        ),
        (
            lambda points, floor: [
                p[0] for p in itertools.takewhile(lambda p: _ends(p)[0] > floor, points)
            ],
            "at the first step that is not sure",
        ),
        (lambda points, floor: [p[0] for p in points[:1] if _ends(p)[0] > floor], "inside it"),
        (lambda points, floor: [p[0] for p in points if _ends(p[:1] + (1, 2))], "and you give"),
    ],
    "fine_tuning.collate": [
        (_collate(_everything), "All tokens are learnt"),
        (_collate(lambda p, batch, r, i: batch["input_ids"][i]), "Padding is learnt"),
        (_collate(_all_but_picture), "More than the answer is learnt"),
        (_collate(_picture_too), "Tokens of the picture"),
        (_collate(_from(generation=False)), "add_generation_prompt=True"),
        (_collate(_by_pad_token), "would never stop"),
        (_collate(_from(end=-1)), "would never stop"),
        (_collate(_from(shift=-1)), "shifts them itself"),
        (_collate(_from(offset=2)), "right is"),
        (_collate(_nothing), "nothing is learnt"),
        (_collate(_from(), padding_side="left"), "padded row 0 on the left"),
        (_collate(_from(end=99), padding_side="left"), "padded row 0 on the left"),
        (_lists(lambda labels: labels.tolist()), "'labels' is of type list"),
        (_lists(lambda labels: labels.numpy()), "'labels' is of type ndarray"),
        (_lists(lambda labels: [row[row != -100] for row in labels]), "pad each row to"),
        (_lists(lambda labels: labels.float()), "make them torch.long"),
        (_collate(_from(), return_tensors=None), "`return_tensors='pt'` makes one"),
        (pictures_exchanged, "in the order of the rows"),
        (_collate(_from(offset=-1)), "More than the answer is learnt"),
        (no_labels, "no 'labels'"),
        (labels_alone, "Return the batch"),
        (labels_of_answers, "each token has a label"),
        (first_row_only, "your batch has 1"),
        (answers_without_question, "not those of the conversation"),
    ],
    "fine_tuning.merge": [
        (lambda weight, A, B, alpha: weight + B @ A, "not scaled"),
        (lambda weight, A, B, alpha: weight + alpha * (B @ A), "alpha alone"),
        (lambda weight, A, B, alpha: weight + len(A) / alpha * (B @ A), "upside down"),
        (lambda weight, A, B, alpha: weight + alpha // len(A) * (B @ A), "not by `//`"),
        (lambda weight, A, B, alpha: weight + round(alpha / len(A)) * (B @ A), "you round it"),
        (lambda weight, A, B, alpha: weight + B @ A / len(A), "leave out alpha"),
        (lambda weight, A, B, alpha: weight + alpha / len(A) ** 0.5 * (B @ A), "rsLoRA"),
        (lambda weight, A, B, alpha: weight + alpha / A.shape[1] * (B @ A), "A's columns"),
        (lambda weight, A, B, alpha: weight + alpha / len(B) * (B @ A), "B's rows"),
        (lambda weight, A, B, alpha: weight + alpha * len(A) * (B @ A), "multiply by r"),
        (lambda weight, A, B, alpha: alpha / len(A) * (B @ A), "only what the adapter adds"),
        (lambda weight, A, B, alpha: weight.clone(), "W, unchanged"),
        (lambda weight, A, B, alpha: weight - alpha / len(A) * (B @ A), "subtract"),
        (lambda weight, A, B, alpha: alpha / len(A) * (weight + B @ A), "scale W too"),
        (lambda weight, A, B, alpha: weight + alpha / len(A) * (A @ B), "only B @ A has"),
        (lambda weight, A, B, alpha: B @ A.T, "only B @ A has"),
        (lambda weight, A, B, alpha: A, "what you return is"),
        (_transposed_where_square, "is transposed"),
        (_merged_in_place, "changes `weight` itself"),
        (lambda weight, A, B, alpha: weight + alpha / len(A) * (B @ A) + 1, "the first number is"),
        (lambda weight, A, B, alpha: [weight, A, B], "of type list"),
        (lambda weight, A, B, alpha: (weight + alpha / len(A) * (B @ A)).numpy(), "type ndarray"),
    ],
    "shipping.culprit": [
        (_only_the_end, "names 'scores', and the step is 'normalize'"),
        (_compared(_close, chained=True, last_first=True), "Name the first"),
        (_compared(lambda a, b: (a != b).any()), "Compare with a tolerance"),
        (_compared(lambda a, b: not numpy.allclose(a, b)), "too narrow for numbers near 0"),
        (
            _compared(lambda a, b: _close(numpy.sort(a, None), numpy.sort(b, None))),
            "number by number",
        ),
        (_compared(lambda a, b: (abs(a * 1.0 - b) > 1e-4).any()), "it gives NaN"),
        (_compared(_close, pictures=slice(1)), "Compare all pictures"),
        (_compared(_close, pictures=slice(2)), "picture 1 or 2 alone"),
        (_compared(_close, pictures=slice(1, 2)), "picture 2 or 3 alone"),
        (_compared(_close, pictures=slice(1, None)), "picture 2 or 3 alone"),
        (_compared(_close, pictures=slice(-1, None)), "picture 2 or 3 alone"),
        (_picture_by_picture, "before you go on to the next"),
        (_compared(_close, shapes=False), "look at shapes first"),
        (_compared(_farther_than(0.05)), "differ by up to 0.04 (of numbers"),
        (_compared(_farther_than(1e-3)), "differ by up to 0.0008 (of numbers"),
        (_compared(_farther_than(0.2)), "tolerance too wide"),
        (_compared(_farther_than(1)), "tolerance too wide"),
        (_compared(lambda a, b: numpy.isclose(a, b, atol=1e-4).mean() < 0.99), "one number wrong"),
        (_named(lambda name: None if name == "nothing" else name), 'the string "nothing"'),
        (lambda reference, exported, pictures: "nothing", "is something not compared"),
        (lambda reference, exported, pictures: 0, "return the name of a step"),
        (lambda reference, exported, pictures: "resize", "no more than rounding"),
        (
            lambda reference, exported, pictures: [step(pictures[0]) for step in exported.values()],
            "The first step takes the picture itself",
        ),
        (
            lambda reference, exported, pictures: reference["resize"](numpy.array(pictures[0])),
            "The first step takes the picture itself",
        ),
    ],
    "shipping.keep": [
        (lambda tokens, n: torch.arange(n), "the same tokens of every picture"),
        (lambda tokens, n: shipping.keep(tokens, n).flip(0), "not in the order of the picture"),
        (lambda tokens, n: shipping.keep(tokens, 16), "Of 8 tokens asked for"),
        (lambda tokens, n: shipping.keep(tokens, 8), "Of 16 tokens asked for"),
        (lambda tokens, n: tokens[shipping.keep(tokens, n)], "return the 8 numbers"),
        (lambda tokens, n: tokens.norm(dim=1) > 0, "a mask of True and False"),
        (lambda tokens, n: tokens.norm(dim=1).topk(n).indices.sort().values, "unlike most others"),
        (
            lambda tokens, n: shipping.keep(tokens, 2 * n)[:n],
            "of 56 answers are right, and 85% are wanted",
        ),
        (_at_random, "tokens at random leave about half"),
        (lambda tokens, n: 64 + shipping.keep(tokens, n), "from 0 to 63"),
        (
            lambda tokens, n: (
                (tokens - tokens.quantile(0.5, dim=0))
                .norm(dim=1)
                .topk(n, largest=False)
                .indices.sort()
                .values
            ),
            "*nearest* to the median",
        ),
    ],
}

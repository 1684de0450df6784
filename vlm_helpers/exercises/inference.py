"""Exercises of notebook 02, inference."""

import contextlib
import copy
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace

import torch

from vlm_helpers import scenes
from vlm_helpers.exercises._engine import Exercise, Wrong, call, one_number, pocket

# --- inference.greedy_loop ------------------------------------------------------------------------


def greedy(model, inputs, max_new_tokens):
    end = model.generation_config.eos_token_id
    step, cache, new_ids = dict(inputs), None, []
    with torch.no_grad():
        for _ in range(max_new_tokens):
            output = model(**step, past_key_values=cache, use_cache=True)
            next_id = output.logits[:, -1].argmax(dim=-1)  # [batch]
            new_ids.append(next_id.item())
            if next_id.item() == end:
                break
            # The cache remembers the prompt and the picture: only the new token goes in.
            step, cache = {"input_ids": next_id[:, None]}, output.past_key_values
    return torch.tensor(new_ids)  # [new tokens]


@dataclass(frozen=True)
class Case:
    """One prompt, and what `generate` makes of it; `flat` divides the logits (see `_flattened`)."""

    inputs: dict
    max_new_tokens: int
    expected: list[int]
    flat: bool = False


@dataclass(frozen=True)
class Bench:
    """What the check runs on: a model, its cases, and ids put into words."""

    model: torch.nn.Module
    cases: tuple[Case, ...]
    decode: Callable[[list[int]], str]
    likenesses: dict = field(default_factory=dict)  # (imitation, number of the case) → its ids

    def likeness(self, imitate: Callable, number: int) -> list[int]:
        """What a wrong loop gives in a case; run once, however many answers are compared."""
        if (imitate, number) not in self.likenesses:
            case = self.cases[number]
            with torch.no_grad():
                ids = imitate(self.model, _fresh(case.inputs), case.max_new_tokens)
            self.likenesses[imitate, number] = ids
        return self.likenesses[imitate, number]


def bench(model, decode, prompts) -> Bench:
    """Prepare a check of the greedy loop on any model that can `generate`.

    Args:
        model: a vision language model in evaluation mode.
        decode: a function from ids to text.
        prompts: pairs of (model inputs for one prompt, max_new_tokens). Some of the answers
            should end by themselves, and some at the limit.
    """
    cases = []
    for inputs, limit in prompts:
        inputs = dict(inputs)
        with torch.no_grad():
            ids = model.generate(**_fresh(inputs), do_sample=False, max_new_tokens=limit)
        cases.append(Case(inputs, limit, ids[0, inputs["input_ids"].shape[1] :].tolist()))
    first = cases[0]
    flat = Case(first.inputs, first.max_new_tokens, first.expected, flat=True)
    return Bench(model, (*cases, flat), decode)


@cache
def _pocket_bench() -> Bench:
    vlm = pocket()
    prompts = []
    alone = scenes.sample(1, "test", n_objects=1, sign=False)
    for scene, question, limit in (
        # every token of the first answer hangs on the picture, even the first one
        (alone, "List the objects: color, shape, size.", 16),  # ends by itself
        (scenes.sample(0, "test"), "What is in the picture?", 48),
        (scenes.sample(1, "test"), "What is in the picture?", 4),  # ends at the limit
    ):
        part = {"type": "image", "image": scene.image}
        content = [part, {"type": "text", "text": question}]
        inputs = vlm.processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        prompts.append((inputs, limit))
    return bench(vlm.model, vlm.processor.decode, prompts)


def examine_greedy(answer, materials: Bench) -> None:
    """Compare a greedy loop with `generate` on every case; the first difference is explained."""
    model = copy.deepcopy(materials.model)  # whatever the answer does to it is gone afterwards
    model.generate = _no_generate

    @cache
    def ids_of(number: int) -> list[int]:
        case = materials.cases[number]
        with _flattened(model, case.flat):
            return _run(answer, model, case)

    for number, case in enumerate(materials.cases):
        if ids_of(number) == case.expected:
            continue
        if case.flat or _varies(answer, model, case):
            raise Wrong(
                "With flatter probabilities, or on a second run, your loop answers "
                "differently: it draws its tokens at random. Greedy takes the most probable "
                "token every time, with `argmax`, however close the others come."
            )
        _explain(number, model, materials, ids_of)


def _varies(answer, model, case: Case) -> bool:
    with _flattened(model, True):
        return _run(answer, model, case) != _run(answer, model, case)


def _run(answer, model, case: Case) -> list[int]:
    model.eval()
    with _stopped(model, 4 * case.max_new_tokens + 16):
        result = call(answer, model, _fresh(case.inputs), case.max_new_tokens, because=_BECAUSE)
    return _as_ids(result, model.config.get_text_config().vocab_size)


def _fresh(inputs: Mapping) -> dict:
    """A copy, so that nothing done to it reaches the next run."""
    return {name: value.clone() for name, value in inputs.items()}


def _no_generate(*args, **kwargs):
    raise Wrong("Your function calls `model.generate`: that is what it is meant to rebuild.")


@contextlib.contextmanager
def _stopped(model, most: int) -> Iterator[None]:
    """Stop a loop that never ends, after `most` steps."""
    steps = itertools.count(1)

    def count(module, args):
        if next(steps) > most:
            raise Wrong(f"Your loop has run the model {most} times and goes on: what ends it?")

    hook = model.register_forward_pre_hook(count)
    try:
        yield
    finally:
        hook.remove()


@contextlib.contextmanager
def _flattened(model, on: bool) -> Iterator[None]:
    """Divide a model's logits by 64: exact in binary, so `argmax` is the same, while the
    probabilities are so even that a loop that samples gives itself away."""

    def divide(module, args, output):
        output.logits = output.logits / 64
        return output

    hook = model.register_forward_hook(divide) if on else None
    try:
        yield
    finally:
        if hook:
            hook.remove()


_AXIS = (
    "`logits` is [batch, tokens, vocabulary]: take the last position, `logits[:, -1]`, and the "
    "argmax over the vocabulary, `dim=-1`."
)
# What the usual errors mean here.
_BECAUSE = {
    r"[Ii]mage (features|tokens)": "Once you pass the cache, the picture is in it: after the first "
    "step leave out `pixel_values` and give the new token alone.",
    r"cannot be converted to Scalar|only one element tensors": "There is more than one id where "
    f"you expect one. {_AXIS}",
    r"index out of range": "An id is larger than the vocabulary: `argmax()` without `dim` numbers "
    f"all positions × vocabulary through. {_AXIS}",
    r"Sizes of tensors must match": "What you append must be [1, 1]: one new id for a batch of "
    f"one. {_AXIS}",
    r"Dimension out of range": _AXIS,
    r"Tensors must have same number of dimensions": "The ids are [batch, tokens] and the new id "
    "must be too: `next_id[:, None]` makes [batch] into [batch, 1].",
}


def _as_ids(result, vocabulary: int) -> list[int]:
    """The ids in what a loop returned: a list, [tokens] or [1, tokens]; or `Wrong`."""
    if isinstance(result, str) or (
        isinstance(result, (list, tuple)) and any(isinstance(part, str) for part in result)
    ):
        raise Wrong("Your function returns text: return the ids, and leave decoding to the caller.")
    if hasattr(result, "logits"):
        raise Wrong("Your function returns the model's output: return the ids chosen from it.")
    parts = list(result) if isinstance(result, (list, tuple)) else [result]
    try:
        parts = [torch.as_tensor(part) for part in parts]
    except (TypeError, ValueError, RuntimeError):
        raise Wrong(
            f"Your function returns a {type(result).__name__}: return the new ids, as a list of "
            "numbers or a tensor [new tokens]."
        ) from None
    if len(parts) == 1 and parts[0].dim() > 0:  # one tensor, or a list of one
        ids = parts[0]
    elif any(part.numel() != 1 for part in parts):
        shapes = ", ".join(str(list(part.shape)) for part in parts[:3])
        raise Wrong(f"Each step should add one id, but yours have shapes {shapes}. {_AXIS}")
    elif parts and parts[0].dim() == 0 and not isinstance(result, (list, tuple)):
        raise Wrong("Your function returns one id: collect those of every step, return all.")
    else:
        ids = torch.stack([part.reshape(()) for part in parts]) if parts else torch.zeros(0).long()
    if ids.is_floating_point():
        raise Wrong(
            f"Your function returns {ids.dtype} numbers of shape {list(ids.shape)}, such as logits "
            "or probabilities: return the ids, which are whole numbers."
        )
    if ids.dim() == 2 and ids.shape[0] == 1:
        ids = ids[0]
    if ids.dim() != 1:
        raise Wrong(f"Return [new tokens] or [1, new tokens]; your ids are {list(ids.shape)}.")
    if len(ids) >= vocabulary:
        raise Wrong(f"You return {len(ids)} ids: as many as the vocabulary has. {_AXIS}")
    return ids.tolist()


def _alike(imitate, materials: Bench, ids_of: Callable[[int], list[int]]) -> bool:
    """Whether a wrong loop gives what the answer gives, in every case."""
    for number, case in enumerate(materials.cases):
        if case.flat:
            continue
        got, likeness = ids_of(number), materials.likeness(imitate, number)
        # Compare up to the length of the shorter: such loops rarely stop where they should.
        shared = min(len(got), len(likeness))
        if got[:shared] != likeness[:shared]:
            return False
    return True


def _explain(number: int, model, materials: Bench, ids_of: Callable[[int], list[int]]) -> None:
    """Raise `Wrong` with what most likely made a case's ids differ from those expected.

    `number` is the case's; `ids_of(number)` are the answer's ids in a case.
    """
    case, got, decode = materials.cases[number], ids_of(number), materials.decode
    want, limit = case.expected, case.max_new_tokens
    prompt = case.inputs["input_ids"][0].tolist()
    end = model.generation_config.eos_token_id
    ends = want[-1] in (end if isinstance(end, (list, tuple)) else [end])
    if got[: len(prompt)] == prompt:
        raise Wrong(
            f"What you return starts with the prompt's own {len(prompt)} ids: return only the new "
            "ones, `ids[:, prompt_length:]`."
        )
    if not got:
        raise Wrong("Your function returns no ids at all: does its loop run, and append?")
    if len(got) == len(prompt) > limit:
        raise Wrong(
            f"You return {len(got)} ids, one for each token of the prompt: each step gives one, "
            f"from the last position. {_AXIS}"
        )
    if got[: len(want)] == want:
        if ends:
            raise Wrong(
                f"The first {len(want)} ids are right, but your loop goes on after the end-of-"
                f"sequence id {want[-1]} (`model.generation_config.eos_token_id`): stop there."
            )
        if len(got) > limit + 1:
            raise Wrong(
                f"Your loop ignores `max_new_tokens`: with {limit} it gives {len(got)} new ids. "
                "Stop once there are that many."
            )
        raise Wrong(f"With max_new_tokens={limit} your loop gives {len(got)} new ids: off by one?")
    if want[: len(got)] == got:
        if ends and len(got) == len(want) - 1:
            raise Wrong(
                f"Only the last id is missing: `generate` returns the end-of-sequence id "
                f"{want[-1]} too. Append first, then test whether to stop."
            )
        if len(got) == len(want) - 1:
            raise Wrong(
                f"With max_new_tokens={limit} your loop gives {len(got)} new ids: off by one?"
            )
        raise Wrong(f"Your loop stops after {len(got)} ids; `generate` goes on to {len(want)}.")
    for imitate, diagnosis in _IMITATIONS:
        likeness = materials.likeness(imitate, number)
        if likeness != want[: len(likeness)] and _alike(imitate, materials, ids_of):
            raise Wrong(diagnosis)
    pairs = enumerate(zip(got, want, strict=False))
    at = next(i for i, (ours, theirs) in pairs if ours != theirs)
    raise Wrong(
        f"Your new id {at} (counting from 0) is {got[at]}, {decode([got[at]])!r}; `generate` has "
        f"{want[at]}, {decode([want[at]])!r}, after {decode(want[:at])!r}. What does your model "
        f"see in step {at}?"
    )


def _last(logits):
    return logits[0, -1].argmax().item()


def _least(logits):
    return logits[0, -1].argmin().item()


def _naive(choose, *, look="always", remember="all", mask=False):
    """A loop without a cache, with faults to order.

    `look` says when it passes the picture: always, once (at the first step) or never. `remember`
    says what it passes after the first step: all, new (the newest token alone) or prompt (the
    prompt again, without what it generated). `mask` passes the prompt's attention mask throughout.
    """

    def loop(model, inputs, max_new_tokens):
        ids, new_ids = inputs.pop("input_ids"), []
        picture = {k: v for k, v in inputs.items() if k != "attention_mask" or mask}
        prompt = ids
        for step in range(max_new_tokens):
            sees = look == "always" or (look == "once" and step == 0)
            output = model(input_ids=ids, **(picture if sees else {}))
            new_ids.append(choose(output.logits))
            if new_ids[-1] == model.generation_config.eos_token_id:
                break
            new = torch.tensor([new_ids[-1:]])
            if remember == "all":
                ids = torch.cat([ids, new], dim=1)
            else:
                ids = new if remember == "new" else prompt
        return new_ids

    return loop


def _first(model, inputs, max_new_tokens):
    # The first step tells: with a cache, each later one has a single position.
    return [model(**inputs).logits[0, 0].argmax().item()]


# Wrong loops, run beside the learner's: where they give the same ids, they say what is wrong.
_IMITATIONS = (
    (
        _first,
        "You choose from the logits of the first position: what follows the whole text is "
        f"predicted at the last. {_AXIS}",
    ),
    (_naive(_least), "You take the least probable token (`argmin`): greedy takes `argmax`."),
    (
        _naive(_last, remember="prompt"),
        "Every step sees the same prompt, so it gives the same id: append each new id to what "
        "the model sees next.",
    ),
    (
        _naive(_last, look="once", remember="new"),
        "After the first step your model sees the newest token alone. Pass "
        "`past_key_values=output.past_key_values` of the step before with it, or pass the whole "
        "text every time.",
    ),
    (
        _naive(_last, mask=True),
        "Your `attention_mask` still has the prompt's length: what it does not cover is hidden, so "
        "the model does not see its own new ids. Append a 1 to it with each id, or leave it out.",
    ),
    (
        _naive(_last, look="never"),
        "Your model never sees the picture: pass `pixel_values` in the first step.",
    ),
    (
        _naive(_last, look="once"),
        "Without a cache every step starts from nothing, so every step needs the picture: pass "
        "`pixel_values` each time, or use the cache.",
    ),
)


# --- inference.cache_gib --------------------------------------------------------------------------


def cache_gib(text_config, tokens, bytes_each):
    heads = text_config.num_key_value_heads  # not all attention heads have keys of their own
    size = getattr(text_config, "head_dim", None)
    if size is None:
        size = text_config.hidden_size // text_config.num_attention_heads
    per_token = 2 * text_config.num_hidden_layers * heads * size * bytes_each
    return tokens * per_token / 2**30


def _decoders() -> list[tuple[str, object, int, int]]:
    """(name, configuration, tokens, bytes of a number)."""
    shapes = {
        "Vicuna 7B": (32, 32, 32, 4096, None),
        "Mistral 7B": (32, 32, 8, 4096, 128),
        "Gemma 3 4B": (34, 8, 4, 2560, 256),  # heads that are wider than hidden size / heads
    }
    names = (
        "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "hidden_size",
        "head_dim",
    )  # fmt: skip
    cases = []
    for name, values in shapes.items():
        given = {n: v for n, v in zip(names, values) if v is not None}
        cases += [(name, SimpleNamespace(**given), *asked) for asked in ((2359, 2), (700, 4))]
    return cases


def _size(config) -> int:
    return getattr(config, "head_dim", config.hidden_size // config.num_attention_heads)


# What a wrong answer is, in times of the right one, and why; it must be so in every case.
_CACHE_FAULTS: tuple[tuple[Callable, str], ...] = (
    (
        lambda config, tokens, bytes_each: 0.5,
        "For each token a key and a value are kept: it is half of what is needed.",
    ),
    (lambda config, tokens, bytes_each: 2**30, "These are bytes: divide by 2**30 for GiB."),
    (
        lambda config, tokens, bytes_each: 2**30 / 1e9,
        "This divides by 1e9, which gives GB; a GiB is 2**30 bytes.",
    ),
    (lambda config, tokens, bytes_each: 2**10, "These are MiB: divide by 2**30 for GiB."),
    (lambda config, tokens, bytes_each: 8, "These are bits: a byte has eight."),
    (
        lambda config, tokens, bytes_each: config.num_attention_heads / config.num_key_value_heads,
        "It counts the attention heads; keys and values come from `num_key_value_heads`, which may "
        "be fewer.",
    ),
    (
        lambda config, tokens, bytes_each: 1 / config.num_key_value_heads,
        "This is for one head: multiply by `num_key_value_heads`.",
    ),
    (
        lambda config, *_: config.hidden_size / config.num_attention_heads / _size(config),
        "It takes hidden size by heads for the size of a head, and this model gives its own in "
        "`head_dim`.",
    ),
    (
        lambda config, *_: config.hidden_size / config.num_key_value_heads / _size(config),
        "It takes the hidden size for all that a key holds: that is `num_key_value_heads` times "
        "the size of a head.",
    ),
    (
        lambda config, tokens, bytes_each: 1 / config.num_hidden_layers,
        "Every layer keeps keys and values of its own: multiply by `num_hidden_layers`.",
    ),
    (lambda config, tokens, bytes_each: 1 / tokens, "This is for one token: multiply by `tokens`."),
    (
        lambda config, tokens, bytes_each: 1 / bytes_each,
        "It counts numbers, not bytes: multiply by `bytes_each`.",
    ),
    (
        lambda config, tokens, bytes_each: 2 / bytes_each,
        "It takes two bytes for every number: multiply by `bytes_each`.",
    ),
)


def examine_cache(answer, cases) -> None:
    because = {"'head_dim'": "Not every configuration has it: the hint says what to take then."}
    got = [one_number(call(answer, *case[1:], because=because)) for case in cases]
    want = [cache_gib(*case[1:]) for case in cases]
    right = [math.isclose(a, b, rel_tol=1e-3) for a, b in zip(got, want)]
    if all(right):
        return
    at = right.index(False)
    name, _, tokens, bytes_each = cases[at]
    for factor, why in _CACHE_FAULTS:
        wrong = [b * factor(*case[1:]) for b, case in zip(want, cases)]
        if all(math.isclose(a, b, rel_tol=1e-3) for a, b in zip(got, wrong)):
            raise Wrong(f"For {name}: {why}")
    raise Wrong(
        f"For {name}, {tokens} tokens at {bytes_each} bytes, it is {want[at]:.3f} GiB, and your "
        f"function gives {got[at]:.4g}."
    )


EXERCISES = (
    Exercise(
        name="inference.greedy_loop",
        title="A greedy loop that equals generate",
        difficulty=3,
        minutes=15,
        takeaway=(
            "Id for id what `generate` gives. Greedy decoding is `argmax`, append, repeat; "
            "everything else in `generate` is about doing it fast, or not taking the argmax."
        ),
        hints=(
            "One step: run the model, take the logits of the last position, `logits[:, -1]`, and "
            "the `argmax` over the vocabulary. That is the next id.",
            "For the next step the model must see that id too. Either `torch.cat` it to the ids "
            "and run everything again, picture included; or pass it alone, together with "
            "`past_key_values=output.past_key_values`.",
            "Stop after `max_new_tokens` ids, or once you have appended "
            "`model.generation_config.eos_token_id`. Return the new ids only.",
        ),
        solved=greedy,
        materials=_pocket_bench,
        examine=examine_greedy,
    ),
    Exercise(
        name="inference.cache_gib",
        title="What a cache holds",
        difficulty=2,
        minutes=8,
        takeaway=(
            "Over a GiB for one large picture in a Vicuna of 7 B, a quarter of that where eight "
            "key-value heads are shared: that is why newer decoders share them."
        ),
        hints=(
            "One key and one value for each token, in every layer and for every key-value head.",
            "The size of a head is `head_dim` where the configuration has it, else "
            "`hidden_size // num_attention_heads`.",
        ),
        solved=cache_gib,
        materials=_decoders,
        examine=examine_cache,
    ),
)

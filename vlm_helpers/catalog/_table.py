"""The models as a table: filters, and where the article says otherwise."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from vlm_helpers._words import did_you_mean, number
from vlm_helpers.catalog._models import ABILITIES, Model, models

if TYPE_CHECKING:
    import pandas

UNKNOWN = "?"
COMMERCIAL = ("yes", "conditions", "no")
# An article rounds: "7B" for 7.6 is no other figure, nor is "~2B" for 1.66.
TOLERANCE = 0.1


def table(
    *,
    license: str | None = None,
    commercial: bool | str | None = None,
    max_parameters: float | None = None,
    min_resolution: float | None = None,
    abilities: str | Iterable[str] | None = None,
    language: str | None = None,
    loads: str | None = None,
    prompt_family: str | None = None,
    box_format: str | None = None,
    max_memory_bf16: float | None = None,
    max_memory_4bit: float | None = None,
    **misspelt: Any,
) -> pandas.DataFrame:
    """The models that pass all filters, a row each, indexed by name.

    `commercial`: True for those that may be used commercially, under conditions or without; or one
    of "yes", "conditions", "no". `max_parameters`: in billions. `min_resolution`: in pixels,
    compared with `side`. `abilities`: one, or several that a model must all have. `language`: one
    that is listed by name. `max_memory_…`: in GiB. The package's docstring explains the columns.

    None is no filter. Values are compared in upper or lower case. A model of which a fact is not
    known does not pass a filter for that fact.

    Raises `TypeError` for an unknown filter and `ValueError` for an unknown value, naming the
    nearest.
    """
    for name in misspelt:
        filters = [n for n in inspect.signature(table).parameters if n != "misspelt"]
        raise TypeError(f"The table has no filter {name!r}; {did_you_mean(name, filters)}")
    wanted = _abilities(abilities)
    allowed = _allowed(commercial)
    license = _find("license", license, (m.license for m in models()))
    language = _find("language", language, _languages())
    loads = _find("way to load", loads, (m.loads for m in models()))
    prompt_family = _find("prompt family", prompt_family, (m.prompt_family for m in models()))
    box_format = _find("box format", box_format, (m.box_format for m in models()))
    limits = {
        "max_parameters": max_parameters, "min_resolution": min_resolution,
        "max_memory_bf16": max_memory_bf16, "max_memory_4bit": max_memory_4bit,
    }  # fmt: skip
    for name, limit in limits.items():
        if limit is not None:
            number(name, limit, above=0)
    if max_parameters is not None and max_parameters >= 1e6:
        raise ValueError(
            f"max_parameters is in billions: {max_parameters / 1e9:g}, not {max_parameters:g}."
        )

    def passes(row: Model) -> bool:
        return (
            license in (None, row.license)
            and (allowed is None or row.commercial in allowed)
            and _most(row.parameters, max_parameters)
            and _most(row.memory_bf16, max_memory_bf16)
            and _most(row.memory_4bit, max_memory_4bit)
            and (min_resolution is None or (row.side is not None and row.side >= min_resolution))
            and wanted <= set(row.abilities or ())
            and (language is None or language in (row.languages or ()))
            and loads in (None, row.loads)
            and prompt_family in (None, row.prompt_family)
            and box_format in (None, row.box_format)
        )

    return _frame([_cells(row) for row in models() if passes(row)])


def differences() -> pandas.DataFrame:
    """Where the article's table and what was published differ, a row a difference.

    Sizes that differ by more than a tenth, resolutions, abilities that the article gives and the
    authors do not, languages, and licences that the article ticks as permissive but which set
    conditions. The column `source` is of the published figure.
    """
    import pandas

    found = []
    for row in models():
        for fact, article, published in _compared(row):
            found.append(
                {"model": row.name, "fact": fact, "article": article, "published": published,
                 "source": row.sources[fact][0]}
            )  # fmt: skip
    return pandas.DataFrame(found, columns=["model", "fact", "article", "published", "source"])


def _compared(row: Model) -> Iterable[tuple[str, str, str]]:
    said = row.article
    if said is None:
        return
    if row.parameters is not None:
        size = float(said.parameters.strip("~B"))
        rounded = round(row.parameters) == size
        if not rounded and abs(row.parameters - size) > TOLERANCE * row.parameters:
            yield "parameters", said.parameters, f"{row.parameters:g}B"
    if row.resolution is not None and said.resolution != f"{row.resolution[0]}x{row.resolution[1]}":
        yield "resolution", said.resolution, f"{row.resolution[0]}x{row.resolution[1]}"
    if said.permissive and row.commercial not in (None, "yes"):
        yield "commercial", "permissive", f"{row.license}: {row.terms}"
    if row.abilities is not None and set(said.abilities) - set(row.abilities):
        yield "abilities", said.capabilities, ", ".join(row.abilities) or "none of these"
    if row.languages is not None and set(said.languages) != set(row.languages):
        yield "languages", ", ".join(said.languages), ", ".join(row.languages)


def _cells(row: Model) -> dict[str, Any]:
    nan = float("nan")
    return {
        "name": row.name,
        "hub_id": row.hub_id,
        "released": row.released or UNKNOWN,
        "license": row.license or UNKNOWN,
        "commercial": row.commercial or UNKNOWN,
        "parameters": nan if row.parameters is None else float(row.parameters),
        "resolution": "{} x {}".format(*row.resolution) if row.resolution else UNKNOWN,
        "side": nan if row.side is None else float(row.side),
        "tile": nan if row.tile is None else float(row.tile),
        "tokens": nan if row.tokens is None else float(row.tokens),
        "languages": UNKNOWN if row.languages is None else ", ".join(row.languages),
        "abilities": UNKNOWN if row.abilities is None else ", ".join(row.abilities),
        "vision": row.vision or UNKNOWN,
        "connector": row.connector or UNKNOWN,
        "decoder": row.decoder or UNKNOWN,
        "prompt_family": row.prompt_family or UNKNOWN,
        "box_format": row.box_format or UNKNOWN,
        "loads": row.loads or UNKNOWN,
        "how_to_load": row.how_to_load,
        "memory_bf16": nan if row.memory_bf16 is None else round(row.memory_bf16, 1),
        "memory_4bit": nan if row.memory_4bit is None else round(row.memory_4bit, 1),
        "article": "; ".join(
            f"{fact}: {said} (published: {published})" for fact, said, published in _compared(row)
        ),
        "unverified": ", ".join(row.unverified),
        "sources": dict(row.sources),
        "notes": row.notes,
    }


def _frame(cells: list[dict[str, Any]]) -> pandas.DataFrame:
    import pandas

    columns = list(_cells(models()[0]))
    return pandas.DataFrame(cells, columns=columns).set_index("name")


def _abilities(abilities: Any) -> set[str]:
    if abilities is None:
        return set()
    if isinstance(abilities, str):
        abilities = (abilities,)
    if not isinstance(abilities, Iterable):
        raise ValueError(
            f"abilities is one of {', '.join(ABILITIES)}, or several of them, not {abilities!r}."
        )
    return {_find("ability", "" if name is None else name, ABILITIES) for name in abilities}


def _allowed(commercial: Any) -> tuple[str, ...] | None:
    if commercial is None:
        return None
    if isinstance(commercial, bool):
        return ("yes", "conditions") if commercial else ("no",)
    if isinstance(commercial, str) and commercial.lower() in COMMERCIAL:
        return (commercial.lower(),)
    raise ValueError(
        f"commercial is True, False, or one of {', '.join(COMMERCIAL)}, not {commercial!r}."
    )


def _languages() -> set[str]:
    """Those that have a name: "many" says that there are more, not which."""
    return {name for row in models() for name in row.languages or ()} - {"many"}


def _find(what: str, value: Any, known: Iterable[str | None]) -> str | None:
    """The known value as it is written there; None for None."""
    if value is None:
        return None
    names = {name.lower(): name for name in known if name is not None}
    if not isinstance(value, str) or value.lower() not in names:
        known = did_you_mean(value, sorted(names.values()))
        raise ValueError(f"The catalog has no {what} {value!r}; {known}")
    return names[value.lower()]


def _most(value: float | None, limit: float | None) -> bool:
    return limit is None or (value is not None and value <= limit)

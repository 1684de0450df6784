"""`browse`: what models the Hub has for a task, as a table to choose from."""

from __future__ import annotations

from typing import Any

from vlm_helpers._words import choice, first_line, whole_number
from vlm_helpers.loading._hub import ANSWER, unreachable, within

SORTS = ("downloads", "likes", "trending_score", "created_at", "last_modified")
ASKED = ["cardData", "createdAt", "downloads", "gated", "likes", "safetensors"]


def browse(
    task: str = "image-text-to-text",
    *,
    sort: str = "downloads",
    limit: int = 20,
    search: str | None = None,
) -> Any:
    """The models that the Hub lists under a task, the first by `sort` first.

    The plain call is `huggingface_hub.list_models(pipeline_tag=task, sort=sort, limit=limit)`. What
    it lists is what uploaders have written: a card may say anything, and a count of downloads is no
    score.

    Args:
        task: as in the addresses of the Hub's own pages, such as "image-text-to-text".
        sort: "downloads" (of the last 30 days), "likes", "trending_score", "created_at" or
            "last_modified".
        limit: at most so many.
        search: only models whose name contains this.
    Returns:
        A DataFrame by model id: `downloads`, `likes`, `parameters` (in billions, NaN where the Hub
        does not know), `license`, `gated` and `created`.
    Raises:
        ConnectionError: without a network, or while the Hub does not answer as it should.
        ValueError: for a task under which nothing is listed, or another `sort`.
    """
    import pandas as pd
    from huggingface_hub import HfApi, constants, errors
    from huggingface_hub.utils import get_session, hf_raise_for_status

    choice("sort", sort, SORTS)
    limit = whole_number("limit", limit, least=1)
    asked = {"pipeline_tag": task, "sort": sort, "limit": limit, "search": search}

    def listed() -> list[Any]:
        # One question, asked once: list_models would go on asking for half a minute.
        address = f"{constants.ENDPOINT}/api/models"
        hf_raise_for_status(get_session().get(address, params={"limit": 1}, timeout=10))
        try:
            return list(HfApi().list_models(**asked, expand=ASKED))
        except (KeyError, TypeError) as error:  # JSON, and not the Hub's
            raise errors.FileMetadataError("It lists no models.") from error

    try:
        found = within(2 * ANSWER, listed)
    except Exception as error:
        if not unreachable(error):
            raise
        raise ConnectionError(
            "The Hub cannot be reached, or does not answer as it should, and what it has is kept "
            f"nowhere here ({first_line(error)[:-1]}): connect to the network, or see "
            "vh.catalog.table(), which needs none."
        ) from None
    if not found:
        named = f" whose name contains {search!r}" if search else ""
        raise ValueError(
            f"The Hub lists no model under the task {task!r}{named}: its tasks are those of its "
            "models page, such as 'image-text-to-text'."
        )
    rows = {
        model.id: {
            "downloads": model.downloads,
            "likes": model.likes,
            "parameters": model.safetensors.total / 1e9 if model.safetensors else float("nan"),
            "license": model.card_data.license if model.card_data else None,
            "gated": bool(model.gated),
            "created": model.created_at and model.created_at.date(),
        }
        for model in found
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")

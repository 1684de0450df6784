"""Files from the Hugging Face Hub, through its own client, with every failure one sentence.

Nothing here runs for a folder or an embedded model: without a Hub id there is no network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vlm_helpers._memory import Tensor

EXAMPLE = "llava-hf/llava-v1.6-mistral-7b-hf"
BAR_FROM = 100 * 2**20  # bytes; a longer download shows its progress


def fetch_config(repo: str, revision: str | None) -> tuple[Path, str]:
    """config.json of the model, and nothing else: the snapshot's folder, and its commit.

    Without a network, and while the Hub is down, what the cache holds is taken.
    """
    from huggingface_hub import HfApi, errors, hf_hub_download

    with sentences(repo, revision):
        cached = is_commit(revision)  # a commit never changes: the cache is as good as the Hub
        trouble: Exception | None = None
        if not cached:
            try:
                # One question, asked once: hf_hub_download would go on asking for 20 s.
                HfApi().model_info(repo, revision=revision, timeout=10)
            except Exception as error:
                if not _unreachable(error):
                    raise
                cached, trouble = True, error
        try:
            config = hf_hub_download(
                repo, "config.json", revision=revision, local_files_only=cached
            )
        except errors.LocalEntryNotFoundError:
            if trouble is not None:
                raise trouble from None
            if not cached:
                raise
            HfApi().model_info(repo, revision=revision, timeout=10)
            config = hf_hub_download(repo, "config.json", revision=revision)
        folder = Path(config).parent
    return folder, folder.name


def is_commit(revision: str | None) -> bool:
    return re.fullmatch(r"[0-9a-f]{40}", revision or "") is not None


def _unreachable(error: Exception) -> bool:
    """Whether the Hub gave no answer, or only that it is out of order."""
    status = _status(error)
    # The client lets the errors of its HTTP library, httpx or httpx2, through.
    library = type(error).__module__.partition(".")[0].startswith("httpx")
    if status is not None:
        return status in (408, 429) or status >= 500
    # OfflineModeIsEnabled is a ConnectionError.
    return library or isinstance(error, (ConnectionError, TimeoutError))


def fetch(repo: str, commit: str | None, patterns: list[str]) -> Path:
    """The files that match `patterns`, at that commit; the snapshot's folder.

    What is missing and large is fetched under a progress bar: nothing for minutes looks dead.
    """
    from huggingface_hub import snapshot_download
    from tqdm.auto import tqdm

    with sentences(repo, commit):
        # tqdm itself, because the client's own bars are off while a model loads.
        bar = {"tqdm_class": tqdm} if _size(repo, commit, patterns) > BAR_FROM else {}
        wanted = {"revision": commit, "allow_patterns": patterns}
        try:
            return Path(snapshot_download(repo, **wanted, **bar))
        except Exception as error:
            if not _unreachable(error):
                raise
            return Path(snapshot_download(repo, **wanted, local_files_only=True))


def _size(repo: str, commit: str | None, names: list[str]) -> int:
    """Bytes of the files called `names`; patterns, which are for small files, count nothing."""
    from huggingface_hub import HfApi

    if any("*" in name for name in names):
        return 0
    files = HfApi().get_paths_info(repo, names, revision=commit)
    return sum(getattr(file, "size", 0) for file in files)


def tensors(repo: str, commit: str | None) -> list[Tensor]:
    """Names, types and shapes of all weights, from the headers alone."""
    from huggingface_hub import errors, get_safetensors_metadata

    with sentences(repo, commit):
        try:
            files = get_safetensors_metadata(repo, revision=commit).files_metadata
        except errors.NotASafetensorsRepoError:
            raise no_safetensors(repo) from None
        except errors.SafetensorsParsingError as error:
            raise OSError(f"The weights of {repo} are damaged: {first_line(error)}") from None
    return [
        Tensor(name, info.dtype, tuple(info.shape))
        for file in files.values()
        for name, info in file.tensors.items()
    ]


@contextmanager
def sentences(repo: str, revision: str | None = None) -> Iterator[None]:
    """Turns what goes wrong with the Hub into one sentence that names the remedy."""
    from huggingface_hub import constants, errors

    offline = (
        f"{repo} is neither a folder here nor whole in this machine's cache, and the Hub cannot be "
        "reached: connect to the network once, or take the pocket model, vh.load(), which needs "
        "none."
    )
    try:
        yield
    except errors.GatedRepoError:
        raise _forbidden(repo, constants.ENDPOINT) from None
    except errors.RevisionNotFoundError:
        raise FileNotFoundError(
            f"{repo} has no revision {revision!r}: see {constants.ENDPOINT}/{repo}/commits/main."
        ) from None
    except errors.RepositoryNotFoundError:
        raise FileNotFoundError(
            f"There is no folder {repo!r} here, and no model of that name on the Hub that may be "
            "seen: check the spelling, or, if it is private, log in with `hf auth login`."
        ) from None
    except errors.RemoteEntryNotFoundError:
        raise FileNotFoundError(
            f"{repo} has no config.json, so it is no checkpoint that transformers can load (a LoRA "
            "adapter is given as adapter=…, beside its base model)."
        ) from None
    except errors.HFValidationError:
        raise FileNotFoundError(
            f"There is no folder {repo!r} here, and no model on the Hub can have that name: one "
            f"is called like {EXAMPLE!r}."
        ) from None
    except Exception as error:
        status = _status(error)
        if status in (401, 403):
            raise _forbidden(repo, constants.ENDPOINT) from None
        if status is not None:
            raise ConnectionError(
                f"The Hub answered with error {status} when asked for {repo}, and this machine's "
                "cache does not hold all of it: try again later."
            ) from None
        if isinstance(error, errors.LocalEntryNotFoundError) or _unreachable(error):
            raise ConnectionError(offline) from None
        raise


def _forbidden(repo: str, endpoint: str) -> PermissionError:
    return PermissionError(
        f"{repo} may not be read from here, because it is gated or private: accept its licence on "
        f"{endpoint}/{repo}, log in with `hf auth login`, and load it again."
    )


def _status(error: BaseException | None) -> int | None:
    """The HTTP status that `error`, or what caused it, came with."""
    while error is not None:
        response = getattr(error, "response", None)
        if response is not None:
            return response.status_code
        error = error.__cause__ or error.__context__
    return None


def no_safetensors(name: str, found: str = "") -> OSError:
    """`found`: what there is instead, where that is known."""
    return OSError(
        f"{name} has no weights as safetensors{found}, and other formats are not opened, because "
        "they can run code: look for a version of the model with model.safetensors."
    )


def first_line(error: BaseException) -> str:
    """The first line of an error's text as the end of a sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".!:") + "."

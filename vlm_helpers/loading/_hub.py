"""Files from the Hugging Face Hub, through its own client, with every failure one sentence.

Nothing here runs for a folder or a model that ships with the course: without a Hub id there is no
network.
"""

from __future__ import annotations

import json
import queue
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vlm_helpers._memory import Tensor
from vlm_helpers._words import first_line

# Everything but weights: configuration, tokenizer, processor, template, index.
SMALL = ("*.json", "*.jinja", "*.txt", "*.model")
BAR_FROM = 100 * 2**20  # bytes; a longer download shows its progress
# Seconds for an answer, for all small files, and bytes a second that a download must bring.
ANSWER, FILES, SLOWEST = 15.0, 60.0, 50_000
EXAMPLE = "llava-hf/llava-v1.6-mistral-7b-hf"


def is_id(name: object) -> bool:
    """Whether a model on the Hub can have that name: `owner/model`."""
    return isinstance(name, str) and bool(re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name))


def is_commit(revision: str | None) -> bool:
    return re.fullmatch(r"[0-9a-f]{40}", revision or "") is not None


def fetch_config(repo: str, revision: str | None) -> tuple[Path, str]:
    """config.json of the model, and nothing else: the snapshot's folder, and its commit.

    Without a network, and while the Hub is down, what the cache holds is taken.
    """
    from huggingface_hub import HfApi, errors, hf_hub_download

    def ask() -> None:
        # One question, asked once: hf_hub_download would go on asking for 20 s.
        try:
            within(ANSWER, HfApi().model_info, repo, revision=revision, timeout=10)
        except (KeyError, TypeError) as error:  # JSON, and not the Hub's
            raise errors.FileMetadataError("It describes no model.") from error

    def download(cached: bool) -> str:
        options = {"revision": revision, "local_files_only": cached}
        return within(2 * ANSWER, hf_hub_download, repo, "config.json", **options)

    with sentences(repo, revision):
        cached = is_commit(revision)  # a commit never changes: the cache is as good as the Hub
        trouble: Exception | None = None
        if not cached:
            try:
                ask()
            except Exception as error:
                if not unreachable(error):
                    raise
                cached, trouble = True, error
        try:
            config = download(cached)
        except errors.LocalEntryNotFoundError:
            if trouble is not None:
                raise trouble from None
            if not cached:
                raise
            ask()
            config = download(False)
        folder = Path(config).parent
    return folder, folder.name


def fetch(repo: str, commit: str | None, names: list[str]) -> Path:
    """The files called `names` (or matching, as `*.json`) at that commit; the snapshot's folder.

    What is missing and large is fetched under a progress bar: nothing for minutes looks dead.
    """
    from huggingface_hub import snapshot_download
    from tqdm.auto import tqdm

    with sentences(repo, commit):
        wanted = {"revision": commit, "allow_patterns": names}
        try:
            size = _size(repo, commit, [name for name in names if "*" not in name])
            if size > BAR_FROM:
                # tqdm itself, because the client's own bars are off while a model loads.
                return Path(snapshot_download(repo, **wanted, tqdm_class=tqdm))
            return Path(within(FILES + size / SLOWEST, snapshot_download, repo, **wanted))
        except Exception as error:
            if not unreachable(error):
                raise
            return Path(snapshot_download(repo, **wanted, local_files_only=True))


def _size(repo: str, commit: str | None, names: list[str]) -> float:
    """Bytes of the files called `names`, infinite where the Hub does not say."""
    from huggingface_hub import HfApi

    def sizes() -> list[int]:
        # Not get_paths_info: that posts, and what is posted gets lost where a model was renamed.
        files = HfApi().list_repo_tree(repo, revision=commit)
        return [file.size for file in files if file.path in names]

    try:
        return sum(within(ANSWER, sizes)) if names else 0
    except Exception as error:
        if unreachable(error):
            raise
        return float("inf")


def within(seconds: float, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """What `call` gives, or `TimeoutError` if that takes longer.

    The client's own time-outs begin anew with every byte: a host that drips never meets them. What
    is given up goes on in its thread, and what it brings is in the cache the next time.
    """
    answer: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            answer.put((call(*args, **options), None))
        except BaseException as error:  # handed to the caller below
            answer.put((None, error))

    threading.Thread(target=work, name="vlm.hub", daemon=True).start()
    try:
        result, error = answer.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"No answer within {seconds:.0f} s.") from None
    if error is not None:
        raise error
    return result


def unreachable(error: Exception) -> bool:
    """Whether the Hub gave no answer, or only that it is out of order, or a stranger answered."""
    status = _status(error)
    # The client lets the errors of its HTTP library, httpx or httpx2, through.
    library = type(error).__module__.partition(".")[0].startswith("httpx")
    if status is not None and not _stranger(error):
        return status in (408, 429) or status >= 500
    # OfflineModeIsEnabled is a ConnectionError.
    return library or _stranger(error) or isinstance(error, (ConnectionError, TimeoutError))


def _stranger(error: Exception) -> bool:
    """Whether what answered is not the Hub: a login page, or a proxy's."""
    from huggingface_hub import errors

    return isinstance(error, (json.JSONDecodeError, errors.FileMetadataError))


def tensors(repo: str, commit: str | None) -> list[Tensor]:
    """Names, types and shapes of all weights, from the headers alone."""
    from huggingface_hub import errors, get_safetensors_metadata

    with sentences(repo, commit):
        try:
            files = within(FILES, get_safetensors_metadata, repo, revision=commit).files_metadata
        except errors.NotASafetensorsRepoError:
            raise no_safetensors(repo) from None
        except (errors.SafetensorsParsingError, KeyError, TypeError, AttributeError) as error:
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

    def absent(why: str) -> ConnectionError:
        return ConnectionError(
            f"{repo} is neither a folder here nor whole in this machine's cache, and {why}: "
            "connect to the network once, or take the pocket model, vh.load(), which needs none."
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
        if _stranger(error):
            raise absent(
                f"what answers at {constants.ENDPOINT} is not the Hub but perhaps a login page"
            ) from None
        if status in (401, 403):
            raise _forbidden(repo, constants.ENDPOINT) from None
        if status is not None:
            raise ConnectionError(
                f"The Hub answered with error {status} when asked for {repo}, and this machine's "
                "cache does not hold all of it: try again later."
            ) from None
        if isinstance(error, TimeoutError):
            raise absent("the Hub answers too slowly") from None
        if isinstance(error, errors.LocalEntryNotFoundError) or unreachable(error):
            raise absent("the Hub cannot be reached") from None
        if isinstance(error, OSError) and error.errno is not None:
            kind = PermissionError if isinstance(error, PermissionError) else OSError
            raise kind(
                f"{repo} cannot be kept in the cache, {constants.HF_HUB_CACHE} ({error.strerror}): "
                "make room there, or set HF_HOME to a folder elsewhere before Python starts."
            ) from None
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

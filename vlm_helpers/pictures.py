"""Pictures of every kind, made into what a processor expects: upright, 8-bit RGB.

`to_rgb` takes a PIL image, a numpy array, a path, a `data:` URL, an `http(s)` URL, or the bytes of
a picture file, plain, in an open file or in the form of Arrow. Everything that comes from outside
is treated with suspicion: sizes are read from the header before anything is decoded, only common
formats are opened, and every failure is one sentence.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import io
import os
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError

from vlm_helpers._words import first_line

# Pillow reads many more, some of them through other programs (EPS through Ghostscript). A JPEG that
# holds several pictures is an MPO to it.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
MAX_DOWNLOAD = 32 * 2**20  # bytes
TIMEOUT = 20.0  # seconds for a whole download
# Answers that surely are no picture; storage services send pictures as all sorts of others.
NO_PICTURE = re.compile(r"(text|audio|video)/.*|application/(json|pdf|zip|javascript|(.*\+)?xml)")
# Processors scale the short side up to what the model sees, so a strip explodes in memory.
MAX_ASPECT = 200
# How far resizing overshoots where light meets dark, in parts of the range: it is cut off.
OVERSHOOT = 0.25
# How files of the common formats begin; WebP and AVIF say so a little later.
SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP")


def to_rgb(source: Any) -> Image.Image:
    """The picture behind `source` as an upright PIL image in mode RGB, with its own size.

    `source`: a PIL image; a numpy array [height, width] or [height, width, 1, 3 or 4], of uint8,
    uint16, bool, integers from 0 to 255, or floats from 0 to 1 or 0 to 255; a path; a `data:` URL;
    an `http(s)` URL, which is downloaded (20 s and 32 MiB at most); or what a picture file holds:
    as bytes, as a file open for reading in binary (read from its start where it can be), or as
    `{"bytes": …, "path": …}`, the form in which a Parquet file keeps pictures.

    EXIF orientation is applied and transparency is laid on white. Of an animation the first frame
    is taken, wherever an opened one stands: for another, give `image.copy()`. 16-bit values are
    scaled to 8 bits, unless all of them are at most 255. Floats are taken to run to 1 or to 255,
    as their largest says, and what resizing put a little beyond is cut off; where the largest
    could mean either (over 1.25, and under a tenth of 255), they are refused, and so are 16-bit
    values that use less than a tenth of their range, as 12-bit ones do. The source itself is never
    changed, and threads may share one.

    Raises `FileNotFoundError`, `IsADirectoryError`, `PermissionError`, `ConnectionError` or
    `TimeoutError` where nothing could be read, `ValueError` where it is no picture, is damaged or
    is larger than `PIL.Image.MAX_IMAGE_PIXELS`, and `TypeError` for other things.
    """
    if isinstance(source, Image.Image):
        with _lock(source):
            return _upright(source, "The picture")
    if isinstance(source, np.ndarray):
        return _from_array(source, "The array")
    if isinstance(source, str):
        scheme = source[:8].lower()
        if scheme.startswith("data:"):
            return _decode_bytes(_from_data_url(source), "The data: URL")
        if scheme.startswith(("http://", "https://")):
            return _decode_bytes(_download(source), _short(source))
        if "://" in source[:20]:
            raise ValueError(f"{_short(source)} cannot be fetched: only http and https URLs can.")
    if isinstance(source, str | os.PathLike):
        return _from_path(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return _decode_bytes(source, "The picture in bytes")
    if isinstance(source, dict) and {"bytes", "path"} & set(source):
        return _from_arrow(source)
    if hasattr(source, "read"):
        return _decode_bytes(_read_open(source), "The picture in an open file")
    raise TypeError(
        "A picture must be a PIL image, a numpy array, a path or a URL, or a picture file as bytes "
        f"or open in binary, not {type(source).__name__}."
    )


def _from_arrow(row: dict) -> Image.Image:
    """The bytes come first: the path is where they once came from, often on another machine."""
    data, path = row.get("bytes"), row.get("path")
    if data is None and path is None:
        raise ValueError("The picture has neither bytes nor a path: replace it.")
    if isinstance(data, bytes | bytearray | memoryview) and path is not None:
        return _decode_bytes(data, f"The picture {_short(path)}")
    return to_rgb(path if data is None else data)


def _read_open(file: Any) -> bytes:
    try:
        if hasattr(file, "seekable") and file.seekable():
            file.seek(0)
        data = file.read()
    except (OSError, ValueError) as error:  # closed, or not open for reading
        raise ValueError(f"The open file cannot be read: {first_line(error)}") from None
    if not isinstance(data, bytes):
        raise ValueError("The file is open for text: open it in binary, open(path, 'rb').")
    return data


def _short(source: object) -> str:
    text = str(source)
    return repr(text if len(text) <= 100 else text[:99] + "…")


def _from_path(source: str | os.PathLike) -> Image.Image:
    path = Path(os.path.expanduser(source))  # Path.expanduser raises for a user who is not there
    try:
        if path.is_dir():
            raise IsADirectoryError(f"{_short(source)} is a folder, not a picture.")
        if path.is_file():
            with path.open("rb") as file:
                return _decode(file, _short(source))
    except PermissionError:
        raise PermissionError(f"{_short(source)} may not be read by this user.") from None
    except IsADirectoryError:
        raise
    except OSError:
        pass  # a name too long for a file name, for instance
    if _is_base64(source):
        raise ValueError(
            f"{_short(source)} is the base64 text of a picture: put 'data:image/png;base64,' "
            "before it, or give base64.b64decode(text)."
        )
    raise FileNotFoundError(f"There is no picture file {_short(source)} (seen from {Path.cwd()}).")


def _is_base64(source: Any) -> bool:
    """Whether it is the base64 text of a file that begins like a picture."""
    text = source if isinstance(source, bytes) else os.fspath(source).encode("utf-8", "replace")
    try:
        head = _from_base64(b"".join(text[:80].split())[:64])
    except binascii.Error:
        return False
    return head.startswith(SIGNATURES) or head[8:12] == b"WEBP" or head[4:8] == b"ftyp"


def _from_data_url(url: str) -> bytes:
    head, comma, body = url.partition(",")
    kind, *options = head[len("data:") :].lower().split(";")
    if not comma or not kind.startswith("image/"):
        raise ValueError(
            f"The data: URL holds no picture: it starts with {_short(url[:40])}, where it should "
            "start like 'data:image/png;base64,'."
        )
    body = urllib.parse.unquote_to_bytes(body)
    if "base64" not in options:
        return body
    try:
        return _from_base64(b"".join(body.split()))
    except binascii.Error:
        raise ValueError("The data: URL is damaged: its base64 text cannot be decoded.") from None


def _from_base64(text: bytes) -> bytes:
    """Of either alphabet: the one for addresses has - and _."""
    return base64.b64decode(text.translate(bytes.maketrans(b"-_", b"+/")), validate=True)


def _download(url: str) -> bytes:
    name = _short(url)
    headers = {"User-Agent": "vlm-helpers", "Accept": "image/*"}
    try:
        escaped = urllib.parse.quote(url, safe="%/:=&?~#+!$,;'@()*[]")
        request = urllib.request.Request(escaped, headers=headers)
    except ValueError as error:
        raise ValueError(f"{name} is no URL: {error}.") from None
    deadline = time.monotonic() + TIMEOUT
    late = f"{name} did not arrive within {TIMEOUT:.0f} s."
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if NO_PICTURE.fullmatch(kind):
                raise ValueError(f"{name} answered {kind}, not a picture.")
            body = io.BytesIO()
            # read1 returns what is there, so that a server that drips meets the deadline.
            while chunk := answer.read1(1 << 16):
                body.write(chunk)
                if body.tell() > MAX_DOWNLOAD:
                    raise ValueError(
                        f"{name} is larger than {MAX_DOWNLOAD >> 20} MiB: "
                        "download it yourself and make it smaller."
                    )
                if time.monotonic() > deadline:
                    raise TimeoutError(late)
            return body.getvalue()
    except urllib.error.HTTPError as error:
        kinds = {401: PermissionError, 403: PermissionError, 404: FileNotFoundError}
        error_type = kinds.get(error.code, ConnectionError)
        # Of a redirection that leads in circles the reason has three lines.
        reason = f"{error.code} {error.reason}".splitlines()[0].rstrip(" .")
        raise error_type(f"{name} answered {reason}.") from None
    except TimeoutError:
        raise TimeoutError(late) from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise TimeoutError(late) from None
        raise ConnectionError(f"{name} could not be reached: {error.reason}.") from None
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionError(f"{name} broke off: {error}.") from None


def _decode_bytes(data: bytes | bytearray | memoryview, name: str) -> Image.Image:
    if not len(data):
        raise ValueError(f"{name} is empty: replace it.")
    return _decode(io.BytesIO(data), name)


def _decode(file: BinaryIO, name: str) -> Image.Image:
    try:
        # Pillow warns of what `_upright` refuses; the lock keeps threads off each other's filters.
        with _opening, warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        file.seek(0)
        hint = "(PNG, JPEG, WebP, GIF, BMP, TIFF, …)"
        if _is_base64(file.read(80)):
            hint = "but base64 text: give base64.b64decode(data)"
        raise ValueError(f"{name} is no picture that can be read {hint}.") from None
    except Image.DecompressionBombError:
        raise _too_large(name) from None
    except Exception as error:  # decoders meet damaged files with errors of every type
        raise ValueError(f"{name} is a damaged picture ({error}): replace it.") from None
    with image:
        return _upright(image, name)


def _too_large(name: str, size: tuple[int, int] | None = None) -> ValueError:
    shape = f" of {size[0]} x {size[1]} pixels" if size else ""
    limit = f"{Image.MAX_IMAGE_PIXELS / 1e6:.0f} million"
    return ValueError(
        f"{name} is a picture{shape}, more than the {limit} pixels that are decoded: make it "
        "smaller, or raise PIL.Image.MAX_IMAGE_PIXELS if you trust it."
    )


def _check_size(name: str, width: int, height: int) -> None:
    if not width or not height:
        raise ValueError(f"{name} has no pixels: its size is {width} x {height}.")
    if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
        raise _too_large(name, (width, height))
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ValueError(
            f"{name} is a strip of {width} x {height} pixels: crop it to less than "
            f"{MAX_ASPECT} to 1."
        )


def _upright(image: Image.Image, name: str) -> Image.Image:
    """A new RGB image; `image` may still be undecoded (its size then comes from the header)."""
    _check_size(name, *image.size)
    undecoded = isinstance(image, ImageFile.ImageFile) and getattr(image, "_im", None) is None
    if undecoded and image.format not in (*FORMATS, "MPO"):
        raise ValueError(
            f"{name} is an opened {image.format}, which is not decoded here: give "
            "image.convert('RGB') if you trust it."
        )
    if image.tell():
        return _upright(_first_frame(image, name), name)
    try:
        image.load()
    except Exception as error:  # as in _decode
        raise ValueError(
            f"{name} is a damaged or truncated picture ({error}): replace it."
        ) from None
    try:
        if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
            image = ImageOps.exif_transpose(image)
    except Exception:
        pass  # EXIF data that cannot be read says nothing about which way is up
    mode = image.mode
    if mode in ("I", "F") or mode.startswith("I;16"):
        # convert() would clip these at 255 instead of scaling them.
        return _from_array(np.asarray(image), name, deep=True)
    if mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = (image.convert("LA") if mode == "La" else image).convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    try:
        return image.convert("RGB")  # a copy, even where it is RGB already
    except ValueError:
        raise ValueError(f"{name} has the colour mode {mode}, which has no RGB form.") from None


def _first_frame(image: Image.Image, name: str) -> Image.Image:
    at = image.tell()
    try:
        image.seek(0)
        first = image.copy()
        image.seek(at)
        image.load()
    except Exception as error:  # as in _decode; or its file is closed
        raise ValueError(
            f"{name} stands at frame {at} of an animation, and its first one cannot be read "
            f"({error}): give image.copy() of the frame that you mean."
        ) from None
    return first


def _from_array(array: np.ndarray, name: str, deep: bool = False) -> Image.Image:
    """`deep`: it comes from a picture of more than 8 bits (PIL's modes I, I;16 and F)."""
    shape = "x".join(map(str, array.shape))
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        remedy = "it must be [height, width] or [height, width, 3]"
        if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[2] > 4:
            remedy = "put the channels last, as in array.transpose(1, 2, 0)"
        elif array.ndim == 4:
            remedy = "give a list of pictures, as in list(array)"
        raise ValueError(f"An array of shape {shape} is not one picture: {remedy}.")
    if not array.size:
        raise ValueError(f"{name} has no pixels: its shape is {shape}.")
    _check_size(name, array.shape[1], array.shape[0])
    if array.dtype.kind not in "buif":
        raise ValueError(f"An array of {array.dtype} is no picture: use uint8.")
    if array.dtype != np.uint8:
        top = _top(array, name, deep)
        fractions = np.divide(array, top, dtype=np.float32)
        array = np.rint(np.clip(fractions, 0, 1) * 255).astype(np.uint8)
    return _upright(Image.fromarray(np.ascontiguousarray(array)), name)


def _top(array: np.ndarray, name: str, deep: bool) -> int:
    """The value that stands for white: 1, 255 or 65535."""
    low, high = float(array.min()), float(array.max())
    kind = array.dtype.kind
    spread = OVERSHOOT if kind == "f" else 0
    sixteen = kind in "ui" and (deep or array.dtype.itemsize == 2) and high > 255
    if kind == "b" or (kind == "f" and high <= 1 + spread):
        top = 1
    else:
        top = 65535 if sixteen else 255
    values = f"{name}'s values run from {low:g} to {high:g}"
    if not (low >= -spread * top and high <= (1 + spread) * top):  # written so that NaN fails
        raise ValueError(f"{values}, but a picture's run from 0 to 255, or from 0.0 to 1.0.")
    if top > 1 and 10 * high < top and (kind == "f" or top > 255):
        least = "1.0 or 255" if kind == "f" else "255 or 65535"
        raise ValueError(
            f"{values}, so whether {least} is white is not clear: scale it yourself, as "
            "(array / white * 255).astype('uint8')."
        )
    return top


_LOCKS = 16


def _renew_locks() -> None:
    """Also in a process that was forked: there, a lock that another thread held stays locked."""
    global _opening, _decoding
    _opening = threading.Lock()
    _decoding = [threading.RLock() for _ in range(_LOCKS)]


_renew_locks()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)


def _lock(image: Image.Image) -> threading.RLock:
    """Pillow decodes an opened picture when it is first used, and not for two threads at once."""
    return _decoding[id(image) // 64 % _LOCKS]

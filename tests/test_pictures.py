"""Pictures from everywhere become upright RGB, or one sentence that says why not."""

import base64
import io
import os
import random
import struct
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image, ImageFile

from vlm_helpers import pictures
from vlm_helpers.pictures import to_rgb

RED, BLUE = (255, 0, 0), (0, 0, 255)


def picture(size=(40, 30), mode="RGB"):
    """Red above, blue below."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (0, size[1] // 2, *size))
    return image.convert(mode)


def encoded(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def near(pixel, colour, by=12):
    return all(abs(a - b) <= by for a, b in zip(pixel, colour, strict=True))


def png_header(width, height):
    """A PNG that claims a size, and has no pixels."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


# ── what is taken ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_formats_by_path(tmp_path, kind):
    file = tmp_path / "a picture"  # the content decides, not the name
    file.write_bytes(encoded(picture(), kind))
    for source in (file, str(file)):
        image = to_rgb(source)
        assert image.mode == "RGB" and image.size == (40, 30)
        assert near(image.getpixel((5, 5)), RED) and near(image.getpixel((5, 25)), BLUE)


@pytest.mark.parametrize("mode", ["RGB", "P", "CMYK", "YCbCr", "HSV", "RGBA"])
def test_colour_modes_keep_their_colours(mode):
    image = to_rgb(picture(mode=mode))
    assert image.mode == "RGB"
    assert near(image.getpixel((5, 5)), RED) and near(image.getpixel((5, 25)), BLUE)


def test_cmyk_jpeg_is_not_inverted():
    data = encoded(picture(mode="CMYK"), "JPEG")
    assert near(to_rgb(Image.open(io.BytesIO(data))).getpixel((5, 5)), RED)


def test_grey_and_two_coloured():
    assert to_rgb(Image.new("L", (4, 4), 77)).getpixel((0, 0)) == (77, 77, 77)
    assert to_rgb(Image.new("1", (4, 4), 1)).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_on_white(mode):
    clear = Image.new(mode, (8, 8), (0,) * len(mode))
    assert to_rgb(clear).getpixel((3, 3)) == (255, 255, 255)
    half = Image.new("RGBA", (8, 8), (255, 0, 0, 128))
    assert near(to_rgb(half).getpixel((3, 3)), (255, 127, 127), by=2)


def test_a_palette_with_a_transparent_colour_is_laid_on_white():
    image = Image.new("P", (8, 8), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.putpixel((0, 0), 1)
    reread = to_rgb(Image.open(io.BytesIO(encoded(image, transparency=0))))
    assert reread.getpixel((4, 4)) == (255, 255, 255) and reread.getpixel((0, 0)) == RED


def test_16_bits_are_scaled_not_clipped(tmp_path):
    deep = np.linspace(0, 65535, 64 * 4).reshape(4, 64).astype(np.uint16)
    file = tmp_path / "deep.png"
    Image.fromarray(deep).save(file)
    expected = np.rint(deep / 257).astype(np.uint8)
    for source in (file, deep, Image.fromarray(deep.astype(np.int32))):
        grey = np.asarray(to_rgb(source))[:, :, 0]
        assert np.abs(grey.astype(int) - expected).max() <= 1, source


@pytest.mark.parametrize(
    ("array", "white"),
    [  # what resizing overshoots is cut off
        (np.full((4, 4, 3), 1.0001, np.float32), 255),
        (np.full((4, 4, 3), 1.2), 255),
        (np.full((4, 4), 1.0001, np.float16), 255),
        (np.full((4, 4), 255.3), 255),
        (np.full((4, 4), 200, np.uint16), 200),
        (np.full((4, 4), 200, ">u2"), 200),
        (np.full((4, 4), 65535, ">u2"), 255),
    ],
)
def test_what_is_white_follows_from_the_values(array, white):
    array = array.copy()
    array[0, 0] = -0.1 if array.dtype.kind == "f" else 0
    seen = np.asarray(to_rgb(array))
    assert seen[1:].min() == seen.max() == white and seen[0, 0].max() == 0


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I", "F"])
@pytest.mark.parametrize("white", [200, 65535])
def test_deep_modes(mode, white):
    kind = {"I;16": "<u2", "I;16B": ">u2", "I": np.int32, "F": np.float32}[mode]
    image = Image.new(mode, (4, 4))
    image.frombytes(np.full((4, 4), white, kind).tobytes())
    if mode == "F" and white > 255:
        with pytest.raises(ValueError, match="^The picture's values run from 65535 to 65535, but"):
            to_rgb(image)
    else:
        assert to_rgb(image).getpixel((0, 0)) == ((200 if white == 200 else 255),) * 3


def test_deep_pictures_of_fewer_bits(tmp_path):
    """A camera's 12 bits in 16: they would come out nearly black."""
    image = Image.fromarray(np.full((4, 4), 4095, np.uint16))
    image.save(tmp_path / "a.png")
    for source in (image, tmp_path / "a.png"):
        with pytest.raises(ValueError, match="to 4095, so whether 255 or 65535 is white is not c"):
            to_rgb(source)


def test_modes_with_transparency():
    grey = Image.new("L", (8, 8), 0)
    grey.putpixel((0, 0), 90)
    assert to_rgb(encoded(grey, transparency=0)).getpixel((4, 4)) == (255, 255, 255)
    for clear in (Image.new("LA", (8, 8)).convert("La"), Image.new("RGBA", (8, 8)).convert("RGBa")):
        assert to_rgb(clear).getpixel((4, 4)) == (255, 255, 255)


@pytest.mark.parametrize(
    "orientation, corner", [(1, (0, 0)), (3, (1, 1)), (6, (1, 0)), (8, (0, 1))]
)
def test_exif_orientation_is_applied(orientation, corner):
    image = Image.new("RGB", (40, 20), BLUE)
    image.paste(RED, (0, 0, 20, 10))  # the upper left quarter
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = to_rgb(Image.open(io.BytesIO(encoded(image, "JPEG", exif=exif, quality=95))))
    assert upright.size == ((40, 20) if orientation in (1, 3) else (20, 40))
    x, y = (upright.width * (1 + 2 * corner[0]) // 4, upright.height * (1 + 2 * corner[1]) // 4)
    assert near(upright.getpixel((x, y)), RED, by=30)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_does_not_matter():
    data = encoded(picture(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff nonsense")
    assert to_rgb(Image.open(io.BytesIO(data))).size == (40, 30)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "AVIF", "MPO"])
def test_the_first_frame_of_an_animation(kind):
    frames = [Image.new("RGB", (32, 32), colour) for colour in (RED, BLUE, (0, 200, 0))]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert near(to_rgb(data).getpixel((1, 1)), RED)
    image = Image.open(io.BytesIO(data))
    image.seek(2)
    for _ in range(2):  # it still stands at its third frame afterwards
        assert near(to_rgb(image).getpixel((1, 1)), RED)
        assert image.tell() == 2
        assert near(image.convert("RGB").getpixel((1, 1)), (0, 200, 0))
    assert near(to_rgb(image.copy()).getpixel((1, 1)), (0, 200, 0))


def test_an_animation_whose_file_was_closed(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    file = tmp_path / "a.gif"
    file.write_bytes(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    with Image.open(file) as image:
        image.seek(1)
        image.load()
    with pytest.raises(ValueError, match=r"stands at frame 1 .*: give image\.copy\(\)"):
        to_rgb(image)


def test_the_source_is_not_changed():
    for mode in ("RGB", "RGBA", "L"):
        image = picture(mode=mode)
        before = image.tobytes()
        to_rgb(image).paste((1, 2, 3), (0, 0, 40, 30))
        assert image.mode == mode and image.tobytes() == before


@pytest.mark.parametrize(
    "array, pixel",
    [
        (np.full((4, 6, 3), 200, np.uint8), 200),
        (np.full((4, 6), 200, np.int64), 200),
        (np.full((4, 6, 1), 200, np.uint8), 200),
        (np.full((4, 6, 3), 0.5, np.float32), 128),
        (np.full((4, 6, 3), 200.0), 200),
        (np.full((4, 6), True), 255),
        (np.full((4, 6, 4), 255, np.uint8), 255),
        (np.asfortranarray(np.full((4, 6, 3), 9, np.uint8))[:, ::-1], 9),
    ],
    ids=lambda value: str(getattr(value, "dtype", "")),
)
def test_arrays(array, pixel):
    image = to_rgb(array)
    assert image.mode == "RGB" and image.size == (6, 4)
    assert image.getpixel((2, 2)) == (pixel,) * 3


def test_picture_files_as_bytes_and_open_files(tmp_path):
    data = encoded(picture())
    (tmp_path / "a.png").write_bytes(data)
    half_read = io.BytesIO(data)
    half_read.read(20)
    with (tmp_path / "a.png").open("rb") as file:
        for source in (data, bytearray(data), memoryview(data), io.BytesIO(data), half_read, file):
            for _ in range(2):  # a file that was read once gives the same again
                image = to_rgb(source)
                assert image.size == (40, 30) and near(image.getpixel((5, 5)), RED)

    class Pipe:
        read = staticmethod(lambda: data)

    assert to_rgb(Pipe()).size == (40, 30)  # one that can only be read


def test_pictures_as_parquet_files_keep_them(tmp_path):
    data = encoded(picture())
    (tmp_path / "a.png").write_bytes(data)
    for row in (
        {"bytes": data, "path": None},
        {"bytes": data, "path": "somewhere/else.png"},
        {"bytes": None, "path": str(tmp_path / "a.png")},
        {"bytes": data},
    ):
        assert near(to_rgb(row).getpixel((5, 5)), RED)
    with pytest.raises(ValueError, match="neither bytes nor a path: replace it"):
        to_rgb({"bytes": None, "path": None})


def test_data_urls():
    data = base64.b64encode(encoded(picture(), "BMP")).decode()
    assert "/" in data
    for url in (
        f"data:image/png;base64,{data}",
        f"DATA:Image/PNG;Base64,{data}",
        f"data:image/png;base64,{data.replace('+', '-').replace('/', '_')}",
        f"data:image/png;charset=utf-8;base64,{data[:60]}\n{data[60:]}",
        "data:image/png," + "".join(f"%{byte:02x}" for byte in encoded(picture())),
    ):
        assert near(to_rgb(url).getpixel((5, 5)), RED)


# ── what is refused ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "array, says",
    [
        (np.zeros((3, 40, 30), np.uint8), "transpose"),
        (np.zeros((2, 40, 30, 3), np.uint8), "list"),
        (np.zeros(7, np.uint8), "height, width"),
        (np.zeros((4, 4, 2), np.uint8), "height, width"),
        (np.zeros((0, 4, 3), np.uint8), "no pixels"),
        (np.full((4, 4), -1.0), "-1"),
        (np.full((4, 4), np.nan), "nan"),
        (np.full((4, 4), 300), "300"),
        (np.full((4, 4), 330.0), "330"),
        (np.full((4, 4), 1.5), "whether 1.0 or 255 is white is not clear: scale it yourself"),
        (np.full((4, 4), 4095, np.uint16), "whether 255 or 65535 is white is not clear"),
        (np.full((4, 4), -40, np.int16), "-40"),
        (np.full((4, 4), 1 + 2j), "complex"),
        (np.full((4, 4), "x"), "uint8"),
    ],
)
def test_arrays_that_are_no_pictures(array, says):
    with pytest.raises(ValueError, match=says):
        to_rgb(array)


@pytest.mark.parametrize("source", [None, 7, {"image": 1}, [picture()], {"bytes": [1]}])
def test_other_types(source):
    with pytest.raises(TypeError, match="PIL image, a numpy array, a path or a URL"):
        to_rgb(source)


def test_bytes_and_open_files_that_are_no_pictures(tmp_path):
    whole = encoded(Image.effect_noise((60, 60), 90))
    for take in (bytes, io.BytesIO, lambda data: {"bytes": data, "path": None}):
        for data, says in (
            (b"hello", "no picture that can be read"),
            (b"", "is empty: replace it"),
            (whole[: len(whole) // 2], "truncated"),
            (png_header(12_000, 12_000), "89 million pixels"),
        ):
            with pytest.raises(ValueError, match=f"^The picture in .*{says}"):
                to_rgb(take(data))
    (tmp_path / "a.png").write_bytes(whole)
    with (tmp_path / "a.png").open(encoding="latin-1") as text:
        with pytest.raises(ValueError, match=r"open for text: .*open\(path, 'rb'\)"):
            to_rgb(text)
    with (tmp_path / "b.png").open("wb") as written:
        with pytest.raises(ValueError, match="cannot be read"):
            to_rgb(written)
    with pytest.raises(ValueError, match="cannot be read: .*closed"):
        to_rgb(written)


def test_files_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("no.png", "What is this?", "x" * 5000, "", "\0", "~nobody-here/a.png"):
        with pytest.raises((FileNotFoundError, IsADirectoryError)) as error:
            to_rgb(name)
        assert len(str(error.value)) < 400
    with pytest.raises(IsADirectoryError, match="folder"):
        to_rgb(tmp_path)
    with pytest.raises(FileNotFoundError):
        to_rgb("/dev/zero")


def test_other_schemes():
    for url in ("file:///etc/passwd", "ftp://host/a.png", "s3://bucket/a.png"):
        with pytest.raises(ValueError, match="only http and https"):
            to_rgb(url)


@pytest.mark.parametrize("content", [b"", b"hello", b"<svg/>", b"%!PS-Adobe EPSF", b"\xff\xd8\xff"])
def test_files_that_are_no_pictures(tmp_path, content):
    file = tmp_path / "file.png"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="file.png"):
        to_rgb(file)


@pytest.mark.parametrize("kind", ["EPS", "PDF", "ICNS", "SGI"])
def test_formats_that_are_not_opened(tmp_path, kind):
    file = tmp_path / "file.png"
    file.write_bytes(encoded(picture((32, 32)), kind))
    with pytest.raises(ValueError, match="file.png' is no picture that can be read"):
        to_rgb(file)


@pytest.mark.parametrize("kind", ["EPS", "TGA", "PCX", "ICNS", "ICO"])
def test_opened_pictures_of_other_formats_are_not_decoded(kind):
    opened = Image.open(io.BytesIO(encoded(picture((32, 32)), kind)))
    if kind != "ICO":  # which Pillow decodes when it opens it
        with pytest.raises(ValueError, match=f"an opened {kind}, .*: give image.convert"):
            to_rgb(opened)
    if kind != "EPS":  # that would take Ghostscript
        assert to_rgb(opened.convert("RGB")).size == opened.size


@pytest.mark.parametrize("take", [str, str.encode, lambda text: {"bytes": text.encode()}])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_base64_by_itself_is_called_that(kind, take):
    text = base64.encodebytes(encoded(picture(), kind)).decode()
    with pytest.raises(ValueError, match=r"base64 text.*give base64\.b64decode\(") as error:
        to_rgb(take(text))
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_truncated_files(tmp_path, kind):
    noise = np.random.default_rng(0).integers(0, 255, (60, 60, 3), np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    file = tmp_path / "file"
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="damaged|truncated"):
        to_rgb(file)


@pytest.fixture
def undecoded(monkeypatch):
    """Fails the test that decodes a picture."""

    def load(image):
        raise AssertionError(f"{image.size} was decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)


@pytest.mark.parametrize("size", [(60_000, 60_000), (12_000, 12_000)])
@pytest.mark.usefixtures("undecoded")
def test_bombs_are_refused_before_they_are_decoded(tmp_path, recwarn, size):
    data = png_header(*size)  # Pillow refuses the first, and warns of the other
    (tmp_path / "bomb.png").write_bytes(data)
    with (tmp_path / "bomb.png").open("rb") as file:
        for source in (data, {"bytes": data}, file, tmp_path / "bomb.png"):
            with pytest.raises(ValueError, match="89 million pixels"):
                to_rgb(source)
    assert not recwarn.list  # Pillow's own warning would say it twice
    if size == (12_000, 12_000):
        with pytest.raises(ValueError, match="12000 x 12000"):
            to_rgb(data)


@pytest.mark.usefixtures("undecoded")
def test_a_strip_is_refused_from_anywhere():
    for source in (
        png_header(60_000, 2),
        Image.open(io.BytesIO(png_header(2, 60_000))),
        Image.new("RGB", (60_000, 2)),
        np.zeros((2, 60_000, 3), np.uint8),
    ):
        with pytest.raises(ValueError, match="is a strip of"):
            to_rgb(source)


def test_an_array_is_refused_before_it_is_scaled():
    wide = np.broadcast_to(np.float32(0), (20_000, 20_000))  # four bytes
    with pytest.raises(ValueError, match="The array is a picture of 20000 x 20000 pixels"):
        to_rgb(wide)


def test_the_limit_is_pillows_own(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match="30"):
        to_rgb(picture())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert to_rgb(picture()).size == (40, 30)


def test_damaged_data_urls():
    for url in ("data:image/png;base64,!!!", "data:text/plain,hello", "data:image/png", "data:,"):
        with pytest.raises(ValueError, match="data: URL"):
            to_rgb(url)
    with pytest.raises(ValueError, match="no picture"):
        to_rgb("data:image/png;base64," + base64.b64encode(b"hello").decode())


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_files_with_random_damage_give_a_picture_or_a_sentence(tmp_path):
    rng = random.Random(0)
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"):
        whole = encoded(picture(), kind)
        for _ in range(25):
            data = bytearray(whole)
            for _ in range(rng.randint(1, 8)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            file = tmp_path / "file"
            file.write_bytes(bytes(data))
            try:
                assert to_rgb(file).mode == "RGB"
            except ValueError as error:
                assert str(file)[:40] in str(error)


# ── URLs ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")


# What the server below says that it sends. All but the page and the liar send a picture.
KINDS = {
    "/page": "text/html; charset=utf-8",
    "/untyped": None,
    "/raw": "application/octet-stream",
    "/s3": "binary/octet-stream",
    "/odd": "application/x-download",
    "/json": "application/json",
    "/plain": "text/plain",
    "/pdf": "application/pdf",
    "/atom": "application/atom+xml",
    "/film": "video/mp4",
}


@pytest.fixture(scope="module")
def server():
    png = encoded(picture())

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            name = self.path.split("?")[0]
            if name == "/away":
                self.send_response(302)
                self.send_header("Location", "/good.png")
                return self.end_headers()
            if name == "/circle":
                self.send_response(302)
                self.send_header("Location", "/circle")
                return self.end_headers()
            if name == "/leak":
                self.send_response(302)
                self.send_header("Location", "file:///etc/passwd")
                return self.end_headers()
            if name in ("/404", "/403", "/500"):
                return self.send_error(int(name[1:]))
            kind = KINDS.get(name, "image/png")
            self.send_response(200)
            if kind:
                self.send_header("Content-Type", kind)
            if name == "/broken":
                self.send_header("Content-Length", str(len(png) * 2))
            self.end_headers()
            if name == "/page":
                self.wfile.write(b"<html>a picture of a cat</html>")
            elif name == "/liar":
                self.wfile.write(b"no picture at all")
            elif name == "/broken":
                self.wfile.write(png[: len(png) // 2])
            elif name == "/slow":
                for byte in png[:60]:
                    self.wfile.write(bytes([byte]))
                    time.sleep(0.05)
            else:
                self.wfile.write(png)

        def handle(self):
            try:
                super().handle()
            except OSError:
                pass  # the client has left

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "name", ["good.png", "away", "untyped", "raw", "s3", "odd", "bild ä.png?x=1&y=%20"]
)
def test_urls(server, name):
    assert near(to_rgb(f"{server}/{name}").getpixel((5, 5)), RED)
    assert to_rgb(f"{server.replace('http', 'HTTP')}/{name}").size == (40, 30)


@pytest.mark.parametrize(
    "name, kind, says",
    [
        ("page", ValueError, "text/html, not a picture"),
        ("json", ValueError, "application/json, not a picture"),
        ("plain", ValueError, "text/plain, not a picture"),
        ("pdf", ValueError, "application/pdf, not a picture"),
        ("atom", ValueError, r"application/atom\+xml, not a picture"),
        ("film", ValueError, "video/mp4, not a picture"),
        ("liar", ValueError, "no picture"),
        ("circle", ConnectionError, r"answered 302 .*infinite loop\.$"),
        ("404", FileNotFoundError, "404"),
        ("403", PermissionError, "403"),
        ("500", ConnectionError, "500"),
        ("leak", ConnectionError, "302"),
        ("broken", (ValueError, ConnectionError), "broken"),
    ],
)
def test_urls_that_answer_something_else(server, name, kind, says):
    with pytest.raises(kind, match=says) as error:
        to_rgb(f"{server}/{name}")
    assert "\n" not in str(error.value)


def test_slow_and_large_urls(server, monkeypatch):
    monkeypatch.setattr(pictures, "TIMEOUT", 0.3)
    with pytest.raises(TimeoutError, match="did not arrive"):
        to_rgb(f"{server}/slow")
    monkeypatch.setattr(pictures, "MAX_DOWNLOAD", 20)
    with pytest.raises(ValueError, match="larger"):
        to_rgb(f"{server}/good.png")


def test_urls_that_nobody_answers():
    for url in ("http://127.0.0.1:1/a.png", "http://", "http://[bad", "http://host.invalid/a.png"):
        with pytest.raises((ConnectionError, ValueError), match="http"):
            to_rgb(url)


# ── threads ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
def test_threads_may_share_an_opened_picture(kind):
    """Pillow decodes it when it is first used, and would do so in all of them at once."""
    noise = Image.effect_noise((300, 300), 90).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(noise, kind, **({} if kind == "GIF" else {"exif": exif}))
    expected = to_rgb(data).tobytes()
    found = []

    def work(image):
        try:
            found.append(to_rgb(image).tobytes() == expected)
        except ValueError as error:
            found.append(str(error))

    for _ in range(8):
        image = Image.open(io.BytesIO(data))
        threads = [threading.Thread(target=work, args=(image,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [True] * 64


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_does_not_wait_for_a_lock_of_another_thread():
    """A data loader's processes are forked while another thread may be opening a picture."""
    image = picture()
    with pictures._opening, pictures._lock(image):
        child = os.fork()
        if not child:  # the thread that holds the locks is not here
            thread = threading.Thread(target=lambda: (to_rgb(image), to_rgb(png)), daemon=True)
            png = encoded(image)
            thread.start()
            thread.join(20)
            os._exit(int(thread.is_alive()))
    assert os.waitpid(child, 0)[1] == 0

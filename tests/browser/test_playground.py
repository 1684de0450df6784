"""The playground as a visitor has it: in each browser of this machine, by mouse, keys and touch.

Its screenshots stay in build/browser/playground. What the model answers is tested against PyTorch
in node (tests/playground); here it is that the page shows it, and does what it says.
"""

import base64
import re
import threading

import pytest

from conftest import BROWSERS, KEPT, PATIENCE, ROOT, launched, opened, sync_api
from tools.playground import build, server

SHOTS = KEPT / "playground"
AXE = ROOT / ".venv-browser" / "node_modules" / "axe-core" / "axe.min.js"
PHONE = {"viewport": {"width": 390, "height": 844}}
expect = sync_api.expect
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def address():
    """Where the page is served, the model's files beside it."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    serving = server(build(KEPT / "page"), 0)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{serving.server_port}/"
    serving.shutdown()
    serving.server_close()


@pytest.fixture(scope="module", params=BROWSERS)
def browser(request, playwright):
    with launched(playwright, request.param) as browser:
        yield browser


def answered(page, question=None):
    """Waits for the answer to a question, the latest one by default, and gives it."""
    if question:
        expect(page.locator("#asked")).to_contain_text(question)
    expect(page.locator("#answer:not([aria-busy])")).not_to_have_text(re.compile("^…?$"))
    return page.locator("#answer").inner_text()


def ask(page, question):
    page.fill("#question", question)
    page.press("#question", "Enter")
    return answered(page, question)


def picture(page):
    return page.locator("#canvas").evaluate("e => e.toDataURL()")


def again(page, act):
    """The answer to the same question, once what `act` changes has made the page ask anew."""
    count = page.evaluate("performance.getEntriesByType('mark').length")
    page.evaluate(
        "new MutationObserver(() => performance.mark('asked'))"
        ".observe(document.querySelector('#asked'), {childList: true})"
    )
    act()
    page.wait_for_function("n => performance.getEntriesByType('mark').length > n", arg=count)
    return answered(page)


def test_a_visitor_asks_and_changes_the_scene(browser, address):
    with opened(browser, viewport={"width": 1280, "height": 1000}) as page:
        page.goto(address)
        expect(page.locator("#status")).to_have_text("The model is ready.")
        assert answered(page)

        # by button and in free words; the answer comes token by token, each with its rivals
        page.get_by_role("button", name="How many?").click()
        assert answered(page, "How many objects are there?").isdigit()
        seen = ask(page, "Describe the picture.")
        assert page.locator("#steps button").count() > 3
        page.locator("#steps button").first.click()
        shares = page.locator("#top td:last-child").all_inner_texts()
        assert len(shares) == 5 and shares == sorted(shares, key=lambda s: -float(s[:-2]))

        # places come as boxes; the conversation goes on from them
        page.get_by_role("button", name="Box", exact=True).click()
        assert len(re.findall(r"<loc_\d\d>", answered(page, "Locate"))) == 4
        assert page.locator("#overlay .found").count() == 1
        thing = page.locator("#question").input_value().removeprefix("Locate the ").rstrip(".")
        page.check("#follow")
        page.get_by_role("button", name="Its colour?").click()
        assert answered(page, "What color is it?") == thing.split()[0]
        page.uncheck("#follow")

        # attention: a veil of 64 patches, which another layer and another token change
        page.check("#looking")
        assert page.locator("#overlay .veil").count() == 64
        expect(page.locator("#looked")).to_contain_text("% went to the picture")
        before = page.locator("#overlay").inner_html()
        page.locator("#layer").press("ArrowLeft")
        assert page.locator("#overlay").inner_html() != before
        page.screenshot(path=SHOTS / f"{browser.browser_type.name}-attention.png", full_page=True)
        page.uncheck("#looking")

        # a shape is dragged, moved by keys, and removed
        ask(page, "Describe the picture.")
        page.locator("#canvas").press("n")
        drawn, (start, end) = picture(page), way(page)

        def drag():
            page.mouse.move(**start)
            page.mouse.down()
            page.mouse.move(**end, steps=4)
            page.mouse.up()

        again(page, drag)
        assert picture(page) != drawn
        drawn = picture(page)
        again(page, lambda: page.locator("#canvas").press("ArrowLeft"))
        assert picture(page) != drawn
        again(page, lambda: page.locator("#canvas").press("Delete"))
        assert answered(page) != seen

        # what the model gets: fewer tokens, covered patches, plain grey
        again(page, lambda: page.locator("#keep").fill("8"))
        assert page.locator("#overlay .dropped").count() == 56
        again(page, lambda: page.locator("#keep").fill("64"))
        page.check("#cover")
        again(page, lambda: page.locator("#canvas").click(position={"x": 30, "y": 30}))
        assert page.locator("#overlay .covered").count() == 1
        again(page, lambda: page.locator("#uncover").click())
        again(page, lambda: page.check("#grey"))
        assert page.locator("#overlay .covered").count() == 64
        expect(page.locator("#asked")).to_contain_text("grey picture")

        # what cannot be asked is said
        assert "nothing is left" in ask(page, "</s>")
        page.screenshot(path=SHOTS / f"{browser.browser_type.name}-desk.png", full_page=True)


def test_the_second_model_reads_a_page(browser, address):
    with opened(browser, viewport={"width": 1280, "height": 1000}) as page:
        page.goto(address)
        answered(page)
        page.get_by_role("button", name="pocket-llava-next").click()
        expect(page.locator("#asked")).to_have_text("What does line 2 say?")
        assert answered(page)
        expect(page.locator("#truth")).to_have_text("The truth: 21 Rose Lane")
        expect(page.locator("#shapes")).to_be_hidden()

        # both places are drawn, the model's and the true one; attention on the patches of its tiles
        page.get_by_role("button", name="Give the box of the name of the shop.").click()
        assert len(re.findall(r"<loc_\d\d>", answered(page, "Give the box"))) == 4
        for kind in "found", "true":
            assert page.locator(f"#overlay .{kind}").count() == 1
        page.check("#looking")
        assert page.locator("#overlay .veil").count() == 16 * 16
        page.screenshot(path=SHOTS / f"{browser.browser_type.name}-page.png", full_page=True)

        page.get_by_role("button", name="a diagram").click()
        expect(page.locator("#canvas")).to_have_attribute("width", "384")
        answered(page)
        page.get_by_role("button", name="pocket-llava: scenes").click()
        expect(page.locator("#canvas")).to_have_attribute("width", "384")
        expect(page.locator("#canvas")).to_have_attribute("height", "384")
        assert answered(page, "What is in the picture?").count("a ") > 0
        expect(page.locator("#pages")).to_be_hidden()


def way(page):
    """From the middle of the shape that is chosen to the picture's, as places on the screen."""
    points = page.locator("#overlay .selected").get_attribute("points").split()
    corners = [tuple(map(float, point.split(","))) for point in points]
    chosen = [sum(values) / len(corners) for values in zip(*corners)]
    page.locator("#canvas").scroll_into_view_if_needed()
    place = page.locator("#canvas").bounding_box()
    return [
        {"x": place["x"] + x * place["width"], "y": place["y"] + y * place["height"]}
        for x, y in (chosen, (0.5, 0.5))
    ]


def test_a_phone_in_the_dark(chromium, address):
    with opened(chromium, **PHONE, color_scheme="dark", has_touch=True, is_mobile=True) as page:
        page.goto(address)
        answered(page)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert max(map(int, re.findall(r"\d+", paper))) < 60
        page.locator("#canvas").press("n")
        drawn, (start, end) = picture(page), way(page)
        finger = page.context.new_cdp_session(page)

        def drag():
            for kind, points in ("touchStart", [start]), ("touchMove", [end]), ("touchEnd", []):
                finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        again(page, drag)
        assert picture(page) != drawn
        page.screenshot(path=SHOTS / "phone.png", full_page=True)
        page.locator("#canvas").press("Escape")
        again(page, lambda: page.check("#grey"))
        assert shades(page) == 1, "the picture shows between the grey patches"


def shades(page):
    """How many colors the screen has where the picture is, but for its rounded rim."""
    png = base64.b64encode(page.locator("#canvas").screenshot()).decode()
    return page.evaluate(
        """async (png) => {
          const image = Object.assign(new Image(), {src: `data:image/png;base64,${png}`});
          await image.decode();
          const {width, height} = image;
          const paper = new OffscreenCanvas(width, height).getContext("2d");
          paper.drawImage(image, 0, 0);
          const inner = paper.getImageData(0.1 * width, 0.1 * height, 0.8 * width, 0.8 * height);
          return new Set(new Uint32Array(inner.data.buffer)).size;
        }""",
        png,
    )


@pytest.mark.parametrize("how", [{}, {**PHONE, "color_scheme": "dark"}], ids=["desk", "phone"])
def test_nothing_shuts_readers_out(chromium, address, how):
    if not AXE.is_file():
        pytest.skip("Needs axe-core, which make browser installs where npm is.")
    with opened(chromium, **how, bypass_csp=True) as page:
        page.goto(address)
        answered(page)
        page.check("#looking")
        page.add_script_tag(path=AXE)
        result = page.evaluate("axe.run()")
        assert result["passes"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in result["violations"]] == []


def test_from_a_file_it_says_what_it_needs(chromium):
    with opened(chromium) as page:
        page.goto((ROOT / "site" / "playground" / "index.html").as_uri())
        expect(page.locator("#status")).to_contain_text("make playground")

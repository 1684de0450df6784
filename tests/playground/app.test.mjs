// The page's own script on a document of a few lines: what it asks the worker, and what it shows.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, test } from "node:test";

const PAGE = new URL("../../site/playground/", import.meta.url);

/** As much of an element as the page uses: properties, attributes, children. */
class Element {
  attributes = {}; children = []; style = { setProperty() {} }; value = ""; checked = false; textContent = ""; max = "";
  classList = { toggle() {} };
  setAttribute(name, value) { this.attributes[name] = String(value); }
  removeAttribute(name) { delete this.attributes[name]; }
  append(...more) { this.children.push(...more); }
  prepend(...more) { this.children.unshift(...more); }
  replaceChildren(...all) { this.children = all; }
  get firstChild() { return this.children[0]; }
  get text() { return this.textContent + this.children.map((child) => child.text ?? child).join(""); }
  get tBodies() { return [this.body ??= new Element()]; }
  get caption() { return this.title ??= new Element(); }
  async decode() {}
  getContext() { return { canvas: this, putImageData() {}, drawImage() {}, measureText: () => ({}), fillText() {}, strokeText() {},
    getImageData: (x, y, w, h) => ({ data: new Uint8Array(4 * w * h) }) }; }
}

const world = JSON.parse(readFileSync(new URL("world.json", PAGE)));
const byId = {};
const $ = (id) => (byId[id] ??= new Element());
const posted = [], loads = []; // questions, and models that were asked for
let worker;
Object.assign(globalThis, {
  document: { getElementById: $, createElement: () => new Element(), createElementNS: (_, tag) => Object.assign(new Element(), { tag }),
    fonts: { load: async () => {} } },
  fetch: async (name) => ({ json: async () => JSON.parse(readFileSync(new URL(name, PAGE))) }),
  OffscreenCanvas: class extends Element {},
  ImageData: class { constructor(w, h) { this.data = new Uint8ClampedArray(4 * w * h); } },
  Worker: class { constructor() { worker = this; } postMessage(job) { (job.turns ? posted : loads).push(job); } },
  requestAnimationFrame: (draw) => draw(),
});
let later = null; // what the page waits to do
globalThis.setTimeout = (act) => (later = act);
globalThis.clearTimeout = () => { later = null; };
await import("../../site/playground/app.mjs");
const rest = () => later();

const tell = (data) => worker.onmessage({ data });
const asked = () => posted.at(-1).turns;
const type = (text) => { $("question").value = text; $("question").oninput(); };
const ask = (text) => { type(text); $("form").onsubmit({ preventDefault() {} }); };
const looks = (share) => [Array(64).fill(share)];
function step(text, share = 0.01) {
  tell({ id: posted.at(-1).id, step: { text, top: [{ text, probability: 1 }], looks: looks(share) } });
}
function answer(text, share) {
  tell({ id: posted.at(-1).id, kept: share === 0 ? [] : [...Array(64).keys()], rows: 8, columns: 8 });
  step(text, share);
  tell({ id: posted.at(-1).id, end: true });
}
const veils = () => $("overlay").children.filter((part) => part.attributes.class === "veil");

afterEach(() => { $("follow").checked = $("looking").checked = false; });

test("while the model comes, percents are told only where its size is known, and a question waits", () => {
  assert.deepEqual(loads, [{ model: "pocket-llava" }]);
  tell({ model: "pocket-llava", loaded: 7e6, of: 14e6 });
  assert.match($("status").text, /: 50 %$/);
  tell({ model: "pocket-llava", loaded: 7e6, of: 0 });
  assert.match($("status").text, /: 7\.0 MB$/);
  ask("How many objects are there?");
  assert.match($("status").text, /is asked then/);
  type("What is");
  assert.equal(posted.length, 0);
  tell({ model: "pocket-llava", ready: true, columns: 8, layers: 1 });
  assert.deepEqual(asked(), [{ question: "How many objects are there?" }]);
  assert.equal($("question").value, "What is", "typed meanwhile");
  answer("3");
});

test("what is being typed stays when the page asks again by itself", () => {
  ask("What color is the star?");
  answer("red");
  type("Where is");
  $("keep").value = "32";
  $("keep").oninput();
  const before = posted.length;
  rest();
  assert.equal(posted.length, before + 1);
  assert.deepEqual(asked(), [{ question: "What color is the star?" }]);
  assert.equal($("question").value, "Where is");
  answer("red");
  $("scenes").children[1].onclick();
  assert.equal($("question").value, "Where is");
  answer("a star");
  type("");
  $("scenes").children[0].onclick();
  assert.equal($("question").value, asked()[0].question, "nothing was being typed");
  answer("a star");
});

test("a question that goes on from an answer waits for its end", () => {
  ask("Describe the picture.");
  step("a red");
  $("follow").checked = true;
  const before = posted.length;
  ask("What color is it?");
  assert.equal(posted.length, before);
  assert.match($("status").text, /waits/);
  tell({ id: posted.at(-1).id, end: true });
  assert.deepEqual(asked(), [{ question: "Describe the picture.", answer: "a red" }, { question: "What color is it?" }]);
  assert.match($("status").text, /ready/);
  answer("red");
  $("follow").checked = false;
  ask("How many?");
  assert.match($("history").firstChild.text, /^Describe the picture\. a red → What color is it\? .*red/);
  answer("1");
});

test("an answer that is cut off says so", () => {
  ask("Describe the picture.");
  step("a red");
  tell({ id: posted.at(-1).id, end: true, cut: true });
  assert.match($("truth").text, /cut off here, after 1 tokens/);
  ask("How many?");
  answer("1");
  assert.equal($("truth").text, "");
});

test("a question that waits comes after an answer that fails, too, and alone", () => {
  ask("Describe the picture.");
  $("follow").checked = true;
  ask("What color is it?");
  tell({ id: posted.at(-1).id, error: "No." });
  assert.deepEqual(asked(), [{ question: "What color is it?" }]);
  answer("red");
});

test("without picture tokens there is no attention to show, and that is said", () => {
  $("looking").checked = true;
  $("layer").value = 1;
  ask("How many?");
  answer("1");
  assert.equal(veils().length, 64);
  assert.match($("looked").text, /^Of this token's attention 64 % went/);
  ask("How many?");
  answer("1", 0);
  assert.equal(veils().length, 0);
  assert.match($("looked").text, /^No picture token was kept/);
});

test("the second model is loaded when it is chosen, looks at a page, and what is true stands beside its answer", async () => {
  const other = "pocket-llava-next", [page] = world.pages;
  assert.ok($("pages").hidden);
  assert.equal(loads.length, 1);
  await $(other).onclick();
  assert.deepEqual(loads.at(-1), { model: other });
  assert.ok(!$("pages").hidden && $("shaping").hidden && $("keeping").hidden);
  const before = posted.length;
  tell({ model: "pocket-llava", ready: true, columns: 8, layers: 1 }); // comes late, and is not the one
  assert.equal(posted.length, before);
  tell({ model: other, ready: true, columns: 8, layers: 1 });
  const { model, picture, keep, turns: [{ question }] } = posted.at(-1);
  assert.deepEqual([model, picture.width, picture.height, keep], [other, ...page.size, undefined]);
  assert.deepEqual([$("canvas").width, $("canvas").height], page.size);
  assert.equal(question, page.questions[0].question);
  tell({ id: posted.at(-1).id, looked: 1, of: 5 });
  assert.match($("answer").text, /part 2 of 5/);
  tell({ id: posted.at(-1).id, kept: [...Array(336).keys()], rows: 16, columns: 4 });
  assert.equal($("truth").text, "");
  step("75");
  tell({ id: posted.at(-1).id, end: true });
  assert.equal($("truth").text, `The truth: ${page.questions[0].truth}`);
  $("looking").checked = true;
  $("looking").onchange();
  const [veil] = veils();
  assert.deepEqual([veils().length, Number(veil.attributes.width), Number(veil.attributes.height)], [64, 1 / 4, 1 / 16]);
  ask("Is it raining?");
  answer("no");
  assert.equal($("truth").text, "", "nobody knows");
  const located = page.questions.find(({ truth }) => truth.startsWith("<loc_"));
  ask(located.question);
  step("<loc_01>"); // half a point, as it comes
  answer("<loc_01><loc_02>");
  assert.equal($("truth").text, `The truth, dotted: ${located.truth}`);
  const kinds = $("overlay").children.map((part) => part.attributes.class);
  assert.ok(kinds.includes("found") && kinds.includes("true"));
});

test("a scene can be shown to the second model; the first gets a scene instead of a page", async () => {
  await $("pages").children[1].onclick();
  assert.equal(posted.at(-1).picture.width, world.pages[1].size[0]);
  answer("57");
  await $("pocket-llava").onclick();
  assert.ok($("pages").hidden && !$("shaping").hidden && !$("keeping").hidden);
  tell({ model: "pocket-llava", ready: true, columns: 8, layers: 1 });
  assert.deepEqual([posted.at(-1).model, posted.at(-1).picture.width], ["pocket-llava", world.picture_size]);
  answer("a star");
  await $("pocket-llava-next").onclick();
  tell({ model: "pocket-llava-next", ready: true, columns: 8, layers: 1 });
  answer("75");
  $("scenes").children[2].onclick();
  assert.deepEqual([posted.at(-1).model, posted.at(-1).picture.width], ["pocket-llava-next", world.picture_size]);
  assert.ok(!$("shaping").hidden);
});

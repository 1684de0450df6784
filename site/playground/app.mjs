// The page: a scene that can be changed or a page of print, a question, and the answer as it comes from
// the worker.

import { draw, outline, signSize } from "./drawing.mjs";
import { resize } from "./pictures.mjs";
import { caption, describe, FOLLOW_UPS, inside, name, placed, places, plural, radiusOf, randomScene, settle, signFor, suggest } from "./scenery.mjs";

const $ = (id) => document.getElementById(id);
const world = await (await fetch("world.json")).json();
await document.fonts.load("66px Sign").catch(() => {});

const canvas = $("canvas"), context = canvas.getContext("2d");
const FIRST = "pocket-llava", NEXT = "pocket-llava-next"; // and folders of their files, and ids of their buttons

const state = {
  model: null, // FIRST or NEXT
  // as in world.json; or a page, which has no objects, but {page: as in world.json, picture}
  scene: null,
  picture: null, // as drawn; null while what is drawn is out of date
  chosen: null, // a shape of the scene, "sign", or null
  next: { shape: world.shapes[0], color: Object.keys(world.colors)[0], size: "large" },
  covered: new Set(), cursor: 0,
  columns: 8, keep: 64, // until the model says what it has
  // the latest question's number; {question, earlier: turns before it, text, steps, shown: a step, kept,
  // rows, columns: of the finest patches}
  ready: false, asking: 0, last: null,
  typing: false, // whether the visitor has typed what was not asked yet
  pending: null, // {question, earlier}: waits for the model, or for the answer that it goes on from
};

let waiting; // the timer of `askAgain`
const NOTHING = "(nothing)"; // where the model ends its answer at once

// --- small helpers -------------------------------------------------------------------------------

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function svg(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function show(on, picture) {
  const pixels = new ImageData(picture.width, picture.height);
  for (let i = 0, o = 0; i < picture.data.length; i += 3, o += 4)
    pixels.data.set([picture.data[i], picture.data[i + 1], picture.data[i + 2], 255], o);
  on.putImageData(pixels, 0, 0);
}

/** The writing of a sign, for `draw`: what the browser's own letters cover. */
const paper = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
function write(text, size, stroke, x, y, side) {
  paper.canvas.width = paper.canvas.height = side; // which also wipes it
  paper.font = `${size}px Sign`;
  paper.textAlign = "center";
  paper.lineWidth = 2 * stroke;
  paper.lineJoin = "round";
  const { fontBoundingBoxAscent: above, fontBoundingBoxDescent: below } = paper.measureText(text);
  const baseline = Math.ceil(y + (above - below) / 2 - 0.04); // found by comparing with Pillow's signs
  paper.fillText(text, x, baseline);
  paper.strokeText(text, x, baseline);
  const { data } = paper.getImageData(0, 0, side, side), opacity = new Uint8Array(side * side);
  for (let i = 0; i < opacity.length; i++) opacity[i] = data[4 * i + 3];
  return opacity;
}

// --- the worker ----------------------------------------------------------------------------------

const worker = new Worker(new URL("worker.mjs", import.meta.url), { type: "module" });
worker.onerror = () => say("status", "The model's code could not be started in this browser.");
worker.onmessage = ({ data }) => {
  if (data.id === undefined && data.model !== state.model) return; // another was chosen meanwhile
  if (data.loaded) say("status", `Loading the model: ${loaded(data)}`);
  else if (data.ready) ready(data);
  else if (data.error && data.id === undefined) say("status", `The model could not be loaded: ${data.error}`);
  else if (data.id === state.asking) progress(data);
};

const loaded = ({ loaded, of }) => (of ? `${Math.round(100 * Math.min(1, loaded / of))} %` : `${(loaded / 1e6).toFixed(1)} MB`);

function say(where, text) {
  $(where).textContent = text;
  if (where === "answer") $("echo").textContent = text && `Answer: ${text}`;
}

/** Takes a model, which is loaded when it is first chosen, once `show` has given it a picture. */
async function choose(model, show) {
  if (state.ready) state.pending = null; // it went on from an answer of the other one
  Object.assign(state, { model, ready: false });
  for (const name of [FIRST, NEXT]) $(name).setAttribute("aria-pressed", name === model);
  $("pages").hidden = model !== NEXT;
  $("keeping").hidden = model === NEXT;
  say("status", "Loading the model…");
  await show();
  worker.postMessage({ model });
}

function ready({ columns, layers }) {
  Object.assign(state, { ready: true, columns, keep: columns ** 2 });
  Object.assign($("keep"), { max: columns ** 2, value: columns ** 2 });
  Object.assign($("layer"), { max: layers, value: layers });
  say("status", "The model is ready.");
  showKept();
  if (state.pending) sendPending();
  else send(proposed()[0][1], []);
}

/** What can be asked: [what a button says, the question]. */
const proposed = () => state.scene.page?.questions.map(({ question }) => [question, question])
  ?? suggest(state.scene, world, thing());

/** The turns that the next question goes on from: none, unless that is wished and there is an answer. */
const before = () => ($("follow").checked && state.last?.done && !state.last.stale
  ? [...state.last.earlier, { question: state.last.question, answer: state.last.text }] : []);

/** The visitor asks: now, or once the model, or the answer that the question goes on from, is there. */
function ask(question, earlier) {
  question = question.trim();
  if (!question) return;
  const { last } = state, comes = last && (last.stale || !(last.done || last.failed));
  $("question").value = question;
  state.typing = false;
  state.pending = { question, earlier };
  if (!state.ready) say("status", "The model is still being loaded: your question is asked then.");
  else if (!earlier && $("follow").checked && comes) say("status", "Your question waits until the answer that it goes on from has ended.");
  else sendPending();
}

function sendPending() {
  const { question, earlier = before() } = state.pending;
  state.pending = null;
  say("status", "The model is ready.");
  send(question, earlier);
}

/** Asks the model, and leaves alone what is being typed. */
function send(question, earlier) {
  redraw();
  clearTimeout(waiting);
  keepInHistory();
  if (!state.typing) $("question").value = question;
  state.last = { question, earlier, text: "", steps: [], kept: null, setting: setting() };
  state.asking++;
  say("asked", inWords(state.last));
  say("answer", "…");
  say("truth", "");
  $("answer").setAttribute("aria-busy", "true");
  $("steps").replaceChildren();
  showTop();
  drawOverlay();
  const all = Array.from({ length: state.columns ** 2 }, (_, i) => i);
  worker.postMessage({
    model: state.model, id: state.asking, turns: [...earlier, { question }], prompt: world.prompt, picture: state.picture,
    grey: world.grey, keep: state.model === FIRST ? state.keep : undefined, covered: $("grey").checked ? all : [...state.covered],
  });
}

/** A question after the turns that it goes on from, and what the model does not get. */
const inWords = ({ earlier, question, setting }) =>
  earlier.map((turn) => `${turn.question} ${turn.answer} → `).join("") + question + setting;

/** In words, what the model does not get. */
function setting() {
  const parts = [];
  if ($("grey").checked) parts.push("grey picture");
  else if (state.covered.size) parts.push(`${state.covered.size} patch${state.covered.size > 1 ? "es" : ""} covered`);
  if (state.model === FIRST && state.keep < state.columns ** 2) parts.push(`${state.keep} picture tokens`);
  return parts.length ? ` (${parts.join(", ")})` : "";
}

function progress({ looked, of, kept, rows, columns, step, end, cut, error }) {
  const last = state.last;
  if (looked && of > 1) say("answer", looked < of ? `… it looks at part ${looked + 1} of ${of}` : "… it reads what it saw");
  if (kept) Object.assign(last, { kept, rows, columns });
  if (error) {
    last.failed = true;
    say("answer", error);
    $("answer").removeAttribute("aria-busy");
  }
  if (step) {
    last.text = step.text;
    last.steps.push(step);
    say("answer", step.text || "…");
    const number = last.steps.length - 1;
    $("steps").append(element("button", { type: "button", textContent: visible(step.top[0].text),
      onclick: () => showTop(number) }));
    showTop(number);
  }
  if (end) {
    last.done = true;
    $("answer").removeAttribute("aria-busy");
    if (!last.text) say("answer", NOTHING);
    const right = truth();
    say("truth", [cut && `The answer is cut off here, after ${last.steps.length} tokens.`,
      right && `The truth${places(right, world).length ? ", dotted" : ""}: ${right}`].filter(Boolean).join(" "));
    const sure = last.steps.map(({ top }) => top[0].probability);
    showTop(sure.indexOf(Math.min(...sure)), ", the least certain");
    if ($("follow").checked) showControls();
  }
  if ((end || error) && state.pending) return sendPending();
  drawOverlay();
}

/** What is true of the page, where it was asked in the words of a button. */
const truth = () => state.scene.page?.questions.find(({ question }) => question === state.last?.question)?.truth;

const visible = (token) => token.replaceAll(" ", "␣").replaceAll("\n", "⏎");

function showTop(number, remark = "") {
  const { steps } = state.last;
  state.last.shown = number;
  for (const [i, button] of [...$("steps").children].entries()) button.setAttribute("aria-pressed", i === number);
  const rows = number === undefined ? [] : steps[number].top.map(({ text, probability }) => {
    const percent = (100 * probability).toFixed(1);
    return element("tr", {}, element("th", { scope: "row", textContent: visible(text) }),
      element("td", {}, element("meter", { value: probability, ariaLabel: `${percent} %` })),
      element("td", { textContent: `${percent} %` }));
  });
  $("top").tBodies[0].replaceChildren(...rows);
  $("top").caption.textContent = rows.length ? `Step ${number + 1} of ${steps.length}${remark}` : "";
  showLooks();
}

/** What the chosen token's attention is, in the layer that is chosen; null where none is to be seen. */
function looks() {
  const last = $("looking").checked && !state.last?.stale ? state.last : null;
  return last?.steps[last.shown]?.looks[$("layer").value - 1] ?? null;
}

function showLooks() {
  const shares = looks(), { columns } = state.last ?? {};
  say("layer-shown", `${$("layer").value} of ${$("layer").max}`);
  const total = shares?.reduce((a, b) => a + b);
  if (total) {
    const most = shares.indexOf(Math.max(...shares));
    say("looked", `Of this token's attention ${(100 * total).toFixed(0)} % went to the picture, most of it to the patch in ${""
    }row ${Math.floor(most / columns) + 1}, column ${most % columns + 1}; the rest to the words${state.model === NEXT ? " and to the ends of rows" : ""}.`);
  } else say("looked", shares ? "No picture token was kept: there was nothing to look at." : "");
  drawOverlay();
}

function keepInHistory() {
  const last = state.last;
  if (!last?.done) return;
  const entry = `${inWords(last)} `, said = last.text || NOTHING;
  if ($("history").firstChild?.textContent.startsWith(entry + said)) return;
  const repeat = element("button", { type: "button", textContent: "again", onclick: () => ask(last.question, last.earlier) });
  repeat.setAttribute("aria-label", `Ask again: ${last.question}`);
  $("history").prepend(element("li", {}, entry, element("b", { textContent: said }), " ", repeat));
  while ($("history").children.length > 8) $("history").lastChild.remove();
}

/** The same question about what has changed, once the hand rests. */
function askAgain() {
  clearTimeout(waiting);
  waiting = setTimeout(() => state.last && send(state.last.question, state.last.earlier), 300);
}

// --- the scene -----------------------------------------------------------------------------------

const thing = () => (state.chosen === "sign" ? null : state.chosen);

function setScene(scene) {
  Object.assign(state, { scene, chosen: null, last: null });
  state.covered.clear();
  $("grey").checked = false;
  $("sign").value = scene.sign?.text ?? "";
  say("asked", "");
  say("answer", "");
  say("truth", "");
  for (const part of [$("steps"), $("history"), $("top").tBodies[0], $("top").caption]) part.replaceChildren();
  state.asking++; // what is still being answered was about another picture
  state.picture = null;
  redraw();
  $("shaping").hidden = $("moving").hidden = Boolean(scene.page);
  if (state.ready) send(proposed()[0][1], []);
}

/** A page's picture out of its file, whose pixels the browser gives as they are. */
async function setPage(page, image) {
  try {
    await image.decode();
  } catch {
    return say("status", `${page.file} could not be read: it belongs into the folder pages, beside this page.`);
  }
  if (state.model !== NEXT) return; // the other was chosen meanwhile
  const [width, height] = page.size, data = new Uint8Array(3 * width * height);
  const paper = new OffscreenCanvas(width, height).getContext("2d");
  paper.drawImage(image, 0, 0);
  const pixels = paper.getImageData(0, 0, width, height).data;
  for (let i = 0; i < data.length; i++) data[i] = pixels[i + Math.floor(i / 3)];
  setScene({ page, picture: { width, height, data }, objects: [] });
}

/** The scene is drawn anew when the screen is, or when the model is asked. */
function changed() {
  if (!state.picture) return;
  state.picture = null;
  requestAnimationFrame(redraw);
}

function redraw() {
  if (state.picture) return;
  const { scene } = state, { width, height } = state.picture = scene.picture ?? draw(scene, world, write);
  Object.assign(canvas, { width, height });
  $("stage").style.setProperty("--ratio", width / height);
  show(context, state.picture);
  canvas.setAttribute("aria-label", `The picture: ${scene.page?.name ?? caption(scene)}.`);
  showControls();
  drawOverlay();
}

/** After a change by hand: what was pointed at may have moved. */
function edited() {
  state.asking++;
  if (state.last) state.last.stale = true;
  changed();
  askAgain();
}

function drawOverlay() {
  const { scene, columns } = state, parts = [];
  const last = state.last?.stale ? null : state.last;
  const square = (i, kind, across = columns, down = columns) => svg("rect", { class: kind, width: 1 / across, height: 1 / down,
    x: (i % across) / across, y: Math.floor(i / across) / down });
  const all = [...Array(columns ** 2).keys()];
  const grey = (i) => Object.assign(square(i, "covered"), { style: `fill: rgb(${world.grey} ${world.grey} ${world.grey})` });
  parts.push(...($("grey").checked ? all : [...state.covered]).map(grey));
  if (last?.kept && last.kept.length < all.length) {
    const kept = new Set(last.kept);
    parts.push(...all.filter((i) => !kept.has(i)).map((i) => square(i, "dropped")));
  }
  const shares = looks(), most = Math.max(...shares ?? []);
  if (most > 0) {
    const veil = (share, i) => Object.assign(square(i, "veil", last.columns, last.rows), { style: `fill-opacity: ${0.85 * (1 - share / most)}` });
    parts.push(...Array.from(shares, veil));
  }
  if ($("cover").checked) parts.push(square(state.cursor, "cursor"));
  else if (state.chosen) {
    const points = thing() ? outline(thing(), world) : corners(scene.sign.box);
    parts.push(svg("polygon", { class: "selected", points: points.join(" ") }));
  }
  const stretch = Math.sqrt(state.picture.width / state.picture.height); // of the overlay, a square
  const mark = (kind) => (found) => {
    const points = found.length === 2 ? corners(found.flat()) : found;
    for (const each of ["rim", kind])
      parts.push(found.length === 1 ? svg("ellipse", { class: each, cx: points[0][0], cy: points[0][1], rx: 0.025 / stretch, ry: 0.025 * stretch })
        : svg("polygon", { class: each, points: points.join(" ") }));
  };
  if (last) places(last.text, world).forEach(mark("found"));
  if (last?.done) places(truth() ?? "", world).forEach(mark("true"));
  $("overlay").replaceChildren(...parts);
}

const corners = ([x0, y0, x1, y1]) => [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];

// --- changing it ---------------------------------------------------------------------------------

const choices = []; // [button, whether it is pressed]

function choice(where, label, content, key, value) {
  const button = element("button", { type: "button", title: label }, content);
  button.setAttribute("aria-label", label);
  button.onclick = () => {
    state.next[key] = value;
    const changing = thing();
    if (changing) {
      changing[key] = value;
      if (key === "size") {
        changing.radius = radiusOf(value, world);
        changing.center = inside(changing.center, changing.radius);
      }
      edited();
    } else showControls();
  };
  choices.push([button, () => (thing() ?? state.next)[key] === value]);
  $(where).append(button);
}

for (const shape of [...world.shapes, ...world.unknown_shapes]) {
  const icon = svg("svg", { viewBox: "-1.1 -1.1 2.2 2.2" });
  icon.append(svg("path", { d: `M${world.outlines[shape].join("L")}Z` }));
  choice("shapes", world.unknown_shapes.includes(shape) ? `${shape} (unknown to the model)` : shape, icon, "shape", shape);
}
for (const [color, rgb] of Object.entries(world.colors)) {
  const dot = element("i");
  dot.style.background = `rgb(${rgb})`;
  choice("colors", color, dot, "color", color);
}
for (const size of Object.keys(world.sizes)) choice("sizes", size, size, "size", size);

function showControls() {
  for (const [button, pressed] of choices) button.setAttribute("aria-pressed", pressed());
  say("edited", thing() ? `The ${describe(thing())}` : state.chosen ? "The sign is chosen" : "A new shape");
  $("remove").disabled = !state.chosen;
  const asked = $("follow").checked && !state.scene.page ? FOLLOW_UPS : proposed();
  const buttons = asked.map(([label, question]) =>
    element("button", { type: "button", textContent: label, title: question, onclick: () => ask(question) }));
  $("suggestions").replaceChildren(...buttons);
}

$("add").onclick = () => {
  const { size } = state.next, radius = radiusOf(size, world);
  const made = settle({ ...state.next, radius, center: [0.5, 0.5] }, state.scene);
  if (!made) return say("told", "There is no room left for it: remove a shape, or take a small one.");
  say("told", `Added: ${describe(made)}.`);
  state.scene.objects.push(made);
  state.chosen = made;
  edited();
};

function remove() {
  if (!state.chosen) return;
  say("told", `Removed: the ${thing() ? describe(thing()) : "sign"}.`);
  if (state.chosen === "sign") [state.scene.sign, $("sign").value] = [null, ""];
  else state.scene.objects = state.scene.objects.filter((each) => each !== state.chosen);
  state.chosen = null;
  edited();
}
$("remove").onclick = remove;

$("sign").oninput = () => {
  try {
    state.scene.sign = signFor($("sign").value, world, state.scene.sign);
    if (!state.scene.sign && state.chosen === "sign") state.chosen = null;
    say("told", "");
    edited();
  } catch (error) {
    say("told", error.message);
  }
};

$("random").onclick = () => {
  setScene(randomScene(world));
  say("told", "A new scene was drawn.");
};

function move([x, y]) {
  if (state.chosen === "sign") {
    const { sign } = state.scene;
    sign.box = placed([x, y], ...signSize(sign.text, world));
  } else state.chosen.center = inside([x, y], state.chosen.radius);
  edited();
}

function where() {
  if (state.chosen !== "sign") return state.chosen.center;
  const [x0, y0, x1, y1] = state.scene.sign.box;
  return [(x0 + x1) / 2, (y0 + y1) / 2];
}

function at([x, y]) {
  const [x0, y0, x1, y1] = state.scene.sign?.box ?? [2, 2, 2, 2];
  if (x > x0 && x < x1 && y > y0 && y < y1) return "sign";
  const near = ({ center: [cx, cy], radius }) => Math.hypot(x - cx, y - cy) / radius;
  return state.scene.objects.filter((each) => near(each) < 1.05).sort((a, b) => near(a) - near(b))[0] ?? null;
}

function fraction(event) {
  const { left, top, width, height } = canvas.getBoundingClientRect();
  return [(event.clientX - left) / width, (event.clientY - top) / height];
}

let drag = null; // what the pointer does: {from: grip} moves, {covers} paints
canvas.onpointerdown = (event) => {
  canvas.setPointerCapture(event.pointerId);
  const point = fraction(event);
  if ($("cover").checked) {
    drag = { covers: !state.covered.has(cellAt(point)) };
    paint(point);
    return;
  }
  state.chosen = at(point);
  drag = state.chosen && { grip: where().map((v, i) => v - point[i]) };
  showControls();
  drawOverlay();
};
canvas.onpointermove = (event) => {
  if (!drag) return;
  const point = fraction(event);
  if (drag.grip) move(point.map((v, i) => v + drag.grip[i]));
  else paint(point);
};
canvas.onpointerup = canvas.onpointercancel = () => { drag = null; };

function cellAt(point) {
  const [column, row] = point.map((v) => Math.min(state.columns - 1, Math.max(0, Math.floor(v * state.columns))));
  return row * state.columns + column;
}

function paint(point) {
  state.cursor = cellAt(point);
  setCovered(state.cursor, drag.covers);
}

function setCovered(cell, covers) {
  if (state.covered.has(cell) === covers) return;
  if (covers) state.covered.add(cell);
  else state.covered.delete(cell);
  drawOverlay();
  askAgain();
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
canvas.onkeydown = (event) => {
  const arrow = ARROWS[event.key];
  if ($("cover").checked) {
    if (arrow) {
      const column = state.cursor % state.columns + arrow[0], row = Math.floor(state.cursor / state.columns) + arrow[1];
      if (Math.min(column, row) >= 0 && Math.max(column, row) < state.columns) state.cursor = row * state.columns + column;
      drawOverlay();
    } else if (event.key === " ") setCovered(state.cursor, !state.covered.has(state.cursor));
    else return;
  } else if (event.key.toLowerCase() === "n" && !event.ctrlKey && !event.metaKey) {
    const all = [...state.scene.objects, ...(state.scene.sign ? ["sign"] : [])];
    state.chosen = all[(all.indexOf(state.chosen) + 1) % all.length] ?? null;
    say("told", state.chosen ? `Chosen: the ${thing() ? describe(thing()) : "sign"}.` : "");
    showControls();
    drawOverlay();
  } else if (event.key === "Escape" && state.chosen) {
    state.chosen = null;
    say("told", "Nothing is chosen: the controls make a new shape.");
    showControls();
    drawOverlay();
  } else if (arrow && state.chosen) move(where().map((v, i) => v + arrow[i] / 64));
  else if (["Delete", "Backspace"].includes(event.key) && state.chosen) remove();
  else return;
  event.preventDefault();
};

// --- what the model gets -------------------------------------------------------------------------

function showKept() {
  say("kept", `${state.keep} of ${state.columns ** 2}`);
}

$("keep").oninput = () => {
  state.keep = Number($("keep").value);
  showKept();
  askAgain();
};
$("grey").onchange = () => {
  drawOverlay();
  askAgain();
};
$("cover").onchange = () => {
  canvas.classList.toggle("cover", $("cover").checked);
  drawOverlay();
};
$("uncover").onclick = () => {
  if (!state.covered.size) return;
  state.covered.clear();
  drawOverlay();
  askAgain();
};

// --- what is shown and asked ---------------------------------------------------------------------

$("looking").onchange = $("layer").oninput = showLooks;
$("follow").onchange = showControls;
$("question").oninput = () => { state.typing = $("question").value !== ""; };
$("form").onsubmit = (event) => {
  event.preventDefault();
  ask($("question").value);
};

// --- begin ---------------------------------------------------------------------------------------

say("known", `${world.shapes.map(plural).join(", ")}, small and large, in ${
  Object.keys(world.colors).join(", ")}, with a sign here and there; what they are, where, how many, and on which side of each other`);
say("words", world.words.join(", "));
for (const scene of world.scenes) {
  const small = element("canvas", { width: 112, height: 112 });
  show(small.getContext("2d"), resize(draw(scene, world, write), 112, 112));
  const button = element("button", { type: "button", title: caption(scene), onclick: () => setScene(structuredClone(scene)) }, small);
  button.setAttribute("aria-label", `Take the scene with ${caption(scene)}`);
  $("scenes").append(button);
}
for (const page of world.pages) {
  const image = element("img", { src: `pages/${page.file}`, alt: `Take ${page.name}` });
  $("pages").append(element("button", { type: "button", title: page.name, onclick: () => setPage(page, image) }, image));
}
const first = () => setScene(structuredClone(world.scenes[0]));
$(FIRST).onclick = () => choose(FIRST, () => (state.scene.page ? first() : setScene(state.scene)));
$(NEXT).onclick = () => choose(NEXT, () => $("pages").children[0].onclick());
choose(FIRST, first);

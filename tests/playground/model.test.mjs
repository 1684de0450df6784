// The playground's model against what Pillow and PyTorch gave: `python -m recipes.playground`.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { ending, FILES, PocketLlava } from "../../site/playground/model.mjs";
import { cover, resize } from "../../site/playground/pictures.mjs";
import { readSafetensors } from "../../site/playground/safetensors.mjs";
import { readPng } from "./png.mjs";

const here = (path) => new URL(path, import.meta.url);
const folder = "../../data/pocket-llava/";
const cases = JSON.parse(readFileSync(here("cases.json")));
const world = JSON.parse(readFileSync(here("../../site/playground/world.json")));
const read = (path) => { // of its own: small Buffers share memory
  const file = readFileSync(here(path));
  return file.buffer.slice(file.byteOffset, file.byteOffset + file.length);
};
const files = Object.fromEntries(FILES.map((name) => [name, read(folder + name)]));
const model = new PocketLlava(files);
const pictures = cases.scenes.map(({ file }) => readPng(readFileSync(here(file))));

const { before } = world.prompt;
const after = (question, earlier = []) => ending(world.prompt, [...earlier, { question }]);
const see = (picture, kept) => model.take(model.project(model.look(model.resized(picture))), before, kept);
const say = (question, earlier) =>
  model.tokenizer.decode([...model.answer(after(question, earlier))].map((step) => step.id)).trim();
const numbers = (text) => {
  const bytes = Buffer.from(text, "base64");
  return Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i));
};
/** The largest difference; NaN where there is one, which is below no bound. */
const apart = (a, b) => a.reduce((most, v, i) => {
  const d = Math.abs(v - b[i]);
  return d <= most ? most : d;
}, 0);

test("text becomes the tokens that the tokenizers library makes, and text again", () => {
  for (const { text, ids } of cases.texts) {
    assert.deepEqual(model.tokenizer.encode(text), ids, text);
    assert.equal(model.tokenizer.decode(ids), text);
  }
});

test("special tokens are taken out of what visitors type, however they are nested", () => {
  const tokenizer = model.tokenizer;
  for (const special of tokenizer.specials) {
    const half = special.slice(0, 2), rest = special.slice(2);
    for (const typed of [special, half + special + rest, half + half + special + rest + rest])
      assert.equal(tokenizer.withoutSpecials(`a${typed}b`), "ab");
  }
  assert.equal(tokenizer.withoutSpecials("What is at <loc_01>?"), "What is at <loc_01>?");
});

test("pictures are resized as Pillow does it, byte for byte", () => {
  for (const { box: [left, top, right, bottom], sizes, sha256 } of cases.resizes) {
    let picture = { width: right - left, height: bottom - top, data: [] };
    for (let y = top; y < bottom; y++) {
      const start = (y * pictures[0].width + left) * 3;
      picture.data.push(...pictures[0].data.subarray(start, start + picture.width * 3));
    }
    for (const size of sizes) picture = resize(picture, ...size);
    assert.equal(createHash("sha256").update(picture.data).digest("hex"), sha256, `${[left, top, right, bottom]}`);
  }
});

test("logits are PyTorch's within 1e-3, attention to each patch in each layer within 1e-5", (t) => {
  see(pictures[0]);
  let largest = 0, looked = 0;
  for (const { question, ids, logits, looks } of cases.steps) {
    const image = ids.filter((id) => id === model.config.image_token_index).length;
    const typed = [...model.tokenizer.first, ...model.tokenizer.encode(before)];
    assert.equal(image, model.columns ** 2);
    assert.deepEqual(ids.slice(0, typed.length), typed);
    assert.deepEqual(ids.slice(typed.length + image), model.tokenizer.encode(after(question)));
    const made = [...model.answer(after(question), { most: logits.length })];
    assert.equal(made.length, logits.length);
    for (const [i, wanted] of logits.entries()) {
      largest = Math.max(largest, apart(numbers(wanted), made[i].logits));
      const layers = made[i].looks, wantedLooks = numbers(looks[i]);
      assert.equal(layers.length * layers[0].length, wantedLooks.length);
      looked = Math.max(looked, apart(wantedLooks, layers.flatMap((shares) => [...shares])));
    }
  }
  t.diagnostic(`largest difference of logits ${largest.toExponential(1)}, of attention ${looked.toExponential(1)}`);
  assert.ok(largest < 1e-3, `${largest}`);
  assert.ok(looked < 1e-5, `${looked}`);
});

test("the likeliest next tokens are in order, and the first is the one taken", () => {
  see(pictures[0]);
  for (const { id, top, logits } of model.answer(after("Read the word."))) {
    assert.equal(top.length, 5);
    assert.equal(top[0].id, id);
    const total = logits.reduce((sum, v) => sum + Math.exp(v), 0);
    for (const [i, { id, probability }] of top.entries()) {
      assert.ok(Math.abs(probability - Math.exp(logits[id]) / total) < 1e-6);
      assert.ok(!i || probability <= top[i - 1].probability);
    }
  }
});

test("with some picture tokens kept, the choice and the logits are PyTorch's", () => {
  const tokens = model.project(model.look(model.resized(pictures[0])));
  for (const { question, kept, logits } of cases.pruned) {
    assert.deepEqual(model.choose(tokens, kept.length), kept);
    model.take(tokens, before, kept);
    const [{ logits: made, looks }] = model.answer(after(question), { most: 1 });
    assert.ok(apart(numbers(logits), made) < 1e-3);
    for (const shares of looks) // what the decoder did not get, it did not look at
      shares.forEach((share, patch) => assert.equal(share > 0, kept.includes(patch)));
  }
});

for (const [i, { file, answers }] of cases.scenes.entries())
  test(`every answer about ${file} is PyTorch's`, () => {
    see(pictures[i]);
    assert.ok(Object.keys(answers).length > 10);
    for (const [question, answer] of Object.entries(answers)) assert.equal(say(question), answer, question);
  });

test("every answer of a conversation is PyTorch's, and rests on the turns before it", () => {
  let changed = 0;
  for (const [i, turns] of cases.talks.entries()) {
    see(pictures[i]);
    for (const [n, { question, answer }] of turns.entries()) {
      assert.equal(say(question, turns.slice(0, n)), answer, question);
      changed += say(question) !== answer;
    }
  }
  assert.ok(changed);
});

test("every answer about a grey picture is PyTorch's", () => {
  const all = [...Array(model.columns ** 2).keys()];
  see(cover(pictures[0], all, model.columns, world.grey));
  for (const [question, answer] of Object.entries(cases.blind)) assert.equal(say(question), answer, question);
});

test("a cell that is covered is grey, and nothing else is", () => {
  const [picture] = pictures, columns = model.columns, side = picture.width / columns;
  const covered = cover(picture, [columns + 2], columns, world.grey);
  for (let y = 0; y < picture.height; y++)
    for (let x = 0; x < picture.width; x++) {
      const inside = Math.floor(y / side) === 1 && Math.floor(x / side) === 2;
      const at = (y * picture.width + x) * 3;
      assert.equal(covered.data[at], inside ? world.grey : picture.data[at]);
    }
});

/** What stands in the safetensors file after `change` was done to its header, a JSON text. */
function withHeader(change) {
  const file = Buffer.from(files["model.safetensors"]), length = Number(file.readBigUInt64LE());
  const header = Buffer.from(change(file.toString("utf8", 8, 8 + length)));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(header.length));
  const whole = Buffer.concat([size, header, file.subarray(8 + length)]);
  return () => readSafetensors(whole.buffer.slice(whole.byteOffset, whole.byteOffset + whole.length));
}

test("a file of weights that cannot be read is said to be what it is", () => {
  const file = files["model.safetensors"];
  for (const length of [0, 7, 8, 1000])
    assert.throws(() => readSafetensors(file.slice(0, length)), /no whole safetensors file.*header/, `${length}`);
  assert.throws(() => readSafetensors(file.slice(0, -1)), /no whole safetensors file: it ends before \S+ does/);
  assert.throws(() => readSafetensors(new TextEncoder().encode("<!doctype html><p>404").buffer), /no whole/);
  assert.throws(withHeader((text) => text.replace("{", "[")), /header is not JSON/);
  assert.throws(withHeader((text) => text.replace('"BF16"', '"I8"')), /stored as I8; BF16 and F32/);
  assert.throws(withHeader((text) => text.replace('"shape":[', '"shape":[7,')), /damaged: .* bytes instead of/);
  assert.throws(withHeader((text) => text.replace(/"data_offsets":\[\d+,\d+\]/, '"data_offsets":[-2,0]')), /damaged/);
  assert.throws(withHeader((text) => text.replace(/"data_offsets":\[\d+,\d+\]/, '"nothing":0')), /damaged/);
  assert.throws(withHeader((text) => text.replace(/:{"dtype.*/, ":null}")), /stored as undefined/);
});

test("files that are damaged, missing, or of another model are said to be", () => {
  const given = (name, content) => () => new PocketLlava({ ...files, [name]: new TextEncoder().encode(content) });
  const changed = (name, change) => {
    const json = JSON.parse(new TextDecoder().decode(files[name]));
    change(json);
    return given(name, JSON.stringify(json));
  };
  for (const name of FILES.filter((file) => file.endsWith(".json"))) {
    assert.throws(given(name, new TextDecoder().decode(files[name]).slice(0, -20)), new RegExp(`${name} is missing or damaged`));
    assert.throws(() => new PocketLlava({ ...files, [name]: undefined }), new RegExp(`${name} is missing or damaged`));
    assert.throws(given(name, "{}"), /This page runs|cannot be read here/);
  }
  assert.throws(changed("config.json", (c) => { c.text_config.num_key_value_heads = 1; }), /key head/);
  assert.throws(changed("config.json", (c) => { delete c.text_config.rope_parameters; }), /rotary/);
  assert.throws(changed("processor_config.json", (c) => { c.image_processor.resample = 3; }), /bilinear/);
  assert.throws(changed("tokenizer.json", (c) => { c.model.type = "Unigram"; }), /Unigram/);
  const other = changed("config.json", (c) => { c.vision_config.intermediate_size = 64; c.vision_config.hidden_size = 96; })();
  assert.throws(() => other.look(other.resized(pictures[0])), /does not fit|no tensor/);
});

test("a question that is empty or too long is refused at once, and odd ones are answered", () => {
  see(pictures[0]);
  assert.throws(() => [...model.answer("")], /Nothing was asked/);
  for (const long of ["star ".repeat(2000), "a".repeat(5e6)])
    assert.throws(() => [...model.answer(after(long))], /room for \d+: ask less/);
  for (const odd of ["", " ", "\ud800", "🙂".repeat(9), "{question} {answer} $& $1"])
    assert.ok([...model.answer(after(odd), { most: 1 })].length === 1, odd);
});

test("a picture of any size is taken, and one without pixels refused", () => {
  for (const [width, height] of [[1, 1], [5000, 10], [1, 700]]) {
    const { data } = model.resized({ width, height, data: new Uint8Array(3 * width * height).fill(200) });
    assert.ok(data.length === 3 * 96 * 96 && data.every((v) => v === 200), `${width} × ${height}`);
  }
  for (const [width, height, bytes] of [[0, 5, 0], [2, 2, 16], [2, 2, 11], [1.5, 2, 9], [undefined, 2, 12]])
    assert.throws(() => model.resized({ width, height, data: new Uint8Array(bytes) }), /three bytes a pixel/);
});

// The playground's model against what Pillow and PyTorch gave: `python -m recipes.playground`.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { FILES, PocketLlava } from "../../site/playground/model.mjs";
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

const { before, after } = world.prompt;
const ending = (question) => after.replace("{question}", () => question);
const see = (picture, kept) => model.take(model.project(model.look(model.resized(picture))), before, kept);
const say = (question) =>
  model.tokenizer.decode([...model.answer(ending(question))].map((step) => step.id)).trim();
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
  for (const { box: [left, top, right, bottom], size, sha256 } of cases.resizes) {
    const picture = { width: right - left, height: bottom - top, data: [] };
    for (let y = top; y < bottom; y++) {
      const start = (y * pictures[0].width + left) * 3;
      picture.data.push(...pictures[0].data.subarray(start, start + picture.width * 3));
    }
    const { data } = resize(picture, ...size);
    assert.equal(createHash("sha256").update(data).digest("hex"), sha256, `${[left, top, right, bottom]}`);
  }
});

test("logits are PyTorch's within 1e-3", (t) => {
  see(pictures[0]);
  let largest = 0;
  for (const { question, ids, logits } of cases.steps) {
    const image = ids.filter((id) => id === model.config.image_token_index).length;
    const typed = [...model.tokenizer.first, ...model.tokenizer.encode(before)];
    assert.equal(image, model.columns ** 2);
    assert.deepEqual(ids.slice(0, typed.length), typed);
    assert.deepEqual(ids.slice(typed.length + image), model.tokenizer.encode(ending(question)));
    const made = [...model.answer(ending(question), { most: logits.length })];
    assert.equal(made.length, logits.length);
    for (const [i, wanted] of logits.entries())
      largest = Math.max(largest, apart(numbers(wanted), made[i].logits));
  }
  t.diagnostic(`largest difference ${largest.toExponential(1)}`);
  assert.ok(largest < 1e-3, `${largest}`);
});

test("the likeliest next tokens are in order, and the first is the one taken", () => {
  see(pictures[0]);
  for (const { id, top, logits } of model.answer(ending("Read the word."))) {
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
    const [{ logits: made }] = model.answer(ending(question), { most: 1 });
    assert.ok(apart(numbers(logits), made) < 1e-3);
  }
});

for (const [i, { file, answers }] of cases.scenes.entries())
  test(`every answer about ${file} is PyTorch's`, () => {
    see(pictures[i]);
    assert.ok(Object.keys(answers).length > 10);
    for (const [question, answer] of Object.entries(answers)) assert.equal(say(question), answer, question);
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

test("what cannot be read or run is said", () => {
  assert.throws(() => readSafetensors(files["model.safetensors"].slice(0, 1000)), /whole safetensors/);
  const changed = (name, change) => {
    const json = JSON.parse(new TextDecoder().decode(files[name]));
    change(json);
    return () => new PocketLlava({ ...files, [name]: new TextEncoder().encode(JSON.stringify(json)) });
  };
  assert.throws(changed("config.json", (c) => { c.text_config.num_key_value_heads = 1; }), /key head/);
  assert.throws(changed("processor_config.json", (c) => { c.image_processor.resample = 3; }), /bilinear/);
  assert.throws(changed("tokenizer.json", (c) => { c.model.type = "Unigram"; }), /Unigram/);
  see(pictures[0]);
  assert.throws(() => [...model.answer(ending("star ".repeat(2000)))], /room for/);
});

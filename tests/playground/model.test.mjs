// The playground's models against what Pillow and PyTorch gave: `python -m recipes.playground`.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { ending, FILES, PocketLlava } from "../../site/playground/model.mjs";
import { cover, cut, resize } from "../../site/playground/pictures.mjs";
import { readSafetensors } from "../../site/playground/safetensors.mjs";
import { readPng } from "./png.mjs";

const here = (path) => new URL(path, import.meta.url);
const [cases, next] = ["cases.json", "next.json"].map((name) => JSON.parse(readFileSync(here(name))));
const world = JSON.parse(readFileSync(here("../../site/playground/world.json")));
const read = (path) => { // of its own: small Buffers share memory
  const file = readFileSync(here(path));
  return file.buffer.slice(file.byteOffset, file.byteOffset + file.length);
};
const filesOf = (name) => Object.fromEntries(FILES.map((file) => [file, read(`../../data/${name}/${file}`)]));
const files = filesOf("pocket-llava"), nextFiles = filesOf("pocket-llava-next");
const model = new PocketLlava(files), nextModel = new PocketLlava(nextFiles);
const pictures = cases.scenes.map(({ file }) => readPng(readFileSync(here(file))));

const { before } = world.prompt;
const after = (question, earlier = []) => ending(world.prompt, [...earlier, { question }]);
const see = (picture, by = model) => by.take(by.see(picture), before);
const say = (question, earlier, by = model) =>
  by.tokenizer.decode([...by.answer(after(question, earlier))].map((step) => step.id)).trim();
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
  for (const [{ tokenizer }, { texts }] of [[model, cases], [nextModel, next]])
    for (const { text, ids } of texts) {
      assert.deepEqual(tokenizer.encode(text), ids, text);
      assert.equal(tokenizer.decode(ids), text);
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
    let picture = cut(pictures[0], left, top, right - left, bottom - top);
    for (const size of sizes) picture = resize(picture, ...size);
    assert.equal(createHash("sha256").update(picture.data).digest("hex"), sha256, `${[left, top, right, bottom]}`);
  }
});

test("pictures of any size are cut into the tiles of transformers, byte for byte, and into as many tokens", () => {
  for (const { size, views, tokens, sha256 } of next.tiled) {
    const picture = resize(pictures[0], ...size), made = nextModel.views(picture), hash = createHash("sha256");
    for (const { data } of made) hash.update(data);
    assert.deepEqual([made.length, hash.digest("hex")], [views, sha256], `${size}`);
    const { sources, rows, columns } = nextModel.arrange(picture);
    assert.equal(sources.length, tokens, `${size}`);
    assert.equal(rows * (columns + 1), tokens - nextModel.columns ** 2);
  }
});

/** How far logits and attention are from PyTorch's, for the picture that `by` has seen. */
function differences(by, { question, ids, logits, looks }) {
  let largest = 0, looked = 0;
  const image = ids.filter((id) => id === by.config.image_token_index).length;
  const typed = [...by.tokenizer.first, ...by.tokenizer.encode(before)];
  assert.equal(image, by.count);
  assert.deepEqual(ids.slice(0, typed.length), typed);
  assert.deepEqual(ids.slice(typed.length + image), by.tokenizer.encode(after(question)));
  const made = [...by.answer(after(question), { most: logits.length })];
  assert.equal(made.length, logits.length);
  for (const [i, wanted] of logits.entries()) {
    largest = Math.max(largest, apart(numbers(wanted), made[i].logits));
    const layers = made[i].looks, wantedLooks = numbers(looks[i]);
    assert.equal(layers.length * layers[0].length, wantedLooks.length);
    looked = Math.max(looked, apart(wantedLooks, layers.flatMap((shares) => [...shares])));
  }
  assert.ok(largest < 1e-4, `${largest}`);
  assert.ok(looked < 1e-5, `${looked}`);
  return `largest difference of logits ${largest.toExponential(1)}, of attention ${looked.toExponential(1)}`;
}

test("logits are PyTorch's within 1e-4, attention to each patch in each layer within 1e-5", (t) => {
  see(pictures[0]);
  for (const step of cases.steps) t.diagnostic(differences(model, step));
});

for (const { file, answers, steps } of next.pages)
  test(`tiles of ${file}: logits, attention and every answer are PyTorch's`, (t) => {
    see(readPng(readFileSync(here(file))), nextModel);
    t.diagnostic(differences(nextModel, steps));
    assert.ok(Object.keys(answers).length >= 5);
    for (const [question, answer] of Object.entries(answers)) assert.equal(say(question, [], nextModel), answer, question);
  });

test("attention is drawn where the patches are that got it, and none is lost", () => {
  for (const size of [[192, 288], [384, 96], [150, 131]]) {
    const [width, height] = size, order = nextModel.arrange({ width, height }), { sources, rows, columns } = order;
    const shares = new Float32Array(sources.length), at = 3 * columns + 5, patch = 64 + 3 * (columns + 1) + 5;
    shares[patch] = 0.25; // row 3, column 5 of the tiles
    shares[patch + columns - 5] = 0.5; // the end of that row
    assert.equal(sources[patch + columns - 5], null);
    const placed = nextModel.place(shares, order);
    assert.deepEqual([placed.length, placed[at], placed.reduce((a, b) => a + b)], [rows * columns, 0.25, 0.25]);
    shares.fill(0).fill(1 / 64, 0, 64); // the whole picture, evenly
    for (const share of nextModel.place(shares, order)) assert.ok(Math.abs(share * rows * columns - 1) < 1e-6);
  }
  const plain = Float32Array.from({ length: 64 }, (_, i) => i);
  assert.deepEqual(model.place(plain, model.arrange(pictures[0])), plain);
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
  const tokens = model.see(pictures[0]);
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
  const given = (name, content, all = files) => () => new PocketLlava({ ...all, [name]: new TextEncoder().encode(content) });
  const changed = (name, change, all = files) => {
    const json = JSON.parse(new TextDecoder().decode(all[name]));
    change(json);
    return given(name, JSON.stringify(json), all);
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
  assert.throws(changed("config.json", (c) => { c.model_type = "llava_next"; }), /whole tiles/);
  assert.throws(changed("processor_config.json", (c) => { c.image_processor.size = { shortest_edge: 96 }; }), /the tower's size/);
  const grids = (change) => changed("config.json", (c) => change(c.image_grid_pinpoints), nextFiles);
  for (const wrong of [grids((all) => all.pop()), grids((all) => { all[0][0] = 100; }),
    changed("config.json", (c) => { delete c.image_grid_pinpoints; }, nextFiles),
    changed("config.json", (c) => { c.model_type = "llava"; }, nextFiles),
    changed("processor_config.json", (c) => { c.image_processor.crop_size.height = 48; }, nextFiles)])
    assert.throws(wrong, /whole tiles/);
  const other = changed("config.json", (c) => { c.vision_config.intermediate_size = 64; c.vision_config.hidden_size = 96; })();
  assert.throws(() => other.look(other.views(pictures[0])[0]), /does not fit|no tensor/);
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
    const [{ data }] = model.views({ width, height, data: new Uint8Array(3 * width * height).fill(200) });
    assert.ok(data.length === 3 * 96 * 96 && data.every((v) => v === 200), `${width} × ${height}`);
  }
  for (const [width, height, bytes] of [[0, 5, 0], [2, 2, 16], [2, 2, 11], [1.5, 2, 9], [undefined, 2, 12]])
    assert.throws(() => nextModel.views({ width, height, data: new Uint8Array(bytes) }), /three bytes a pixel/);
});

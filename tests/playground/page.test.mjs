// What the page draws, proposes and shows, without a browser.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { draw, signSize } from "../../site/playground/drawing.mjs";
import { free, inside, name, places, placed, radiusOf, randomScene, settle, signFor, suggest } from "../../site/playground/scenery.mjs";
import { readPng } from "./png.mjs";

const here = (path) => new URL(path, import.meta.url);
const cases = JSON.parse(readFileSync(here("cases.json")));
const world = JSON.parse(readFileSync(here("../../site/playground/world.json")));
const blank = (text, size, stroke, x, y, side) => new Uint8Array(side * side);

test("shapes and backgrounds are Pillow's, byte for byte", () => {
  for (const { file, scene } of cases.scenes) {
    const drawn = draw(scene, world, blank), wanted = readPng(readFileSync(here(file)));
    const [x0, y0, x1, y1] = (scene.sign?.box ?? [2, 2, 2, 2]).map((v) => v * world.picture_size);
    for (let i = 0; i < wanted.data.length; i++) {
      const x = Math.floor(i / 3) % wanted.width, y = Math.floor(i / 3 / wanted.width);
      const onSign = x > x0 - 2 && x < x1 + 2 && y > y0 - 2 && y < y1 + 2;
      if (!onSign && drawn.data[i] !== wanted.data[i]) assert.fail(`${file}: ${[x, y]}`);
    }
  }
});

test("a sign has Pillow's border and paper, and the writing in its middle", () => {
  for (const { file, scene } of cases.scenes) {
    const { box, text } = scene.sign, wanted = readPng(readFileSync(here(file)));
    let asked;
    const drawn = draw(scene, world, (...all) => { asked = all; return blank(...all); });
    assert.equal(asked[0], text.toUpperCase());
    assert.ok(Math.abs(asked[3] / asked[5] - (box[0] + box[2]) / 2) < 1e-9);
    const [left, top, right, bottom] = box.map((v) => Math.round(v * world.picture_size));
    const pixel = ({ data, width }, x, y) => [...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3)];
    const middle = (top + bottom) >> 1, half = (left + right) >> 1;
    for (const [x, y] of [[left + 1, middle], [right - 2, middle], [half, top + 1], [half, top + 5], [half, bottom - 5]])
      assert.deepEqual(pixel(drawn, x, y), pixel(wanted, x, y), `${file}: ${[x, y]}`);
  }
});

test("a sign's box has the size that the course gives it", () => {
  for (const { scene: { sign } } of cases.scenes) {
    const [width, height] = signSize(sign.text, world), [x0, y0, x1, y1] = sign.box;
    assert.ok(Math.abs(x1 - x0 - width) + Math.abs(y1 - y0 - height) < 1e-9);
  }
});

test("a sign takes what fits on it, where the old one stood, and refuses the rest", () => {
  const old = { box: [0.1, 0.1, 0.3, 0.2] };
  const { text, box } = signFor(" Zoo ", world, old);
  assert.equal(text, "zoo");
  assert.ok(box[0] >= 0 && Math.abs((box[1] + box[3]) / 2 - 0.15) < 0.05);
  assert.equal(signFor("  ", world, old), null);
  for (const wrong of ["two words", "größe", "<image>", "§"]) assert.throws(() => signFor(wrong, world), /one word/);
  assert.throws(() => signFor("w".repeat(20), world), /too long/);
});

test("location tokens are read as points, boxes and outlines", () => {
  const found = places("a red star <loc_00><loc_63><loc_10><loc_20>, <loc_05><loc_06> and <loc_01><loc_02><loc_03>"
    + "<loc_04><loc_05><loc_06>", world);
  assert.deepEqual(found.map((points) => points.length), [2, 1, 3]);
  assert.deepEqual(found[0][0], [0.5 / 64, 63.5 / 64]);
  assert.deepEqual(places("none", world), []);
});

test("questions fit the scene, and none asks for what is ambiguous", () => {
  const star = { shape: "star", color: "red", size: "small", center: [0.2, 0.2], radius: 0.1 };
  const scene = { objects: [star, { ...star, color: "blue" }], sign: { text: "12", box: [0.5, 0.5, 0.8, 0.7] } };
  const asked = suggest(scene, world, scene.objects[1]).map(([, question]) => question);
  assert.ok(asked.includes("Where is the blue star relative to the red star?"));
  assert.ok(asked.includes("What shape is the blue object?") && asked.includes("What number is on the sign?"));
  assert.ok(!asked.some((question) => question.startsWith("What color")), "two stars: which?");
  assert.ok(suggest({ objects: [], sign: null }, world).every(([, question]) => !/undefined/.test(question)));
});

test("scenes drawn by chance keep to the course's rules", () => {
  let seed = 1;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  for (let i = 0; i < 200; i++) {
    const scene = randomScene(world, random), { objects, sign } = scene;
    assert.ok(objects.length >= 1 && objects.length <= 5);
    assert.equal(new Set(objects.map(name)).size, objects.length);
    for (const thing of objects) {
      assert.deepEqual(thing.center, inside(thing.center, thing.radius));
      assert.ok(free(thing, { sign, objects: objects.filter((other) => other !== thing) }));
    }
    if (sign) assert.deepEqual(sign.box.map((v) => v > 0 && v < 1), [true, true, true, true]);
  }
});

test("a shape that finds no room is not added", () => {
  const radius = radiusOf("large", world), wall = { center: [0.5, 0.5], radius: 0.9 };
  assert.equal(settle({ center: [0.5, 0.5], radius }, { objects: [wall], sign: null }), null);
  assert.deepEqual(placed([0, 1], 0.2, 0.1), [0.02, 0.88, 0.22, 0.98]);
});

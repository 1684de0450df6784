// What can be said, asked and changed about a scene, in the words that the model was trained with.

import { signSize } from "./drawing.mjs";

const LARGEST_SIGN = 0.9; // of the picture's width

export const name = (thing) => `${thing.color} ${thing.shape}`;
export const describe = (thing) => `${thing.size} ${name(thing)}`;
const a = (words) => `${/^[aeiou]/.test(words) ? "an" : "a"} ${words}`;

export const plural = (shape) => `${shape}${shape.endsWith("s") ? "es" : "s"}`;

/** The scene in a sentence, for those who don't see it. */
export function caption({ objects, sign }) {
  const parts = [...objects].sort((one, other) => one.center[0] - other.center[0]).map((thing) => a(describe(thing)));
  if (sign) parts.push(`a sign that says ${sign.text}`);
  return parts.join(", ") || "an empty picture";
}

/** Questions for a scene, about `thing` where one is meant: [what the button says, the question]. */
export function suggest({ objects, sign }, world, thing) {
  thing ??= objects[0];
  const asked = [["What is there?", "What is in the picture?"], ["In detail", "Describe the picture in detail."],
    ["With boxes", "Name every object with its box."], ["How many?", "How many objects are there?"]];
  if (thing) {
    const alone = (key) => objects.filter((other) => other[key] === thing[key]).length === 1;
    if (alone("shape")) asked.push(["Colour", `What color is the ${thing.shape}?`]);
    if (alone("color")) asked.push(["Shape", `What shape is the ${thing.color} object?`]);
    asked.push(["Size", `Is the ${name(thing)} small or large?`], ["Box", `Locate the ${name(thing)}.`],
      ["Point", `Point to the ${name(thing)}.`], ["Outline", `Outline the ${name(thing)}.`]);
    const other = objects.find((each) => each !== thing);
    if (other) asked.push(["Where?", `Where is the ${name(thing)} relative to the ${name(other)}?`]);
    asked.push(["All of a kind", `Locate all ${thing.color} objects.`]);
  }
  if (sign) {
    const kind = /^\d+$/.test(sign.text) ? "number" : "word";
    asked.push(["Read", `What ${kind} is on the sign?`], ["Find the sign", "Locate the sign."]);
  }
  const missing = Object.keys(world.colors).flatMap((color) => world.shapes.map((shape) => ({ color, shape })))
    .find((pair) => objects.every((each) => each.color !== pair.color && each.shape !== pair.shape));
  if (missing) asked.push(["Is it there?", `Is there ${a(name(missing))} in the picture?`]);
  return asked;
}

/** What can be asked after an answer about one thing, without naming it again. */
export const FOLLOW_UPS = [["Its colour?", "What color is it?"], ["Its size?", "What size is it?"],
  ["Where?", "Where is it?"], ["Its box", "Give its box."], ["Its point", "Point to it."]];

/** Boxes, points and outlines in an answer: lists of [x, y] as fractions; two corners make a box. */
export function places(text, world) {
  return (text.match(/(?:<loc_\d\d>)+/g) ?? []).map((run) => {
    const values = run.match(/\d\d/g).map((bin) => (Number(bin) + 0.5) / world.locations);
    return Array.from({ length: values.length >> 1 }, (_, i) => [values[2 * i], values[2 * i + 1]]);
  });
}

/** A sign with this text where the old one was, or null for none; throws for what fits on none. */
export function signFor(text, world, old) {
  text = text.trim().toLowerCase();
  if (!text) return null;
  if (!/^[a-z0-9]+$/.test(text)) throw new Error("A sign takes one word or number: letters a to z, or digits.");
  const [width, height] = signSize(text, world);
  if (width > LARGEST_SIGN) throw new Error(`“${text}” is too long for a sign.`);
  const [x0, y0, x1, y1] = old?.box ?? [0.5, 0.8, 0.5, 0.8];
  return { text, box: placed([(x0 + x1) / 2, (y0 + y1) / 2], width, height) };
}

/** The box of this size around a point, pushed into the picture. */
export function placed([x, y], width, height) {
  const left = Math.min(0.98 - width, Math.max(0.02, x - width / 2));
  const top = Math.min(0.98 - height, Math.max(0.02, y - height / 2));
  return [left, top, left + width, top + height];
}

/** A centre that leaves a shape of this radius inside the picture. */
export const inside = (center, radius) => center.map((v) => Math.min(1 - radius * 1.08, Math.max(radius * 1.08, v)));

export const radiusOf = (size, world) =>
  (world.sizes[size][0] + world.sizes[size][1]) / 2 / world.picture_size;

/** Whether a shape stands free of the other shapes and of the sign. */
export function free({ center: [x, y], radius }, { objects, sign }) {
  const far = objects.every(({ center: [cx, cy], radius: r }) =>
    Math.hypot(x - cx, y - cy) > 1.05 * (radius + r) + 0.01);
  if (!far || !sign) return far;
  const [x0, y0, x1, y1] = sign.box;
  return Math.hypot(Math.max(x0 - x, 0, x - x1), Math.max(y0 - y, 0, y - y1)) > 1.05 * radius + 0.01;
}

/** `thing` at a free place, the given one if it is free, or null where none was found. */
export function settle(thing, scene, random = Math.random) {
  for (let tries = 0; tries < 300; tries++) {
    if (free(thing, scene)) return thing;
    thing = { ...thing, center: inside([random(), random()], thing.radius) };
  }
  return null;
}

/** A scene drawn by chance, on one of the backgrounds that the course's scenes have. */
export function randomScene(world, random = Math.random) {
  const pick = (list) => list[Math.floor(random() * list.length)];
  const scene = { background: pick(world.scenes).background, objects: [], sign: null };
  if (random() < 0.45) {
    const text = random() < 0.5 ? pick(world.words) : String(Math.floor(random() * 1000));
    scene.sign = signFor(text, world, { box: [random(), random(), random(), random()] });
  }
  for (let wanted = 1 + Math.floor(random() * 5); wanted > 0; wanted--) {
    const size = random() < 0.4 ? "large" : "small", radius = radiusOf(size, world);
    const thing = { shape: pick(world.shapes), color: pick(Object.keys(world.colors)), size, radius,
      center: inside([random(), random()], radius) };
    const settled = scene.objects.every((each) => name(each) !== name(thing)) && settle(thing, scene, random);
    if (settled) scene.objects.push(settled);
  }
  return scene;
}

// Draws a scene as `vlm_helpers.scenes` does with Pillow: twice as large, then averaged.
// Lengths in a scene are fractions of the picture, x to the right, y down.

import { resize } from "./pictures.mjs";

const FINER = 2;
const SIGN = { fill: [255, 250, 225], edge: [90, 70, 50], text: [30, 25, 20] };
const backgrounds = new WeakMap(); // drawn once a scene: they don't change while shapes move

/**
 * A scene as a picture {width, height, data}.
 *
 * `write(text, font, stroke, x, y, side)` gives the sign's writing as one byte of opacity a pixel of
 * a square of `side` pixels: letters need a font renderer, and only a browser has one.
 */
export function draw(scene, world, write) {
  const side = world.picture_size * FINER;
  const data = background(scene.background, side).slice();
  for (const thing of scene.objects) {
    const points = outline(thing, world).map(([x, y]) => [x * side, y * side]);
    const [cx, cy] = thing.center.map((v) => v * side);
    const inset = 1 - 2.2 / (thing.radius * world.picture_size);
    const color = world.colors[thing.color];
    polygon(data, side, points, color.map((v) => Math.trunc(0.72 * v)));
    polygon(data, side, points.map(([x, y]) => [cx + (x - cx) * inset, cy + (y - cy) * inset]), color);
  }
  if (scene.sign) sign(data, side, scene.sign, world, write);
  return reduce(data, side);
}

/** The polygon of a shape, as fractions of the picture. */
export function outline({ shape, center: [cx, cy], radius }, world) {
  return world.outlines[shape].map(([x, y]) => [cx + radius * x, cy + radius * y]);
}

function background({ corners, strength, angle }, side) {
  if (!backgrounds.has(corners)) {
    const n = 24, small = new Uint8Array(n * n * 3);
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) {
        const [y, x] = [i / (n - 1), j / (n - 1)];
        const wave = strength * Math.sin(22 * (x * Math.cos(angle) + y * Math.sin(angle)));
        corners[0].forEach((a, c) => {
          const value = a + x * (corners[1][c] - a) + y * (corners[2][c] - a) + wave;
          small[(i * n + j) * 3 + c] = Math.min(255, Math.max(0, value));
        });
      }
    backgrounds.set(corners, resize({ width: n, height: n, data: small }, side, side).data);
  }
  return backgrounds.get(corners);
}

/** Fills between crossings, corners cut to whole pixels and ends rounded inwards, as Pillow does. */
function polygon(data, side, points, color) {
  const corners = points.map((point) => point.map(Math.trunc));
  const rows = corners.map(([, y]) => y), bottom = Math.max(...rows);
  for (let y = Math.max(0, Math.min(...rows)); y <= Math.min(side - 1, bottom); y++) {
    const crossings = [];
    corners.forEach(([ax, ay], i) => {
      const [bx, by] = corners[(i + 1) % corners.length];
      if (ay === by) {
        if (ay === y) span(data, side, y, Math.min(ax, bx), Math.max(ax, bx), color);
        return;
      }
      const low = Math.min(ay, by), high = Math.max(ay, by);
      if (y < low || y > high) return;
      const x = ax + ((y - ay) * (bx - ax)) / (by - ay);
      crossings.push(x);
      if (y === high && y < bottom) crossings.push(x); // where another edge goes on, or a corner ends
    });
    crossings.sort((a, b) => a - b);
    for (let i = 1; i < crossings.length; i += 2)
      span(data, side, y, Math.floor(crossings[i - 1] + 0.5), Math.ceil(crossings[i] - 0.5), color);
  }
}

function span(data, side, y, from, to, [red, green, blue]) {
  const end = (y * side + Math.min(side - 1, to)) * 3;
  for (let i = (y * side + Math.max(0, from)) * 3; i <= end; i += 3) {
    data[i] = red;
    data[i + 1] = green;
    data[i + 2] = blue;
  }
}

function sign(data, side, { text, box }, world, write) {
  const scale = side / world.picture_size, [x0, y0, x1, y1] = box.map((v) => Math.round(v * side));
  const [edge, corner] = [Math.max(1, Math.round(3 * scale)), 8 * scale];
  for (let y = y0; y <= y1; y++)
    for (let x = x0; x <= x1; x++) {
      // how far inside of the border, which is round at the corners
      const across = Math.min(x - x0, x1 - x), down = Math.min(y - y0, y1 - y);
      const inside = across < corner && down < corner
        ? corner - Math.hypot(corner - across, corner - down) : Math.min(across, down);
      if (inside >= 0) span(data, side, y, x, x, inside < edge ? SIGN.edge : SIGN.fill);
    }
  const opacity = write(text.toUpperCase(), fontSize(text, world) * scale, 1.2 * scale,
    ((box[0] + box[2]) * side) / 2, ((box[1] + box[3]) * side) / 2, side);
  for (let i = y0 * side, o = 3 * i; i <= y1 * side; i++, o += 3)
    if (opacity[i])
      for (let c = 0; c < 3; c++) data[o + c] += Math.round(((SIGN.text[c] - data[o + c]) * opacity[i]) / 255);
}

function fontSize(text, { font_sizes: sizes }) {
  if (/^\d+$/.test(text)) return sizes.number;
  return text.length <= sizes.short_letters ? sizes.short : sizes.long;
}

/** (width, height) of the sign for a text, as fractions of the picture. */
export function signSize(text, world) {
  const size = fontSize(text, world);
  const letters = [...text.toLowerCase()].reduce((sum, letter) => sum + world.letter_widths[letter], 0);
  return [(letters * size) / 1000 + 26, size * 1.12 + 10].map((v) => v / world.picture_size);
}

function reduce(data, side) {
  const width = side / FINER, result = new Uint8Array(width * width * 3), row = side * 3;
  for (let y = 0, o = 0; y < width; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++, o++) {
        const i = FINER * (y * row + 3 * x) + c;
        result[o] = (data[i] + data[i + 3] + data[i + row] + data[i + row + 3] + 2) >> 2;
      }
  return { width, height: width, data: result };
}

// Reads the PNG files of the tests: 8 bits a channel, RGB, not interlaced.

import { inflateSync } from "node:zlib";

export function readPng(file) {
  const parts = [];
  let width, height;
  for (let at = 8; at < file.length; at += 12 + file.readUInt32BE(at)) {
    const kind = file.toString("latin1", at + 4, at + 8);
    if (kind === "IHDR") {
      [width, height] = [file.readUInt32BE(at + 8), file.readUInt32BE(at + 12)];
      if (file.toString("hex", at + 16, at + 21) !== "0802000000") throw new Error("no plain RGB");
    } else if (kind === "IDAT") parts.push(file.subarray(at + 8, at + 8 + file.readUInt32BE(at)));
  }
  const lines = inflateSync(Buffer.concat(parts)), row = 3 * width;
  const data = new Uint8Array(row * height);
  for (let y = 0; y < height; y++) {
    const filter = lines[y * (row + 1)];
    for (let x = 0; x < row; x++) {
      const left = x < 3 ? 0 : data[y * row + x - 3], up = y ? data[(y - 1) * row + x] : 0;
      const corner = x < 3 || !y ? 0 : data[(y - 1) * row + x - 3];
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter];
      data[y * row + x] = lines[y * (row + 1) + 1 + x] + guess;
    }
  }
  return { width, height, data };
}

function paeth(left, up, corner) {
  const [a, b, c] = [left, up, corner].map((v) => Math.abs(left + up - corner - v));
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

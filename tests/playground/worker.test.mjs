// The worker's loading: what it tells of the bytes that came, under any server's headers.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const FOLDER = new URL("../../data/", import.meta.url);

/** What a new worker says while a server with these headers sends the model. */
async function told(name, headers) {
  const said = [];
  const ready = new Promise((resolve) => {
    globalThis.postMessage = (message) => { said.push(message); if (message.ready || message.error) resolve(); };
  });
  globalThis.onmessage = null;
  globalThis.fetch = async (url) => {
    const bytes = readFileSync(new URL(`pocket-llava/${String(url).split("/").at(-1)}`, FOLDER));
    return new Response(bytes, { headers: headers(bytes.length) });
  };
  await import(`../../site/playground/worker.mjs?${name}`);
  await ready;
  assert.ok(said.at(-1).ready, said.at(-1).error);
  return said.filter(({ loaded }) => loaded);
}

const size = readFileSync(new URL("pocket-llava/model.safetensors", FOLDER)).length;

test("the weights' bytes are told, out of all where the server says how many", async () => {
  const said = await told("length", (length) => ({ "Content-Length": length }));
  assert.deepEqual(said.at(-1), { loaded: size, of: size });
  for (let i = 1; i < said.length; i++) assert.ok(said[i].loaded > said[i - 1].loaded);
});

test("a length that is not said, or is that of a compressed file, is not made up", async () => {
  for (const [name, headers] of [["none", () => ({})],
    ["gzip", (length) => ({ "Content-Length": length >> 1, "Content-Encoding": "gzip" })]])
    assert.deepEqual((await told(name, headers)).at(-1), { loaded: size, of: 0 });
});

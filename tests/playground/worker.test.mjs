// The worker: what it tells of the bytes that came, under any server's headers; and what it looks at again.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const FOLDER = new URL("../../data/", import.meta.url);

/** Starts a new worker, on a server with these headers; gives what sends it a message and awaits the last of what it says. */
async function started(name, headers = () => ({})) {
  globalThis.fetch = async (url) => {
    const bytes = readFileSync(new URL(String(url).split("/").slice(-2).join("/"), FOLDER));
    return new Response(bytes, { headers: headers(bytes.length) });
  };
  globalThis.onmessage = null; // as a worker has it
  await import(`../../site/playground/worker.mjs?${name}`);
  const { onmessage } = globalThis;
  return (data) => new Promise((resolve) => {
    const said = [];
    globalThis.postMessage = (message) => {
      said.push(message);
      if (message.ready || message.end || message.error) resolve(said);
    };
    onmessage({ data });
  });
}

/** What it says while the model comes. */
async function told(name, headers) {
  const said = await (await started(name, headers))({ model: "pocket-llava" });
  assert.ok(said.at(-1).ready, said.at(-1).error);
  return said.filter(({ loaded }) => loaded);
}

const size = readFileSync(new URL("pocket-llava/model.safetensors", FOLDER)).length;

test("the weights' bytes are told, out of all where the server says how many", async () => {
  const said = await told("length", (length) => ({ "Content-Length": length }));
  assert.deepEqual(said.at(-1), { model: "pocket-llava", loaded: size, of: size });
  for (let i = 1; i < said.length; i++) assert.ok(said[i].loaded > said[i - 1].loaded);
});

test("a length that is not said, or is that of a compressed file, is not made up", async () => {
  for (const [name, headers] of [["none", () => ({})],
    ["gzip", (length) => ({ "Content-Length": length >> 1, "Content-Encoding": "gzip" })]])
    assert.deepEqual((await told(name, headers)).at(-1), { model: "pocket-llava", loaded: size, of: 0 });
});

test("the second model looks at a picture once, and at what was covered again", async () => {
  const tell = await started("next"), model = "pocket-llava-next";
  const [width, height] = [192, 96], data = Uint8Array.from({ length: 3 * width * height }, (_, i) => (i * i) % 251);
  const asked = (id, covered) => tell({ model, id, turns: [{ question: "Is there a star?" }], covered, grey: 128,
    prompt: { before: "USER: ", after: "\n{question} ASSISTANT:" }, picture: { width, height, data } });
  const looked = (said) => said.filter((message) => message.looked).map(({ looked, of }) => `${looked}/${of}`);
  assert.ok((await tell({ model })).at(-1).ready);
  const first = await asked(1, []), again = await asked(2, []), covered = await asked(3, [7]);
  assert.deepEqual([first, again, covered].map(looked), [["1/3", "2/3", "3/3"], [], ["1/3", "3/3"]]);
  assert.deepEqual(first.at(-1), { id: 1, end: true, cut: false });
  const { kept, rows, columns } = first.find((message) => message.kept);
  assert.deepEqual([kept.length, rows, columns], [64 + 8 * 17, 8, 16]);
  const [text, other] = [first, again].map((said) => said.filter(({ step }) => step).at(-1).step);
  assert.equal(text.text, other.text);
  assert.equal(text.looks[0].length, rows * columns);
});

test("a model that is not there is said to be, and tried again", async () => {
  const tell = await started("missing");
  const { fetch } = globalThis;
  globalThis.fetch = async () => new Response("", { status: 404 });
  const [{ error }] = await tell({ model: "pocket-llava" });
  assert.match(error, /pocket-llava.config\.json is not beside the page/);
  globalThis.fetch = fetch;
  assert.ok((await tell({ model: "pocket-llava" })).at(-1).ready);
});

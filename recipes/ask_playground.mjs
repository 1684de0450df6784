// Asks the playground's model without its page, in node or in a browser.
//
//     node recipes/ask_playground.mjs < asked.json > answers.json
//
// asked.json: {prompt, most, pictures: [{width, height, rgb}, …], asked: [[number of the picture,
// question], …]}; `prompt` as in world.json, `rgb` in base64. The answers come in the same order.

import { ending, FILES, PocketLlava } from "../site/playground/model.mjs";

const inFolder = (name) => new URL(`../data/pocket-llava/${name}`, import.meta.url);

export async function answers({ prompt, most, pictures, asked }, read) {
  const files = {}, found = [];
  for (const name of FILES) files[name] = await read(inFolder(name));
  const model = new PocketLlava(files);
  let seen;
  for (const [number, question] of asked) {
    if (number !== seen) {
      const { width, height, rgb } = pictures[number];
      const data = Uint8Array.from(atob(rgb), (character) => character.charCodeAt(0));
      model.take(model.see({ width, height, data }), prompt.before);
      seen = number;
    }
    const steps = [...model.answer(ending(prompt, [{ question }]), { most })];
    found.push(model.tokenizer.decode(steps.map(({ id }) => id)).trim());
  }
  return found;
}

if (globalThis.process) {
  const { readFileSync } = await import("node:fs");
  const read = (url) => new Uint8Array(readFileSync(url)).buffer;
  console.log(JSON.stringify(await answers(JSON.parse(readFileSync(0)), read)));
}

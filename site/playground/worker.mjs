// Runs the model beside the page, so that the page answers to its reader meanwhile.
//
// In:  {id, turns, prompt, picture, covered, grey, keep}: a conversation about a picture, the last
//      question unanswered; a newer one ends the one before. Out: {loaded, of} while the weights come, in
//      bytes, `of` 0 where the server does not say it; {ready}, then {id, kept}, {id, step: {text, top,
//      looks}} a token, {id, end}; or {id, error}.

import { ending, FILES, PocketLlava } from "./model.mjs";
import { cover } from "./pictures.mjs";

let model, latest;
let seen = { data: [] }, tokens, read = {}; // what the model looked at last, and read into its cache

async function fetched(name, onBytes) {
  const response = await fetch(new URL(`pocket-llava/${name}`, import.meta.url));
  if (!response.ok) throw new Error(`${name} is not beside the page; \`make playground\` puts it there.`);
  const reader = response.body.getReader(), parts = [], { headers } = response;
  // The length of a file that travels compressed is not that of what arrives here.
  const of = headers.get("Content-Encoding") ? 0 : Number(headers.get("Content-Length"));
  let bytes = 0;
  for (let part; !(part = await reader.read()).done;) {
    parts.push(part.value);
    onBytes(bytes += part.value.length, of);
  }
  return new Blob(parts).arrayBuffer();
}

const loading = (async () => {
  const files = {};
  for (const name of FILES)
    files[name] = await fetched(name, (loaded, of) => {
      if (name === "model.safetensors") postMessage({ loaded, of });
    });
  model = new PocketLlava(files);
  postMessage({ ready: true, columns: model.columns, layers: model.config.text_config.num_hidden_layers });
})().catch((error) => postMessage({ error: error.message }));

const pause = () => new Promise((resolve) => setTimeout(resolve));
const same = (a, b) => a.length === b.length && a.every((v, i) => v === b[i]);

onmessage = async ({ data: asked }) => {
  latest = asked.id;
  await loading;
  await pause(); // where several questions wait, only the newest is answered
  if (!model || asked.id !== latest) return;
  try {
    await answer(asked);
  } catch (error) {
    postMessage({ id: asked.id, error: error.message });
  }
};

async function answer({ id, turns, prompt, picture, covered, grey, keep }) {
  const looked = cover(model.resized(picture), covered, model.columns, grey);
  if (!same(looked.data, seen.data)) {
    tokens = model.project(model.look(looked));
    [seen, read] = [looked, {}];
    await pause();
    if (id !== latest) return;
  }
  if (read.keep !== keep) {
    const kept = model.choose(tokens, keep);
    model.take(tokens, prompt.before, kept);
    read = { keep, kept };
  }
  postMessage({ id, kept: read.kept });
  const ids = [];
  const typed = turns.map(({ question, answer }) => ({ answer, question: model.tokenizer.withoutSpecials(question).trim() }));
  if (!typed.at(-1).question) throw new Error("Special tokens are taken out of a question, and nothing is left of this one.");
  for (const step of model.answer(ending(prompt, typed))) {
    await pause();
    if (id !== latest) return;
    ids.push(step.id);
    const top = step.top.map(({ id, probability }) => ({ text: model.tokenizer.show(id), probability }));
    postMessage({ id, step: { text: model.tokenizer.decode(ids).trim(), top, looks: step.looks } });
  }
  postMessage({ id, end: true });
}

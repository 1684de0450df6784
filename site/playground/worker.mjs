// Runs the models beside the page, so that the page answers to its reader meanwhile.
//
// In:  {model}: the name of the one that is to be loaded; {model, id, turns, prompt, picture, covered,
//      grey, keep}: a conversation about a picture, the last question unanswered; a newer one ends the
//      one before. Without `keep` the model gets all picture tokens.
// Out: {model, loaded, of} while the weights come, in bytes, `of` 0 where the server does not say it;
//      {model, ready}, or {model, error}; then {id, looked, of} a view of the picture, {id, kept, rows,
//      columns}, {id, step: {text, top, looks}} a token, {id, end, cut: before the model ended it}; or {id, error}.

import { ending, FILES, PocketLlava } from "./model.mjs";
import { cover } from "./pictures.mjs";

const models = {}; // name -> a promise of it
let latest; // the number of the newest question
let seen = {}, read; // {model, views: [{data, tokens}]}: looked at last; and what of them its cache holds

async function fetched(name, onBytes) {
  const response = await fetch(new URL(name, import.meta.url));
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

async function load(name) {
  const files = {};
  for (const file of FILES)
    files[file] = await fetched(`${name}/${file}`, (loaded, of) => {
      if (file === "model.safetensors") postMessage({ model: name, loaded, of });
    });
  return new PocketLlava(files);
}

const pause = () => new Promise((resolve) => setTimeout(resolve));
const same = (a, b) => a?.length === b.length && a.every((v, i) => v === b[i]);

onmessage = async ({ data: asked }) => {
  const { id, model: name } = asked;
  latest = id;
  try {
    const model = await (models[name] ??= load(name));
    if (id === undefined) {
      const { columns, config: { text_config: { num_hidden_layers: layers } } } = model;
      return postMessage({ model: name, ready: true, columns, layers });
    }
    await pause(); // where several questions wait, only the newest is answered
    if (id === latest) await answer(model, asked);
  } catch (error) {
    if (id === undefined) delete models[name]; // to be tried again
    postMessage({ id, model: name, error: error.message });
  }
};

async function answer(model, { id, turns, prompt, picture, covered, grey, keep }) {
  const { sources, ...grid } = model.arrange(picture);
  const views = model.views(picture, (resized) => cover(resized, covered, model.columns, grey));
  if (seen.model !== model) seen = { model, views: [] };
  for (const [i, view] of views.entries()) {
    if (same(seen.views[i]?.data, view.data)) continue;
    seen.views[i] = { data: view.data, tokens: model.project(model.look(view)) };
    read = null;
    postMessage({ id, looked: i + 1, of: views.length });
    await pause();
    if (id !== latest) return;
  }
  const wanted = [keep, grid.rows, grid.columns].join();
  if (read !== wanted) {
    const tokens = model.pack(seen.views.map((view) => view.tokens), sources);
    model.take(tokens, prompt.before, keep === undefined ? keep : model.choose(tokens, keep));
    read = wanted;
  }
  postMessage({ id, kept: model.kept, ...grid });
  const ids = [];
  const typed = turns.map(({ question, answer }) => ({ answer, question: model.tokenizer.withoutSpecials(question).trim() }));
  if (!typed.at(-1).question) throw new Error("Special tokens are taken out of a question, and nothing is left of this one.");
  for (const step of model.answer(ending(prompt, typed))) {
    await pause();
    if (id !== latest) return;
    ids.push(step.id);
    const top = step.top.map(({ id, probability }) => ({ text: model.tokenizer.show(id), probability }));
    postMessage({ id, step: { text: model.tokenizer.decode(ids).trim(), top,
      looks: step.looks.map((shares) => model.place(shares, grid)) } });
  }
  postMessage({ id, end: true, cut: ids.at(-1) !== model.config.text_config.eos_token_id });
}

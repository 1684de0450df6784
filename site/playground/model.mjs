// A pocket model, from its own files: a vision tower, a projector, a decoder, and greedy answers.
// LLaVA looks at a picture once, LLaVA-NeXT again at its tiles; all else they share.
// Sizes, token ids and settings come from the files; `tests/playground` holds it to PyTorch.

import { activations, add, attend, layerNorm, linear, rmsNorm, softmax } from "./numbers.mjs";
import { bestGrid, cut, fitted, normalize, resize } from "./pictures.mjs";
import { readSafetensors } from "./safetensors.mjs";
import { Tokenizer } from "./tokenizer.mjs";

/** The files of a model's folder that are read. */
export const FILES = ["config.json", "processor_config.json", "tokenizer.json", "model.safetensors"];

/**
 * The prompt's text after the picture. `prompt`: as in world.json; `turns`: [{question, answer}, …],
 * the last one without an answer.
 */
export const ending = (prompt, turns) => turns.map(({ question }, i) => {
  const values = { question, answer: turns[i - 1]?.answer };
  return (i ? prompt.next : prompt.after).replace(/{(question|answer)}/g, (_, key) => values[key]);
}).join("");

/**
 * Keys and values of every token so far, for each layer of the decoder.
 *
 * `length`: tokens stored; `position`: the next token's, further on where picture tokens were left out.
 */
class Cache {
  constructor(layers, width, room) {
    this.layers = Array.from({ length: layers }, () => ({
      keys: new Float32Array(room * width), values: new Float32Array(room * width),
    }));
    this.length = this.position = 0;
  }
}

export class PocketLlava {
  /** `files`: name -> ArrayBuffer, for each of `FILES`. */
  constructor(files) {
    const json = (name) => {
      try {
        return JSON.parse(new TextDecoder().decode(files[name]));
      } catch {
        throw new Error(`${name} is missing or damaged: it is not JSON. Fetch it anew.`);
      }
    };
    this.config = json("config.json");
    this.processor = json("processor_config.json").image_processor ?? {};
    this.#refuse();
    this.tokenizer = new Tokenizer(json("tokenizer.json"));
    this.weights = readSafetensors(files["model.safetensors"]);
    const { image_size, patch_size } = this.config.vision_config;
    this.columns = image_size / patch_size; // patches along a side
    this.grids = this.config.image_grid_pinpoints; // undefined for LLaVA
    this.cache = null;
  }

  /** Says what this code does not do, rather than computing something else. */
  #refuse() {
    const { model_type, image_grid_pinpoints: grids, text_config: text = {}, vision_config: vision = {} } = this.config;
    const { size = {}, crop_size: tile, ...settings } = this.processor, side = vision.image_size;
    const tiled = model_type === "llava_next";
    const limits = {
      "a LLaVA or a LLaVA-NeXT": (model_type === "llava" || tiled) && text.model_type === "llama",
      "a CLIP tower": vision.model_type === "clip_vision_model",
      "one key head a query head": text.num_key_value_heads === text.num_attention_heads,
      "plain rotary positions": text.rope_parameters?.rope_type === "default",
      "features of the last layer": this.config.vision_feature_layer === -1
        && this.config.vision_feature_select_strategy === "default",
      "bilinear resizing without a crop": settings.resample === 2 && !settings.do_center_crop,
      "pictures of the tower's size": size.width === side && size.height === side,
      "grids of whole tiles": tiled === Array.isArray(grids) && (!tiled || (tile?.height === side
        && grids.flat().every((v) => v % side === 0) && `${grids}` === `${settings.image_grid_pinpoints}`)),
    };
    for (const [what, met] of Object.entries(limits))
      if (!met) throw new Error(`This page runs ${what}, and the model's files say otherwise.`);
  }

  #weight(name) {
    const found = this.weights.get(name);
    if (!found) throw new Error(`The model's file has no tensor ${name}.`);
    return found;
  }

  #linear(x, n, name) {
    return linear(x, n, this.#weight(`${name}.weight`), this.weights.get(`${name}.bias`));
  }

  #layerNorm(x, name) {
    const epsilon = this.config.vision_config.layer_norm_eps;
    return layerNorm(x, this.#weight(`${name}.weight`), this.#weight(`${name}.bias`), epsilon);
  }

  /**
   * What the vision tower sees: the picture, resized as the processor does it. To LLaVA-NeXT it is
   * then shown larger, tile by tile. `change`: what is done to what was resized, such as covering.
   */
  views(picture, change = (resized) => resized) {
    const side = this.config.vision_config.image_size, views = [change(resize(picture, side, side))];
    if (!this.grids) return views;
    const grid = bestGrid(picture, this.grids), large = change(resize(picture, ...fitted(picture, grid)));
    const left = (grid.width - large.width) >> 1, top = (grid.height - large.height) >> 1;
    for (let y = 0; y < grid.height; y += side)
      for (let x = 0; x < grid.width; x += side) views.push(cut(large, x - left, y - top, side, side));
    return views;
  }

  /**
   * The order of a picture's tokens: {sources, rows, columns}. A source is [view, patch], or null for
   * the token that ends a row of LLaVA-NeXT's tiles. Rows and columns are those of the finest patches
   * that show something: margins of padding alone are left out.
   */
  arrange({ width, height }) {
    const side = this.columns, sources = Array.from({ length: side ** 2 }, (_, patch) => [0, patch]);
    if (!this.grids) return { sources, rows: side, columns: side };
    const { patch_size: patch } = this.config.vision_config, grid = bestGrid({ width, height }, this.grids);
    const across = grid.width / patch, down = grid.height / patch, wide = width / height > across / down;
    const whole = (v) => Math.trunc(Number(v.toFixed(7))); // as transformers rounds
    const top = wide ? (down - whole(height * (across / width))) >> 1 : 0;
    const left = wide ? 0 : (across - whole(width * (down / height))) >> 1;
    for (let y = top; y < down - top; y++) {
      for (let x = left; x < across - left; x++) {
        const tile = Math.floor(y / side) * (across / side) + Math.floor(x / side);
        sources.push([1 + tile, (y % side) * side + (x % side)]);
      }
      sources.push(null);
    }
    return { sources, rows: down - 2 * top, columns: across - 2 * left };
  }

  /** The vision tower: a view -> [patches, width of the tower], the class token left out. */
  look(picture) {
    const { hidden_size: width, num_attention_heads: heads, num_hidden_layers: layers,
      patch_size: side, image_size: size, hidden_act } = this.config.vision_config;
    const pixels = normalize(picture, this.processor), patches = this.columns ** 2;
    const cut = new Float32Array(patches * 3 * side * side); // each patch: channel, row, column
    for (let patch = 0, o = 0; patch < patches; patch++) {
      const top = Math.floor(patch / this.columns) * side, left = (patch % this.columns) * side;
      for (let c = 0; c < 3; c++)
        for (let y = 0; y < side; y++)
          for (let x = 0; x < side; x++) cut[o++] = pixels[(c * size + top + y) * size + left + x];
    }
    const embedding = "vision_tower.embeddings";
    const kernel = this.#weight(`${embedding}.patch_embedding.weight`);
    let x = new Float32Array((1 + patches) * width);
    x.set(this.#weight(`${embedding}.class_embedding`).data);
    x.set(linear(cut, patches, { data: kernel.data, shape: [width, 3 * side * side] }), width);
    add(x, this.#weight(`${embedding}.position_embedding.weight`).data);
    x = this.#layerNorm(x, "vision_tower.pre_layrnorm");
    const n = 1 + patches;
    for (let layer = 0; layer < layers; layer++) {
      const name = `vision_tower.encoder.layers.${layer}`;
      let y = this.#layerNorm(x, `${name}.layer_norm1`);
      const [q, k, v] = ["q", "k", "v"].map((p) => this.#linear(y, n, `${name}.self_attn.${p}_proj`));
      add(x, this.#linear(attend(q, n, k, v, width, heads, () => n), n, `${name}.self_attn.out_proj`));
      y = this.#linear(this.#layerNorm(x, `${name}.layer_norm2`), n, `${name}.mlp.fc1`);
      activations[hidden_act](y);
      add(x, this.#linear(y, n, `${name}.mlp.fc2`));
    }
    return x.slice(width);
  }

  /** The projector: features of the tower -> picture tokens, [patches, width of the decoder]. */
  project(features) {
    const n = features.length / this.config.vision_config.hidden_size;
    const y = this.#linear(features, n, "multi_modal_projector.linear_1");
    activations[this.config.projector_hidden_act](y);
    return this.#linear(y, n, "multi_modal_projector.linear_2");
  }

  /** All picture tokens in the decoder's order. `projected`: from `project`, one a view. */
  pack(projected, sources) {
    const { hidden_size: width } = this.config.text_config;
    const tokens = new Float32Array(sources.length * width);
    sources.forEach((source, i) => {
      const [view, patch] = source ?? [];
      tokens.set(source ? projected[view].subarray(patch * width, (patch + 1) * width)
        : this.#weight("image_newline").data, i * width);
    });
    return tokens;
  }

  /** A picture -> its picture tokens in the decoder's order. */
  see(picture) {
    const projected = this.views(picture).map((view) => this.project(this.look(view)));
    return this.pack(projected, this.arrange(picture).sources);
  }

  /** Turns queries or keys by their positions, in place: x and y of a pair lie half a head apart. */
  #rotate(x, positions) {
    const { head_dim: size, rope_parameters: rope, hidden_size: width } = this.config.text_config;
    const half = size / 2;
    positions.forEach((position, i) => {
      for (let l = 0; l < half; l++) {
        const angle = position / rope.rope_theta ** (l / half);
        const cos = Math.cos(angle), sin = Math.sin(angle);
        for (let p = i * width + l; p < (i + 1) * width; p += size) {
          const [a, b] = [x[p], x[p + half]];
          x[p] = a * cos - b * sin;
          x[p + half] = b * cos + a * sin;
        }
      }
    });
  }

  /**
   * The decoder on n new tokens, [n, width], at their positions. Gives the last one's logits.
   * `this.looks` then holds, for each layer, the last one's attention to every token so far.
   */
  #decode(x, positions) {
    const { hidden_size: width, num_attention_heads: heads, num_hidden_layers: layers,
      rms_norm_eps: epsilon, hidden_act } = this.config.text_config;
    const n = positions.length, start = this.cache.length;
    this.looks = [];
    for (let layer = 0; layer < layers; layer++) {
      const name = `language_model.model.layers.${layer}`;
      const norm = (what) => rmsNorm(x, this.#weight(`${name}.${what}.weight`), epsilon);
      const { keys, values } = this.cache.layers[layer];
      let y = norm("input_layernorm");
      const [k, v] = ["k", "v"].map((p) => this.#linear(y, n, `${name}.self_attn.${p}_proj`));
      this.#rotate(k, positions);
      keys.set(k, start * width);
      values.set(v, start * width);
      // what the others are after the last layer, nobody asks
      const m = layer === layers - 1 ? 1 : n;
      [x, y] = [x, y].map((rows) => rows.subarray(-m * width));
      const q = this.#linear(y, m, `${name}.self_attn.q_proj`);
      this.#rotate(q, positions.slice(-m));
      const looks = this.looks[layer] = new Float32Array(start + n);
      const seen = attend(q, m, keys, values, width, heads, (i) => start + n - m + i + 1, looks);
      add(x, this.#linear(seen, m, `${name}.self_attn.o_proj`));
      const z = norm("post_attention_layernorm"), gate = this.#linear(z, m, `${name}.mlp.gate_proj`);
      const up = this.#linear(z, m, `${name}.mlp.up_proj`);
      activations[hidden_act](gate);
      for (let i = 0; i < gate.length; i++) gate[i] *= up[i];
      add(x, this.#linear(gate, m, `${name}.mlp.down_proj`));
    }
    this.cache.length += n;
    this.cache.position = positions[n - 1] + 1;
    const last = rmsNorm(x, this.#weight("language_model.model.norm.weight"), epsilon);
    return this.#linear(last, 1, "language_model.lm_head");
  }

  #embed(ids) {
    const table = this.#weight("language_model.model.embed_tokens.weight"), [, width] = table.shape;
    const x = new Float32Array(ids.length * width);
    ids.forEach((id, i) => x.set(table.data.subarray(id * width, (id + 1) * width), i * width));
    return x;
  }

  #read(ids) {
    return this.#decode(this.#embed(ids), ids.map((_, i) => this.cache.position + i));
  }

  /**
   * Picture tokens that say most, by a simple rule: farthest from the median token. `keep`: how many.
   * Gives their numbers in the order of the picture.
   */
  choose(tokens, keep) {
    const width = this.config.text_config.hidden_size, n = tokens.length / width;
    const distances = new Float64Array(n);
    for (let l = 0; l < width; l++) {
      const column = Float64Array.from({ length: n }, (_, i) => tokens[i * width + l]).sort();
      const median = (column[(n - 1) >> 1] + column[n >> 1]) / 2;
      for (let i = 0; i < n; i++) distances[i] += (tokens[i * width + l] - median) ** 2;
    }
    return [...distances.keys()].sort((a, b) => distances[b] - distances[a]).slice(0, keep)
      .sort((a, b) => a - b);
  }

  /**
   * Reads a prompt up to its picture and keeps keys and values for every question to come.
   *
   * `before`: the prompt's text up to the picture. `tokens`: from `pack`. `kept`: the numbers of
   * the picture tokens that the decoder gets, each at its own position; all of them by default.
   */
  take(tokens, before, kept) {
    const { hidden_size: width, num_hidden_layers, max_position_embeddings } = this.config.text_config;
    const n = tokens.length / width;
    kept ??= [...Array(n).keys()];
    this.cache = new Cache(num_hidden_layers, width, max_position_embeddings);
    this.#read([...this.tokenizer.first, ...this.tokenizer.encode(before)]);
    const start = this.cache.position, x = new Float32Array(kept.length * width);
    kept.forEach((token, i) => x.set(tokens.subarray(token * width, (token + 1) * width), i * width));
    if (kept.length) this.#decode(x, kept.map((token) => start + token));
    this.cache.position = start + n;
    this.picture = { length: this.cache.length, position: this.cache.position };
    [this.kept, this.count] = [kept, n];
  }

  /** For each layer, what share of the latest look went to each picture token, averaged over the heads. */
  #shares() {
    const start = this.picture.length - this.kept.length;
    return this.looks.map((looks) => {
      const shares = new Float32Array(this.count);
      this.kept.forEach((token, i) => { shares[token] = looks[start + i]; });
      return shares;
    });
  }

  /** Shares of picture tokens on the finest patches: those of the whole picture are spread over them. */
  place(shares, { rows, columns }) {
    const side = this.columns, part = side ** 2 / (rows * columns);
    return Float32Array.from({ length: rows * columns }, (_, i) => {
      const row = Math.floor(i / columns), column = i % columns;
      const coarse = Math.floor(((row + 0.5) / rows) * side) * side + Math.floor(((column + 0.5) / columns) * side);
      return part * shares[coarse] + (shares[side ** 2 + row * (columns + 1) + column] ?? 0);
    });
  }

  /**
   * Answers a question about the picture that `take` read, one token at a time.
   *
   * `after`: the prompt's text after the picture, from `ending`. Yields {id, logits, top, looks}: the
   * token, the logits that it was taken from, the `best` likeliest as {id, probability}, and the
   * attention to the picture that it was taken with, [layers][picture tokens]. The last one is the end.
   */
  *answer(after, { most = 128, best = 5 } = {}) {
    Object.assign(this.cache, this.picture);
    const { eos_token_id, max_position_embeddings } = this.config.text_config;
    const room = max_position_embeddings - this.cache.position, { longest } = this.tokenizer;
    // what cannot fit is not split first: a word of a million letters would take for ever
    const ids = after.length > room * longest ? null : this.tokenizer.encode(after);
    if (!ids || ids.length >= room)
      throw new Error(`What was asked has ${ids?.length ?? "far too many"} tokens, and the model has room for ${room - 1
      }: ask less at once.`);
    if (!ids.length) throw new Error("Nothing was asked.");
    let logits = this.#read(ids);
    for (let step = 0; step < Math.min(most, room - ids.length); step++) {
      const shares = softmax(logits);
      const order = [...shares.keys()].sort((a, b) => shares[b] - shares[a]).slice(0, best);
      const [id] = order;
      const top = order.map((token) => ({ id: token, probability: shares[token] }));
      yield { id, logits, top, looks: this.#shares() };
      if (id === eos_token_id) return;
      logits = this.#read([id]);
    }
  }
}

// Byte-level byte pair encoding, from tokenizer.json: text to token ids and back.

const PIECES = /'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** Byte -> the character that stands for it: itself where that can be seen, else one from 256 on. */
function byteCharacters() {
  const seen = (b) => (b > 32 && b < 127) || (b > 160 && b < 256 && b !== 173);
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCharCode(seen(b) ? b : next++));
}

export class Tokenizer {
  /** `json`: tokenizer.json, parsed. */
  constructor(json) {
    const kinds = json.pre_tokenizer?.pretokenizers?.map((step) => step.type).join();
    if (json.model?.type !== "BPE" || kinds !== "Digits,ByteLevel")
      throw new Error(`A tokenizer of ${json.model?.type} with ${kinds} cannot be read here: BPE with Digits,ByteLevel can.`);
    this.ids = new Map(Object.entries(json.model.vocab));
    this.ranks = new Map(json.model.merges.map((pair, rank) => [pair.join(" "), rank]));
    this.specials = new Set();
    for (const { content, id, special } of json.added_tokens) {
      this.ids.set(content, id);
      if (special) this.specials.add(content);
    }
    this.texts = [...this.ids].reduce((texts, [text, id]) => { texts[id] = text; return texts; }, []);
    this.longest = Math.max(...this.texts.map((text) => text.length)); // letters of a token, at most
    const added = json.added_tokens.map((token) => token.content);
    this.added = new Set(added);
    this.splitter = alternatives(added);
    this.specialPattern = alternatives([...this.specials]);
    this.first = json.post_processor.single.filter((part) => part.SpecialToken)
      .map((part) => this.ids.get(part.SpecialToken.id));
    this.characters = byteCharacters();
    this.bytes = new Map(this.characters.map((character, byte) => [character, byte]));
    this.cache = new Map();
  }

  /** Token ids of a text, without the ones that a whole prompt begins with (`first`). */
  encode(text) {
    const ids = [];
    for (const part of text.split(this.splitter)) {
      if (this.added.has(part)) ids.push(this.ids.get(part));
      else
        for (const run of part.match(/\p{N}|\P{N}+/gu) ?? [])
          for (const [piece] of run.matchAll(PIECES)) ids.push(...this.#merge(piece));
    }
    return ids;
  }

  #merge(piece) {
    if (this.cache.has(piece)) return this.cache.get(piece);
    const parts = Array.from(new TextEncoder().encode(piece), (byte) => this.characters[byte]);
    while (true) {
      let best = Infinity, at = -1;
      for (let i = 0; i + 1 < parts.length; i++) {
        const rank = this.ranks.get(`${parts[i]} ${parts[i + 1]}`) ?? Infinity;
        if (rank < best) [best, at] = [rank, i];
      }
      if (at < 0) break;
      parts.splice(at, 2, parts[at] + parts[at + 1]);
    }
    const ids = parts.map((part) => this.ids.get(part));
    this.cache.set(piece, ids);
    return ids;
  }

  /** The text of token ids, special tokens left out. */
  decode(ids) {
    let text = "", bytes = [];
    const flush = () => {
      text += new TextDecoder().decode(new Uint8Array(bytes));
      bytes = [];
    };
    for (const id of ids) {
      const token = this.texts[id];
      if (this.specials.has(token)) continue;
      if (this.added.has(token)) {
        flush();
        text += token;
      } else bytes.push(...Array.from(token, (character) => this.bytes.get(character)));
    }
    flush();
    return text;
  }

  /** One token as a reader should see it: special ones by name, too. */
  show(id) {
    return this.specials.has(this.texts[id]) ? this.texts[id] : this.decode([id]);
  }

  /** What a visitor typed, without special tokens, which would end the prompt or put a picture in. */
  withoutSpecials(text) {
    for (let before; before !== text;) {
      before = text; // what is left over may join to a special token anew
      text = text.replaceAll(this.specialPattern, "");
    }
    return text;
  }
}

function alternatives(texts) {
  const escaped = texts.map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`(${escaped.join("|")})`, "g");
}

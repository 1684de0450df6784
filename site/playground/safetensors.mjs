// Reads a safetensors file: eight bytes of length, a header in JSON, then the numbers.

/** Name -> {shape, data: Float32Array}. `buffer`: the file as an ArrayBuffer. */
export function readSafetensors(buffer) {
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  if (8 + length > buffer.byteLength) throw new Error("This is no whole safetensors file.");
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  delete header.__metadata__;
  const tensors = new Map();
  for (const [name, { dtype, shape, data_offsets: [start, end] }] of Object.entries(header)) {
    const bytes = buffer.slice(8 + length + start, 8 + length + end);
    tensors.set(name, { shape, data: toFloat32(bytes, dtype, name) });
  }
  return tensors;
}

function toFloat32(bytes, dtype, name) {
  if (dtype === "F32") return new Float32Array(bytes);
  if (dtype !== "BF16") throw new Error(`${name} is stored as ${dtype}; BF16 and F32 can be read.`);
  // bfloat16 is the upper half of a float32
  return new Float32Array(Uint32Array.from(new Uint16Array(bytes), (half) => half << 16).buffer);
}

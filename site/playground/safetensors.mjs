// Reads a safetensors file: eight bytes of length, a header in JSON, then the numbers.

const BYTES = { F32: 4, BF16: 2 };

/** Name -> {shape, data: Float32Array}. `buffer`: the file as an ArrayBuffer. */
export function readSafetensors(buffer) {
  const [header, numbers] = split(buffer), tensors = new Map();
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const { dtype, shape, data_offsets: [start, end] = [] } = entry ?? {};
    if (!(dtype in BYTES)) throw new Error(`${name} is stored as ${dtype}; BF16 and F32 can be read.`);
    const size = Array.isArray(shape) && shape.reduce((a, b) => a * b, BYTES[dtype]);
    if (end - start !== size || !(start >= 0) || !Number.isInteger(start))
      throw new Error(`The safetensors file is damaged: its header gives ${name} ${end - start} bytes instead of ${size}.`);
    if (end > buffer.byteLength - numbers)
      throw new Error(`This is no whole safetensors file: it ends before ${name} does. Fetch it anew.`);
    tensors.set(name, { shape, data: toFloat32(buffer.slice(numbers + start, numbers + end), dtype) });
  }
  return tensors;
}

/** [the header, where the numbers begin]. */
function split(buffer) {
  const length = buffer.byteLength < 8 ? Infinity : Number(new DataView(buffer).getBigUint64(0, true));
  if (8 + length > buffer.byteLength)
    throw new Error("This is no whole safetensors file: it ends within its header. Fetch it anew.");
  try {
    return [Object(JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)))), 8 + length];
  } catch {
    throw new Error("The safetensors file is damaged: its header is not JSON. Fetch it anew.");
  }
}

function toFloat32(bytes, dtype) {
  if (dtype === "F32") return new Float32Array(bytes);
  // bfloat16 is the upper half of a float32
  return new Float32Array(Uint32Array.from(new Uint16Array(bytes), (half) => half << 16).buffer);
}

// From a picture to the numbers that the vision tower takes, as the model's processor does it.
// A picture is {width, height, data}: three bytes a pixel, red, green and blue.

const BITS = 22; // of the fractions that Pillow multiplies with

/** Shrinks or stretches as Pillow's bilinear filter does, byte for byte. */
export function resize(picture, width, height) {
  const { width: w, height: h, data } = picture, whole = (v) => Number.isInteger(v) && v > 0;
  if (![w, h, width, height].every(whole) || data.length !== 3 * w * h)
    throw new Error(`A picture of ${w} × ${h} with ${data.length} bytes cannot be made ${width} × ${height}: ${""
    }it takes whole sides from 1 on, and three bytes a pixel.`);
  // Pillow's order (since 13), which shows in the last bit: rows first, unless much more of the height goes
  return h - height > 2 * Math.max(0, w - width) ? alongRows(alongColumns(picture, height), width)
    : alongColumns(alongRows(picture, width), height);
}

/** For each new pixel the first old one that it is made of, and the weights. */
function filter(from, to) {
  const scale = from / to, reach = Math.max(scale, 1); // antialiased: wider where it shrinks
  return Array.from({ length: to }, (_, x) => {
    const center = (x + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - reach + 0.5));
    const last = Math.min(from, Math.trunc(center + reach + 0.5));
    const weights = [];
    for (let i = first; i < last; i++)
      weights.push(Math.max(0, 1 - Math.abs((i - center + 0.5) / reach)));
    const total = weights.reduce((a, b) => a + b);
    return [first, weights.map((weight) => Math.trunc(0.5 + (weight / total) * 2 ** BITS))];
  });
}

const alongColumns = (picture, height) => (picture.height === height ? picture
  : transpose(alongRows(transpose(picture), height)));

function alongRows(picture, newWidth) {
  const { width, height, data } = picture;
  if (width === newWidth) return picture;
  const steps = filter(width, newWidth), result = new Uint8Array(newWidth * height * 3);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < newWidth; x++) {
      const [first, weights] = steps[x];
      for (let c = 0; c < 3; c++) {
        let sum = 1 << (BITS - 1);
        for (let i = 0, p = (y * width + first) * 3 + c; i < weights.length; i++, p += 3)
          sum += data[p] * weights[i];
        result[(y * newWidth + x) * 3 + c] = Math.min(255, sum >> BITS);
      }
    }
  return { width: newWidth, height, data: result };
}

function transpose({ width, height, data }) {
  const result = new Uint8Array(data.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++) result[(x * height + y) * 3 + c] = data[(y * width + x) * 3 + c];
  return { width: height, height: width, data: result };
}

/** Of LLaVA-NeXT's grids, [height, width] each, the one that keeps most of a picture and wastes least. */
export function bestGrid({ width: w, height: h }, grids) {
  let best, most = 0, least = Infinity;
  for (const [height, width] of grids) {
    const scale = Math.min(width / w, height / h);
    const kept = Math.min(Math.trunc(w * scale) * Math.trunc(h * scale), w * h), waste = width * height - kept;
    if (kept > most || (kept === most && waste < least)) [best, most, least] = [{ width, height }, kept, waste];
  }
  return best;
}

/** [width, height]: the largest of a picture's proportions inside of a grid. */
export const fitted = ({ width: w, height: h }, { width, height }) => (width / w < height / h
  ? [width, Math.min(height, Math.ceil(h * (width / w)))] : [Math.min(width, Math.ceil(w * (height / h))), height]);

/** A rectangle of a picture; what of it lies outside of the picture is black. */
export function cut(picture, left, top, width, height) {
  const data = new Uint8Array(width * height * 3);
  const from = Math.max(0, left), to = Math.min(picture.width, left + width);
  for (let y = Math.max(0, top); y < Math.min(picture.height, top + height); y++) {
    const row = picture.data.subarray((y * picture.width + from) * 3, (y * picture.width + to) * 3);
    data.set(row, ((y - top) * width + from - left) * 3);
  }
  return { width, height, data };
}

/** The picture as the processor hands it to the model: [3, height, width], about -2 to 2. */
export function normalize({ width, height, data }, settings) {
  const { image_mean: mean, image_std: std, rescale_factor: factor } = settings;
  const size = width * height, values = new Float32Array(3 * size);
  for (let i = 0; i < size; i++)
    for (let c = 0; c < 3; c++) values[c * size + i] = (data[3 * i + c] * factor - mean[c]) / std[c];
  return values;
}

/** The picture with whole cells of a grid of `columns` × `columns` plain grey; `cells`: their numbers. */
export function cover(picture, cells, columns, grey) {
  const { width, height } = picture, data = picture.data.slice();
  const covered = new Set(cells);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const cell = Math.floor((y * columns) / height) * columns + Math.floor((x * columns) / width);
      if (covered.has(cell)) data.fill(grey, (y * width + x) * 3, (y * width + x) * 3 + 3);
    }
  return { width, height, data };
}

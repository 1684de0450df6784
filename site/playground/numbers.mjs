// The arithmetic of the model: products of matrices, norms and activations on typed arrays.
// A matrix is a Float32Array, row after row; sums are taken in double precision, JavaScript's own.

/**
 * x wᵀ + b. `x`: n rows; `weight`: {data, shape: [outputs, inputs]}, as PyTorch stores it.
 *
 * Four rows of x, interleaved, meet two rows of the weight at a time: each number that is fetched
 * is used several times, which is what makes it quick.
 */
export function linear(x, n, weight, bias) {
  const [m, k] = weight.shape, w = weight.data;
  if (x.length !== n * k) throw new Error(`A matrix of ${m} × ${k} does not fit rows of ${x.length / n} numbers.`);
  const y = new Float32Array(n * m);
  if (n === 1) return oneRow(x, w, m, k, y, bias);
  const packed = new Float64Array(4 * k);
  for (let i = 0; i < n; i += 4) {
    const rows = Math.min(4, n - i);
    if (rows < 4) packed.fill(0);
    for (let r = 0; r < rows; r++)
      for (let l = 0, from = (i + r) * k; l < k; l++) packed[4 * l + r] = x[from + l];
    for (let j = 0; j < m; j += 2) {
      const p = j * k, q = j + 1 < m ? p + k : p;
      let a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
      for (let l = 0, z = 0; l < k; l++, z += 4) {
        const u = w[p + l], v = w[q + l];
        const x0 = packed[z], x1 = packed[z + 1], x2 = packed[z + 2], x3 = packed[z + 3];
        a0 += u * x0; a1 += u * x1; a2 += u * x2; a3 += u * x3;
        b0 += v * x0; b1 += v * x1; b2 += v * x2; b3 += v * x3;
      }
      const a = [a0, a1, a2, a3], b = [b0, b1, b2, b3];
      for (let r = 0, o = i * m + j; r < rows; r++, o += m) {
        y[o] = a[r];
        if (q !== p) y[o + 1] = b[r];
      }
    }
  }
  if (bias) for (let o = 0; o < y.length; o++) y[o] += bias.data[o % m];
  return y;
}

function oneRow(x, w, m, k, y, bias) {
  for (let j = 0, p = 0; j < m; j++, p += k) {
    let a = bias ? bias.data[j] : 0, b = 0;
    let l = 0;
    for (; l + 1 < k; l += 2) {
      a += w[p + l] * x[l];
      b += w[p + l + 1] * x[l + 1];
    }
    y[j] = a + b + (l < k ? w[p + l] * x[l] : 0);
  }
  return y;
}

/** Each row with mean 0 and variance 1, times `weight`, plus `bias`. */
export function layerNorm(x, weight, bias, epsilon) {
  const k = weight.data.length, y = new Float32Array(x.length);
  for (let i = 0; i < x.length; i += k) {
    let mean = 0, variance = 0;
    for (let l = 0; l < k; l++) mean += x[i + l];
    mean /= k;
    for (let l = 0; l < k; l++) variance += (x[i + l] - mean) ** 2;
    const scale = 1 / Math.sqrt(variance / k + epsilon);
    for (let l = 0; l < k; l++) y[i + l] = (x[i + l] - mean) * scale * weight.data[l] + bias.data[l];
  }
  return y;
}

/** Each row divided by the root of its mean square, times `weight`. */
export function rmsNorm(x, weight, epsilon) {
  const k = weight.data.length, y = new Float32Array(x.length);
  for (let i = 0; i < x.length; i += k) {
    let squares = 0;
    for (let l = 0; l < k; l++) squares += x[i + l] ** 2;
    const scale = 1 / Math.sqrt(squares / k + epsilon);
    for (let l = 0; l < k; l++) y[i + l] = x[i + l] * scale * weight.data[l];
  }
  return y;
}

export function add(x, y) {
  for (let i = 0; i < x.length; i++) x[i] += y[i];
  return x;
}

const sigmoid = (v) => 1 / (1 + Math.exp(-v));

/** The error function: its Taylor series, and ±1 where it differs from that by less than 1e-7. */
function erf(v) {
  if (Math.abs(v) > 4) return Math.sign(v);
  let term = v, sum = v;
  for (let n = 1; Math.abs(term) > 1e-12; n++) {
    term *= -v * v / n;
    sum += term / (2 * n + 1);
  }
  return sum * 2 / Math.sqrt(Math.PI);
}

/** What a config.json calls `hidden_act`, each in place. */
export const activations = {
  silu: (x) => x.forEach((v, i) => { x[i] = v * sigmoid(v); }),
  quick_gelu: (x) => x.forEach((v, i) => { x[i] = v * sigmoid(1.702 * v); }),
  gelu: (x) => x.forEach((v, i) => { x[i] = v * 0.5 * (1 + erf(v / Math.SQRT2)); }),
};

/**
 * Attention of several heads: n rows of queries over `length` rows of keys and values.
 *
 * All have `width` numbers a row, head after head. `seen(i)`: how many keys the i-th query sees.
 * `looks`, if given, gets what share of its attention the last query gives each key, over all heads.
 */
export function attend(queries, n, keys, values, width, heads, seen, looks) {
  const size = width / heads, scale = 1 / Math.sqrt(size);
  const y = new Float32Array(n * width), weights = new Float64Array(keys.length / width);
  for (let i = 0; i < n; i++) {
    const length = seen(i);
    for (let h = 0; h < width; h += size) {
      const q = i * width + h;
      let largest = -Infinity, total = 0;
      for (let j = 0; j < length; j++) {
        let product = 0;
        for (let l = 0, p = j * width + h; l < size; l++) product += queries[q + l] * keys[p + l];
        weights[j] = product * scale;
        if (weights[j] > largest) largest = weights[j];
      }
      for (let j = 0; j < length; j++) total += weights[j] = Math.exp(weights[j] - largest);
      for (let j = 0; j < length; j++) {
        const share = weights[j] / total;
        if (looks && i === n - 1) looks[j] += share / heads;
        for (let l = 0, p = j * width + h; l < size; l++) y[q + l] += share * values[p + l];
      }
    }
  }
  return y;
}

export function softmax(x) {
  const largest = x.reduce((a, b) => Math.max(a, b)), y = Float64Array.from(x, (v) => Math.exp(v - largest));
  const total = y.reduce((a, b) => a + b);
  return y.map((v) => v / total);
}

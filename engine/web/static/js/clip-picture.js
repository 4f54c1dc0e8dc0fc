// A clip's spectrum in time: columns from left to right, pitch upward.

const WINDOW = 2048; // samples
const LOW_HZ = 40;
const HIGH_HZ = 16000;
const RANGE_DB = 70; // under the loudest place

// Levels 0..1 of `columns` x `rows`, row after row from the top.
export function spectrumInTime(buffer, columns, rows) {
  const samples = mono(buffer);
  const step = Math.max(1, Math.floor((samples.length - WINDOW) / Math.max(1, columns - 1)));
  const edges = Array.from({ length: rows + 1 }, (_, k) =>
    (LOW_HZ * (HIGH_HZ / LOW_HZ) ** (1 - k / rows) * WINDOW) / buffer.sampleRate);
  const levels = new Float32Array(columns * rows);
  const real = new Float64Array(WINDOW);
  const imaginary = new Float64Array(WINDOW);
  let loudest = -Infinity;
  for (let column = 0; column < columns; column++) {
    const start = column * step;
    for (let k = 0; k < WINDOW; k++) {
      const hann = 0.5 - 0.5 * Math.cos((2 * Math.PI * (k + 0.5)) / WINDOW);
      real[k] = hann * (samples[start + k] ?? 0);
      imaginary[k] = 0;
    }
    transform(real, imaginary);
    for (let row = 0; row < rows; row++) {
      const first = Math.max(1, Math.floor(edges[row + 1]));
      const last = Math.min(WINDOW / 2, Math.max(first + 1, Math.ceil(edges[row])));
      let most = 0;
      for (let bin = first; bin < last; bin++) most = Math.max(most, real[bin] ** 2 + imaginary[bin] ** 2);
      const level = 10 * Math.log10(most + 1e-12);
      levels[row * columns + column] = level;
      loudest = Math.max(loudest, level);
    }
  }
  return levels.map((level) => Math.max(0, 1 + (level - loudest) / RANGE_DB));
}

function mono(buffer) {
  const mixed = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    const from = buffer.getChannelData(channel);
    for (let k = 0; k < mixed.length; k++) mixed[k] += from[k];
  }
  return mixed;
}

// A Fourier transform in place; the length is a power of two.
function transform(real, imaginary) {
  const n = real.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [real[i], real[j]] = [real[j], real[i]];
      [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
    }
  }
  for (let size = 2; size <= n; size <<= 1) {
    const half = size >> 1;
    for (let k = 0; k < half; k++) {
      const cos = Math.cos((-2 * Math.PI * k) / size);
      const sin = Math.sin((-2 * Math.PI * k) / size);
      for (let even = k; even < n; even += size) {
        const odd = even + half;
        const re = real[odd] * cos - imaginary[odd] * sin;
        const im = real[odd] * sin + imaginary[odd] * cos;
        real[odd] = real[even] - re;
        imaginary[odd] = imaginary[even] - im;
        real[even] += re;
        imaginary[even] += im;
      }
    }
  }
}

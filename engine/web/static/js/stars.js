// The map's sounds as stars, and the haze between them, painted into a canvas.
//
// All of it has to follow a hand that zooms. So stars are painted by their colours, small
// ones as squares, which nobody can tell from circles, and the haze is kept as a small
// picture of the whole map.

import { channels, isDark, starColours, tokens } from "./palette.js";

const SHADES = 24;
const STRENGTHS = 6;
const SIZES = [0.8, 1.25, 1.9]; // times the size of a star that fits the screen
const SQUARE = 1.1; // pixels: radius up to which a star is a square

export class Stars {
  constructor(field) {
    this.field = field;
    this.looks = {}; // as they were last painted
    this.whole = new Float32Array(0);
    this.haze = document.createElement("canvas");
    this.hazeOf = "";
  }

  // Where all stars are while the whole map is seen; after each `field.fit`.
  place() {
    const { field } = this;
    this.whole = new Float32Array(2 * field.n);
    for (let i = 0; i < field.n; i++) this.whole.set(field.toWhole(field.place(i)), 2 * i);
    this.hazeOf = "";
  }

  // Paint all stars above `foot` pixels from the top.
  paint(context, measure, width, foot) {
    const { zoom, offset: [ox, oy] } = this.field;
    const fits = Math.min(1.25, Math.max(0.7, Math.sqrt((width * innerHeight) / 1.3e6)));
    const radius = fits * zoom ** 0.3; // near stars are larger, not as much as the map is
    for (const { colour, strength, stars } of this.look(measure)) {
      context.fillStyle = colour;
      context.globalAlpha = strength;
      context.beginPath();
      for (const { index, size } of stars) {
        const x = this.whole[2 * index] * zoom + ox;
        const y = this.whole[2 * index + 1] * zoom + oy;
        const r = radius * size;
        if (x < -r || y < -r || x > width + r || y > foot + r) continue;
        if (r <= SQUARE) {
          context.fillRect(x - 0.886 * r, y - 0.886 * r, 1.772 * r, 1.772 * r);
        } else {
          context.moveTo(x + r, y);
          context.arc(x, y, r, 0, 2 * Math.PI);
        }
      }
      context.fill();
    }
    context.globalAlpha = 1;
  }

  // The stars by colour and strength; kept until the measure or the theme changes.
  look(measure) {
    const { field } = this;
    const [values, rare, night] = [field.measures[measure], field.measures.weirdness, isDark()];
    if (this.looks.night === night && this.looks.values === values) return this.looks.groups;
    const groups = starColours(SHADES).flatMap((colour) =>
      Array.from({ length: STRENGTHS }, () => ({ colour, strength: 0, stars: [] })),
    );
    for (let i = 0; i < field.n; i++) {
      const chance = ((i * 2654435761) >>> 0) / 2 ** 32; // the same at every painting
      const size = chance > 0.985 ? SIZES[2] : chance > 0.9 ? SIZES[1] : SIZES[0];
      const strength = (night ? 0.36 : 0.42) + 0.6 * (rare[i] / 255) * chance + (size === SIZES[2] ? 0.2 : 0);
      const shade = Math.min(SHADES - 1, Math.floor((values[i] / 256) * SHADES));
      const step = Math.min(STRENGTHS - 1, Math.floor(((strength - 0.36) / 0.64) * STRENGTHS));
      const group = groups[shade * STRENGTHS + step];
      group.strength = 0.36 + (0.64 * (step + 0.5)) / STRENGTHS;
      group.stars.push({ index: i, size });
    }
    this.looks = { night, values, groups: groups.filter((group) => group.stars.length) };
    return this.looks.groups;
  }

  // Where sounds lie close together the sky is a little lighter. It is painted small and
  // opaque, and enlarged, which blurs it.
  paintHaze(context, width, height) {
    if (!this.field.n) return;
    const cell = Math.max(12, Math.min(width, height) / 44);
    const [columns, rows] = [Math.ceil(width / cell) + 1, Math.ceil(height / cell) + 1];
    const of = `${columns} ${rows} ${tokens().ground} ${tokens().accent}`;
    if (this.hazeOf !== of) this.mix(columns, rows, cell);
    this.hazeOf = of;
    const { zoom, offset } = this.field;
    context.imageSmoothingQuality = "low"; // it has no edges
    context.drawImage(this.haze, ...offset, columns * cell * zoom, rows * cell * zoom);
  }

  mix(columns, rows, cell) {
    const density = new Float32Array(columns * rows);
    for (let i = 0; i < this.field.n; i++) {
      const column = Math.floor(this.whole[2 * i] / cell);
      const row = Math.floor(this.whole[2 * i + 1] / cell);
      for (let dy = -2; dy <= 2; dy++) {
        for (let dx = -2; dx <= 2; dx++) {
          if (row + dy < 0 || row + dy >= rows || column + dx < 0 || column + dx >= columns) continue;
          density[(row + dy) * columns + column + dx] += 1 / (1 + dx * dx + dy * dy);
        }
      }
    }
    const most = density.slice().sort()[Math.floor(0.985 * density.length)] || 1;
    [this.haze.width, this.haze.height] = [columns, rows];
    const image = new ImageData(columns, rows);
    const [from, to] = [channels(tokens().ground), channels(tokens().accent)];
    for (let i = 0; i < density.length; i++) {
      const share = (isDark() ? 0.11 : 0.09) * Math.min(1, density[i] / most);
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = from[c] + share * (to[c] - from[c]);
      image.data[4 * i + 3] = 255;
    }
    this.haze.getContext("2d").putImageData(image, 0, 0);
  }
}

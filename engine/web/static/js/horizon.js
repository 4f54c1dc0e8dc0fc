// The horizon: what sounds as a skyline on it, thirty times a second, and below it the
// song so far, as in still water: time from left to right, low sounds at the shore. Each
// has a canvas of its own, since the water changes twice a second only.

import { channels, isDark, isStill, onTheme, tokens } from "./palette.js";
import { horizonLine, sky } from "./sky.js";

const BANDS = 96;
const FLOOR = 60; // of 255: what is softer is not drawn

const LEAST = 0.4; // of the range of levels: a soft song stays soft
const ABOVE = 4; // pixels of the mark that says how far the song is, above the line
const SEEN = 0.002; // of the height: what moves less than that is not drawn again

function highest(levels) {
  return Math.max(0, Math.max(...levels) - FLOOR) / (255 - FLOOR);
}

class Horizon {
  constructor(session) {
    this.session = session;
    this.columns = new Map(); // number -> levels
    this.number = null;
    this.columnS = 0.5;
    this.most = LEAST;
    this.shift = 0; // columns before the first
    this.shown = new Float32Array(BANDS);
    this.drawn = new Float32Array(BANDS);
    this.peaks = [0, 0];
    this.hills = document.createElement("canvas");
    this.shore = document.createElement("canvas");
    for (const canvas of [this.hills, this.shore]) {
      canvas.className = "layer horizon";
      canvas.setAttribute("aria-hidden", "true");
    }
    this.water = document.createElement("canvas"); // a pixel for each column and band
  }

  start() {
    // Before the map's stars, but behind the song's own, its head and its letters.
    if (sky?.stars.isConnected) sky.stars.after(this.hills, this.shore);
    else document.getElementById("sky").append(this.hills, this.shore);
    this.resize();
    addEventListener("resize", () => this.resize());
    addEventListener("latent-bare", () => this.resize());
    onTheme(() => this.repaint());
    this.session.onSpectrum((levels, peaks) => this.takeLevels(levels, peaks));
    this.session.onColumn((number, levels) => this.takeColumn(number, levels));
    this.session.on("/latent/now", (number) => this.takeSong(number));
    this.session.on("/latent/song/length", () => this.repaint());
    this.session.on("/latent/song/progress", () => this.drawShore());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.takePicture(); // columns passed by meanwhile
    });
    new MutationObserver(() => this.repaint()).observe(document.documentElement, {
      attributeFilter: ["style"], // another accent
    });
  }

  takeSong(number) {
    if (number === this.number) return;
    const isFirst = this.number === null;
    this.number = number;
    this.columns.clear();
    this.shift = 0;
    this.repaint();
    if (isFirst || document.hidden) this.takePicture(); // else its columns come by themselves
  }

  async takePicture() {
    const answer = await this.session.fetch("/api/song").catch(() => null);
    if (!answer) return;
    const song = await answer.json();
    const bytes = Uint8Array.from(atob(song.columns), (letter) => letter.charCodeAt(0));
    this.columnS = song.column_s;
    // What sounded before the server listened is missing at the beginning.
    const [seconds] = this.session.value("/latent/song/seconds") ?? [0];
    const listened = song.first + bytes.length / BANDS;
    this.shift = Math.max(0, Math.round(seconds / this.columnS - listened));
    for (let i = 0; i < bytes.length / BANDS; i++) {
      this.columns.set(song.first + i, bytes.subarray(i * BANDS, (i + 1) * BANDS));
    }
    this.repaint();
  }

  takeColumn(number, levels) {
    this.columns.set(number, levels.slice());
    // Colours are relative to the loudest so far, in steps, so that it is seldom repainted.
    if (highest(levels) > 1.05 * this.most) this.repaint();
    else {
      this.paintColumn(number);
      this.drawShore();
    }
  }

  takeLevels(levels, peaks) {
    const still = isStill();
    const fall = still ? 0.04 : 0.22;
    for (let i = 0; i < BANDS; i++) {
      const level = Math.max(0, levels[i] - FLOOR) / (255 - FLOOR);
      this.shown[i] += (level > this.shown[i] ? (still ? 0.08 : 0.5) : fall) * (level - this.shown[i]);
    }
    const moved = this.shown.some((level, i) => Math.abs(level - this.drawn[i]) > SEEN);
    if (!moved && peaks.every((peak, i) => peak === this.peaks[i])) return;
    // On a wall, every other picture is enough, for half of the work.
    this.isOdd = !this.isOdd;
    if (this.isOdd && document.body.classList.contains("bare")) return;
    this.peaks = [...peaks];
    this.drawHills();
  }

  resize() {
    const scale = Math.min(2, devicePixelRatio || 1);
    this.width = innerWidth;
    this.line = horizonLine(innerHeight);
    this.rise = Math.min(150, 0.16 * innerHeight);
    this.depth = Math.max(48, Math.min(132, 0.13 * innerHeight));
    const lay = (canvas, top, height) => {
      canvas.style.top = `${top}px`;
      canvas.style.height = `${height}px`;
      canvas.width = Math.round(this.width * scale);
      canvas.height = Math.round(height * scale);
      canvas.getContext("2d").setTransform(scale, 0, 0, scale, 0, 0);
    };
    lay(this.hills, this.line - this.rise, this.rise);
    lay(this.shore, this.line - ABOVE, this.depth + ABOVE);
    this.repaint();
  }

  get nColumns() {
    const length = this.session.value("/latent/song/length")?.[0] || 300;
    const last = this.columns.size ? Math.max(...this.columns.keys()) + 1 + this.shift : 0;
    return Math.max(1, Math.ceil(length / this.columnS), last);
  }

  repaint() {
    this.water.width = this.nColumns;
    this.water.height = BANDS;
    this.colour = channels(tokens().accent);
    this.most = LEAST;
    for (const levels of this.columns.values()) this.most = Math.max(this.most, highest(levels));
    for (const number of this.columns.keys()) this.paintColumn(number);
    this.dress();
    this.drawShore();
    this.drawHills();
  }

  paintColumn(number) {
    if (number + this.shift >= this.water.width) { this.repaint(); return; }
    const levels = this.columns.get(number);
    const context = this.water.getContext("2d");
    const image = context.createImageData(1, BANDS);
    const [red, green, blue] = this.colour;
    const most = isDark() ? 235 : 225;
    for (let i = 0; i < BANDS; i++) {
      const level = Math.max(0, levels[i] - FLOOR) / (255 - FLOOR);
      const lit = Math.min(1, level / this.most) ** 2.4;
      // The loudest turns to white at night, to ink by day.
      const towards = isDark() ? 255 : 20;
      const white = 0.6 * Math.max(0, lit - 0.6);
      image.data[4 * i] = red + white * (towards - red);
      image.data[4 * i + 1] = green + white * (towards - green);
      image.data[4 * i + 2] = blue + white * (towards - blue);
      image.data[4 * i + 3] = most * lit;
    }
    context.putImageData(image, number + this.shift, 0);
  }

  // What the colours of the hills are, from their tops to the line.
  dress() {
    const context = this.hills.getContext("2d");
    const { accent, ground } = tokens();
    const towards = (colour, top, foot) => {
      const [red, green, blue] = channels(colour);
      const made = context.createLinearGradient(0, 0, 0, this.rise);
      made.addColorStop(0, `rgb(${red} ${green} ${blue} / ${top})`);
      made.addColorStop(1, `rgb(${red} ${green} ${blue} / ${foot})`);
      return made;
    };
    // Hills stand before the stars, so they are of the ground, with some light on them.
    this.fills = [towards(ground, 0.55, 1), towards(accent, isDark() ? 0.32 : 0.26, 0.05)];
  }

  drawShore() {
    const context = this.shore.getContext("2d");
    const { accent, ink, ground } = tokens();
    const { width, depth } = this;
    context.clearRect(0, 0, width, ABOVE + depth);
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.globalAlpha = 1;
    context.drawImage(this.water, 0, ABOVE + 1, width, depth);
    const veil = context.createLinearGradient(0, ABOVE, 0, ABOVE + depth);
    const [red, green, blue] = channels(ground);
    veil.addColorStop(0.45, `rgb(${red} ${green} ${blue} / 0)`);
    veil.addColorStop(1, ground);
    context.fillStyle = veil;
    context.fillRect(0, ABOVE + 1, width, depth);
    context.globalAlpha = 0.55;
    context.fillStyle = accent;
    context.fillRect(0, ABOVE, width, 1);
    const progress = this.session.value("/latent/song/progress")?.[0] ?? 0;
    context.globalAlpha = 1;
    context.fillStyle = ink;
    context.fillRect(Math.round(progress * width) - 1, ABOVE - 3, 2, 9);
  }

  drawHills() {
    const context = this.hills.getContext("2d");
    const { rise, width } = this;
    this.drawn.set(this.shown);
    context.clearRect(0, 0, width, rise);
    this.drawSkyline(context, rise, width);
    this.drawLevel(context, rise, width);
  }

  // The peaks of left and right, at the right edge.
  drawLevel(context, rise, width) {
    context.fillStyle = tokens().ink;
    context.globalAlpha = 0.6;
    for (const [i, peak] of this.peaks.entries()) {
      const height = (Math.max(0, peak - FLOOR) / (255 - FLOOR)) * rise * 0.92;
      context.fillRect(width - 11 + 5 * i, rise - height, 2, height);
    }
  }

  drawSkyline(context, rise, width) {
    const step = width / (BANDS - 1);
    const path = new Path2D();
    let [px, py] = [-2, rise - this.shown[0] * rise * 0.92];
    path.moveTo(px, py);
    for (let i = 1; i < BANDS; i++) {
      const [x, y] = [i * step, rise - this.shown[i] * rise * 0.92];
      path.quadraticCurveTo(px, py, 0.5 * (px + x), 0.5 * (py + y));
      [px, py] = [x, y];
    }
    path.lineTo(width + 2, py);
    const hills = new Path2D(path);
    hills.lineTo(width + 2, rise);
    hills.lineTo(-2, rise);
    context.globalAlpha = 1;
    for (const fill of this.fills) {
      context.fillStyle = fill;
      context.fill(hills);
    }
    context.globalAlpha = 0.75;
    context.lineWidth = 1;
    context.strokeStyle = tokens().accent;
    context.stroke(path);
  }
}

export function start(session) {
  new Horizon(session).start();
}

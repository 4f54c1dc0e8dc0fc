// The sky: the map's sounds as stars, the song's five as named ones, the way of the
// music as a thread with a bright head.
//
// The stars are painted into a canvas of their own when the view changes. Above it lies
// another for what moves. Nothing is drawn while the page is hidden, and nothing moves
// faster than the head: some steps a second.

import { Field } from "./field.js";
import { accentOf, channels, isDark, isStill, onTheme, setAccent, tokens } from "./palette.js";
import { Stars } from "./stars.js";

const TRAIL_S = 240;
const STEP_MS = 250;
export const MEASURES = ["pitch", "brightness", "weirdness"];

export const field = new Field();

class Sky {
  constructor(session) {
    this.session = session;
    this.measure = "pitch";
    this.song = { sounds: {}, ways: {}, pattern: "" };
    this.symbol = "";
    this.head = null; // where it is drawn
    this.goal = null; // where the session says that it is
    this.trail = []; // [seconds, x, y], places
    this.marks = []; // of space.js: drawn above everything, fn(context, field)
    this.drawnStars = new Stars(field);
    this.stars = document.createElement("canvas");
    this.moving = document.createElement("canvas");
    for (const canvas of [this.stars, this.moving]) {
      canvas.setAttribute("aria-hidden", "true");
      canvas.className = "layer";
    }
  }

  async start() {
    document.getElementById("sky").prepend(this.stars, this.moving);
    addEventListener("resize", () => this.resize());
    onTheme(() => this.dress());
    const words = document.querySelector("#sky .head");
    if (words) new ResizeObserver(() => this.resize()).observe(words);
    this.resize();
    document.addEventListener("visibilitychange", () => this.run());
    this.session.on("/page/head", (x, y) => this.move([x, y]));
    this.session.on("/latent/song/symbol", (symbol) => { this.symbol = symbol; this.draw(); });
    this.session.on("/latent/song/sounds", () => this.takeSong());
    this.session.on("/latent/song/pattern", () => this.takeSong());
    this.session.on("/page/session", (answers) => { if (answers) this.takeSpace(); });
    this.run();
  }

  async takeSpace() {
    const answer = await this.session.fetch("/api/space").catch(() => null);
    if (!answer) return;
    field.fill(await answer.json());
    this.resize();
    document.body.classList.add("mapped");
    dispatchEvent(new Event("latent-space"));
    this.takeSong();
  }

  // The song's sounds and its ways, once for whatever changed of it.
  takeSong() {
    clearTimeout(this.asking);
    this.asking = setTimeout(async () => {
      const answer = await this.session.fetch("/api/space/song").catch(() => null);
      if (!answer) return;
      this.song = await answer.json();
      if (this.song.head) this.move(this.song.head);
      this.dress();
    }, 60);
  }

  colourBy(measure) {
    this.measure = measure;
    this.paint();
  }

  // The accent is that of the song's sounds among all of the model's.
  dress() {
    const places = Object.values(this.song.sounds);
    if (places.length && field.n) {
      const found = places.map((place) => field.nearest(...field.toScreen(place)).index);
      const mean = (name) =>
        found.reduce((sum, i) => sum + field.measures[name][i] / 255, 0) / found.length;
      setAccent(accentOf(mean("pitch"), mean("brightness")));
    }
    this.paint();
  }

  move(place) {
    this.goal = place;
    this.head ??= [...place];
  }

  resize() {
    const scale = Math.min(2, devicePixelRatio || 1);
    const [width, height] = [innerWidth, innerHeight];
    for (const canvas of [this.stars, this.moving]) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
      canvas.getContext("2d").setTransform(scale, 0, 0, scale, 0, 0);
    }
    const edge = Math.min(width, height) < 520 ? 18 : 44;
    const foot = horizonLine(height);
    // On a narrow screen the sky begins below the words.
    const bare = document.body.classList.contains("bare");
    const head = bare ? null : document.querySelector("#sky .head")?.getBoundingClientRect();
    const words = document.querySelector("#sky .playing")?.getBoundingClientRect();
    const narrow = width < 620 && head;
    const top = narrow ? head.bottom + 12 : edge;
    const corner = head && !narrow && words.width ? { width: words.right + 24, height: words.bottom + 14 } : null;
    const hills = 0.35 * Math.min(150, 0.16 * height);
    field.fit(edge, top, width - 2 * edge, Math.max(80, foot - hills - top), corner);
    this.drawnStars.place();
    this.paint();
  }

  // The view has changed: paint with the next frame.
  look() {
    this.looking ??= requestAnimationFrame(() => {
      this.looking = undefined;
      this.paint();
    });
  }

  paint() {
    const [width, height] = [innerWidth, innerHeight];
    const foot = horizonLine(height);
    const context = this.stars.getContext("2d");
    context.clearRect(0, 0, width, height);
    context.save();
    aboveGround(context, width, foot);
    this.drawnStars.paintHaze(context, width, foot);
    this.paintDusk(context, width, foot);
    this.drawnStars.paint(context, this.measure, width, foot);
    this.paintWays(context);
    context.restore();
    this.draw();
  }

  // A little light over the horizon, in the colour of what plays.
  paintDusk(context, width, foot) {
    const [red, green, blue] = channels(tokens().accent);
    const dusk = context.createLinearGradient(0, 0, 0, foot);
    dusk.addColorStop(0.3, `rgb(${red} ${green} ${blue} / 0)`);
    dusk.addColorStop(1, `rgb(${red} ${green} ${blue} / ${isDark() ? 0.12 : 0.13})`);
    context.fillStyle = dusk;
    context.fillRect(0, 0, width, foot);
  }

  paintWays(context) {
    const { accent } = tokens();
    context.strokeStyle = accent;
    context.globalAlpha = 0.38;
    context.lineWidth = 1;
    for (const way of Object.values(this.song.ways)) {
      smoothLine(context, way.map((place) => field.toScreen(place)));
    }
    context.globalAlpha = 1;
  }

  run() {
    clearInterval(this.timer);
    if (!document.hidden) this.timer = setInterval(() => this.step(), STEP_MS);
  }

  step() {
    if (!this.goal) return;
    const [dx, dy] = [this.goal[0] - this.head[0], this.goal[1] - this.head[1]];
    this.head[0] += 0.2 * dx;
    this.head[1] += 0.2 * dy;
    const now = performance.now() / 1000;
    const last = this.trail.at(-1);
    if (!last || Math.hypot(this.head[0] - last[1], this.head[1] - last[2]) > 0.002) {
      this.trail.push([now, ...this.head]);
    }
    while (this.trail.length && this.trail[0][0] < now - TRAIL_S) this.trail.shift();
    this.draw(now);
  }

  draw(now = performance.now() / 1000) {
    const context = this.moving.getContext("2d");
    context.clearRect(0, 0, innerWidth, innerHeight);
    context.save();
    aboveGround(context, innerWidth, horizonLine(innerHeight));
    const colours = tokens();
    this.drawTrail(context, colours, now);
    this.letters = [];
    const named = Object.entries(this.song.sounds).map(([letter, place]) => [letter, field.toScreen(place)]);
    const mean = (axis) => named.reduce((sum, each) => sum + each[1][axis], 0) / named.length;
    const middle = [mean(0), mean(1)];
    for (const [letter, place] of named) this.drawNamed(context, colours, letter, place, middle);
    if (this.head) this.drawHead(context, colours, now);
    for (const mark of this.marks) mark(context, colours);
    context.restore();
  }

  drawTrail(context, { accent }, now) {
    context.strokeStyle = accent;
    context.lineCap = "round";
    for (let i = 1; i < this.trail.length; i++) {
      const [at, ...to] = this.trail[i];
      const from = this.trail[i - 1].slice(1);
      const share = 1 - (now - at) / TRAIL_S;
      context.globalAlpha = 0.85 * share ** 2;
      context.lineWidth = 0.8 + 1.4 * share;
      context.beginPath();
      context.moveTo(...field.toScreen(from));
      context.lineTo(...field.toScreen(to));
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  drawNamed(context, { ink, accent, ground }, letter, [x, y], middle) {
    const here = letter === this.symbol;
    const reach = here ? 9 : 6;
    context.fillStyle = here ? accent : ink;
    context.beginPath();
    for (let i = 0; i < 8; i++) {
      const radius = i % 2 ? reach * 0.22 : reach;
      const angle = (i * Math.PI) / 4;
      context.lineTo(x + radius * Math.sin(angle), y - radius * Math.cos(angle));
    }
    context.fill();
    context.font = `${here ? 600 : 500} 13px ui-sans-serif, system-ui, sans-serif`;
    context.lineWidth = 4;
    context.lineJoin = "round";
    context.strokeStyle = ground;
    const [tx, ty] = this.placeLetter([x, y], middle);
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.strokeText(letter, tx, ty);
    context.fillText(letter, tx, ty);
  }

  // A letter stands away from the other four sounds, and from their letters.
  placeLetter([x, y], middle) {
    let angle = Math.atan2(y - middle[1], x - middle[0]);
    let place = [x, y];
    for (let turn = 0; turn < 8; turn++) {
      place = [x + 17 * Math.cos(angle), y + 17 * Math.sin(angle)];
      if (this.letters.every(([lx, ly]) => Math.hypot(lx - place[0], ly - place[1]) > 15)) break;
      angle += 0.8;
    }
    this.letters.push(place);
    return place;
  }

  // The head, and the wiggle as a coil around it: as wide as it is set, turning as slowly.
  drawHead(context, { accent, ink }, now) {
    const [x, y] = field.toScreen(this.head);
    const amount = this.session.value("/latent/wiggle/amount")?.[0] ?? 0;
    const rate = this.session.value("/latent/wiggle/rate")?.[0] ?? 0;
    const glow = context.createRadialGradient(x, y, 0, x, y, 34);
    glow.addColorStop(0, accent);
    const [red, green, blue] = channels(accent);
    glow.addColorStop(1, `rgb(${red} ${green} ${blue} / 0)`);
    context.globalAlpha = isDark() ? 0.42 : 0.28;
    context.fillStyle = glow;
    context.beginPath();
    context.arc(x, y, 34, 0, 2 * Math.PI);
    context.fill();
    context.strokeStyle = accent;
    context.lineWidth = 1;
    context.globalAlpha = 0.75;
    context.beginPath();
    const radius = 4 + 11 * Math.min(1.5, amount);
    const turn = isStill() ? 0 : 2 * Math.PI * Math.min(rate, 0.2) * now;
    for (let i = 0; i <= 90; i++) {
      const share = i / 90;
      const angle = turn - 3 * 2 * Math.PI * (1 - share);
      const out = radius * share;
      context.lineTo(x + out * Math.cos(angle), y + 0.72 * out * Math.sin(angle));
    }
    if (amount > 0.01) context.stroke();
    context.globalAlpha = 1;
    context.fillStyle = isDark() ? "#fff" : ink;
    context.beginPath();
    context.arc(x, y, 3.4, 0, 2 * Math.PI);
    context.fill();
  }
}

// A map that is near reaches beyond the horizon; it is not seen there.
function aboveGround(context, width, foot) {
  context.beginPath();
  context.rect(0, 0, width, foot);
  context.clip();
}

// Where the sky ends, in pixels from the top.
export function horizonLine(height) {
  const bare = document.body.classList.contains("bare");
  const foot = bare ? 0 : 64; // of the keys
  return height - foot - Math.max(64, Math.min(150, 0.15 * height));
}

function smoothLine(context, points) {
  context.beginPath();
  context.moveTo(...points[0]);
  for (let i = 1; i < points.length - 1; i++) {
    const [x, y] = points[i];
    const [nx, ny] = points[i + 1];
    context.quadraticCurveTo(x, y, 0.5 * (x + nx), 0.5 * (y + ny));
  }
  context.lineTo(...points.at(-1));
  context.stroke();
}

export let sky = null;

export function start(session) {
  sky = new Sky(session);
  window.addEventListener("latent-bare", () => sky.resize());
  return sky.start();
}

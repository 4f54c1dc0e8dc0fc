// The map under the hand: a click hears a sound, a drag steers the music to it, and a
// sound file dropped on the map shows where the model hears it.

import { audition } from "./audition.js";
import { Legend, inWords } from "./legend.js";
import { button, isTyping } from "./transport.js";
import { MEASURES, field, sky } from "./sky.js";
import { Zoom } from "./zoom.js";

const DRAG_PX = 8;
const CLOSE = "M7 7l10 10M17 7L7 17";
const AWAY_PX = 18; // of the card from its sound
const KEYS_PX = 80; // at the foot, that are kept free

class Space {
  constructor(session) {
    this.session = session;
    this.chosen = null; // {place, like, index, words}
    this.pull = null; // where a drag has come to, in pixels
  }

  start() {
    this.surface = document.createElement("button");
    this.surface.className = "surface";
    this.surface.type = "button";
    this.surface.setAttribute("aria-label",
      "Map of sounds. Arrow keys move between them, Enter hears one, G goes there, "
      + "Z and shift Z bring the map nearer and farther.");
    this.words = document.createElement("p");
    this.words.className = "words";
    this.words.setAttribute("role", "status");
    this.card = document.createElement("div");
    this.card.className = "found";
    this.card.hidden = true;
    this.go = this.key("Go there", () => this.steer());
    this.hear = this.key("Hear", () => this.chosen && this.play(this.chosen.like));
    const close = button("Close", CLOSE, () => this.forget());
    close.classList.add("stroked", "close");
    this.card.append(this.words, close, this.hear, this.go);
    this.tools = document.createElement("div");
    this.tools.className = "tools";
    this.colour = this.key("", () => this.nextColour());
    this.open = this.key("Place a sound", () => this.file.click());
    this.free = this.key("Leave this place", () => this.session.send("/latent/like"));
    this.bare = this.key("Sky only", () => this.toggleBare(), "f");
    this.all = this.key("Whole map", () => this.zoom.whole(), "0");
    this.all.hidden = true;
    this.file = document.createElement("input");
    this.file.type = "file";
    this.file.accept = "audio/*,.flac,.ogg,.opus,.aiff";
    this.file.hidden = true;
    this.tools.append(this.free, this.colour, this.open, this.bare, this.all, this.file);
    this.legend = new Legend(this.colour);
    const head = document.querySelector("#sky .head");
    head.before(this.surface);
    head.append(this.tools);
    head.after(this.card);
    this.legend.show(sky.measure);
    this.zoom = new Zoom(this.surface, field, {
      looked: () => this.looked(),
      taken: () => this.letGo(),
      middle: () => field.toScreen(this.chosen?.place ?? sky.head ?? [0, 0]),
    });
    this.listen();
    sky.marks.push((context, colours) => this.draw(context, colours));
  }

  key(name, act, letter = "") {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = name;
    made.addEventListener("click", act);
    if (letter) {
      made.title = `${name} (${letter})`;
      made.setAttribute("aria-keyshortcuts", letter);
    }
    return made;
  }

  listen() {
    const surface = this.surface;
    surface.addEventListener("pointerdown", (event) => this.press(event));
    surface.addEventListener("pointermove", (event) => this.moved(event));
    surface.addEventListener("pointerup", (event) => this.release(event));
    surface.addEventListener("pointercancel", () => this.letGo());
    surface.addEventListener("pointerleave", () => { this.hovered = -1; sky.draw(); });
    surface.addEventListener("keydown", (event) => this.typed(event));
    addEventListener("keydown", (event) => {
      if (isTyping(event)) return;
      if (event.key === "f") this.toggleBare();
      else if (event.key === "Escape" && document.body.classList.contains("bare")) this.toggleBare();
    });
    this.file.addEventListener("change", () => {
      if (this.file.files[0]) this.takeFile(this.file.files[0]);
      this.file.value = "";
    });
    const body = document.body;
    addEventListener("dragover", (event) => { event.preventDefault(); body.classList.add("over"); });
    addEventListener("dragleave", (event) => { if (!event.relatedTarget) body.classList.remove("over"); });
    addEventListener("drop", (event) => {
      event.preventDefault();
      body.classList.remove("over");
      const file = event.dataTransfer?.files?.[0];
      if (file) this.takeFile(file);
    });
    addEventListener("latent-space", () => this.legend.show(sky.measure));
    this.session.on("/latent/song/like", (like) => { this.free.hidden = !like; });
    this.session.on("/page/may-change", (may) => {
      this.open.hidden = !may;
      this.go.hidden = !may;
    });
  }

  // The view has changed.
  looked() {
    this.all.hidden = field.zoom === 1;
    this.hovered = -1;
    if (this.chosen && !this.card.hidden) this.lay();
    sky.look();
  }

  press(event) {
    if (event.button || !field.n || this.zoom.isBusy) return;
    this.surface.setPointerCapture(event.pointerId);
    this.from = [event.clientX, event.clientY];
    this.pull = null;
  }

  moved(event) {
    if (this.zoom.isBusy) return;
    if (!this.from) {
      this.hover(event.clientX, event.clientY);
      return;
    }
    const [x, y] = [event.clientX, event.clientY];
    const far = Math.hypot(x - this.from[0], y - this.from[1]) > DRAG_PX;
    if ((far || this.pull) && this.session.mayChange) {
      const { index } = field.nearest(x, y);
      this.pull = { x, y, index };
      sky.draw();
    }
  }

  hover(x, y) {
    if (!field.n) return;
    const { index, away } = field.nearest(x, y);
    const near = away < 16 ? index : -1;
    if (near !== this.hovered) {
      this.hovered = near;
      this.surface.style.cursor = near >= 0 ? "pointer" : "crosshair";
      sky.draw();
    }
  }

  async release(event) {
    const [from, pull] = [this.from, this.pull];
    this.letGo();
    if (!from || !field.n) return;
    if (document.body.classList.contains("bare") && !pull) { this.toggleBare(); return; }
    const { index } = pull ?? field.nearest(event.clientX, event.clientY);
    this.hovered = -1;
    await this.choose(index, !pull);
    if (pull) this.steer();
  }

  letGo() {
    this.from = this.pull = null;
    sky.draw();
  }

  async typed(event) {
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const way = ways[event.key];
    if (way && field.n) {
      event.preventDefault();
      const at = this.chosen?.index ?? this.nearHead();
      const next = field.neighbour(at, ...way);
      if (field.show(field.place(next))) this.looked();
      await this.choose(next, false);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (!this.chosen) await this.choose(this.nearHead(), true);
      else this.play(this.chosen.like);
    } else if (event.key === "g" && this.chosen) {
      this.steer();
    } else if (event.key === "Escape") {
      this.forget();
    }
  }

  forget() {
    this.chosen = null;
    this.card.hidden = true;
    sky.draw();
  }

  nearHead() {
    const place = sky.head ?? [0, 0];
    return field.nearest(...field.toScreen(place)).index;
  }

  async choose(index, isHeard) {
    const place = field.place(index);
    this.chosen = { index, place, like: "" };
    sky.draw();
    const answer = await this.tried(this.session.fetch(`/api/space/sounds/${index}`));
    if (!answer || this.chosen?.index !== index) return;
    const sound = await answer.json();
    this.show({ index, place, like: sound.like, words: MEASURES.map((name) => `${name} ${inWords(name, sound[name])}`).join(" · ") });
    if (isHeard) await this.play(sound.like);
  }

  show(chosen) {
    this.chosen = chosen;
    this.words.textContent = chosen.words;
    this.card.hidden = false;
    this.lay();
    sky.draw();
  }

  // The card stands beside its sound; where the screen is too narrow, under or over it.
  lay() {
    const [x, y] = field.toScreen(this.chosen.place);
    const { width, height } = this.card.getBoundingClientRect();
    const foot = innerHeight - KEYS_PX;
    let [left, top] = [x + AWAY_PX, y - height / 2];
    if (left + width > innerWidth - 8) left = x - AWAY_PX - width;
    if (left < 8) {
      left = x - width / 2;
      top = y + AWAY_PX + height < foot ? y + AWAY_PX : y - AWAY_PX - height;
    }
    this.card.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
    this.card.style.top = `${Math.max(8, Math.min(top, foot - height))}px`;
  }

  play(like) {
    return this.tried(audition(this.session, like));
  }

  async steer() {
    if (!this.chosen?.like) return;
    this.session.send("/latent/like", this.chosen.like);
    this.words.textContent = "The music goes there.";
    const { chosen } = this;
    setTimeout(() => { if (this.chosen === chosen) this.forget(); }, 2500);
  }

  async takeFile(file) {
    this.session.tell?.("/page/notice", [`Listening to ${file.name}`]);
    const answer = await this.tried(
      this.session.fetch("/api/space/hear", { method: "POST", body: file }),
    );
    if (!answer) return;
    const { like, place } = await answer.json();
    this.show({ index: null, place, like, words: `${file.name} lies here.` });
    await this.play(like);
  }

  async tried(asked) {
    try {
      return await asked;
    } catch (error) {
      const notice = document.getElementById("notice");
      notice.textContent = error.message;
      setTimeout(() => { if (notice.textContent === error.message) notice.textContent = ""; }, 6000);
      return null;
    }
  }

  nextColour() {
    const next = (MEASURES.indexOf(sky.measure) + 1) % MEASURES.length;
    sky.colourBy(MEASURES[next]);
    this.legend.show(sky.measure);
  }

  toggleBare() {
    this.chosen = null;
    this.card.hidden = true;
    document.body.classList.toggle("bare");
    dispatchEvent(new Event("latent-bare"));
  }

  draw(context, { accent, ink }) {
    if (document.body.classList.contains("bare")) return;
    context.lineWidth = 1.2;
    if (this.pull && sky.head) {
      const goal = field.toScreen(field.place(this.pull.index));
      context.strokeStyle = accent;
      context.setLineDash([2, 6]);
      context.beginPath();
      context.moveTo(...field.toScreen(sky.head));
      context.lineTo(...goal);
      context.stroke();
      context.setLineDash([]);
      ring(context, goal, 10, ink);
    }
    if (this.hovered >= 0 && !this.pull) {
      ring(context, field.toScreen(field.place(this.hovered)), 6, accent);
    }
    if (this.chosen) ring(context, field.toScreen(this.chosen.place), 9, ink);
  }
}

function ring(context, [x, y], radius, colour) {
  context.strokeStyle = colour;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.stroke();
}

export function start(session) {
  new Space(session).start();
}

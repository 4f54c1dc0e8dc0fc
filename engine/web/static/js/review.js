// Review of an album: its songs one after another, kept, cut or named by a key or a touch.
//
// The decisions are those of `latent album review`: each is on the disk before the next.

import { clock } from "./playing.js";
import { onTheme, tokens } from "./palette.js";
import { painted } from "./song-picture.js";
import { isTyping } from "./transport.js";

const SEEK_S = 10;

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

class Review {
  constructor(session) {
    this.session = session;
    this.album = null; // id
    this.songs = [];
    this.place = 0;
    this.audio = new Audio();
    this.audio.preload = "auto";
    this.pictures = new Map();
  }

  start() {
    this.build();
    this.open = element("button", "", "Albums");
    this.open.type = "button";
    this.open.hidden = true;
    this.open.title = "Albums (a)";
    this.open.setAttribute("aria-keyshortcuts", "a");
    this.open.addEventListener("click", () => this.enter());
    document.querySelector("#sky .tools").prepend(this.open);
    this.session.on("/page/may-change", (may) => { if (may) this.look(); });
    addEventListener("keydown", (event) => this.typed(event), true);
    addEventListener("resize", () => this.draw());
    onTheme(() => this.draw());
    this.audio.addEventListener("timeupdate", () => this.draw());
    this.audio.addEventListener("play", () => this.nameKeys());
    this.audio.addEventListener("pause", () => this.nameKeys());
    this.audio.addEventListener("ended", () => this.nameKeys());
    if (location.hash === "#albums") this.session.ready.then(() => this.enter());
  }

  build() {
    const dialog = element("dialog", "review");
    dialog.setAttribute("aria-label", "Review of an album");
    this.choice = document.createElement("select");
    this.choice.setAttribute("aria-label", "Album");
    this.choice.addEventListener("change", () => this.take(this.choice.value));
    this.counts = element("p", "counts");
    this.counts.setAttribute("role", "status");
    const close = this.key("Close", () => this.leave(), "Escape");
    const top = element("header", "");
    top.append(this.choice, this.counts, close);

    this.title = element("h2", "title");
    this.verdict = element("p", "verdict");
    this.about = element("p", "about");
    this.canvas = element("canvas", "picture");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "slider");
    this.canvas.setAttribute("aria-label", "Place in the song");
    this.canvas.setAttribute("aria-valuemin", "0");
    for (const kind of ["pointerdown", "pointermove"]) {
      this.canvas.addEventListener(kind, (event) => {
        if (event.buttons & 1) this.seekTo(event.offsetX / this.canvas.clientWidth);
      });
    }
    this.time = element("p", "time");

    this.before = this.key("Back", () => this.move(-1), ",");
    this.playing = this.key("Play", () => this.toggle(), "p");
    this.after = this.key("Next", () => this.move(1), ".");
    this.keeping = this.key("Keep", () => this.decide({ kept: true }, 1), "k");
    this.cutting = this.key("Cut", () => this.decide({ kept: false }, 1), "c");
    this.naming = this.key("Name", () => this.askName(), "n");
    this.undoing = this.key("Undo", () => this.decide({ undo: true }), "u");
    const keys = element("nav", "keys");
    keys.setAttribute("aria-label", "Decisions");
    keys.append(this.before, this.playing, this.after, this.keeping, this.cutting, this.naming, this.undoing);

    this.form = element("form", "naming");
    this.form.hidden = true;
    this.field = document.createElement("input");
    this.field.maxLength = 120;
    this.field.setAttribute("aria-label", "Name of the song");
    this.field.autocomplete = "off";
    const give = element("button", "", "Give this name");
    this.form.append(this.field, give);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.giveName();
    });

    this.list = element("ol", "songs");
    dialog.append(top, this.title, this.verdict, this.about, this.canvas, this.time, keys, this.form, this.list);
    document.body.append(dialog);
    dialog.addEventListener("close", () => { this.audio.pause(); });
    this.dialog = dialog;
  }

  key(name, act, letter) {
    const made = element("button", "", name);
    made.type = "button";
    made.title = `${name} (${letter})`;
    made.setAttribute("aria-keyshortcuts", letter);
    made.addEventListener("click", act);
    return made;
  }

  async look() {
    const { albums } = await this.asked("/api/albums") ?? { albums: [] };
    this.open.hidden = !albums.length;
    this.choice.replaceChildren(...albums.map(({ id, name }) => new Option(name, id)));
    return albums;
  }

  async enter() {
    const albums = await this.look();
    if (!albums.length || this.dialog.open) return;
    this.dialog.showModal();
    await this.take(this.album ?? albums[0].id);
    this.canvas.focus();
  }

  leave() {
    this.dialog.close();
  }

  async take(album) {
    const told = await this.asked(`/api/albums/${album}`);
    if (!told) return;
    this.album = album;
    this.choice.value = album;
    this.tell(told);
    const open = this.songs.findIndex((song) => song.kept === null);
    this.show(Math.max(0, open));
  }

  tell(told) {
    this.songs = told.songs;
    this.counts.textContent = `${told.kept} kept, ${told.cut} cut, ${told.undecided} open`;
    this.list.replaceChildren(...this.songs.map((song, place) => {
      const row = element("li", "");
      const state = song.kept === null ? "open" : song.kept ? "kept" : "cut";
      const made = element("button", state, song.name || String(song.number));
      made.type = "button";
      made.setAttribute("aria-label", `Song ${song.number}, ${state}${song.name ? `, ${song.name}` : ""}`);
      if (place === this.place) made.setAttribute("aria-current", "true");
      made.addEventListener("click", () => this.show(place, true));
      row.append(made);
      return row;
    }));
  }

  get song() {
    return this.songs[this.place];
  }

  show(place, isAsked = false) {
    if (!this.songs.length) return;
    const wasPlaying = !this.audio.paused || isAsked;
    this.place = Math.min(Math.max(0, place), this.songs.length - 1);
    const song = this.song;
    const token = this.session.token ? `?token=${encodeURIComponent(this.session.token)}` : "";
    const source = `/api/albums/${this.album}/songs/${song.number}.flac${token}`;
    if (this.audio.getAttribute("src") !== source) {
      this.audio.setAttribute("src", source);
      if (wasPlaying) this.audio.play().catch(() => this.nameKeys());
    }
    this.describe();
    this.fetchPicture(song.number);
    this.form.hidden = true;
  }

  describe() {
    const song = this.song;
    this.title.textContent = song.name || `Song ${song.number}`;
    this.verdict.textContent = song.kept === null ? "open" : song.kept ? "kept" : "cut";
    this.verdict.className = `verdict ${this.verdict.textContent}`;
    this.about.textContent = [
      `${this.place + 1} of ${this.songs.length}`, song.preset, song.key.replace("#", "♯"), song.pattern, `${song.lufs} LUFS`,
      ...(song.aside.length ? [`set aside: ${song.aside.join("; ")}`] : []),
    ].join("  ·  ");
    for (const [i, row] of [...this.list.children].entries()) {
      row.firstChild.toggleAttribute("aria-current", false);
      if (i === this.place) row.firstChild.setAttribute("aria-current", "true");
    }
    this.list.children[this.place]?.scrollIntoView({ block: "nearest", inline: "center" });
    this.nameKeys();
  }

  nameKeys() {
    this.playing.textContent = this.audio.paused || this.audio.ended ? "Play" : "Pause";
    this.draw();
  }

  async fetchPicture(number) {
    const name = `${this.album}/${number}`;
    if (!this.pictures.has(name)) {
      const told = await this.asked(`/api/albums/${this.album}/songs/${number}`);
      if (!told) return;
      this.pictures.set(name, {
        seconds: told.seconds, columns: told.columns, rows: told.rows,
        levels: Uint8Array.from(atob(told.levels), (letter) => letter.charCodeAt(0)),
      });
    }
    if (this.song?.number === number) this.draw();
  }

  get picture() {
    return this.pictures.get(`${this.album}/${this.song?.number}`);
  }

  get seconds() {
    return this.picture?.seconds || this.audio.duration || 0;
  }

  seekTo(share) {
    if (this.seconds) this.audio.currentTime = Math.min(Math.max(0, share), 0.999) * this.seconds;
    this.draw();
  }

  toggle() {
    if (this.audio.paused) this.audio.play().catch((error) => this.complain(error));
    else this.audio.pause();
  }

  move(by) {
    this.show(this.place + by);
  }

  // Make a decision; the next song comes when it is on the disk.
  async decide(decision, by = 0) {
    if (this.deciding || !this.song) return false;
    this.deciding = true;
    try {
      const body = JSON.stringify(decision.undo ? decision : { song: this.song.number, ...decision });
      const told = await this.asked(`/api/albums/${this.album}`, { method: "POST", body });
      if (!told) return false;
      this.tell(told);
      const undone = this.songs.findIndex((song) => song.number === told.undone);
      this.show(undone >= 0 ? undone : this.place + by);
      return true;
    } finally {
      this.deciding = false;
    }
  }

  askName() {
    this.form.hidden = false;
    this.field.value = this.song.name;
    this.field.focus();
    this.field.select();
  }

  async giveName() {
    const name = this.field.value.trim();
    if (name && !(await this.decide({ name }))) return;
    this.form.hidden = true;
    this.canvas.focus();
  }

  // While the review is open the keys are its own.
  typed(event) {
    if (!this.dialog.open) {
      if (event.key === "a" && !isTyping(event) && !this.open.hidden) this.enter();
      return;
    }
    event.stopImmediatePropagation();
    if (isTyping(event)) {
      if (event.key === "Escape" && !this.form.hidden) {
        event.preventDefault();
        this.form.hidden = true;
        this.canvas.focus();
      }
      return;
    }
    const isButton = event.target.matches?.("button");
    const acts = {
      p: () => this.toggle(),
      " ": isButton ? null : () => this.toggle(),
      k: () => this.decide({ kept: true }, 1),
      c: () => this.decide({ kept: false }, 1),
      n: () => this.askName(),
      u: () => this.decide({ undo: true }),
      ",": () => this.move(-1),
      ".": () => this.move(1),
      ArrowUp: () => this.move(-1),
      ArrowDown: () => this.move(1),
      ArrowLeft: () => this.seekTo((this.audio.currentTime - SEEK_S) / this.seconds),
      ArrowRight: () => this.seekTo((this.audio.currentTime + SEEK_S) / this.seconds),
      q: () => this.leave(),
    };
    if (acts[event.key]) {
      event.preventDefault();
      acts[event.key]();
    }
  }

  async asked(path, options) {
    try {
      return await (await this.session.fetch(path, options)).json();
    } catch (error) {
      this.complain(error);
      return null;
    }
  }

  complain(error) {
    this.counts.textContent = error.message;
  }

  draw() {
    if (!this.dialog.open) return;
    const scale = Math.min(2, devicePixelRatio || 1);
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (this.canvas.width !== Math.round(width * scale)) this.canvas.width = Math.round(width * scale);
    if (this.canvas.height !== Math.round(height * scale)) this.canvas.height = Math.round(height * scale);
    const context = this.canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    const { picture } = this;
    const share = this.seconds ? this.audio.currentTime / this.seconds : 0;
    if (picture) {
      context.imageSmoothingQuality = "high";
      context.drawImage(painted(picture), 0, 0, width, height);
    }
    const { ink } = tokens();
    context.fillStyle = ink;
    context.fillRect(Math.round(share * (width - 2)), 0, 2, height);
    this.time.textContent = `${clock(this.audio.currentTime)} / ${clock(this.seconds)}`;
    this.canvas.setAttribute("aria-valuemax", String(Math.round(this.seconds)));
    this.canvas.setAttribute("aria-valuenow", String(Math.round(this.audio.currentTime)));
    this.canvas.setAttribute("aria-valuetext", this.time.textContent);
  }
}

export function start(session) {
  new Review(session).start();
}

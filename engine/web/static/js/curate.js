// The page of `latent corpus curate`: a card for each clip, swiped or keyed away.

import { ClipSound } from "./clip-sound.js";
import { spectrumInTime } from "./clip-picture.js";

const SWIPE_PX = 80;
const COLUMNS = 240;
const ROWS = 96;
const byId = (id) => document.getElementById(id);
const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";

class Curation {
  constructor() {
    this.state = null;
    this.busy = false;
    this.whole = null; // the element that plays the whole song
    this.sound = new ClipSound(async (id) =>
      (await this.asked(`/api/curation/clips/${id}`)).arrayBuffer());
  }

  async begin() {
    this.keys = {};
    for (const [name, label, key, act] of [
      ["reject", "Reject", "ArrowLeft", () => this.decide("reject")],
      ["undo", "Undo", "u", () => this.decide("undo")],
      ["pause", "Pause", "Space", () => this.pause()],
      ["song", "Whole song", "w", () => this.playSong()],
      ["keep", "Keep", "ArrowRight", () => this.decide("keep")],
    ]) {
      this.keys[name] = this.button(byId("keys"), label, key, act);
      this.keys[name].className = `${name}-clip`;
    }
    addEventListener("keydown", (event) => this.typed(event));
    this.listenForSwipes();
    const start = byId("start");
    start.querySelector("button").addEventListener("click", () => start.close());
    start.addEventListener("close", () => {
      this.sound.start();
      this.hear();
    });
    await this.told(() => this.asked("/api/curation"));
    start.showModal();
  }

  button(parent, label, key, act) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = label;
    made.title = `${label} (${key.replace("Arrow", "").toLowerCase()})`;
    made.setAttribute("aria-keyshortcuts", key);
    made.addEventListener("click", act);
    parent.append(made);
    return made;
  }

  typed(event) {
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || byId("start").open) return;
    const reason = this.state?.reasons[Number(event.key) - 1];
    if (event.key === "ArrowRight") this.decide("keep");
    else if (event.key === "ArrowLeft") this.decide("reject");
    else if (reason) this.decide("reject", reason);
    else if (event.key === "u") this.decide("undo");
    else if (event.key === "w") this.playSong();
    else if (event.key === " ") this.pause();
    else return;
    event.preventDefault();
  }

  listenForSwipes() {
    const card = byId("card");
    let from = null;
    const moved = (event) => (from === null ? 0 : event.clientX - from);
    card.addEventListener("pointerdown", (event) => {
      from = event.clientX;
      card.setPointerCapture(event.pointerId);
    });
    card.addEventListener("pointermove", (event) => {
      const by = moved(event);
      card.style.transform = by ? `translateX(${by}px) rotate(${by / 60}deg)` : "";
      card.classList.toggle("keeps", by > SWIPE_PX);
      card.classList.toggle("rejects", by < -SWIPE_PX);
    });
    const end = (event) => {
      const by = event.type === "pointerup" ? moved(event) : 0;
      from = null;
      card.style.transform = "";
      card.classList.remove("keeps", "rejects");
      if (Math.abs(by) > SWIPE_PX) this.decide(by > 0 ? "keep" : "reject");
    };
    card.addEventListener("pointerup", end);
    card.addEventListener("pointercancel", end);
  }

  async decide(verdict, reason = "") {
    const clip = this.state?.upcoming[0];
    if (this.busy || (clip === undefined && verdict !== "undo")) return;
    this.busy = true;
    const body = JSON.stringify(verdict === "undo" ? { verdict } : { clip, verdict, reason });
    await this.told(() => this.asked("/api/curation", { method: "POST", body }));
    this.busy = false;
  }

  // Asks, shows what came back, or says what went wrong and stays.
  async told(ask) {
    try {
      this.state = await (await ask()).json();
      byId("notice").textContent = "";
      this.show();
    } catch (error) {
      byId("notice").textContent = error.message;
    }
  }

  async asked(path, options = {}) {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    let answer;
    try {
      answer = await fetch(path, { ...options, headers });
    } catch {
      throw new Error("latent corpus curate does not answer; what was decided is safe");
    }
    if (!answer.ok) {
      const said = await answer.json().catch(() => ({}));
      throw new Error(said.error ?? `${answer.status}`);
    }
    return answer;
  }

  show() {
    const { clips, kept, rejected, a_minute: rate, reasons, upcoming, clip } = this.state;
    const progress = byId("progress");
    progress.max = Math.max(1, clips);
    progress.value = kept + rejected;
    byId("counts").textContent =
      `${(kept + rejected).toLocaleString()} of ${clips.toLocaleString()} decided, ` +
      `${rejected.toLocaleString()} rejected${rate ? `, ${rate} a minute` : ""}`;
    if (!byId("reasons").children.length) {
      reasons.forEach((reason, k) =>
        this.button(byId("reasons"), reason, `${k + 1}`, () => this.decide("reject", reason)));
    }
    for (const name of ["keep", "reject", "pause", "song"]) this.keys[name].disabled = !clip;
    for (const each of byId("reasons").children) each.disabled = !clip;
    document.body.dataset.clip = clip?.id ?? "";
    byId("title").textContent = clip ? clip.title : "Every clip is decided";
    byId("about").textContent = clip ? about(clip) : "";
    this.sound.prepare(upcoming);
    this.hear();
    this.draw(clip?.id);
  }

  async hear() {
    const id = this.state?.upcoming[0];
    this.endSong();
    if (id === undefined) return this.sound.stop();
    try {
      const buffer = await this.sound.clip(id);
      if (this.state.upcoming[0] === id && !byId("start").open) this.sound.play(buffer);
    } catch (error) {
      this.sound.stop();
      byId("notice").textContent = error.message;
    }
  }

  pause() {
    if (this.sound.playing || this.whole) {
      this.endSong();
      this.sound.stop();
    } else this.hear();
  }

  playSong() {
    const id = this.state?.upcoming[0];
    if (this.whole || id === undefined) return this.hear();
    this.sound.stop();
    const query = token ? `?token=${encodeURIComponent(token)}` : "";
    this.whole = new Audio(`/api/curation/songs/${id}${query}`);
    this.whole.addEventListener("error", () => {
      byId("notice").textContent = "the song is no longer where it was";
      this.hear();
    });
    this.whole.play().catch(() => {});
  }

  endSong() {
    this.whole?.pause();
    this.whole = null;
  }

  async draw(id) {
    const canvas = byId("picture");
    const context = canvas.getContext("2d");
    const buffer = id === undefined ? null : await this.sound.clip(id).catch(() => null);
    if (this.state.upcoming[0] !== id) return;
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!buffer) return;
    const levels = spectrumInTime(buffer, COLUMNS, ROWS);
    const [red, green, blue] = colour();
    const image = new ImageData(COLUMNS, ROWS);
    levels.forEach((level, k) => image.data.set([red, green, blue, 255 * level], 4 * k));
    const small = new OffscreenCanvas(COLUMNS, ROWS);
    small.getContext("2d").putImageData(image, 0, 0);
    context.drawImage(small, 0, 0, canvas.width, canvas.height);
  }
}

function about({ artist, start_s: start, chance, over_limit: suspicion }) {
  const parts = [];
  if (artist) parts.push(`by ${artist}`);
  if (typeof start === "number") parts.push(`at ${Math.floor(start / 60)}:${String(Math.floor(start % 60)).padStart(2, "0")}`);
  if (chance !== null) parts.push(`likely bad: ${Math.round(100 * chance)} %`);
  else if (suspicion) parts.push(`${Math.round(100 * suspicion)} % of a limit`);
  return parts.join(" · ");
}

// The accent's colour, as red, green and blue.
function colour() {
  const value = getComputedStyle(document.documentElement).getPropertyValue("--accent").trim();
  return [1, 3, 5].map((place) => parseInt(value.slice(place, place + 2), 16));
}

new Curation().begin();

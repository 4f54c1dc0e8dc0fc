// Keeping: record, the last minutes, likes, sleep, a song as a link and as a file.

import { make } from "./drawer.js";
import { listening } from "./listen.js";
import { button, isTyping } from "./transport.js";

const HEART = "M12 20s-7.5-4.6-7.5-10A4.3 4.3 0 0 1 12 7.2 4.3 4.3 0 0 1 19.5 10c0 5.4-7.5 10-7.5 10z";
const DOWN = "M7 4v10h4l1 6a2 2 0 0 0 2-2v-4h4.5a1.5 1.5 0 0 0 1.5-1.8l-1.2-6.7A1.8 1.8 0 0 0 17 4zM3.5 4h1v10h-1z";
const POLL_MS = 1500;
const MINUTES = [1, 5, 10, 30, 60];
const SLEEPS = [0, 15, 30, 45, 60, 90, 120];
const SHOWN = 6; // recordings in the list

export function start(session) {
  const notice = document.getElementById("notice");
  const say = (text) => {
    notice.textContent = text;
    clearTimeout(say.timer);
    say.timer = setTimeout(() => { if (notice.textContent === text) notice.textContent = ""; }, 8000);
  };
  const authorised = (path) => (session.token ? `${path}?token=${encodeURIComponent(session.token)}` : path);
  const worded = (text, act) => {
    const made = make("button", { type: "button", className: "acts worded", textContent: text });
    made.addEventListener("click", act);
    return made;
  };

  // Likes, in the row of keys.
  const like = button("Like this song", HEART, () => judge(1), "+");
  const dislike = button("Not this one", DOWN, () => judge(-1), "-");
  for (const each of [like, dislike]) {
    each.classList.add("stroked", "acts");
    each.setAttribute("aria-pressed", "false");
  }
  document.querySelector("#transport button:nth-child(2)").after(like, dislike);
  function judge(verdict) {
    session.send(verdict > 0 ? "/latent/verdict/like" : "/latent/verdict/dislike");
  }
  session.on("/latent/verdict/now", (verdict) => {
    like.setAttribute("aria-pressed", String(verdict > 0));
    dislike.setAttribute("aria-pressed", String(verdict < 0));
  });

  // The section of the drawer.
  const record = worded("Record", () => session.send(recording ? "/latent/record/stop" : "/latent/record/start"));
  record.setAttribute("aria-pressed", "false");
  let recording = false;
  session.on("/latent/record/active", (is) => {
    recording = is;
    record.setAttribute("aria-pressed", String(is));
    record.textContent = is ? "Stop recording" : "Record";
    list();
  });
  session.on("/latent/record/seconds", (seconds) => {
    if (recording) record.textContent = `Stop recording \u00b7 ${clock(seconds)}`;
  });

  const minutes = choice("keep-minutes", MINUTES, (n) => `${n} min`);
  minutes.value = 10;
  const keep = worded("Keep", async () => {
    const before = await recordings().catch(() => []);
    session.send("/latent/keep", 60 * Number(minutes.value));
    say(`Keeping the last ${minutes.value} minutes \u2026`);
    waitForNew(new Set(before.map((row) => row.id)));
  });

  const sleep = choice("sleep-minutes", SLEEPS, (n) => (n ? `in ${n} min` : "never"));
  sleep.addEventListener("change", () => session.send("/latent/sleep", Number(sleep.value)));
  const left = make("output", { htmlFor: "sleep-minutes" });
  session.on("/latent/sleep-remaining", (min) => {
    left.textContent = min > 0 ? `${Math.ceil(min)}\u00a0min left` : "";
    if (min <= 0) sleep.value = 0;
  });

  const copy = worded("Copy link to this song", copyCard);
  const download = worded("Download this song", downloadSong);
  const files = make("ul", { className: "files" });
  const section = make("section", { className: "keep" },
    make("h3", { textContent: "Keep" }),
    make("div", { className: "line" }, record),
    make("div", { className: "line" }, labelled("The last", minutes), keep),
    make("div", { className: "line" }, labelled("Sleep", sleep), left),
    make("div", { className: "line" }, copy, download),
    files,
  );
  document.querySelector("#drawer header").after(section);
  session.on("/page/may-change", (may) => {
    for (const each of document.querySelectorAll(".keep select, .acts")) each.disabled = !may;
    if (may) list();
  });

  async function recordings() {
    const answer = await session.fetch("/api/recordings");
    return (await answer.json()).recordings;
  }
  async function list() {
    if (!session.mayChange) return;
    const rows = await recordings().catch(() => []);
    files.replaceChildren(...rows.slice(0, SHOWN).map((row) => {
      const link = make("a", { href: authorised(`/api/recordings/${row.id}.flac`), download: row.name, textContent: row.name });
      return make("li", {}, link, make("span", { className: "text", textContent: ` ${(row.bytes / 1e6).toFixed(1)} MB` }));
    }));
  }
  async function waitForNew(known) {
    for (let tries = 0; tries < 400; tries++) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      const rows = await recordings().catch(() => []);
      const made = rows.find((row) => !known.has(row.id) && row.name.startsWith("kept-"));
      if (made) {
        say(`Kept: ${made.name}`);
        list();
        return;
      }
    }
  }

  // A song as a link: its card, after the hash, which browsers send to nobody.
  const card = () => session.value("/latent/song/card")?.[0] || "";
  async function copyCard() {
    const link = `${location.origin}/#card=${encode(card())}`;
    try {
      await navigator.clipboard.writeText(link);
      say("The link is copied: it plays this song on any Latent.");
    } catch {
      // Where the origin is insecure there is no clipboard but the old one.
      const field = make("textarea", { value: link, readOnly: true, className: "hidden" });
      document.body.append(field);
      field.select();
      const copied = document.execCommand("copy");
      field.remove();
      say(copied ? "The link is copied: it plays this song on any Latent." : link);
    }
  }
  async function downloadSong() {
    say("Rendering this song \u2026");
    const name = await rendered(card()).catch((error) => say(error.message));
    if (!name) return;
    const link = make("a", { href: authorised(`/api/songs/${name}.flac`), download: `latent-${name.slice(0, 8)}.flac` });
    document.body.append(link);
    link.click();
    link.remove();
    say("Downloaded, from its beginning to its end.");
  }
  async function rendered(text) {
    let answer = await session.fetch("/api/songs", { method: "POST", body: text });
    for (;;) {
      const song = await answer.json();
      if (song.state === "done") return song.id;
      if (song.state === "failed") throw new Error(song.text);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      answer = await session.fetch(`/api/songs/${song.id}`);
    }
  }

  // A link that was opened: its song waits for a click, since nothing sounds before one.
  function offer() {
    const given = new URLSearchParams(location.hash.slice(1)).get("card");
    if (!given) return;
    history.replaceState(null, "", location.pathname);
    const text = decode(given);
    const bar = make("section", { id: "song" });
    bar.setAttribute("aria-label", "A song from a link");
    const title = make("p", { textContent: text ? describe(text) : "This link holds no song." });
    const play = worded("Play it", async () => {
      play.disabled = true;
      play.textContent = "Rendering \u2026";
      try {
        const name = await rendered(text);
        if (listening.mode !== "off") listening.stop();
        const player = make("audio", { controls: true, src: authorised(`/api/songs/${name}.flac`) });
        play.replaceWith(player);
        player.focus();
        await player.play();
      } catch (error) {
        title.textContent = error.message;
        play.remove();
      }
    });
    const close = worded("Close", () => bar.remove());
    bar.append(title, ...(text ? [play] : []), close);
    document.body.append(bar);
    play.disabled = !session.mayChange;
    if (!session.mayChange) title.textContent += " It needs the token of this session.";
  }
  offer();
  addEventListener("hashchange", offer);

  session.on("/latent/error", (address, text) => {
    if (text) say(text[0].toUpperCase() + text.slice(1));
  });
  addEventListener("keydown", (event) => {
    if (isTyping(event)) return;
    if (event.key === "r") record.click();
    else if (event.key === "k") keep.click();
    else if (event.key === "+") judge(1);
    else if (event.key === "-") judge(-1);
    else return;
    event.preventDefault();
  });
}

function describe(text) {
  try {
    const card = JSON.parse(text);
    const length = clock(card.seconds);
    const title = card.title ? `\u201c${card.title}\u201d` : "A song from a link";
    return `${title}: ${card.preset || "no preset"}, ${card.key}, ${length}`;
  } catch {
    return "This link holds no song.";
  }
}

function clock(seconds) {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function choice(id, values, name) {
  const made = make("select", { id });
  for (const value of values) made.append(make("option", { value, textContent: name(value) }));
  return made;
}

function labelled(text, field) {
  return make("label", { htmlFor: field.id, className: "labelled" }, `${text} `, field);
}

function encode(text) {
  const bytes = new TextEncoder().encode(text);
  const binary = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function decode(text) {
  try {
    const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return new TextDecoder().decode(Uint8Array.from(binary, (c) => c.charCodeAt(0)));
  } catch {
    return "";
  }
}

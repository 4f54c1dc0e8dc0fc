// Listening in the page: live while it is seen, the radio's stream where live cannot be.
//
// A phone that is locked suspends what a page makes itself, but goes on with a stream: it
// is handed over, and taken back when the page is seen again.

import { LiveSound } from "./live.js";
import { button, isTyping, rename } from "./transport.js";

const PATHS = {
  off: "M4 9v6h4l5 4V5L8 9zM16 9.5l5 5m0-5l-5 5",
  on: "M4 9v6h4l5 4V5L8 9zM16 8.5a5 5 0 0 1 0 7M18.5 6a8.5 8.5 0 0 1 0 12",
};
const GIVE_UP_MS = 6000; // live sound that has not begun by then is a stream's matter

export const listening = { live: null, radio: null, mode: "off" };

export function start(session) {
  const isPhone = matchMedia("(hover: none) and (pointer: coarse)").matches;
  const radio = new Audio();
  radio.preload = "none";
  let mode = "off"; // off, live, radio
  let since = 0;
  let waits = false; // the stream ended, and is to be asked for again

  const live = new LiveSound((sounds) => {
    live.sounds = sounds;
    if (!sounds) since = performance.now();
  });
  Object.assign(listening, { live, radio, stop: () => choose("off") });

  const key = button("Listen here", PATHS.off, () => choose(mode === "off" ? best() : "off"), "l");
  key.classList.add("stroked");
  key.setAttribute("aria-pressed", "false");
  document.getElementById("transport").append(key);

  function best() {
    const canLive = "AudioContext" in window && "WebSocket" in window;
    return canLive && !(isPhone && document.hidden) ? "live" : "radio";
  }

  function choose(next) {
    if (next === mode) return;
    mode = listening.mode = next;
    since = performance.now();
    if (mode === "live") {
      live.start();
      quietly(() => anchor());
    } else {
      live.stop();
    }
    if (mode === "radio") {
      radio.loop = false;
      radio.src = `/stream.mp3?${Date.now()}`;
      radio.play().catch(() => choose("off"));
    } else if (mode === "off") {
      radio.pause();
      radio.removeAttribute("src");
      radio.load();
    }
    const on = mode !== "off";
    key.setAttribute("aria-pressed", String(on));
    key.querySelector("path").setAttribute("d", on ? PATHS.on : PATHS.off);
    rename(key, on ? "Stop listening here" : "Listen here");
    describe();
  }

  // The system shows a player, with keys and a picture, for an element that plays: one of
  // silence stands for the live sound.
  function anchor() {
    radio.loop = true;
    radio.src = silence();
    return radio.play();
  }

  document.addEventListener("visibilitychange", () => {
    if (mode !== "off" && isPhone) choose(best());
  });
  setInterval(() => {
    if (mode === "live" && !live.sounds && session.value("/page/session")?.[0]
        && performance.now() - since > GIVE_UP_MS) {
      choose("radio");
    }
  }, 1000);
  // The session has gone: the stream is asked for again when it is back.
  session.on("/page/session", (answers) => {
    if (!answers) return;
    since = performance.now();
    live.hasten();
    if (waits) again();
  });
  for (const end of ["error", "ended"]) {
    radio.addEventListener(end, () => {
      if (mode !== "radio") return;
      waits = true;
      setTimeout(() => { if (session.value("/page/session")?.[0]) again(); }, 1000);
    });
  }
  function again() {
    if (mode !== "radio" || !waits) return;
    waits = false;
    radio.src = `/stream.mp3?${Date.now()}`;
    radio.play().catch(() => {});
  }

  const media = navigator.mediaSession;
  function describe() {
    if (!media || !("MediaMetadata" in window)) return;
    const [title = "Latent"] = session.value("/latent/song/title") || [];
    const [preset = ""] = session.value("/latent/preset/name") || [];
    const [number = 0] = session.value("/latent/now") || [];
    const src = `/api/cover.png?song=${number}`;
    media.metadata = new MediaMetadata({
      title,
      artist: "Latent",
      album: preset,
      artwork: [{ src, sizes: "600x600", type: "image/png" }],
    });
    const [plays = true] = session.value("/latent/playing") || [];
    media.playbackState = mode === "off" ? "none" : plays ? "playing" : "paused";
  }
  const handlers = {
    play: () => session.send("/latent/play"),
    pause: () => session.send("/latent/pause"),
    nexttrack: () => session.send("/latent/next"),
    stop: () => choose("off"),
  };
  for (const [action, handler] of Object.entries(handlers)) {
    quietly(() => media?.setActionHandler(action, handler));
  }
  for (const address of ["song/title", "preset/name", "playing"]) {
    session.on(`/latent/${address}`, describe);
  }
  addEventListener("keydown", (event) => {
    if (event.key === "l" && !isTyping(event)) key.click();
  });
}

function quietly(act) {
  try {
    act()?.catch?.(() => {});
  } catch {
    // Not every browser has it, and nothing depends on it.
  }
}

// Ten seconds of silence as a WAV of 8 bits, in a blob.
let silent;
function silence() {
  if (silent) return silent;
  const rate = 8000;
  const n = 10 * rate;
  const bytes = new DataView(new ArrayBuffer(44 + n));
  const text = (at, word) => [...word].forEach((c, i) => bytes.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF");
  bytes.setUint32(4, 36 + n, true);
  text(8, "WAVEfmt ");
  bytes.setUint32(16, 16, true);
  bytes.setUint16(20, 1, true);
  bytes.setUint16(22, 1, true);
  bytes.setUint32(24, rate, true);
  bytes.setUint32(28, rate, true);
  bytes.setUint16(32, 1, true);
  bytes.setUint16(34, 8, true);
  text(36, "data");
  bytes.setUint32(40, n, true);
  new Uint8Array(bytes.buffer, 44).fill(128);
  silent = URL.createObjectURL(new Blob([bytes], { type: "audio/wav" }));
  return silent;
}

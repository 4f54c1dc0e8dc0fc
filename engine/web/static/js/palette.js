// Colours: the accent that follows from what plays, and the stars'.

const dark = matchMedia("(prefers-color-scheme: dark)");

const still = matchMedia("(prefers-reduced-motion: reduce)");

// Whether whoever looks wants little to move.
export function isStill() {
  return still.matches;
}

export function isDark() {
  return dark.matches;
}

export function onTheme(fn) {
  dark.addEventListener("change", fn);
}

function mixed(a, b, share) {
  return a + (b - a) * Math.min(1, Math.max(0, share));
}

// Hue of a pitch: low sounds are embers, high ones are ice; the way is by violet.
function hueOf(pitch) {
  return (mixed(40, -150, pitch) + 360) % 360;
}

// The accent of what plays. `pitch` and `brightness` are where its sounds stand among
// all sounds of the model, 0 to 1. Text in it has a contrast of 4.5 or more.
export function accentOf(pitch, brightness) {
  const hue = hueOf(1.6 * pitch - 0.3).toFixed(1);
  if (isDark()) {
    const light = mixed(0.74, 0.9, 1.5 * brightness - 0.25).toFixed(3);
    const chroma = mixed(0.14, 0.055, 1.5 * brightness - 0.25).toFixed(3);
    return `oklch(${light} ${chroma} ${hue})`;
  }
  const light = mixed(0.36, 0.47, brightness).toFixed(3);
  const chroma = mixed(0.12, 0.085, brightness).toFixed(3);
  return `oklch(${light} ${chroma} ${hue})`;
}

// Colours of stars from the least of a measure to the most.
export function starColours(n) {
  const night = isDark();
  return Array.from({ length: n }, (_, i) => {
    const share = i / (n - 1);
    const hue = hueOf(share).toFixed(1);
    const light = night ? mixed(0.66, 0.93, share) : mixed(0.3, 0.55, share);
    const chroma = night ? mixed(0.13, 0.05, share) : mixed(0.11, 0.1, share);
    return `oklch(${light.toFixed(3)} ${chroma.toFixed(3)} ${hue})`;
  });
}

let kept = null; // until one of them changes: asking costs more than drawing a line
dark.addEventListener("change", () => { kept = null; });

// The colours of the style sheet, as a canvas needs them.
export function tokens() {
  if (kept) return kept;
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  const found = { ground: of("--ground"), ink: of("--ink"), quiet: of("--quiet"), accent: of("--accent") };
  if (found.ground) kept = found;
  return found;
}

export function setAccent(accent) {
  document.documentElement.style.setProperty("--accent", accent);
  kept = null;
}

const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
probe.canvas.width = probe.canvas.height = 1;
const known = new Map();
const MOST_KNOWN = 64; // colours: each song has its own

// Red, green and blue of any colour, 0 to 255: a gradient to nothing needs them, since
// "transparent" is black.
export function channels(colour) {
  if (!known.has(colour)) {
    if (known.size >= MOST_KNOWN) known.clear();
    probe.clearRect(0, 0, 1, 1);
    probe.fillStyle = colour;
    probe.fillRect(0, 0, 1, 1);
    known.set(colour, [...probe.getImageData(0, 0, 1, 1).data.slice(0, 3)]);
  }
  return known.get(colour);
}

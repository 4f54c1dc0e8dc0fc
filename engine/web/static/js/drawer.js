// The drawer: every control of the table as what it is, by group; presets above them.

import { button, isTyping, rename } from "./transport.js";

const STEPS = 1000; // of a slider
const HELD_MS = 400; // a slider that was just moved is not moved back under the finger
const OPEN = "M4 7h9m5 0h2M4 12h3m5 0h8M4 17h9m5 0h2M15.5 5v4M9.5 10v4M15.5 15v4";
const TITLES = { rank: "Sounds preferred", song: "Song", sound: "Sound" };

export function toPosition(row, value) {
  if (row.curve === "log") return Math.log(value / row.low) / Math.log(row.high / row.low);
  return (value - row.low) / (row.high - row.low);
}

export function fromPosition(row, position) {
  if (row.curve === "log") return row.low * (row.high / row.low) ** position;
  return row.low + position * (row.high - row.low);
}

export function shown(row, value) {
  if (typeof value === "boolean") return value ? "on" : "off";
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 || size === 0 ? 2 : 3;
  const text = String(Number(value.toFixed(digits))).replace("-", "\u2212");
  return row.unit ? `${text}\u00a0${row.unit}` : text;
}

export function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const labelOf = (row) => {
  const last = row.name.split("/").pop();
  return last[0].toUpperCase() + last.slice(1);
};

export function start(session) {
  const drawer = document.getElementById("drawer");
  const key = button("Controls", OPEN, () => toggle(), "c");
  key.classList.add("stroked", "last");
  key.setAttribute("aria-expanded", "false");
  key.setAttribute("aria-controls", "drawer");
  document.getElementById("transport").append(key);

  const close = button("Close the controls", "M6 6l12 12M18 6L6 18", () => toggle(false), "Escape");
  close.classList.add("stroked");
  drawer.append(make("header", {}, make("h2", { textContent: "Controls" }), close));
  drawer.append(make("p", {
    className: "text only",
    textContent: "This page listens. To change something, open the address with the token "
      + "that Latent shows where it runs.",
  }));
  drawer.append(presets(session));
  const groups = new Map();
  for (const row of session.controls) {
    if (!groups.has(row.group)) groups.set(row.group, []);
    groups.get(row.group).push(row);
  }
  for (const [name, rows] of groups) drawer.append(group(session, name, rows));

  function toggle(open = drawer.hidden) {
    drawer.hidden = !open;
    document.body.classList.toggle("drawn", open);
    key.setAttribute("aria-expanded", String(open));
    rename(key, open ? "Close the controls" : "Controls");
    if (open) close.focus({ preventScroll: true });
    else key.focus();
  }

  const lock = (may) => {
    for (const each of drawer.querySelectorAll("input, select, .acts")) each.disabled = !may;
  };
  session.on("/page/may-change", lock);
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !drawer.hidden) toggle(false);
    else if (event.key === "c" && !isTyping(event)) toggle();
    else return;
    event.preventDefault();
  });
}

function group(session, name, rows) {
  const title = TITLES[name] || name[0].toUpperCase() + name.slice(1);
  const body = make("div", { className: "rows" });
  for (const row of rows) body.append(control(session, row));
  const details = make("details", { open: ["master", "sound", "wiggle"].includes(name) });
  details.append(make("summary", {}, make("h3", { textContent: title })), body);
  return details;
}

// One control; its parts are linked by ids made of its name.
function control(session, row) {
  const id = `c-${row.name.replaceAll("/", "-")}`;
  const field = row.type === "T" ? toggleField(row) : row.type === "s" ? choiceField(row) : rangeField(row);
  field.input.id = id;
  field.input.setAttribute("aria-describedby", `${id}-text`);
  const label = make("label", { htmlFor: id, textContent: labelOf(row) });
  const output = make("output", { htmlFor: id });
  const text = make("p", { id: `${id}-text`, className: "text", textContent: row.text });
  const box = make("div", { className: `control ${row.type === "f" ? "range" : "pick"}` });
  box.dataset.name = row.name;
  box.append(label, output, field.input, text);
  if (field.ghost) box.append(field.ghost);

  let moved = -Infinity;
  let pending; // what came from elsewhere while it was held
  const send = () => {
    moved = performance.now();
    const value = field.read();
    show(value);
    session.send(row.address, value);
  };
  const show = (value) => {
    output.textContent = row.type === "f" ? shown(row, value) : "";
    if (row.type === "f") field.input.setAttribute("aria-valuetext", shown(row, value));
    box.classList.toggle("changed", value !== row.default);
  };
  const reset = () => {
    session.send(row.address, row.default);
    field.write(row.default);
    show(row.default);
  };
  field.input.addEventListener("input", send);
  field.input.addEventListener("change", send);
  field.input.addEventListener("keydown", (event) => {
    if (event.key !== "Delete" && event.key !== "Backspace") return;
    event.preventDefault();
    reset();
  });
  // A double click, or two taps, on the name, the value or the slider.
  for (const part of [label, output, field.input]) {
    part.addEventListener("dblclick", (event) => { event.preventDefault(); reset(); });
  }
  output.title = `Double click: ${shown(row, row.default)}`;
  session.on(row.address, (value) => {
    const held = HELD_MS - (performance.now() - moved);
    clearTimeout(pending);
    const take = () => { field.write(value); show(value); };
    if (held > 0) pending = setTimeout(take, held);
    else take();
  });
  return box;
}

function rangeField(row) {
  const input = make("input", { type: "range", min: 0, max: STEPS, step: "any" });
  const ghost = make("i", { className: "ghost", hidden: true });
  // A hundredth of the range a press, a tenth by pages, as the units are no matter here.
  input.addEventListener("keydown", (event) => {
    const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const step = (event.shiftKey ? 0.1 : 1) * steps[event.key] * STEPS / 100;
    input.value = Math.min(STEPS, Math.max(0, Number(input.value) + step));
    input.dispatchEvent(new Event("input"));
  });
  return {
    input,
    ghost,
    read: () => {
      const value = fromPosition(row, Number(input.value) / STEPS);
      // The default lies where one expects it, to the pixel.
      const near = Math.abs(toPosition(row, value) - toPosition(row, row.default)) < 0.004;
      return near ? row.default : Number(value.toPrecision(5));
    },
    write: (value) => {
      const position = toPosition(row, value);
      input.value = STEPS * position;
      input.parentElement?.style.setProperty("--at", position);
    },
  };
}

function toggleField() {
  const input = make("input", { type: "checkbox" });
  input.setAttribute("role", "switch");
  return { input, read: () => input.checked, write: (value) => { input.checked = value; } };
}

function choiceField(row) {
  const input = make("select");
  for (const choice of row.choices) input.append(make("option", { value: choice, textContent: choice }));
  return { input, read: () => input.value, write: (value) => { input.value = value; } };
}

// Presets: load one, compare one (its values as marks on the sliders), save what is.
function presets(session) {
  const box = make("section", { className: "presets" });
  box.setAttribute("aria-label", "Presets");
  const list = make("select", { id: "preset" });
  const about = make("p", { className: "text", id: "preset-text" });
  list.setAttribute("aria-describedby", "preset-text");
  const load = make("button", { type: "button", className: "acts worded", textContent: "Load" });
  const compare = make("button", { type: "button", className: "worded", textContent: "Compare" });
  compare.setAttribute("aria-pressed", "false");
  const name = make("input", { type: "text", id: "preset-name", maxLength: 60, autocomplete: "off" });
  name.placeholder = "A name of your own";
  const save = make("button", { type: "submit", className: "acts worded", textContent: "Save" });
  const form = make("form", { className: "line" }, make("label", {
    htmlFor: "preset-name", className: "hidden", textContent: "Save the controls as" }), name, save);
  box.append(
    make("label", { htmlFor: "preset", textContent: "Preset" }),
    make("div", { className: "line" }, list, load, compare),
    about,
    form,
  );

  let comparing = false;
  async function look() {
    const chosen = list.value;
    const found = chosen ? await session.fetch(`/api/presets/${encodeURIComponent(chosen)}`).then((a) => a.json()).catch(() => null) : null;
    if (list.value !== chosen) return;
    about.textContent = found?.description || "";
    mark(comparing ? found : null);
  }
  function mark(preset) {
    for (const row of session.controls) {
      const at = document.querySelector(`[data-name="${row.name}"]`);
      if (!at) continue;
      // What a preset does not name stays as it is when it is loaded.
      const value = preset?.controls[row.name];
      const ghost = at.querySelector(".ghost");
      at.classList.toggle("differs", value !== undefined && value !== session.value(row.address)?.[0]);
      if (ghost) {
        ghost.hidden = value === undefined;
        if (value !== undefined) ghost.style.setProperty("--at", toPosition(row, value));
      }
    }
  }
  list.addEventListener("change", look);
  load.addEventListener("click", () => session.send("/latent/preset/load", list.value));
  compare.addEventListener("click", () => {
    comparing = !comparing;
    compare.setAttribute("aria-pressed", String(comparing));
    look();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (name.value.trim()) session.send("/latent/preset/save", name.value.trim());
    name.value = "";
  });
  session.on("/latent/preset/list", (...names) => {
    const before = list.value;
    list.replaceChildren(...names.map((each) => make("option", { value: each, textContent: each })));
    list.value = before || session.value("/latent/preset/name")?.[0] || names[0];
    look();
  });
  session.on("/latent/preset/name", (now) => { list.value = now; look(); });
  session.on("*", (address) => { if (comparing && address.startsWith("/latent/") && session.byAddress.has(address)) look(); });
  return box;
}

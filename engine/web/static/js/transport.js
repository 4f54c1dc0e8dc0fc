// The row of keys at the foot: play and pause, next, record, and what plays, in words.

const PATHS = {
  play: "M8 5v14l11-7z",
  pause: "M7 5h3.5v14H7zM13.5 5H17v14h-3.5z",
  next: "M6 5v14l9-7zM16.5 5H19v14h-2.5z",
};

export function icon(path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const shape = document.createElementNS("http://www.w3.org/2000/svg", "path");
  shape.setAttribute("d", path);
  svg.append(shape);
  return svg;
}

// A button with an icon and a name; `key` is the key that does the same.
export function button(name, path, act, key = "") {
  const made = document.createElement("button");
  made.type = "button";
  made.append(icon(path));
  rename(made, name, key);
  made.addEventListener("click", act);
  return made;
}

export function rename(made, name, key = made.dataset.key || "") {
  made.dataset.key = key;
  made.setAttribute("aria-label", name);
  made.title = key ? `${name} (${key})` : name;
  if (key) made.setAttribute("aria-keyshortcuts", key === "Space" ? "Space" : key);
}

// Whether a key press belongs to the field that has the focus.
export function isTyping(event) {
  const at = event.target;
  if (event.ctrlKey || event.metaKey || event.altKey) return true;
  return at.matches?.("input:not([type=range]):not([type=checkbox]), textarea, select");
}

export function start(session) {
  const nav = document.getElementById("transport");
  let playing = true;
  const toggle = () => session.send(playing ? "/latent/pause" : "/latent/play");
  const next = () => session.send("/latent/next");
  const playKey = button("Pause", PATHS.pause, toggle, "Space");
  const nextKey = button("Next song", PATHS.next, next, "n");
  for (const each of [playKey, nextKey]) each.classList.add("acts");
  nav.append(playKey, nextKey);
  session.on("/latent/playing", (is) => {
    playing = is;
    playKey.firstChild.firstChild.setAttribute("d", is ? PATHS.pause : PATHS.play);
    rename(playKey, is ? "Pause" : "Play");
  });
  session.on("/page/may-change", (may) => document.body.classList.toggle("listening", !may));
  const notice = document.getElementById("notice");
  session.on("/page/session", (answers) => {
    document.body.classList.toggle("away", !answers);
    notice.textContent = answers ? "" : "The session is away; this page comes back with it.";
  });
  session.on("/latent/song/title", (title) => { document.title = `${title} · Latent`; });
  addEventListener("keydown", (event) => {
    if (isTyping(event)) return;
    if (event.key === " " && !event.target.matches("button, input, summary, a")) toggle();
    else if (event.key === "n") next();
    else return;
    event.preventDefault();
  });
}

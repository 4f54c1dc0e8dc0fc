// What plays, in words: large its title, small the rest.

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

const DEGREES = ["", "I", "II", "III", "IV", "V", "VI", "VII"];

export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

export function start(session) {
  const block = element("section", "playing");
  const title = element("h1", "title");
  const pattern = element("p", "pattern");
  const harmony = element("p", "harmony");
  const bed = element("p", "bed");
  const source = element("p", "source");
  block.append(title, pattern, harmony, bed, source);
  const head = element("div", "head");
  head.append(block);
  document.getElementById("sky").append(head);

  const told = { pattern: "", place: 0, key: "", degree: 0, root: "", seed: 0, preset: "" };
  const show = () => {
    pattern.replaceChildren(
      ...[...told.pattern].map((letter, i) => {
        const made = element("span", i + 1 === told.place ? "here" : "", letter);
        if (i + 1 < told.place) made.className = "past";
        return made;
      }),
    );
    pattern.setAttribute(
      "aria-label",
      told.pattern ? `Pattern ${told.pattern}, sound ${told.pattern[told.place - 1] || ""}` : "",
    );
    const chord = told.degree ? `${DEGREES[told.degree]} · ${told.root}` : "";
    harmony.textContent = [told.key.replace("#", "♯"), chord.replace("#", "♯")].filter(Boolean).join("  —  ");
    source.textContent = [told.preset, told.seed ? `seed ${told.seed}` : "", told.time]
      .filter(Boolean).join("  ·  ");
  };
  const keep = (address, take) => session.on(address, (...args) => { take(...args); show(); });
  keep("/latent/song/title", (text) => { title.textContent = text; });
  keep("/latent/song/pattern", (text) => { told.pattern = text; });
  keep("/latent/song/place", (number) => { told.place = number; });
  keep("/latent/song/key", (text) => { told.key = text; });
  keep("/latent/song/chord", (degree, root) => { told.degree = degree; told.root = root; });
  keep("/latent/song/seed", (seed) => { told.seed = seed; });
  keep("/latent/preset/name", (name) => { told.preset = name; });
  keep("/latent/song/seconds", (seconds) => {
    const length = session.value("/latent/song/length")?.[0] ?? 0;
    told.time = `${clock(seconds)} / ${clock(length)}`;
  });
  session.on("/latent/effects/now", (...names) => {
    bed.textContent = names.length ? `over ${names.join(" and ")}` : "";
  });
}

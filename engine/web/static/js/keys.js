// What each key does, at the foot of the controls; a question mark leads there.

import { make } from "./drawer.js";
import { isTyping } from "./transport.js";

const KEYS = [
  [["Space"], "pause and play"],
  [["n"], "next song"],
  [["l"], "listen here"],
  [["+", "−"], "like the song, or not"],
  [["r"], "record"],
  [["k"], "keep the last minutes"],
  [["a"], "albums"],
  [["c"], "controls"],
  [["f"], "nothing but the sky"],
  [["z", "Z", "0"], "map nearer, farther, whole"],
  [["← ↑ → ↓"], "on the map: from sound to sound"],
  [["Enter", "g"], "on the map: hear it, go there"],
  [["← →"], "on a control: a hundredth, with shift a thousandth"],
  [["Delete"], "on a control: as it was made"],
];

export function start() {
  const list = make("dl", { className: "keys" });
  for (const [keys, text] of KEYS) {
    const term = make("dt", {});
    for (const key of keys) term.append(make("kbd", { textContent: key }), " ");
    list.append(make("div", {}, term, make("dd", { textContent: text })));
  }
  const details = make("details", {}, make("summary", {}, make("h3", { textContent: "Keys" })), list);
  const drawer = document.getElementById("drawer");
  drawer.append(details);
  addEventListener("keydown", (event) => {
    if (event.key !== "?" || isTyping(event) || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    if (drawer.hidden) document.querySelector("#transport [aria-controls=drawer]").click();
    details.open = true;
    details.scrollIntoView({ block: "end" });
    details.firstChild.focus();
  });
}

// What the colours of the stars say, as a key: the name of the measure, and a strip of its
// colours from the least to the most.

import { onTheme, starColours } from "./palette.js";
import { field } from "./sky.js";

const STEPS = 24;

export class Legend {
  constructor(button) {
    this.name = document.createElement("span");
    this.least = document.createElement("span");
    this.most = document.createElement("span");
    this.strip = document.createElement("canvas");
    [this.strip.width, this.strip.height] = [STEPS, 1];
    this.strip.setAttribute("aria-hidden", "true");
    this.scale = document.createElement("span");
    this.scale.className = "legend";
    this.scale.append(this.least, " ", this.strip, " ", this.most);
    button.append(this.name, " ", this.scale);
    onTheme(() => this.paint());
    this.paint();
  }

  show(measure) {
    this.name.textContent = `Colour: ${measure}`;
    const [least, most] = field.ranges[measure] ?? [];
    this.scale.hidden = least === undefined;
    if (this.scale.hidden) return;
    this.least.textContent = inWords(measure, least);
    this.most.textContent = inWords(measure, most);
  }

  paint() {
    const context = this.strip.getContext("2d");
    for (const [i, colour] of starColours(STEPS).entries()) {
      context.fillStyle = colour;
      context.fillRect(i, 0, 1, 1);
    }
  }
}

// Pitch and brightness come in octaves above 20 Hz, weirdness without a unit.
export function inWords(measure, value) {
  if (measure === "weirdness") return value.toFixed(1);
  const hertz = 20 * 2 ** value;
  return hertz < 1000 ? `${Math.round(hertz)} Hz` : `${(hertz / 1000).toFixed(1)} kHz`;
}

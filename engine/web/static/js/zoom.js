// The map nearer and farther: by the wheel, by two fingers, by keys. With shift, or the
// middle button, a drag moves the map instead of the music.

import { isTyping } from "./transport.js";

const A_KEY = 1.5; // as much nearer
const A_LINE = 20; // pixels of a wheel that counts lines

export class Zoom {
  // `looked` is called when the view has changed, `taken` when a second finger comes.
  constructor(surface, field, { looked, taken, middle }) {
    Object.assign(this, { surface, field, looked, taken, middle });
    this.fingers = new Map(); // pointer -> [x, y]
    this.isPinch = false;
    this.dragged = null; // where a drag that moves the map has come to
    surface.addEventListener("wheel", (event) => this.turned(event), { passive: false });
    surface.addEventListener("pointerdown", (event) => this.pressed(event));
    surface.addEventListener("pointermove", (event) => this.moved(event));
    for (const end of ["pointerup", "pointercancel"]) {
      surface.addEventListener(end, (event) => this.lifted(event));
    }
    addEventListener("keydown", (event) => this.typed(event));
  }

  // Whether the hand is about the view, not about the sounds.
  get isBusy() {
    return this.isPinch || this.dragged !== null;
  }

  whole() {
    this.near(0, 0, 0);
  }

  near(x, y, factor) {
    this.field.zoomAt(x, y, factor);
    this.looked();
  }

  turned(event) {
    event.preventDefault(); // also of the browser's own zoom, which is a wheel with ctrl
    const pixels = event.deltaY * (event.deltaMode ? A_LINE : 1);
    const steps = Math.min(1, Math.max(-1, -pixels * (event.ctrlKey ? 0.012 : 0.003)));
    this.near(event.clientX, event.clientY, 2 ** steps);
  }

  pressed(event) {
    if (event.pointerType === "touch") {
      this.fingers.set(event.pointerId, [event.clientX, event.clientY]);
      if (this.fingers.size === 2) {
        this.isPinch = true;
        this.taken();
      }
    } else if (event.button === 1 || (event.button === 0 && event.shiftKey)) {
      event.preventDefault();
      this.surface.setPointerCapture(event.pointerId);
      this.dragged = [event.clientX, event.clientY];
    }
  }

  moved(event) {
    const to = [event.clientX, event.clientY];
    if (this.dragged) {
      this.field.pan(to[0] - this.dragged[0], to[1] - this.dragged[1]);
      this.dragged = to;
      this.looked();
      return;
    }
    if (!this.fingers.has(event.pointerId)) return;
    const before = this.span();
    this.fingers.set(event.pointerId, to);
    if (this.fingers.size !== 2) return;
    const after = this.span();
    this.field.pan(after.x - before.x, after.y - before.y);
    this.near(after.x, after.y, after.length / Math.max(1, before.length));
  }

  // The middle of the two fingers, and how far apart they are.
  span() {
    const [[ax, ay], [bx, by] = [ax, ay]] = [...this.fingers.values()];
    return { x: (ax + bx) / 2, y: (ay + by) / 2, length: Math.hypot(ax - bx, ay - by) };
  }

  lifted(event) {
    this.fingers.delete(event.pointerId);
    this.dragged = null;
    // The finger that is left steers nothing: it was put down to zoom.
    if (!this.fingers.size) setTimeout(() => { this.isPinch = this.fingers.size > 1; });
  }

  typed(event) {
    if (isTyping(event) || document.querySelector("dialog[open]")) return;
    const factors = { z: A_KEY, Z: 1 / A_KEY, 0: 0 };
    if (!(event.key in factors)) return;
    event.preventDefault();
    this.near(...this.middle(), factors[event.key]);
  }
}

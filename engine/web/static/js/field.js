// The map as numbers: where its sounds lie, and how places become pixels.
//
// Places run from -1 to 1, up is positive. A tall screen turns the map by a quarter, so
// that it always lies along the longer side. The view is the map as it fits the screen, or
// nearer: pixels of the whole map, times the zoom, plus an offset.

const MOST = 16; // times as near as the whole map

function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

export class Field {
  constructor() {
    this.n = 0;
    this.places = new Int16Array(0);
    this.measures = {};
    this.ranges = {};
    this.box = { left: 0, top: 0, width: 1, height: 1 };
    this.turned = false;
    this.words = null; // width and height of a corner that is kept free
    this.zoom = 1;
    this.offset = [0, 0];
  }

  // Take what /api/space answers.
  fill(space) {
    this.n = space.points;
    this.places = new Int16Array(bytesOf(space.places).buffer);
    for (const name of ["pitch", "brightness", "weirdness"]) {
      this.measures[name] = bytesOf(space[name]);
    }
    this.ranges = space.ranges;
  }

  // Lay the map into a box of pixels; what would lie under the words in the upper left
  // corner moves out of it.
  fit(left, top, width, height, words = null) {
    this.words = words;
    this.box = { left, top, width: Math.max(1, width), height: Math.max(1, height) };
    this.turned = height > 1.15 * width;
    this.moveTo(this.offset);
  }

  // Bring the map nearer by a factor; what is at a pixel stays there.
  zoomAt(px, py, factor) {
    const zoom = Math.min(MOST, Math.max(1, this.zoom * factor));
    const stays = (at, offset) => at - (zoom / this.zoom) * (at - offset);
    const offset = [stays(px, this.offset[0]), stays(py, this.offset[1])];
    this.zoom = zoom;
    this.moveTo(offset);
  }

  // Move what is seen by some pixels.
  pan(dx, dy) {
    this.moveTo([this.offset[0] + dx, this.offset[1] + dy]);
  }

  // Bring a place into the box, if it is outside; returns whether anything moved.
  show(place) {
    const { left, top, width, height } = this.box;
    const [px, py] = this.toScreen(place);
    if (px >= left && px <= left + width && py >= top && py <= top + height) return false;
    this.pan(left + width / 2 - px, top + height / 2 - py);
    return true;
  }

  // The map never leaves its box free.
  moveTo([x, y]) {
    const { left, top, width, height } = this.box;
    const most = this.zoom - 1;
    const within = (value, from, length) => Math.min(-from * most, Math.max(-(from + length) * most, value));
    this.offset = [within(x, left, width), within(y, top, height)];
  }

  toScreen(place) {
    const [px, py] = this.toWhole(place);
    return [px * this.zoom + this.offset[0], py * this.zoom + this.offset[1]];
  }

  // Where a place is while the whole map is seen.
  toWhole([x, y]) {
    const { left, top, width, height } = this.box;
    const [across, down] = this.turned ? [y, x] : [x, -y];
    const px = left + 0.5 * width * (across + 1);
    const py = top + 0.5 * height * (down + 1);
    if (!this.words) return [px, py];
    const far = Math.hypot(px / this.words.width, py / this.words.height);
    if (far >= 2 || far === 0) return [px, py];
    const out = (1 + 0.5 * far) / far; // from 0..2 to 1..2
    return [px * out, py * out];
  }

  place(index) {
    return [this.places[2 * index] / 32767, this.places[2 * index + 1] / 32767];
  }

  // The sound nearest to a pixel: its number, and how far away it is in pixels.
  nearest(px, py) {
    let best = -1;
    let least = Infinity;
    for (let i = 0; i < this.n; i++) {
      const [x, y] = this.toScreen(this.place(i));
      const away = (x - px) ** 2 + (y - py) ** 2;
      if (away < least) { least = away; best = i; }
    }
    return { index: best, away: Math.sqrt(least) };
  }

  // The nearest sound in one direction (dx, dy in pixels), for the arrow keys.
  neighbour(index, dx, dy) {
    const [x0, y0] = this.toScreen(this.place(index));
    let best = index;
    let least = Infinity;
    for (let i = 0; i < this.n; i++) {
      const [x, y] = this.toScreen(this.place(i));
      const along = (x - x0) * dx + (y - y0) * dy;
      if (i === index || along < 6) continue;
      const aside = Math.abs((x - x0) * dy - (y - y0) * dx);
      const far = along + 2.5 * aside;
      if (far < least) { least = far; best = i; }
    }
    return best;
  }
}

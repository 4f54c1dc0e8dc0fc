// The spectrum of a song in time, as a picture of its own size: a pixel for each value.

import { channels, isDark, tokens } from "./palette.js";

// The picture in the colours of the theme, drawn once for each.
export function painted(picture) {
  const { accent } = tokens();
  const dress = `${accent}${isDark()}`;
  if (picture.dress === dress) return picture.canvas;
  const { columns, rows, levels } = picture;
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  const [red, green, blue] = channels(accent);
  const towards = isDark() ? 255 : 20;
  for (let x = 0; x < columns; x++) {
    for (let y = 0; y < rows; y++) {
      const lit = (levels[x * rows + y] / 255) ** 2.2;
      const white = 0.8 * Math.max(0, lit - 0.6);
      const at = 4 * ((rows - 1 - y) * columns + x);
      image.data[at] = red + white * (towards - red);
      image.data[at + 1] = green + white * (towards - green);
      image.data[at + 2] = blue + white * (towards - blue);
      image.data[at + 3] = 255 * Math.min(1, 1.35 * lit);
    }
  }
  context.putImageData(image, 0, 0);
  Object.assign(picture, { canvas, dress });
  return canvas;
}

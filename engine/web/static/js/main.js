// Starts everything: each module draws its own part, and knows the session alone.

import { session } from "./session.js";

const PARTS = [
  "transport", "playing", "sky", "horizon", "space", "review", "listen", "drawer", "keep", "keys",
];

session.start();
await session.ready;
const modules = PARTS.map((part) => import(`./${part}.js`));
for (const [i, module] of modules.entries()) {
  // In their order, and a part that fails does not take the others with it.
  try {
    (await module).start(session);
  } catch (error) {
    console.error(PARTS[i], error);
  }
}

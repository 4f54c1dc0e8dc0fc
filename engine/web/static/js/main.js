// Starts everything: each module draws its own part, and knows the session alone.

import { session } from "./session.js";

const PARTS = ["transport"];

session.start();
await session.ready;
for (const part of PARTS) {
  // A part that fails must not take the others with it.
  import(`./${part}.js`)
    .then((module) => module.start(session))
    .catch((error) => console.error(part, error));
}

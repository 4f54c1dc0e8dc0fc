// The session as the page knows it: values, the socket, and coming back by itself.
//
// on(address, fn)       fn(...args) at once if the value is known, and at every change;
//                       returns a function that ends it. "*" gets (address, ...args).
// send(address, ...args) sets a control or gives a command, with OSC's names.
// value(address)        the arguments last told, or undefined.
// controls, commands    as in docs/page.md, once `ready` is resolved.
// onSpectrum(fn)        fn(levels, peaks) 30 times a second while the page is seen.
// onColumn(fn)          fn(number, levels): a column of the song's picture is full.

const RETRY_MS = [300, 600, 1200, 2000];
const TOKEN_KEY = "latent-token";

function takenToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  try {
    if (given) {
      localStorage.setItem(TOKEN_KEY, given);
      // The address is free of it from here on: it may be shown or shared.
      history.replaceState(null, "", location.pathname);
    }
    return given || localStorage.getItem(TOKEN_KEY) || "";
  } catch {
    return given || "";
  }
}

class Session {
  constructor() {
    this.controls = [];
    this.commands = [];
    this.sampleRate = 0;
    this.seed = 0;
    this.version = "";
    this.token = takenToken();
    this.byAddress = new Map();
    this.ready = new Promise((resolve) => { this.isReady = resolve; });
    this.values = new Map();
    this.listeners = new Map();
    this.spectrumListeners = new Set();
    this.columnListeners = new Set();
    this.waiting = new Map(); // address -> args, sent with the next frame
    this.pacing = 0; // timer until then
    this.failures = 0;
    document.addEventListener("visibilitychange", () => this.watch());
    addEventListener("online", () => this.retry());
    addEventListener("pageshow", () => this.retry());
  }

  start() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onopen = () => {
      if (this.token) this.raw("/page/token", [this.token]);
      this.watch();
    };
    socket.onmessage = (event) => this.take(event.data);
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.tell("/page/session", [false]);
      const wait = RETRY_MS[Math.min(this.failures++, RETRY_MS.length - 1)];
      this.timer = setTimeout(() => this.start(), wait);
    };
  }

  retry() {
    if (this.socket?.readyState === WebSocket.CLOSED) {
      clearTimeout(this.timer);
      this.start();
    }
  }

  on(address, fn) {
    if (!this.listeners.has(address)) this.listeners.set(address, new Set());
    this.listeners.get(address).add(fn);
    if (this.values.has(address)) fn(...this.values.get(address));
    return () => this.listeners.get(address).delete(fn);
  }

  value(address) {
    return this.values.get(address);
  }

  send(address, ...args) {
    if (!args.length || !this.byAddress.has(address)) {
      this.raw(address, args);
      return;
    }
    // A slider moves more often than anyone hears: after the first value, one a frame.
    if (this.pacing) {
      this.waiting.set(address, args);
      return;
    }
    this.raw(address, args);
    this.pacing = setTimeout(() => this.flush(), 30);
  }

  flush() {
    this.pacing = this.waiting.size ? setTimeout(() => this.flush(), 30) : 0;
    for (const [address, args] of this.waiting) this.raw(address, args);
    this.waiting.clear();
  }

  onSpectrum(fn) {
    this.spectrumListeners.add(fn);
    this.watch();
    return () => { this.spectrumListeners.delete(fn); this.watch(); };
  }

  onColumn(fn) {
    this.columnListeners.add(fn);
    return () => this.columnListeners.delete(fn);
  }

  get mayChange() {
    return this.values.get("/page/may-change")?.[0] === true;
  }

  async fetch(path, options = {}) {
    const headers = { ...options.headers };
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    const answer = await fetch(path, { ...options, headers });
    if (!answer.ok) {
      const told = await answer.json().catch(() => ({}));
      throw new Error(told.error || answer.statusText);
    }
    return answer;
  }

  raw(address, args) {
    if (this.socket?.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify({ address, args }));
    }
  }

  watch() {
    const seen = !document.hidden && this.spectrumListeners.size > 0;
    this.raw("/page/watch", [seen]);
  }

  take(data) {
    if (typeof data !== "string") {
      this.takeBinary(new Uint8Array(data));
      return;
    }
    const { address, args } = JSON.parse(data);
    if (address === "/page/hello") this.welcome(args[0]);
    else this.tell(address, args);
  }

  takeBinary(bytes) {
    if (bytes[0] === 1) {
      const levels = bytes.subarray(1, bytes.length - 2);
      const peaks = bytes.subarray(bytes.length - 2);
      for (const fn of this.spectrumListeners) fn(levels, peaks);
    } else if (bytes[0] === 2) {
      const number = bytes[1] + 256 * bytes[2];
      for (const fn of this.columnListeners) fn(number, bytes.subarray(3));
    }
  }

  welcome(hello) {
    this.failures = 0;
    this.controls = hello.controls;
    this.commands = hello.commands;
    this.sampleRate = hello.sample_rate;
    this.seed = hello.seed;
    this.version = hello.version;
    this.byAddress = new Map(hello.controls.map((row) => [row.address, row]));
    if (hello.session) {
      for (const row of hello.controls) this.tell(row.address, [row.value]);
      for (const [address, args] of Object.entries(hello.readings)) this.tell(address, args);
    }
    this.tell("/page/may-change", [hello.may_change]);
    this.tell("/page/session", [hello.session]);
    this.isReady();
  }

  tell(address, args) {
    this.values.set(address, args);
    for (const fn of this.listeners.get(address) || []) fn(...args);
    for (const fn of this.listeners.get("*") || []) fn(address, ...args);
  }
}

export const session = new Session();

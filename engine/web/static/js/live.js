// Live sound: PCM over a WebSocket, a fifth of a second behind the mixer.
//
// Where the origin is secure an AudioWorklet plays it; elsewhere (http in a network) the
// browser has none, and buffers are scheduled one after another.

import { LiveBuffer } from "./live-buffer.js";

const TARGET_S = 0.1;
const LEAD_S = 0.06; // scheduled ahead, where there is no worklet
const CHUNK = 1024;
const FADE_S = 0.15;
const RETRY_MS = [400, 12_800]; // the first time, and at most: it doubles

export class LiveSound {
  // onState(playing) is told when sound begins, and when it has gone.
  constructor(onState) {
    this.onState = onState;
    this.wanted = false;
    this.retry = RETRY_MS[0];
    this.stats = { fill: 0, underruns: 0, path: "", since: 0 };
  }

  // To be called in a click: browsers let nothing sound before one.
  start() {
    this.wanted = true;
    this.context ??= this.makeContext(48000);
    this.gain ??= this.makeGain();
    this.context.resume();
    this.fadeTo(1);
    this.connect();
  }

  stop() {
    this.wanted = false;
    if (!this.context) return;
    this.fadeTo(0);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.disconnect();
      this.context.suspend();
    }, 1000 * FADE_S);
  }

  makeContext(rate) {
    try {
      return new AudioContext({ sampleRate: rate, latencyHint: "interactive" });
    } catch {
      return new AudioContext();
    }
  }

  makeGain() {
    const gain = this.context.createGain();
    gain.gain.value = 0;
    gain.connect(this.context.destination);
    return gain;
  }

  fadeTo(level) {
    const at = this.context.currentTime;
    this.gain.gain.cancelScheduledValues(at);
    this.gain.gain.setTargetAtTime(level, at, FADE_S / 4);
  }

  // The session is back: there is no need to wait.
  hasten() {
    this.retry = RETRY_MS[0];
    if (this.wanted) this.connect();
  }

  connect() {
    clearTimeout(this.timer);
    if (this.socket) return;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/live`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.sink = null;
    const early = []; // blocks that come before the sink is made
    socket.onmessage = async ({ data }) => {
      if (typeof data === "string") {
        this.retry = RETRY_MS[0];
        const sink = await this.makeSink(JSON.parse(data).rate);
        if (this.socket !== socket) {
          sink.close();
          return;
        }
        this.sink = sink;
        for (const block of early) this.sink.push(block);
        this.onState(true);
      } else if (this.sink) {
        this.sink.push(data.slice(8));
      } else {
        early.push(data.slice(8));
      }
    };
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.disconnect();
      if (!this.wanted) return;
      this.timer = setTimeout(() => this.connect(), this.retry);
      this.retry = Math.min(2 * this.retry, RETRY_MS[1]);
    };
  }

  disconnect() {
    const { socket, sink } = this;
    this.socket = this.sink = null;
    socket?.close();
    sink?.close();
    if (sink) this.onState(false);
  }

  async makeSink(rate) {
    if (rate !== this.context.sampleRate && rate !== this.asked) {
      // The music has another rate than the context: one that fits it, once.
      this.asked = rate;
      const old = this.context;
      this.context = this.makeContext(rate);
      this.gain = this.makeGain();
      this.fadeTo(this.wanted ? 1 : 0);
      old.close();
    }
    if (this.context.audioWorklet) return this.workletSink(rate);
    return this.scheduledSink(rate);
  }

  async workletSink(rate) {
    const { context, stats } = this;
    await context.audioWorklet.addModule("/js/live-worklet.js");
    const node = new AudioWorkletNode(context, "live-player", {
      numberOfInputs: 0,
      outputChannelCount: [2],
      processorOptions: { rate, target: TARGET_S },
    });
    node.connect(this.gain);
    node.port.onmessage = ({ data }) => Object.assign(stats, data);
    stats.path = "worklet";
    return {
      push: (block) => node.port.postMessage(block, [block]),
      close: () => {
        node.port.postMessage(null);
        node.disconnect();
      },
    };
  }

  scheduledSink(rate) {
    const { context, gain, stats } = this;
    const out = context.sampleRate;
    const buffer = new LiveBuffer(rate, out, TARGET_S);
    let until = 0; // number of the first sample that is not scheduled yet
    const sources = new Set();
    stats.path = "scheduled";
    const schedule = () => {
      const now = Math.ceil(context.currentTime * out);
      if (until < now) until = now + Math.round(0.01 * out);
      while (until < now + LEAD_S * out) {
        if (!buffer.running && buffer.fill < buffer.target) break;
        const piece = context.createBuffer(2, CHUNK, out);
        buffer.pull(piece.getChannelData(0), piece.getChannelData(1));
        const source = context.createBufferSource();
        source.buffer = piece;
        source.connect(gain);
        source.onended = () => sources.delete(source);
        source.start(until / out);
        sources.add(source);
        until += CHUNK;
      }
      stats.fill = buffer.fill + (until - now) / out;
      stats.underruns = buffer.underruns;
    };
    const timer = setInterval(schedule, 20);
    return {
      push: (block) => {
        buffer.push(new Int16Array(block));
        schedule();
      },
      close: () => {
        clearInterval(timer);
        for (const source of sources) source.stop();
      },
    };
  }
}

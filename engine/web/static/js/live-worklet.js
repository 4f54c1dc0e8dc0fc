// The live sound in the audio thread: blocks come in as messages.

import { LiveBuffer } from "./live-buffer.js";

class LivePlayer extends AudioWorkletProcessor {
  constructor(options) {
    super();
    const { rate, target } = options.processorOptions;
    this.buffer = new LiveBuffer(rate, sampleRate, target);
    this.ended = false;
    this.said = 0;
    this.port.onmessage = ({ data }) => {
      if (data === null) this.ended = true;
      else this.buffer.push(new Int16Array(data));
    };
  }

  process(inputs, [output]) {
    this.buffer.pull(output[0], output[1]);
    if (currentTime - this.said > 0.5) {
      this.said = currentTime;
      this.port.postMessage({ fill: this.buffer.fill, underruns: this.buffer.underruns });
    }
    return !this.ended;
  }
}

registerProcessor("live-player", LivePlayer);

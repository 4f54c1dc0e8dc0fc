// Sound of clips: loaded ahead of their turn, made to loop, one of them heard.

const SEAM_S = 0.03; // over which a loop's end passes into its beginning
const FADE_S = 0.02; // between two clips

export class ClipSound {
  constructor(load) {
    this.load = load; // returns the bytes of a clip's file
    this.clips = new Map(); // id -> promise of { buffer, samples, rate }
    this.context = null;
    this.playing = null; // { source, gain }
  }

  // Only what a user has touched may sound.
  start() {
    this.context ??= new AudioContext();
    this.context.resume(); // answers late, or never where there is no device
  }

  prepare(ids) {
    for (const id of this.clips.keys()) if (!ids.includes(id)) this.clips.delete(id);
    for (const id of ids) {
      if (this.clips.has(id)) continue;
      const clip = this.read(id);
      clip.catch(() => {}); // told when its turn comes
      this.clips.set(id, clip);
    }
  }

  clip(id) {
    if (!this.clips.has(id)) this.prepare([...this.clips.keys(), id]);
    return this.clips.get(id);
  }

  async read(id) {
    const bytes = await this.load(id);
    // Decoding needs no permission to sound.
    const decoder = new OfflineAudioContext(2, 1, 44100);
    return looped(await decoder.decodeAudioData(bytes));
  }

  play(buffer, loop = true) {
    this.stop();
    if (!this.context) return;
    const source = new AudioBufferSourceNode(this.context, { buffer, loop });
    const gain = new GainNode(this.context, { gain: 0 });
    source.connect(gain).connect(this.context.destination);
    gain.gain.setTargetAtTime(1, this.context.currentTime, FADE_S / 3);
    source.start();
    this.playing = { source, gain };
  }

  stop() {
    if (!this.playing) return;
    const { source, gain } = this.playing;
    const now = this.context.currentTime;
    gain.gain.setTargetAtTime(0, now, FADE_S / 3);
    source.stop(now + 3 * FADE_S);
    this.playing = null;
  }
}

// The last samples are faded into the first ones with equal power, and left out.
function looped(buffer) {
  const seam = Math.min(Math.round(SEAM_S * buffer.sampleRate), buffer.length >> 2);
  const length = buffer.length - seam;
  const made = new AudioBuffer({
    length, numberOfChannels: buffer.numberOfChannels, sampleRate: buffer.sampleRate,
  });
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    const from = buffer.getChannelData(channel);
    const to = from.slice(0, length);
    for (let k = 0; k < seam; k++) {
      const angle = (0.5 * Math.PI * (k + 0.5)) / seam;
      to[k] = to[k] * Math.sin(angle) + from[length + k] * Math.cos(angle);
    }
    made.copyToChannel(to, channel);
  }
  return made;
}

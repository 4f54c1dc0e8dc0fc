// Blocks of PCM in, samples out at the pace of the sound device.
//
// It holds `target` seconds against the network's unevenness, reads a little faster or
// slower when the two clocks drift apart, and fades where the network was too late.
// The worklet and the scheduled sources share it.

const FADE_S = 0.02;
const SLACK_S = 0.03; // the fill may be off by so much before the pace changes
const MAX_BEND = 0.004; // change of pace: 7 cents
const GROW_S = 0.04; // that is held more after each underrun
const MAX_TARGET_S = 0.6;
const CALM_S = 60; // after so long without an underrun, less is held again

export class LiveBuffer {
  constructor(rate, outputRate, target, seconds = 4) {
    this.capacity = Math.ceil(seconds * rate);
    this.left = new Float32Array(this.capacity);
    this.right = new Float32Array(this.capacity);
    this.rate = rate;
    this.base = rate / outputRate;
    this.target = this.least = target;
    this.calm = 0; // samples put out since the last underrun
    this.outputRate = outputRate;
    this.fade = 1 / (FADE_S * outputRate);
    this.written = 0; // samples, ever
    this.at = 0; // place of the next sample to read, with a fraction
    this.gain = 0;
    this.running = false;
    this.underruns = 0;
    this.smooth = 0; // fill in seconds, averaged
  }

  // Seconds that are held.
  get fill() {
    return (this.written - this.at) / this.rate;
  }

  push(samples) {
    const n = samples.length / 2;
    for (let i = 0; i < n; i++) {
      const place = (this.written + i) % this.capacity;
      this.left[place] = samples[2 * i] / 32768;
      this.right[place] = samples[2 * i + 1] / 32768;
    }
    this.written += n;
    if (this.fill > 0.9 * this.capacity / this.rate || this.fill > this.target + 0.5) {
      // A tab that slept has too much: go on with what is new.
      this.at = this.written - Math.round(this.target * this.rate);
      this.gain = 0;
      this.smooth = this.target;
    }
  }

  // Fill two arrays of one length; what is not there is silence.
  pull(left, right) {
    const n = left.length;
    if (!this.running) {
      left.fill(0);
      right.fill(0);
      if (this.fill < this.target) return;
      this.running = true;
      this.gain = 0;
      this.at = this.written - Math.round(this.target * this.rate);
      this.smooth = this.target;
    }
    this.smooth += 0.02 * (this.fill - this.smooth);
    const off = this.smooth - this.target;
    const bend = Math.abs(off) < SLACK_S ? 0 : Math.max(-MAX_BEND, Math.min(MAX_BEND, 0.05 * off));
    const step = this.base * (1 + bend);
    const direct = step === 1 && Number.isInteger(this.at);
    for (let i = 0; i < n; i++) {
      // Fade out ahead of an end that can be seen coming, in from an underrun.
      const ahead = this.written - this.at - 3;
      const wanted = ahead > FADE_S * this.rate ? 1 : 0;
      this.gain = Math.max(0, Math.min(1, this.gain + (wanted ? this.fade : -this.fade)));
      if (ahead <= 0 || (!wanted && this.gain === 0)) {
        left.fill(0, i);
        right.fill(0, i);
        this.running = false;
        this.gain = 0;
        this.underruns++;
        this.calm = 0;
        this.target = Math.min(MAX_TARGET_S, this.target + GROW_S);
        return;
      }
      if (direct) {
        const place = this.at % this.capacity;
        left[i] = this.gain * this.left[place];
        right[i] = this.gain * this.right[place];
      } else {
        left[i] = this.gain * this.between(this.left);
        right[i] = this.gain * this.between(this.right);
      }
      this.at += step;
    }
    this.calm += n;
    if (this.calm > CALM_S * this.outputRate) {
      this.target = Math.max(this.least, this.target - GROW_S / 2);
      this.calm = 0;
    }
    // Back on the grid, once the pace is even again: samples pass unchanged there.
    if (step === 1 && !direct) this.at += Math.min(0.001, Math.ceil(this.at) - this.at);
  }

  // Hermite's cubic through four samples.
  between(channel) {
    const whole = Math.floor(this.at);
    const x = this.at - whole;
    const size = this.capacity;
    const a = channel[(whole + size - 1) % size];
    const b = channel[whole % size];
    const c = channel[(whole + 1) % size];
    const d = channel[(whole + 2) % size];
    const slope = 0.5 * (c - a);
    const cubic = slope + 0.5 * (d - b) - 2 * (c - b);
    const square = 3 * (c - b) - 2 * slope - 0.5 * (d - b);
    return ((cubic * x + square) * x + slope) * x + b;
  }
}

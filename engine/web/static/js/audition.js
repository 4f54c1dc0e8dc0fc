// Sounds of single points, heard in this page alone: one at a time, crossfaded.

const FADE_S = 0.12;

let context = null;
let playing = null;

// Play what lies at a point; resolves when it has begun. The newest asked for wins.
export async function audition(session, like) {
  context ??= new AudioContext();
  if (context.state === "suspended") {
    // Without a touch or a click before, a browser lets nothing sound.
    await Promise.race([context.resume(), new Promise((done) => setTimeout(done, 500))]);
    if (context.state === "suspended") return;
  }
  const mine = (audition.asked = Symbol());
  const answer = await session.fetch(`/api/space/audition/${like}`);
  const buffer = await context.decodeAudioData(await answer.arrayBuffer());
  if (audition.asked !== mine) return;
  hush();
  const source = new AudioBufferSourceNode(context, { buffer });
  const gain = new GainNode(context, { gain: 0 });
  source.connect(gain).connect(context.destination);
  gain.gain.setValueAtTime(0, context.currentTime);
  gain.gain.linearRampToValueAtTime(1, context.currentTime + FADE_S);
  source.start();
  source.onended = () => { if (playing?.source === source) playing = null; };
  playing = { source, gain };
}

export function hush() {
  if (!playing) return;
  const { source, gain } = playing;
  gain.gain.cancelScheduledValues(context.currentTime);
  gain.gain.setTargetAtTime(0, context.currentTime, FADE_S / 3);
  source.stop(context.currentTime + 2 * FADE_S);
  playing = null;
}

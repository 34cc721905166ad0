// In the split view both halves must show the same moment: the camera's picture waits for its edited twin.

const KEEP_MS = 2_000;
const EVERY_MS = 50; // 20 pictures a second are plenty for the waiting half, and kind to a phone's memory

export class MatchedView {
  #video;
  #canvas;
  #kept = [];
  #running = false;
  #busy = false;

  constructor(video, canvas) {
    this.#video = video;
    this.#canvas = canvas;
  }

  static get possible() {
    return "requestVideoFrameCallback" in HTMLVideoElement.prototype && "createImageBitmap" in window;
  }

  start() {
    if (this.#running || !MatchedView.possible) return;
    this.#running = true;
    const keep = (now) => {
      if (!this.#running) return;
      this.#keep(now);
      this.#video.requestVideoFrameCallback(keep);
    };
    this.#video.requestVideoFrameCallback(keep);
  }

  stop() {
    this.#running = false;
    for (const { picture } of this.#kept) picture.close();
    this.#kept = [];
    this.#canvas.hidden = true;
  }

  /** Shows the camera's picture of `delay` ms before `now`. */
  show(now, delay) {
    if (!this.#running || this.#kept.length === 0) return;
    const moment = now - delay;
    const nearest = this.#kept.reduce((best, one) => (Math.abs(one.time - moment) < Math.abs(best.time - moment) ? one : best));
    const { picture } = nearest;
    if (this.#canvas.width !== picture.width || this.#canvas.height !== picture.height) {
      this.#canvas.width = picture.width;
      this.#canvas.height = picture.height;
    }
    this.#canvas.getContext("2d").drawImage(picture, 0, 0);
    this.#canvas.hidden = false;
  }

  async #keep(now) {
    if (this.#busy || now - (this.#kept.at(-1)?.time ?? -EVERY_MS) < EVERY_MS) return;
    this.#busy = true;
    try {
      const picture = await createImageBitmap(this.#video);
      if (this.#running) this.#kept.push({ time: now, picture });
      else picture.close();
    } catch {
      // The camera was just switched: the next picture will do.
    } finally {
      this.#busy = false;
    }
    while (this.#kept.length > 1 && now - this.#kept[0].time > KEEP_MS) this.#kept.shift().picture.close();
  }
}

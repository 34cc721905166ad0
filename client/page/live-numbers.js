// The numbers of a picture that is live: how fast and how late it is, where the time goes, and what is the matter.
import { diagnose } from "../sdk/diagnosis.js";
import { CalmNumber, delayMs, FrameRate, Transport } from "../sdk/meter.js";
import { drawStages, serverDelay } from "../sdk/timing.js";
import { find } from "./dom.js";
import { StatusPanel } from "./status-panel.js";

/** @import { Stats } from "../sdk/types.js" */
/** @import { Stage } from "./stage.js" */

export class LiveNumbers {
  /** The server's. @type {Stats | null} */
  stats = null;
  #stage;
  #frames;
  #transport = new Transport();
  #fps = new CalmNumber();
  #delay = new CalmNumber();
  #seenAt = 0;
  #panel = new StatusPanel(find("health", "details"), find("hint"));
  #timing = find("timing", "details");

  /** @param {Stage} stage where the picture is seen */
  constructor(stage) {
    this.#stage = stage;
    this.#frames = new FrameRate(stage.after);
  }

  /** Counts from here on, of a new connection. */
  start() {
    this.#transport = new Transport();
    this.#fps.clear();
    this.#delay.clear();
    this.stats = null;
    this.#seenAt = performance.now();
    this.#frames.start((now) => {
      this.#seenAt = now;
      this.#stage.onEdited(now, this.#delay.value, this.stats?.badge ?? null);
    });
  }

  stop() {
    this.#frames.stop();
    this.#panel.show(null);
    this.#timing.hidden = true;
  }

  /** To be called each second. @param {RTCPeerConnection} peer */
  async measure(peer) {
    const { stats } = this;
    const network = await this.#transport.read(peer);
    const rate = this.#fps.add(this.#frames.value ?? network.framesPerSecond);
    const late = this.#delay.add(delayMs(serverDelay(stats), network));
    find("fps").textContent = rate === null ? "–" : rate.toFixed(rate < 9.95 ? 1 : 0);
    find("delay").textContent = late === null ? "–" : late.toFixed(0);
    drawStages(this.#timing, find("stages"), stats, network);
    // A tab out of sight shows no pictures, and that is as it should be.
    if (document.hidden) this.#seenAt = performance.now();
    const silentMs = performance.now() - this.#seenAt;
    const findings = diagnose({ network, stats, camera: this.#stage.lookAtCamera(), silentMs });
    this.#panel.show({ network, stats, findings });
  }
}

// Keeps the screen on while a call is live: a phone that sleeps takes the camera with it.

export class ScreenWakeLock {
  #wanted = false;
  #asking = false;
  /** @type {WakeLockSentinel | null} */
  #lock = null;

  constructor() {
    // The browser takes the lock away from a page out of sight, and gives none to one.
    document.addEventListener("visibilitychange", () => this.#ask());
  }

  /** @param {boolean} wanted whether the screen should stay on from now */
  set(wanted) {
    this.#wanted = wanted;
    if (wanted) this.#ask();
    else this.#giveBack();
  }

  async #ask() {
    if (!this.#wanted || this.#lock || this.#asking || document.visibilityState !== "visible") return;
    if (!navigator.wakeLock) return;
    this.#asking = true;
    try {
      const lock = await navigator.wakeLock.request("screen");
      lock.addEventListener("release", () => {
        if (this.#lock === lock) this.#lock = null;
      });
      this.#lock = lock;
    } catch {
      // Refused, as where the battery is low: the call goes on as long as the screen does.
    } finally {
      this.#asking = false;
    }
    if (!this.#wanted) this.#giveBack();
  }

  #giveBack() {
    this.#lock?.release();
    this.#lock = null;
  }
}

// The one place where something is said over the pictures: what happened, and the button that helps.

/** @import { Described } from "../sdk/types.js" */

/**
 * @typedef {object} Ways
 * @property {((key: string) => void) | null} [onAction] without it there is only the way out
 * @property {(() => void) | null} [onDismiss]
 * @property {(() => void) | null} [onDemo] what to do with the demo's face in the camera's place
 * @property {number | null} [retryInMs]
 */

export class Notice {
  #root;
  #covered;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #countdown;
  /** @type {Ways["onAction"]} */
  #onAction = null;
  /** @type {Ways["onDismiss"]} */
  #onDismiss = null;
  /** @type {Ways["onDemo"]} */
  #onDemo = null;

  /** @param {HTMLElement} root @param {HTMLElement} covered what lies under the notice, dimmed while it shows */
  constructor(root, covered) {
    this.#root = root;
    this.#covered = covered;
    this.#part("action").addEventListener("click", () => this.#act());
    this.#part("dismiss").addEventListener("click", () => this.#onDismiss?.());
    this.#part("demo").addEventListener("click", () => this.#onDemo?.());
    this.#part("key").addEventListener("submit", (event) => (event.preventDefault(), this.#act()));
  }

  /** @param {Described} failure @param {Ways} [ways] */
  show(failure, { onAction = null, onDismiss = null, onDemo = null, retryInMs = null } = {}) {
    clearInterval(this.#countdown);
    this.#onAction = onAction;
    this.#onDismiss = onDismiss;
    this.#onDemo = onDemo;
    this.#root.dataset.code = failure.code;
    this.#part("title").textContent = failure.title;
    this.#part("text").replaceChildren(...withCode(failure.text));
    this.#part("key").hidden = failure.code !== "key-needed";
    this.#part("action").hidden = onAction === null;
    this.#part("action").textContent = failure.action ?? "Try again";
    this.#part("demo").hidden = onDemo === null;
    this.#part("dismiss").textContent = retryInMs === null && onAction ? "Close" : "Stop";
    this.#covered.inert = true;
    this.#root.hidden = false;
    if (retryInMs !== null) this.#count(retryInMs);
  }

  hide() {
    clearInterval(this.#countdown);
    this.#covered.inert = false;
    this.#root.hidden = true;
  }

  /** @param {number} milliseconds */
  #count(milliseconds) {
    const until = performance.now() + milliseconds;
    const tick = () => {
      const seconds = Math.max(0, Math.ceil((until - performance.now()) / 1_000));
      this.#part("action").textContent = seconds ? `Reconnect now (${seconds})` : "Reconnecting";
    };
    tick();
    this.#countdown = setInterval(tick, 250);
  }

  #act() {
    const field = /** @type {HTMLInputElement} */ (this.#root.querySelector("#key"));
    if (!this.#part("key").hidden && !field.reportValidity()) return;
    this.#onAction?.(field.value);
  }

  /** @param {string} name @returns {HTMLElement} */
  #part(name) {
    return /** @type {HTMLElement} */ (this.#root.querySelector(`#notice-${name}`));
  }
}

// "start it with `--https`" → text and <code> in turn
/** @param {string} text */
export function withCode(text) {
  return text.split("`").map((part, index) => {
    if (index % 2 === 0) return part;
    const code = document.createElement("code");
    code.textContent = part;
    return code;
  });
}

// The slider of one attribute: where it stands, where it was last known to be good, and what the server objected to.
import { element } from "./dom.js";

/** @import { Ack, Attribute } from "../sdk/types.js" */

const RAMP_DRAG_MS = 120;
export const RAMP_STEP_MS = 350;

export class Slider {
  #input;
  #output;
  #reset;
  #problem;
  #inFlight = 0;
  #good;

  /** @param {Attribute} attribute @param {(value: number, rampMs: number) => void} onMove */
  constructor(attribute, onMove) {
    this.attribute = attribute;
    this.#good = attribute.default;
    const { name, label, min, max } = attribute;
    const id = `attribute-${name}`;
    const range = { min: String(min), max: String(max), step: String(stepOf(attribute)) };
    // The range before the value: a value outside of it would be cut.
    this.#input = Object.assign(element("input", { id, type: "range", ...range }), { value: String(attribute.default) });
    // The slider itself says its value; an <output> would be read out a second time.
    this.#output = element("span", { className: "slider-value", ariaHidden: "true" });
    this.#reset = element("button", { type: "button", className: "slider-reset", ariaLabel: `Reset ${label}`, title: "Reset" });
    this.#problem = element("p", { className: "slider-problem", role: "alert", hidden: true });
    const title = element("label", { htmlFor: id, textContent: label, title: attribute.effect ?? "" });
    if (attribute.strip) {
      const picture = element("img", { alt: "", hidden: true });
      picture.dataset.strip = attribute.strip;
      title.prepend(picture);
    }
    this.row = element("div", { className: "slider" }, title, this.#output, this.#reset, this.#input, this.#problem);
    this.row.dataset.name = name;
    this.row.dataset.words = `${name} ${label} ${groupOf(attribute)}`.toLowerCase();
    this.#input.addEventListener("input", () => onMove(this.#snap(), RAMP_DRAG_MS));
    this.#reset.addEventListener("click", () => (onMove(attribute.default, RAMP_STEP_MS), this.#input.focus()));
    this.#draw();
  }

  get value() {
    return Number(this.#input.value);
  }

  set value(value) {
    this.#input.value = String(value);
    this.#problem.hidden = true;
    this.#draw();
  }

  get isDefault() {
    return isClose(this.value, this.attribute.default);
  }

  get busy() {
    return this.#inFlight > 0;
  }

  /** @param {number} value */
  settle(value) {
    this.#good = value;
    if (!isClose(this.value, value)) this.value = value;
  }

  showSent() {
    this.#inFlight += 1;
    this.row.dataset.sending = "";
  }

  /** @param {number} value @param {Ack | null} ack */
  confirm(value, ack) {
    this.#onAnswer();
    this.#good = value;
    if (ack) this.row.dataset.revision = String(ack.rev ?? "");
  }

  /** @param {string} reason */
  refuse(reason) {
    this.#onAnswer();
    if (this.busy) return;
    this.value = this.#good;
    this.#problem.textContent = reason;
    this.#problem.hidden = false;
  }

  #onAnswer() {
    this.#inFlight -= 1;
    if (!this.busy) delete this.row.dataset.sending;
  }

  // The middle should be easy to hit again by hand; with the keyboard every step counts.
  #snap() {
    const { min, max, default: rest } = this.attribute;
    const close = Math.abs(this.value - rest) < (max - min) * 0.02;
    return close && this.#input.matches(":active") ? rest : this.value;
  }

  #draw() {
    const { min, max, default: rest } = this.attribute;
    const share = (/** @type {number} */ value) => (value - min) / (max - min);
    const style = this.row.style;
    style.setProperty("--rest", String(share(rest)));
    style.setProperty("--from", String(Math.min(share(rest), share(this.value))));
    style.setProperty("--to", String(Math.max(share(rest), share(this.value))));
    this.row.dataset.side = this.isDefault ? "rest" : this.value > rest ? "more" : "less";
    this.#output.textContent = formatValue(this.value, this.attribute);
    this.#input.setAttribute("aria-valuetext", formatValue(this.value, this.attribute));
    this.#reset.disabled = this.isDefault;
  }
}

/**
 * `value` as people read it: a sign, two decimals (none for degrees and the like), a real minus.
 * @param {number} value @param {Pick<Attribute, "unit" | "min" | "max">} attribute
 */
export function formatValue(value, { unit = "", min = -1, max = 1 }) {
  const digits = max - min > 20 ? 0 : 2;
  const sign = value > 0 ? "+" : value < 0 ? "−" : "";
  return sign + Math.abs(value).toFixed(digits) + (["", "strength"].includes(unit) ? "" : ` ${unit}`);
}

/** Closer than a slider's step, which may not hit a preset's strength. @param {number} one @param {number} other */
export function isClose(one, other) {
  return Math.abs(one - other) < 0.004;
}

/** @param {Pick<Attribute, "min" | "max">} attribute */
export function stepOf({ min, max }) {
  return max - min > 20 ? 1 : 0.01;
}

/** @param {Attribute} attribute */
export function groupOf(attribute) {
  return attribute.group || "Other";
}

// One slider an attribute, grouped as the server groups them.
import { element } from "./dom.js";
import { groupOf, isClose, RAMP_STEP_MS, Slider, stepOf } from "./slider.js";

/** @import { Ack, Attribute, Edits } from "../sdk/types.js" */

const SEND_EVERY_MS = 80;
const DRAWN_AT_ONCE = 3;

/**
 * Builds the sliders in `root`. `onChange(edits, rampMs)` sends them and resolves with the ack, or null where nothing
 * is connected yet; a rejection puts the slider back and says why.
 */
export class Sliders {
  #root;
  #onChange;
  /** @type {Map<string, Slider>} */
  #sliders = new Map();
  /** @type {Edits} */
  #waiting = {};
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #lastSent = 0;

  /** @param {HTMLElement} root @param {(edits: Edits, rampMs: number) => Promise<Ack | null>} onChange */
  constructor(root, onChange) {
    this.#root = root;
    this.#onChange = onChange;
  }

  /** @param {Attribute[]} attributes the list of GET /api/v1/attributes */
  build(attributes) {
    this.#sliders.clear();
    const groups = groupAttributes(attributes);
    this.#root.replaceChildren(...[...groups].map(([name, members]) => this.#group(name, members)));
    this.#root.setAttribute("aria-busy", "false");
  }

  get size() {
    return this.#sliders.size;
  }

  /** Strengths of all sliders that are not off. @returns {Edits} */
  get edits() {
    const strengths = [...this.#sliders].map(([name, slider]) => /** @type {[string, number]} */ ([name, slider.value]));
    return Object.fromEntries(strengths.filter(([, strength]) => strength !== 0));
  }

  get changed() {
    return [...this.#sliders.values()].some((slider) => !slider.isDefault);
  }

  reset() {
    this.apply({});
  }

  /** Moves every slider: to its strength in `edits`, or to rest. @param {Edits} edits @param {number} [rampMs] */
  apply(edits, rampMs = RAMP_STEP_MS) {
    for (const [name, slider] of this.#sliders) {
      const goal = edits[name] ?? slider.attribute.default;
      if (!isClose(slider.value, goal)) this.#move(slider, goal, rampMs);
    }
  }

  /** Whether every slider is where `apply` would bring it. @param {Edits} edits */
  isAt(edits) {
    return [...this.#sliders].every(([name, slider]) => isClose(slider.value, edits[name] ?? slider.attribute.default));
  }

  /** Some changes at once, by chance, and everything else at rest. */
  randomise(random = Math.random) {
    const attributes = [...this.#sliders.values()].map((slider) => slider.attribute);
    this.apply(drawRandomEdits(attributes, random));
  }

  /** The groups' names, in their order. @returns {string[]} */
  get groups() {
    return [...groupAttributes([...this.#sliders.values()].map((slider) => slider.attribute)).keys()];
  }

  /**
   * Shows the attributes with `text` in their name, label or group, of one group or of all; returns how many.
   * @param {string} text @param {string | null} [only]
   */
  search(text, only = null) {
    const wanted = text.trim().toLowerCase();
    let shown = 0;
    for (const group of this.#root.querySelectorAll("fieldset")) {
      const rows = [...group.querySelectorAll(".slider")].map((row) => /** @type {HTMLElement} */ (row));
      const isMeant = only === null || group.dataset.group === only;
      for (const row of rows) row.hidden = !isMeant || !(row.dataset.words ?? "").includes(wanted);
      const left = rows.filter((row) => !row.hidden).length;
      group.hidden = left === 0;
      shown += left;
    }
    return shown;
  }

  /**
   * Follows what was set elsewhere (REST, another page): an attribute that `edits` leaves out is off. What is being
   * moved here stays as it is.
   * @param {Edits} edits
   */
  follow(edits) {
    for (const [name, slider] of this.#sliders) {
      if (!slider.busy && !(name in this.#waiting)) slider.settle(edits[name] ?? 0);
    }
    this.#root.dispatchEvent(new Event("sliders"));
  }

  /** @param {string} name @param {Attribute[]} attributes */
  #group(name, attributes) {
    const legend = element("legend", { textContent: name });
    // A group of one that is called like its member need not say it twice.
    if (attributes.length === 1 && attributes[0].label.toLowerCase() === name.toLowerCase()) legend.className = "unseen";
    const fieldset = element("fieldset", { className: "group" }, legend);
    fieldset.dataset.group = name;
    for (const attribute of attributes) {
      const slider = new Slider(attribute, (value, ramp) => this.#move(slider, value, ramp));
      this.#sliders.set(attribute.name, slider);
      fieldset.append(slider.row);
    }
    return fieldset;
  }

  /** @param {Slider} slider @param {number} value @param {number} rampMs */
  #move(slider, value, rampMs) {
    slider.value = value;
    this.#waiting[slider.attribute.name] = slider.value;
    this.#root.dispatchEvent(new Event("sliders"));
    // A drag fires for each pixel: the newest positions go out together, a dozen times a second.
    const wait = Math.max(0, SEND_EVERY_MS - (performance.now() - this.#lastSent));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#send(rampMs), wait);
  }

  /** @param {number} rampMs */
  async #send(rampMs) {
    const edits = this.#waiting;
    this.#waiting = {};
    this.#lastSent = performance.now();
    const sliders = Object.keys(edits).map((name) => /** @type {Slider} */ (this.#sliders.get(name)));
    for (const slider of sliders) slider.showSent();
    try {
      const ack = await this.#onChange(edits, rampMs);
      for (const slider of sliders) slider.confirm(edits[slider.attribute.name], ack);
    } catch (error) {
      for (const slider of sliders) slider.refuse(error instanceof Error ? error.message : String(error));
    }
    this.#root.dispatchEvent(new Event("sliders"));
  }
}

/**
 * Up to three attributes at a third to four fifths of their range, to either side.
 * @param {Attribute[]} attributes @returns {Edits}
 */
export function drawRandomEdits(attributes, random = Math.random) {
  const left = [...attributes];
  /** @type {Edits} */
  const edits = {};
  for (let count = 0; count < DRAWN_AT_ONCE && left.length > 0; count += 1) {
    const [{ name, min, max, default: rest }] = left.splice(Math.floor(random() * left.length), 1);
    const end = random() < (max - rest) / (max - min) ? max : min;
    const step = stepOf({ min, max });
    edits[name] = Number((Math.round((rest + (end - rest) * (0.33 + 0.47 * random())) / step) * step).toFixed(2));
  }
  return edits;
}

/** In the order in which the groups come. @param {Attribute[]} attributes @returns {Map<string, Attribute[]>} */
export function groupAttributes(attributes) {
  const groups = new Map();
  for (const attribute of attributes) {
    const members = groups.get(groupOf(attribute)) ?? [];
    groups.set(groupOf(attribute), [...members, attribute]);
  }
  return groups;
}

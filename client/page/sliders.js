// One slider an attribute, grouped as the server groups them.

/** @import { Ack, Attribute, Edits } from "../sdk/types.js" */

const RAMP_DRAG_MS = 120;
const RAMP_STEP_MS = 350;
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
      const rows = [...group.querySelectorAll(".dial")].map((row) => /** @type {HTMLElement} */ (row));
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
    this.#root.dispatchEvent(new Event("dials"));
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
    this.#root.dispatchEvent(new Event("dials"));
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
    this.#root.dispatchEvent(new Event("dials"));
  }
}

class Slider {
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
    this.#output = element("span", { className: "dial-value", ariaHidden: "true" });
    this.#reset = element("button", { type: "button", className: "dial-reset", ariaLabel: `Reset ${label}`, title: "Reset" });
    this.#problem = element("p", { className: "dial-problem", role: "alert", hidden: true });
    const title = element("label", { htmlFor: id, textContent: label, title: attribute.effect ?? "" });
    if (attribute.strip) {
      const picture = element("img", { alt: "", hidden: true });
      picture.dataset.strip = attribute.strip;
      title.prepend(picture);
    }
    this.row = element("div", { className: "dial" }, title, this.#output, this.#reset, this.#input, this.#problem);
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

/** Closer than a slider's step, which may not hit a preset's strength. @param {number} one @param {number} other */
function isClose(one, other) {
  return Math.abs(one - other) < 0.004;
}

/** @param {Pick<Attribute, "min" | "max">} attribute */
function stepOf({ min, max }) {
  return max - min > 20 ? 1 : 0.01;
}

/** @param {Attribute} attribute */
function groupOf(attribute) {
  return attribute.group || "Other";
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

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Partial<HTMLElementTagNameMap[Tag]>} properties
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, properties = {}, ...children) {
  const { role, ...rest } = /** @type {Record<string, any>} */ (properties);
  const node = Object.assign(document.createElement(tag), rest);
  if (role) node.setAttribute("role", role);
  node.append(...children);
  return node;
}

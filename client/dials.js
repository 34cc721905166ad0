// One slider an attribute, grouped as the server groups them.

const RAMP_DRAG_MS = 120;
const RAMP_STEP_MS = 350;
const SEND_EVERY_MS = 80;

/**
 * Builds the sliders in `root`. `onChange(edits, rampMs)` sends them and resolves with the ack, or null where nothing
 * is connected yet; a rejection puts the slider back and says why.
 */
export class Dials {
  #root;
  #onChange;
  #dials = new Map();
  #waiting = {};
  #timer = 0;
  #lastSent = 0;

  constructor(root, onChange) {
    this.#root = root;
    this.#onChange = onChange;
  }

  /** `attributes`: the list of GET /api/v1/attributes. */
  build(attributes) {
    this.#dials.clear();
    const groups = Map.groupBy ? Map.groupBy(attributes, groupOf) : grouped(attributes);
    this.#root.replaceChildren(...[...groups].map(([name, members]) => this.#group(name, members)));
    this.#root.setAttribute("aria-busy", "false");
  }

  /** Strengths of all sliders, {attribute: strength}. */
  get edits() {
    return Object.fromEntries([...this.#dials].map(([name, dial]) => [name, dial.value]));
  }

  get changed() {
    return [...this.#dials.values()].some((dial) => !dial.isDefault);
  }

  reset() {
    for (const dial of this.#dials.values()) if (!dial.isDefault) this.#move(dial, dial.attribute.default, RAMP_STEP_MS);
  }

  /** Follows what was set elsewhere (REST, another page): an attribute that `edits` leaves out is off. What is being
   * moved here stays as it is. */
  follow(edits) {
    for (const [name, dial] of this.#dials) {
      if (!dial.busy && !(name in this.#waiting)) dial.settle(edits[name] ?? 0);
    }
    this.#root.dispatchEvent(new Event("dials"));
  }

  #group(name, attributes) {
    const legend = element("legend", { textContent: name });
    // A group of one that is called like its member need not say it twice.
    if (attributes.length === 1 && attributes[0].label.toLowerCase() === name.toLowerCase()) legend.className = "unseen";
    const fieldset = element("fieldset", { className: "group" }, legend);
    for (const attribute of attributes) {
      const dial = new Dial(attribute, (value, ramp) => this.#move(dial, value, ramp));
      this.#dials.set(attribute.name, dial);
      fieldset.append(dial.row);
    }
    return fieldset;
  }

  #move(dial, value, rampMs) {
    dial.value = value;
    this.#waiting[dial.attribute.name] = dial.value;
    this.#root.dispatchEvent(new Event("dials"));
    // A drag fires for each pixel: the newest positions go out together, a dozen times a second.
    const wait = Math.max(0, SEND_EVERY_MS - (performance.now() - this.#lastSent));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#send(rampMs), wait);
  }

  async #send(rampMs) {
    const edits = this.#waiting;
    this.#waiting = {};
    this.#lastSent = performance.now();
    const dials = Object.keys(edits).map((name) => this.#dials.get(name));
    for (const dial of dials) dial.sent();
    try {
      const ack = await this.#onChange(edits, rampMs);
      for (const dial of dials) dial.confirmed(edits[dial.attribute.name], ack);
    } catch (error) {
      for (const dial of dials) dial.refused(error.message);
    }
    this.#root.dispatchEvent(new Event("dials"));
  }
}

class Dial {
  #input;
  #output;
  #reset;
  #problem;
  #inFlight = 0;
  #good;

  constructor(attribute, onMove) {
    this.attribute = attribute;
    this.#good = attribute.default;
    const { name, label, min, max } = attribute;
    const id = `attribute-${name}`;
    this.#input = element("input", { id, type: "range", min, max, step: stepOf(attribute), value: attribute.default });
    // The slider itself says its value; an <output> would be read out a second time.
    this.#output = element("span", { className: "dial-value", ariaHidden: "true" });
    this.#reset = element("button", { type: "button", className: "dial-reset", ariaLabel: `Reset ${label}`, title: "Reset" });
    this.#problem = element("p", { className: "dial-problem", role: "alert", hidden: true });
    const title = element("label", { htmlFor: id, textContent: label, title: attribute.effect ?? "" });
    this.row = element("div", { className: "dial" }, title, this.#output, this.#reset, this.#input, this.#problem);
    this.row.dataset.name = name;
    this.#input.addEventListener("input", () => onMove(this.#snapped(), RAMP_DRAG_MS));
    this.#reset.addEventListener("click", () => (onMove(attribute.default, RAMP_STEP_MS), this.#input.focus()));
    this.#draw();
  }

  get value() {
    return Number(this.#input.value);
  }

  set value(value) {
    this.#input.value = value;
    this.#problem.hidden = true;
    this.#draw();
  }

  get isDefault() {
    return Math.abs(this.value - this.attribute.default) < 1e-6;
  }

  get busy() {
    return this.#inFlight > 0;
  }

  settle(value) {
    this.#good = value;
    if (Math.abs(this.value - value) > 1e-6) this.value = value;
  }

  sent() {
    this.#inFlight += 1;
    this.row.dataset.sending = "";
  }

  confirmed(value, ack) {
    this.#landed();
    this.#good = value;
    if (ack) this.row.dataset.revision = ack.rev ?? "";
  }

  refused(reason) {
    this.#landed();
    if (this.busy) return;
    this.value = this.#good;
    this.#problem.textContent = reason;
    this.#problem.hidden = false;
  }

  #landed() {
    this.#inFlight -= 1;
    if (!this.busy) delete this.row.dataset.sending;
  }

  // The middle should be easy to hit again by hand; with the keyboard every step counts.
  #snapped() {
    const { min, max, default: rest } = this.attribute;
    const close = Math.abs(this.value - rest) < (max - min) * 0.02;
    return close && this.#input.matches(":active") ? rest : this.value;
  }

  #draw() {
    const { min, max, default: rest } = this.attribute;
    const share = (value) => (value - min) / (max - min);
    const style = this.row.style;
    style.setProperty("--rest", share(rest));
    style.setProperty("--from", Math.min(share(rest), share(this.value)));
    style.setProperty("--to", Math.max(share(rest), share(this.value)));
    this.row.dataset.side = this.isDefault ? "rest" : this.value > rest ? "more" : "less";
    this.#output.textContent = written(this.value, this.attribute);
    this.#input.setAttribute("aria-valuetext", written(this.value, this.attribute));
    this.#reset.disabled = this.isDefault;
  }
}

/** `value` as people read it: a sign, two decimals (none for degrees and the like), a real minus. */
export function written(value, { unit = "", min = -1, max = 1 }) {
  const digits = max - min > 20 ? 0 : 2;
  const sign = value > 0 ? "+" : value < 0 ? "−" : "";
  return sign + Math.abs(value).toFixed(digits) + (["", "strength"].includes(unit) ? "" : ` ${unit}`);
}

function stepOf({ min, max }) {
  return max - min > 20 ? 1 : 0.01;
}

function groupOf(attribute) {
  return attribute.group || "Other";
}

function grouped(attributes) {
  const groups = new Map();
  for (const attribute of attributes) {
    const members = groups.get(groupOf(attribute)) ?? [];
    groups.set(groupOf(attribute), [...members, attribute]);
  }
  return groups;
}

function element(tag, properties = {}, ...children) {
  const { role, ...rest } = properties;
  const node = Object.assign(document.createElement(tag), rest);
  if (role) node.setAttribute("role", role);
  node.append(...children);
  return node;
}

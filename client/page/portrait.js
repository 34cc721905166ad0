// The drawn face that stands in until the camera runs. It follows the sliders, so that one can try them first.

const NAMESPACE = "http://www.w3.org/2000/svg";

/** Draws into `root`; `draw({smile, mouth_open, yaw, age})` changes the face, what it does not know it leaves. */
export class Portrait {
  /** @type {Record<string, SVGPathElement>} */
  #lines = {};

  /** @param {Element} root */
  constructor(root) {
    const svg = node("svg", { viewBox: "0 0 320 400", "aria-hidden": "true", focusable: "false" });
    for (const name of LINES) {
      this.#lines[name] = /** @type {SVGPathElement} */ (node("path", { class: `line-${name}` }));
      svg.append(this.#lines[name]);
    }
    root.replaceChildren(svg);
    this.draw({});
  }

  /** @param {Record<string, number>} edits */
  draw({ smile = 0, mouth_open: open = 0, yaw = 0, age = 0 }) {
    for (const [name, d] of Object.entries(shapes({ smile, open: Math.max(0, open), turn: yaw * 15 }))) {
      this.#lines[name].setAttribute("d", d);
    }
    const years = Math.min(1, Math.max(0, age));
    this.#lines.years.style.opacity = String(years);
    this.#lines.hair.style.opacity = String(1 - 0.45 * years);
  }
}

const LINES = ["shoulders", "hair", "head", "years", "brows", "eyes", "pupils", "nose", "mouth"];

/** @param {{smile: number, open: number, turn: number}} face */
function shapes({ smile, open, turn }) {
  const x = 160 + turn; // features move further than the head: that is what makes it turn
  const h = 160 + turn * 0.3;
  const corner = 246 - smile * 8;
  const half = 28 + smile * 7;
  const upper = 246 + smile * 9 - open * 4;
  const lower = upper + 5 + open * 34 + Math.max(0, smile) * 10;
  const squint = Math.max(0, smile) * 3;
  const mouth = `M${x - half} ${corner}Q${x} ${upper} ${x + half} ${corner}Q${x} ${lower + 4} ${x - half} ${corner}`;
  return {
    shoulders: "M22 520C22 470 24 430 28 400C34 352 70 334 122 322L124 296M298 520C298 470 296 430 292 400C286 352 250 334 198 322L196 296",
    head: `M${h - 82} 160C${h - 82} 240 ${h - 44} ${296 + open * 10} ${h} ${296 + open * 10}S${h + 82} 240 ${h + 82} 160`,
    hair: `M${h - 82} 176C${h - 98} 92 ${h - 60} 54 ${h + 6} 54S${h + 98} 96 ${h + 82} 176C${h + 78} 142 ${h + 58} 120 ${h + 34} 108C${h + 2} 128 ${h - 52} 126 ${h - 66} 128C${h - 78} 142 ${h - 80} 158 ${h - 82} 176Z`,
    brows: `M${x - 54} 154Q${x - 36} ${143 - open * 4} ${x - 17} 152M${x + 17} 152Q${x + 36} ${143 - open * 4} ${x + 54} 154`,
    eyes: lid(x - 35, squint) + lid(x + 35, squint),
    pupils: pupil(x - 35 + turn * 0.2) + pupil(x + 35 + turn * 0.2),
    nose: `M${x + 2} 176C${x + 4 + turn * 0.3} 194 ${x + 10 + turn * 0.4} 206 ${x + 8 + turn * 0.3} 213Q${x} 220 ${x - 9} 214`,
    mouth,
    years: `M${x - 28} 222Q${x - 42} 232 ${x - 42} 248M${x + 28} 222Q${x + 42} 232 ${x + 42} 248M${x - 30} 134H${x + 30}M${x - 24} 126H${x + 24}M${x - 60} 176l-9 -5M${x - 60} 181l-10 3M${x + 60} 176l9 -5M${x + 60} 181l10 3`,
  };
}

/** @param {number} x @param {number} squint */
function lid(x, squint) {
  return `M${x - 16} 178Q${x} ${161 + squint} ${x + 16} 178M${x - 7} ${187 - squint}Q${x} ${190 - squint * 2} ${x + 7} ${187 - squint}`;
}

/** @param {number} x */
function pupil(x) {
  return `M${x - 5} 176a5 5 0 1 0 10 0a5 5 0 1 0 -10 0Z`;
}

/** @param {string} tag @param {Record<string, string>} attributes */
function node(tag, attributes) {
  const made = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { ScreenWakeLock } from "../../../client/page/screen-wake-lock.js";

class Lock extends EventTarget {
  released = false;
  async release() {
    this.released = true;
    this.dispatchEvent(new Event("release"));
  }
}

/** @type {Lock[]} */
let locks = [];
let refuses = false;
const page = Object.assign(new EventTarget(), { visibilityState: "visible" });
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** @param {string} state */
function show(state) {
  page.visibilityState = state;
  // As a browser does.
  if (state === "hidden") for (const lock of locks) if (!lock.released) lock.release();
  page.dispatchEvent(new Event("visibilitychange"));
}

beforeEach(() => {
  locks = [];
  refuses = false;
  page.visibilityState = "visible";
  Object.defineProperty(globalThis, "document", { value: page, configurable: true });
  const request = async () => {
    if (refuses) throw new DOMException("", "NotAllowedError");
    locks.push(new Lock());
    return locks[locks.length - 1];
  };
  Object.defineProperty(globalThis, "navigator", { value: { wakeLock: { request } }, configurable: true });
});

const held = () => locks.filter((one) => !one.released).length;

test("the screen stays on while it is wanted, and no longer", async () => {
  const wakeLock = new ScreenWakeLock();
  wakeLock.set(true);
  wakeLock.set(true);
  await settled();
  assert.equal(locks.length, 1);
  assert.equal(held(), 1);
  wakeLock.set(false);
  await settled();
  assert.equal(held(), 0);
});

test("a page that becomes visible again asks again", async () => {
  const wakeLock = new ScreenWakeLock();
  wakeLock.set(true);
  await settled();
  show("hidden");
  await settled();
  assert.equal(held(), 0);
  show("visible");
  await settled();
  assert.equal(held(), 1);
  wakeLock.set(false);
  show("hidden");
  show("visible");
  await settled();
  assert.equal(held(), 0);
});

test("what comes after the end is given back", async () => {
  const wakeLock = new ScreenWakeLock();
  wakeLock.set(true);
  wakeLock.set(false);
  await settled();
  assert.equal(held(), 0);
});

test("a browser that refuses or knows none harms nothing", async () => {
  refuses = true;
  new ScreenWakeLock().set(true);
  await settled();
  Object.defineProperty(globalThis, "navigator", { value: {}, configurable: true });
  new ScreenWakeLock().set(true);
  await settled();
  assert.equal(locks.length, 0);
});

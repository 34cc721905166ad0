// What sliders say, and what chance chooses.
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatValue } from "../../../client/page/slider.js";
import { drawRandomEdits, groupAttributes } from "../../../client/page/sliders.js";
import { duration, fileName } from "../../../client/page/downloads.js";

/** @param {string} name @param {number} min @param {number} max */
const attribute = (name, min, max, group = "Face") => ({ name, label: name, group, min, max, default: 0 });

test("strengths have a sign, degrees no decimals", () => {
  assert.equal(formatValue(0.5, { min: -1, max: 1 }), "+0.50");
  assert.equal(formatValue(-0.5, { min: -1, max: 1 }), "−0.50");
  assert.equal(formatValue(0, { min: -1, max: 1, unit: "strength" }), "0.00");
  assert.equal(formatValue(12.3, { min: -30, max: 30, unit: "°" }), "+12 °");
});

test("groups keep the order in which they come", () => {
  const groups = groupAttributes([attribute("a", 0, 1, "Two"), attribute("b", 0, 1, "One"), attribute("c", 0, 1, "Two")]);
  assert.deepEqual([...groups].map(([name, members]) => [name, members.length]), [["Two", 2], ["One", 1]]);
});

test("chance stays in every attribute's range and away from rest", () => {
  const attributes = [attribute("smile", -1.5, 1.5), attribute("glasses", 0, 1), attribute("yaw", -30, 30), attribute("age", -1, 1)];
  let seed = 1;
  const random = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
  for (let round = 0; round < 200; round += 1) {
    const edits = drawRandomEdits(attributes, random);
    assert.equal(Object.keys(edits).length, 3);
    for (const { name, min, max } of attributes.filter((one) => one.name in edits)) {
      const value = edits[name];
      assert.ok(value >= min && value <= max, `${name} ${value}`);
      assert.ok(Math.abs(value) >= 0.3 * Math.min(max, max), `${name} ${value}`);
    }
  }
  assert.deepEqual(drawRandomEdits([]), {});
});

test("keepsakes are named by their time, films by their length", () => {
  assert.match(fileName("jpg", new Date(2026, 10, 24, 9, 5, 7)), /^rigid-live-2026-11-24-09-05-07\.jpg$/);
  assert.equal(duration(65_900), "1:05");
});

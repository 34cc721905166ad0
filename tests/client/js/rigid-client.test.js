// When to try again, and what to show meanwhile.
import assert from "node:assert/strict";
import { test } from "node:test";
import { backoff, filterTrack } from "../../../client/rigid-live.js";
import { describe } from "../../../client/sdk/failures.js";
import { explainEnd, setStartBitrate } from "../../../client/sdk/session-link.js";
import { Choice, STALE_MS } from "../../../client/sdk/mixer.js";
import { serverDelay } from "../../../client/sdk/timing.js";

test("waits longer from try to try, and not all clients as long", () => {
  assert.deepEqual([0, 1, 2, 3, 9].map((attempt) => backoff(attempt, () => 0.5)), [1_000, 2_000, 4_000, 8_000, 15_000]);
  assert.equal(backoff(0, () => 0), 800);
  assert.equal(backoff(0, () => 1), 1_200);
});

test("shows the camera until an edited picture came, and again once they stay away", () => {
  const choice = new Choice();
  assert.equal(choice.at(0), "camera");
  choice.onEdited(1_000);
  assert.equal(choice.at(1_000), "edited");
  assert.equal(choice.at(1_000 + STALE_MS), "edited");
  assert.equal(choice.at(1_001 + STALE_MS), "camera");
});

test("shows the camera at once where the connection is lost", () => {
  const choice = new Choice();
  choice.onEdited(1_000);
  choice.onLost();
  assert.equal(choice.at(1_001), "camera");
});

test("an answer is told where video begins, and nothing else is changed", () => {
  const lines = (/** @type {string[]} */ ...all) => all.map((line) => `${line}\r\n`).join("");
  const audio = ["m=audio 9 UDP/TLS/RTP/SAVPF 96", "a=rtpmap:96 opus/48000/2"];
  const video = ["m=video 9 UDP/TLS/RTP/SAVPF 97 98 99", "a=rtpmap:97 VP8/90000"];
  const rest = ["a=rtpmap:98 rtx/90000", "a=fmtp:98 apt=97", "a=rtpmap:99 H264/90000"];
  assert.equal(
    setStartBitrate(lines("v=0", ...audio, ...video, ...rest, "a=fmtp:99 packetization-mode=1", "a=mid:1"), 900),
    lines(
      "v=0", ...audio, ...video, "a=fmtp:97 x-google-start-bitrate=900", ...rest,
      "a=fmtp:99 packetization-mode=1;x-google-start-bitrate=900", "a=mid:1",
    ),
  );
});

test("takes only video tracks", async () => {
  await assert.rejects(filterTrack(/** @type {any} */ ({ kind: "audio" })), /takes a video track/);
});

test("the server's share is what it measured, else its stages' sum", () => {
  assert.equal(serverDelay({ age_ms: { p50: 90, p95: 120 }, stage_ms: { align: 1 } }), 90);
  assert.equal(serverDelay(/** @type {any} */ ({ stage_ms: { align: 1, draw: 2 } })), 3);
  assert.equal(serverDelay(null), null);
});

test("says in the server's words why it ended a session, and comes back where nobody asked for that", () => {
  const failure = explainEnd({ message: "No video came for too long.", come_back: false });
  assert.equal(failure.code, "session-ended");
  assert.match(describe(failure).text, /No video came for too long\./);
  assert.equal(explainEnd({ message: "The server was shut down.", come_back: true }).code, "connection-lost");
  assert.equal(explainEnd({}).code, "session-ended");
});

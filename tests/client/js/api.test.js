// What goes over HTTP, and what comes of the answers.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { Api, ApiError } from "../../../client/sdk/api.js";
import { describe, isStarting } from "../../../client/sdk/failures.js";

const real = globalThis.fetch;
/** @type {{url: string, init: any}[]} */
let asked = [];

/** @param {number} status @param {unknown} [body] @param {Record<string, string>} [headers] */
function answer(status, body, headers = {}) {
  asked = [];
  globalThis.fetch = async (url, init) => {
    asked.push({ url: String(url), init });
    return new Response(status === 204 ? null : typeof body === "string" ? body : JSON.stringify(body), { status, headers });
  };
}

afterEach(() => {
  globalThis.fetch = real;
});

test("addresses lie below the server's own, whatever its path", async () => {
  answer(200, []);
  for (const [base, expected] of [
    ["https://faces.example.org", "https://faces.example.org/api/v1/attributes"],
    ["https://example.org/faces", "https://example.org/faces/api/v1/attributes"],
    ["https://example.org/faces/", "https://example.org/faces/api/v1/attributes"],
    ["https://example.org/faces/index.html", "https://example.org/faces/api/v1/attributes"],
  ]) {
    await new Api({ base }).attributes();
    assert.equal(asked.at(-1)?.url, expected);
  }
});

test("the key goes with every request", async () => {
  answer(204);
  await new Api({ base: "http://a.test", key: "sesame" }).deleteSession("x");
  assert.equal(asked[0].init.headers.Authorization, "Bearer sesame");
});

test("a list may come bare or under its name", async () => {
  answer(200, { presets: [{ name: "happy" }] });
  assert.deepEqual(await new Api({ base: "http://a.test" }).presets(), [{ name: "happy" }]);
});

test("a server without presets offers none", async () => {
  answer(404, { error: { code: "not_found", message: "There is nothing at this address." } });
  assert.deepEqual(await new Api({ base: "http://a.test" }).presets(), []);
});

test("an error carries what the server said", async () => {
  answer(503, { error: { code: "server_full", message: "All 4 places are taken.", hint: "Later." } }, { "Retry-After": "5" });
  const error = await new Api({ base: "http://a.test" }).attributes().catch((thrown) => thrown);
  assert.ok(error instanceof ApiError);
  assert.deepEqual([error.status, error.code, error.hint, error.retryAfterSeconds], [503, "server_full", "Later.", 5]);
  assert.equal(describe(error).title, "All places are taken");
});

test("a proxy's page counts by its status alone", async () => {
  answer(502, "<h1>Bad gateway</h1>");
  const error = await new Api({ base: "http://a.test" }).attributes().catch((thrown) => thrown);
  assert.equal(describe(error).title, "The server does not answer");
});

test("a server that cannot be reached has status 0", async () => {
  globalThis.fetch = async () => {
    throw new TypeError("refused");
  };
  const error = await new Api({ base: "http://a.test" }).ready().catch((thrown) => thrown);
  assert.equal(error.status, 0);
  assert.ok(describe(error).retry);
});

test("only a 503 that says so means that the server is starting", () => {
  assert.ok(isStarting(new ApiError(503, { code: "not_ready" })));
  assert.ok(!isStarting(new ApiError(503, { code: "server_full" })));
  assert.equal(describe(new ApiError(422, { message: "No.", hint: "Try smile." })).text, "No. Try smile.");
});

test("outside a page an address is needed", () => {
  assert.throws(() => new Api(), /has to be given/);
});

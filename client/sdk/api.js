// The HTTP half of the service. Addresses are relative to the page, so a path prefix in front of it keeps working.

/** @import { Ack, Attribute, Edits, Face, Preset, Session } from "./types.js" */

/** An answer that is not a success; `status` 0 means that the server could not be reached at all. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {{code?: string, message?: string, hint?: string}} [said] the answer's `error`
   * @param {number | null} [retryAfterSeconds]
   */
  constructor(status, { code = "", message = "", hint = "" } = {}, retryAfterSeconds = null) {
    super(message || `The server answered ${status}.`);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.hint = hint;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

const TIMEOUT_MS = 15_000;

/** Edits as the server takes them for all faces, or for one. @param {Edits} edits @param {number | null} face */
export function aim(edits, face) {
  return face === null ? { edits } : { faces: { [face]: edits } };
}

export class Api {
  /**
   * @param {object} [options]
   * @param {string} [options.base] the server's address; without it the page's own
   * @param {string | null} [options.key] what the server was given as `--api-key`
   */
  constructor({ base = globalThis.document?.baseURI, key = null } = {}) {
    if (!base) throw new TypeError("Outside a page the server's address has to be given.");
    // The last part of an address counts as a file's name, unless a slash ends it.
    this.base = /\/[^/.]+$/.test(new URL(base).pathname) ? `${base}/` : base;
    this.key = key;
  }

  /** @param {AbortSignal} [signal] */
  ready = (signal) => this.#request("GET", "readyz", { signal });

  /** @returns {Promise<{recordings?: boolean}>} what runs there */
  version = () => this.#request("GET", "version");

  /**
   * @param {string} id @param {Edits} edits @param {number} [rampMs]
   * @param {number | null} [face] the number of the face that they are for; null for all
   * @returns {Promise<{rev: number, edits: Edits}>}
   */
  patchEdits = (id, edits, rampMs, face = null) =>
    this.#request("PATCH", `api/v1/sessions/${id}/edits`, { body: { ...aim(edits, face), ramp_ms: rampMs } });

  /** The faces in the newest picture. @param {string} id @returns {Promise<Face[]>} */
  faces = (id) => this.#request("GET", `api/v1/sessions/${id}/faces`);

  /** @param {string} id */
  deleteSession = (id) => this.#request("DELETE", `api/v1/sessions/${id}`);

  /** @param {AbortSignal} [signal] @returns {Promise<Attribute[]>} */
  attributes(signal) {
    return this.#list("attributes", signal);
  }

  /** Empty where the server knows none. @param {AbortSignal} [signal] @returns {Promise<Preset[]>} */
  async presets(signal) {
    try {
      return await this.#list("presets", signal);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return [];
      throw error;
    }
  }

  /** @param {object} body @param {AbortSignal} [signal] @returns {Promise<Session>} */
  createSession(body, signal) {
    return this.#request("POST", "api/v1/sessions", { body, signal });
  }

  /**
   * ICE servers in the form that RTCPeerConnection takes; an empty list on a local network.
   * @param {AbortSignal} [signal] @returns {Promise<RTCIceServer[]>}
   */
  async iceServers(signal) {
    const answer = await this.#request("GET", "api/v1/ice-servers", { signal });
    return Array.isArray(answer) ? answer : (answer.ice_servers ?? answer.iceServers ?? []);
  }

  /**
   * A picture of the server's, as an address of this page's own; revoke it once it is shown.
   * @param {string} path as the server states it: below its own address, whatever prefix that has here
   */
  async picture(path) {
    const response = await this.fetch(path.replace(/^\//, ""), { method: "GET", cache: "default" });
    return URL.createObjectURL(await response.blob());
  }

  /**
   * Ends a session while the page goes away, when no answer can be awaited any more.
   * @param {string} id
   */
  closeOnLeave(id) {
    const url = this.url(`api/v1/sessions/${id}/close`);
    // A beacon cannot carry the key's header; a kept-alive fetch can.
    if (this.key || !navigator.sendBeacon?.(url)) {
      fetch(url, { method: "POST", headers: this.headers(), keepalive: true }).catch(() => undefined);
    }
  }

  /** @param {string} path */
  url(path) {
    return new URL(path, this.base).href;
  }

  /** @returns {Record<string, string>} */
  headers() {
    return this.key ? { Authorization: `Bearer ${this.key}` } : {};
  }

  /**
   * One request; ApiError where it is not answered with a success.
   * @param {string} path @param {RequestInit} init @param {AbortSignal} [signal] @returns {Promise<Response>}
   */
  async fetch(path, init, signal) {
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    let response;
    try {
      response = await fetch(this.url(path), {
        cache: "no-store",
        ...init,
        headers: { ...init.headers, ...this.headers() },
        signal: signal ? anyOf(signal, timeout) : timeout,
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ApiError(0, { code: "unreachable", message: "The server does not answer." });
    }
    if (!response.ok) throw await errorOf(response);
    return response;
  }

  /**
   * A list, bare or under its own name.
   * @param {string} name @param {AbortSignal} [signal]
   */
  async #list(name, signal) {
    const answer = await this.#request("GET", `api/v1/${name}`, { signal });
    return Array.isArray(answer) ? answer : answer[name];
  }

  /**
   * @param {string} method @param {string} path
   * @param {{body?: object, signal?: AbortSignal}} [options]
   * @returns {Promise<any>} the answer's JSON
   */
  async #request(method, path, { body, signal } = {}) {
    /** @type {Record<string, string>} */
    const headers = { Accept: "application/json" };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const response = await this.fetch(path, { method, headers, body: body && JSON.stringify(body) }, signal);
    return parsed(await response.text());
  }
}

/** @param {Response} response */
async function errorOf(response) {
  const answer = parsed(await response.text());
  const wait = Number.parseFloat(response.headers.get("Retry-After") ?? "");
  return new ApiError(response.status, answer?.error, Number.isFinite(wait) ? wait : null);
}

/** @param {string} text */
function parsed(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null; // a proxy's HTML page: the status alone has to do
  }
}

/**
 * AbortSignal.any is younger than the rest of what the page needs.
 * @param {AbortSignal[]} signals
 */
function anyOf(...signals) {
  const controller = new AbortController();
  for (const signal of signals) {
    if (signal.aborted) controller.abort(signal.reason);
    signal.addEventListener("abort", () => controller.abort(signal.reason), { once: true });
  }
  return controller.signal;
}

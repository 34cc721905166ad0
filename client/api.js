// The HTTP half of the service. Addresses are relative to the page, so a path prefix in front of it keeps working.

/** An answer that is not a success; `status` 0 means that the server could not be reached at all. */
export class ApiError extends Error {
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

export class Api {
  constructor({ base = document.baseURI, key = null } = {}) {
    this.base = base;
    this.key = key;
  }

  ready = (signal) => this.#request("GET", "readyz", { signal });
  attributes = (signal) => this.#request("GET", "api/v1/attributes", { signal });
  createSession = (body, signal) => this.#request("POST", "api/v1/sessions", { body, signal });
  patchEdits = (id, edits, rampMs) =>
    this.#request("PATCH", `api/v1/sessions/${id}/edits`, { body: { edits, ramp_ms: rampMs } });
  deleteSession = (id) => this.#request("DELETE", `api/v1/sessions/${id}`);

  /** ICE servers in the form that RTCPeerConnection takes; an empty list on a local network. */
  async iceServers(signal) {
    const answer = await this.#request("GET", "api/v1/ice-servers", { signal });
    return Array.isArray(answer) ? answer : (answer.ice_servers ?? answer.iceServers ?? []);
  }

  /** Ends a session while the page goes away, when no answer can be awaited any more. */
  closeOnLeave(id) {
    const url = this.#url(`api/v1/sessions/${id}/close`);
    // A beacon cannot carry the key's header; a kept-alive fetch can.
    if (this.key || !navigator.sendBeacon?.(url)) {
      fetch(url, { method: "POST", headers: this.#headers(), keepalive: true }).catch(() => undefined);
    }
  }

  #url(path) {
    return new URL(path, this.base).href;
  }

  #headers() {
    return this.key ? { Authorization: `Bearer ${this.key}` } : {};
  }

  async #request(method, path, { body, signal } = {}) {
    const headers = { Accept: "application/json", ...this.#headers() };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    let response;
    try {
      response = await fetch(this.#url(path), {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: signal ? anyOf(signal, timeout) : timeout,
        cache: "no-store",
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ApiError(0, { code: "unreachable", message: "The server does not answer." });
    }
    return answerOf(response);
  }
}

async function answerOf(response) {
  const text = await response.text();
  const answer = parsed(text);
  if (response.ok) return answer;
  const wait = Number.parseFloat(response.headers.get("Retry-After") ?? "");
  throw new ApiError(response.status, answer?.error, Number.isFinite(wait) ? wait : null);
}

function parsed(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null; // a proxy's HTML page: the status alone has to do
  }
}

// AbortSignal.any is younger than the rest of what the page needs.
function anyOf(...signals) {
  const controller = new AbortController();
  for (const signal of signals) {
    if (signal.aborted) controller.abort(signal.reason);
    signal.addEventListener("abort", () => controller.abort(signal.reason), { once: true });
  }
  return controller.signal;
}

// What the page remembers between visits. A browser may forbid that; then it starts anew each time.

/** @typedef {"local" | "session"} Scope for good, or until the tab closes */

/** Null where nothing is known. @param {string} name @param {Scope} [scope] */
export function recall(name, scope = "local") {
  try {
    return window[/** @type {"localStorage" | "sessionStorage"} */ (`${scope}Storage`)].getItem(name);
  } catch {
    return null;
  }
}

/** @param {string} name @param {string} value @param {Scope} [scope] */
export function remember(name, value, scope = "local") {
  try {
    window[/** @type {"localStorage" | "sessionStorage"} */ (`${scope}Storage`)].setItem(name, value);
  } catch {
    // Forbidden or full: nothing depends on it.
  }
}

// What the page remembers between visits. A browser may forbid that; then it starts anew each time.

/** `scope`: "local" for good, "session" until the tab closes. Null where nothing is known. */
export function recall(name, scope = "local") {
  try {
    return window[`${scope}Storage`].getItem(name);
  } catch {
    return null;
  }
}

export function remember(name, value, scope = "local") {
  try {
    window[`${scope}Storage`].setItem(name, value);
  } catch {
    // Forbidden or full: nothing depends on it.
  }
}

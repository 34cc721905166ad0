// Events that carry something.

/** @param {EventTarget} target @param {string} name @param {unknown} detail */
export function emit(target, name, detail) {
  target.dispatchEvent(new CustomEvent(name, { detail }));
}

/** What a CustomEvent carries. @param {Event} event */
export function detailOf(event) {
  return /** @type {CustomEvent} */ (event).detail;
}

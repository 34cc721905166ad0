// The page's elements: found, made, played.

/**
 * The element of that id, which is a `Tag` where one is named.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {string} id @param {Tag} [_tag] @returns {HTMLElementTagNameMap[Tag]}
 */
export function find(id, _tag) {
  return /** @type {HTMLElementTagNameMap[Tag]} */ (document.getElementById(id));
}

/**
 * A new element with `children`.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Partial<HTMLElementTagNameMap[Tag]>} properties
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, properties = {}, ...children) {
  const { role, ...rest } = /** @type {Record<string, any>} */ (properties);
  const node = Object.assign(document.createElement(tag), rest);
  if (role) node.setAttribute("role", role);
  node.append(...children);
  return node;
}

/**
 * Autoplay is refused on some phones until the video is asked in person.
 * @param {HTMLVideoElement} video
 */
export function play(video) {
  video.play().catch((error) => {
    if (error.name !== "AbortError") throw error; // a newer source took its place
  });
}

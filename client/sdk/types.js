// The shapes that the page and the SDK speak of; nothing of it exists at run time.

/** @typedef {Record<string, number>} Edits {attribute: strength}, each in its attribute's range; 0 = off */

/**
 * @typedef {object} Attribute One of GET /api/v1/attributes.
 * @property {string} name
 * @property {string} label
 * @property {string} group
 * @property {number} min
 * @property {number} max
 * @property {number} default
 * @property {string} [unit]
 * @property {string} [effect] what it does, in a sentence
 * @property {string | null} [strip] address of a picture of its effect, below the server's own
 */

/**
 * @typedef {object} Preset One of GET /api/v1/presets.
 * @property {string} name
 * @property {string} label
 * @property {Edits} edits
 * @property {number} [fade_ms] how long the change to it takes
 */

/**
 * @typedef {object} Session The answer to POST /api/v1/sessions.
 * @property {string} id
 * @property {string} sdp
 * @property {RTCSdpType} type
 * @property {string} [resume_token]
 */

/**
 * @typedef {object} Ack
 * @property {boolean} ok
 * @property {number} [rev] the revision that the edits made
 * @property {number | null} [applied_frame] the first frame that they hold for
 */

/**
 * @typedef {object} Face One of GET …/faces, and of the "faces" messages.
 * @property {number} id
 * @property {[number, number, number, number]} box left, top, right, bottom in shares of the picture
 * @property {string} since
 * @property {boolean} edited
 */

/**
 * @typedef {object} Stats The server's numbers of a session, over the last seconds; times in ms.
 * @property {"stats"} type
 * @property {Edits} edits
 * @property {Record<string, Edits>} [faces] what single faces have of their own, by their numbers
 * @property {string} [state]
 * @property {string} [reason] why a session does less than it could
 * @property {string} [message] why a session does less than it could, in a sentence
 * @property {number[] | null} [badge] where the picture says that it is edited: left, top, width, height in its pixels
 * @property {{state: string} | null} [recording] the film that the server keeps of it
 * @property {number} fps_in
 * @property {number} fps_out
 * @property {{p50: number | null, p95: number | null}} age_ms from a picture's arrival at the server to its departure
 * @property {Record<string, number>} stage_ms
 * @property {boolean} face
 * @property {string[]} [advice] what whoever is before the camera can mend
 * @property {number} frames_in
 * @property {number} frames_dropped
 * @property {number} frames_failed
 * @property {number} frames_without_face
 * @property {number} [frames_reused] pictures that show faces made for the picture before
 */

/** @typedef {"idle" | "waiting" | "connecting" | "live" | "reconnecting" | "failed"} Phase */

/**
 * @typedef {object} Described A failure in words; see failures.js.
 * @property {string} code
 * @property {string} title
 * @property {string} text
 * @property {string} [action]
 * @property {boolean} retry worth trying again by itself
 */

/**
 * @typedef {object} PhaseDetail
 * @property {Phase} phase
 * @property {Described} [failure] why it is waiting, reconnecting or failed
 * @property {number} [retryInMs]
 * @property {number} [attempt]
 */

export {};

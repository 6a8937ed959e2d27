/** Milliseconds since 1970, as the machine's clock tells them. */
export type UnixMs = number & { readonly __unit: 'unix-ms' }

/** Passed in wherever time matters, so that tests can move it. */
export type Clock = () => UnixMs

export function unixMs(milliseconds: number): UnixMs {
  return milliseconds as UnixMs // the brand's only source
}

/**
 * Calls back once after so many milliseconds, unless what it returns is called before. Never keeps
 * the process alive. Passed in like the clock, and for the same reason.
 */
export type Timer = (callback: () => void, milliseconds: number) => () => void

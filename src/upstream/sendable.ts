/** RFC 9110 section 5.6.2, token: methods and header names. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** Anything that a header value must not have (RFC 9110 section 5.5). */
const NOT_IN_A_VALUE = /[^\t\x20-\x7e\x80-\xff]/

const NOT_IN_A_TARGET = /[^\x21-\x7e]/

const DIGITS = /^\d+$/

/**
 * Whether undici will take the request. It must not be asked to take any other: one that it
 * refuses leaves its connection marked as busy for good (pool-base.js, kDispatch, undici 8.12.4),
 * so that a few of them would block the upstream. What our HTTP parser let in always passes.
 */
export function isSendable(request: {
  readonly method: string
  readonly path: string
  /** Names and values in turn. */
  readonly headers: readonly string[]
}): boolean {
  const { method, path, headers } = request
  if (!TOKEN.test(method) || !path.startsWith('/') || NOT_IN_A_TARGET.test(path)) return false
  let lengths = 0
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    const value = headers[index + 1] ?? ''
    if (!TOKEN.test(name) || NOT_IN_A_VALUE.test(value)) return false
    if (name.length === 14 && name.toLowerCase() === 'content-length') {
      if (++lengths > 1 || !DIGITS.test(value)) return false
    }
  }
  return true
}

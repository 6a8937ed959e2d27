/** The same text again is said once in so long. */
const SAME_TEXT_MS = 30_000
const TEXTS_REMEMBERED_MAX = 100

/**
 * Tells whether a text is worth saying: a fault that comes back every second would fill a log.
 *
 * @param now Milliseconds, of whatever clock.
 */
export function createSeldom(now: () => number): (text: string) => boolean {
  const saidAt = new Map<string, number>()
  return text => {
    const at = now()
    if (at < (saidAt.get(text) ?? Number.NEGATIVE_INFINITY) + SAME_TEXT_MS) return false
    if (saidAt.size >= TEXTS_REMEMBERED_MAX) saidAt.clear()
    saidAt.set(text, at)
    return true
  }
}

/**
 * PostgreSQL's text holds every character but U+0000. A reason that a facilitator gave may have
 * one, and must not keep a payment from being released.
 */
const NUL = '\u0000'
/** A private-use character, which nobody else gives a meaning to. */
const ESCAPE = '\uE000'
const UNSTORABLE = new RegExp(`[${NUL}${ESCAPE}]`, 'g')
const ESCAPED = new RegExp(`${ESCAPE}[01]`, 'g')

export function storableText(text: string): string {
  if (!text.includes(NUL) && !text.includes(ESCAPE)) return text
  return text.replace(UNSTORABLE, found => ESCAPE + (found === NUL ? '0' : '1'))
}

/** Undoes `storableText`. */
export function originalText(stored: string): string {
  if (!stored.includes(ESCAPE)) return stored
  return stored.replace(ESCAPED, found => (found.endsWith('0') ? NUL : ESCAPE))
}

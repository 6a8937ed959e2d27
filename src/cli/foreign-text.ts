import { stripVTControlCharacters } from 'node:util'

/** Control characters, and those that make text read in another order than it is written. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+/gu

/**
 * Makes text from a server safe to show. It must not move the cursor, recolour the screen or turn
 * lines around: whoever writes a description could otherwise paint another price over ours.
 *
 * @param lengthMax Characters kept.
 */
export function foreignText(text: string, lengthMax = 200): string {
  const plain = stripVTControlCharacters(text).replace(UNPRINTABLE, ' ').trim()
  return plain.length <= lengthMax ? plain : `${plain.slice(0, lengthMax - 1)}…`
}

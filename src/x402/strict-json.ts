/** Why bytes that should be one JSON document are not one that every parser reads alike. */
export type JsonFlaw = 'not-json' | 'too-deep' | 'duplicate-key'

export type StrictJson =
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'flawed'; readonly flaw: JsonFlaw }

const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a

/**
 * Parses JSON that must mean the same to every reader (RFC 8259 section 4 leaves duplicate names
 * open: one parser takes the first, another the last, and a payment could be two payments).
 *
 * @param depthMax Objects and arrays inside one another at most.
 */
export function parseStrictJson(text: string, depthMax: number): StrictJson {
  // Checked first: the built-in parser recurses, and a deep text would exhaust its stack.
  const flaw = findFlaw(text, depthMax)
  if (flaw !== null) return { kind: 'flawed', flaw }
  try {
    return { kind: 'json', value: JSON.parse(text) }
  } catch {
    return { kind: 'flawed', flaw: 'not-json' }
  }
}

/**
 * One pass that knows strings and nesting only; whether the rest is JSON is for JSON.parse to say.
 */
function findFlaw(text: string, depthMax: number): JsonFlaw | null {
  const namesSeen: (Set<string> | null)[] = []
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === OPEN_OBJECT || code === OPEN_ARRAY) {
      if (namesSeen.length === depthMax) return 'too-deep'
      namesSeen.push(code === OPEN_OBJECT ? new Set() : null)
    } else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) {
      namesSeen.pop()
    } else if (code === QUOTE) {
      const end = endOfString(text, index)
      if (end === -1) return 'not-json'
      const names = namesSeen.at(-1)
      if (names && nextSignificant(text, end + 1) === COLON) {
        const name = readName(text.slice(index, end + 1))
        if (name === null) return 'not-json'
        if (names.has(name)) return 'duplicate-key'
        names.add(name)
      }
      index = end
    }
  }
  return null
}

function endOfString(text: string, start: number): number {
  for (let index = start + 1; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === QUOTE) return index
    if (code === BACKSLASH) index++
  }
  return -1
}

function nextSignificant(text: string, start: number): number {
  for (let index = start; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code !== 0x20 && code !== 0x09 && code !== 0x0a && code !== 0x0d) return code
  }
  return -1
}

/** Two spellings of one name ("a" and "\u0061") are the same name. */
function readName(quoted: string): string | null {
  if (!quoted.includes('\\')) return quoted.slice(1, -1)
  try {
    return String(JSON.parse(quoted))
  } catch {
    return null
  }
}

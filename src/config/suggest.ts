/** Longer names are not compared: nobody mistypes them, and comparing costs their product. */
const LENGTH_MAX = 64

/** "Did you mean x?" for the nearest known name, else the list of what is known. */
export function suggestName(written: string, known: readonly string[]): string {
  const nearest = nearestName(written, known)
  if (nearest !== null) return `Did you mean ${nearest}?`
  if (known.length === 0) return 'There is none to name.'
  const shown = known.slice(0, NAMES_SHOWN_MAX).join(', ')
  return `Known: ${shown}${known.length > NAMES_SHOWN_MAX ? ', …' : ''}.`
}

const NAMES_SHOWN_MAX = 40

/** The known name that is a slip or two away; null when none is. */
export function nearestName(written: string, known: readonly string[]): string | null {
  if (written.length > LENGTH_MAX) return null
  let nearest: string | null = null
  let least = Math.max(1, Math.floor((written.length + 1) / 3)) + 1
  for (const name of known) {
    if (name.length > LENGTH_MAX) continue
    const distance = editDistance(written.toLowerCase(), name.toLowerCase())
    if (distance < least) {
      least = distance
      nearest = name
    }
  }
  return nearest
}

/** Letters to insert, remove, change, or swap with their neighbour (Damerau). */
function editDistance(from: string, to: string): number {
  let before: number[] = []
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let index = 1; index <= from.length; index++) {
    const next = [index]
    for (let column = 1; column <= to.length; column++) {
      const change = from[index - 1] === to[column - 1] ? 0 : 1
      const ways = [at(row, column - 1) + change, at(row, column) + 1, at(next, column - 1) + 1]
      const isSwap = from[index - 1] === to[column - 2] && from[index - 2] === to[column - 1]
      if (isSwap && column > 1) ways.push(at(before, column - 2) + 1)
      next.push(Math.min(...ways))
    }
    before = row
    row = next
  }
  return at(row, to.length)
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY
}

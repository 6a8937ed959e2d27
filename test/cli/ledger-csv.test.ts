import fc from 'fast-check'
import { expect, test } from 'vitest'
import { csvRecord } from '../../src/cli/ledger/csv.ts'

const FORMULA_STARTS = ['=', '+', '-', '@', '\t', '\r']
const cell = fc.oneof(
  fc.string(),
  fc.string({ unit: fc.constantFrom(...FORMULA_STARTS, '"', ',', '\n', ' ', 'a', "'") }),
  fc.tuple(fc.constantFrom(...FORMULA_STARTS), fc.string()).map(parts => parts.join('')),
)

/** A reader of RFC 4180 that has nothing of the writer's. */
function parseCsv(text: string): string[][] {
  const records: string[][] = []
  let cells: string[] = []
  const pattern = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/gy
  for (let end = 0; end < text.length; end = pattern.lastIndex) {
    const match = pattern.exec(text)
    if (match === null) throw new Error(`Not CSV from character ${end} on.`)
    cells.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? '')
    if (match[3] === ',') continue
    records.push(cells)
    cells = []
  }
  return records
}

/** Whether it is no formula, and tells what was given. */
function isHarmless(text: string, given: string): boolean {
  if (FORMULA_STARTS.includes(text[0] ?? '')) return false
  const quoted = text === `'${given}`
  return FORMULA_STARTS.includes(given[0] ?? '') ? quoted : quoted || text === given
}

test('no cell begins as a formula does, and every other one is read back as it was', () => {
  const records = fc.array(fc.array(cell, { minLength: 1 }), { minLength: 1 })
  fc.assert(
    fc.property(records, written => {
      const read = parseCsv(written.map(csvRecord).join(''))
      expect(read.map(({ length }) => length)).toEqual(written.map(({ length }) => length))
      const wrong = read.flatMap((cells, row) =>
        cells.filter((text, column) => !isHarmless(text, written[row]?.[column] ?? '')),
      )
      expect(wrong).toEqual([])
    }),
    { numRuns: 2_000 },
  )
})

test.each([
  ['=1+1', "'=1+1"],
  ['=HYPERLINK("http://x","y")', '"\'=HYPERLINK(""http://x"",""y"")"'],
  ['\tx', "'\tx"],
  ['a,b', '"a,b"'],
  ['0x209693', '0x209693'],
  ['0.001', '0.001'],
  ['＝1', "'＝1"],
])('%j is written as %s', (given, written) => {
  expect(csvRecord([given])).toBe(`${written}\r\n`)
})

test('null is an empty cell, and a number its digits', () => {
  expect(csvRecord([null, 7, ''])).toBe(',7,\r\n')
})

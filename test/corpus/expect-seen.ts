import { expect } from 'vitest'
import type { CorpusEntry } from './entries.ts'
import type { Recorder, Seen } from './recorders.ts'

/** Of the request that shows whether a connection is still good. */
export const PROBE_TARGET = '/free/probe'

/** Whether an upstream saw what an entry says of it, and nothing more. */
export async function expectSeen(
  { seen, has, lacks }: Pick<CorpusEntry, 'seen' | 'has' | 'lacks'>,
  recorder: Recorder,
  order: 'in this order' | 'in any order' = 'in this order',
): Promise<void> {
  await recorder.catchUp()
  const found = recorder.seen.filter(({ target }) => target !== PROBE_TARGET)
  const sorted = (all: readonly string[]) => (order === 'in any order' ? all.toSorted() : all)
  expect(sorted(found.map(describeSeen))).toEqual(sorted(seen))
  const headers = found.flatMap(headersOf)
  const wanted = recorder.tellsFirstOnly ? firstOfEach(has) : has
  for (const header of wanted) expect(headers).toContain(header)
  const names = headers.map(header => canonicalName(header.slice(0, header.indexOf(': '))))
  for (const name of lacks) expect(names).not.toContain(name)
}

function describeSeen({ method, target, body }: Seen): string {
  return body === '' ? `${method} ${target}` : `${method} ${target} ${body}`
}

function headersOf({ rawHeaders }: Seen): string[] {
  const headers: string[] = []
  for (let index = 0; index < rawHeaders.length; index += 2) {
    headers.push(`${rawHeaders[index]?.toLowerCase()}: ${rawHeaders[index + 1]}`)
  }
  return headers
}

function firstOfEach(headers: readonly string[]): string[] {
  const names = headers.map(header => header.slice(0, header.indexOf(':')))
  return headers.filter((header, index) => {
    const isFirst = names.indexOf(names[index] ?? '') === index
    return isFirst && !header.endsWith(': ')
  })
}

/** As CGI does: whatever is no letter or digit is one and the same. */
function canonicalName(name: string): string {
  return name.replaceAll(/[^a-z0-9]/g, '-')
}

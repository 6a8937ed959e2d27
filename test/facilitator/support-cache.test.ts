import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import type { SupportCacheError } from '../../src/errors.ts'
import { openSupportCache } from '../../src/facilitator/support-cache.ts'
import { supportedKinds } from './clients.ts'

const URL_WITH_KEY = 'https://facilitator.example.com/key/s3cr3t'
const DAY_MS = 24 * 3_600_000
const sepolia = supportedKinds([2, 'eip155:84532'], [1, 'base-sepolia'])
const solana = {
  ...supportedKinds(),
  kinds: [{ x402Version: 2, scheme: 'exact', network: 'solana:x', extra: { feePayer: 'abc' } }],
}

let folder: string
let file: string
let now: number
let errors: SupportCacheError[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'farebox-cache-'))
  file = join(folder, 'data', 'farebox.supported.json')
  now = Date.now()
  errors = []
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const open = (at: string | null = file) =>
  openSupportCache({ file: at, clock: () => unixMs(now), reportError: error => errors.push(error) })

const recall = (url = URL_WITH_KEY) => open().memoryOf(url).recall()

test('what was said is there for the next process, by URL, and no URL is in the file', async () => {
  const cache = open()
  cache.memoryOf(URL_WITH_KEY).remember(sepolia)
  cache.memoryOf('https://other.example.com').remember(solana)
  expect(recall()).toEqual(sepolia)
  expect(recall('https://other.example.com')).toEqual(solana)
  expect(recall('https://facilitator.example.com/key/other')).toBeNull()
  expect(await readFile(file, 'utf8')).not.toMatch(/s3cr3t|example/)
  expect(await readdir(join(folder, 'data'))).toEqual(['farebox.supported.json'])
  expect(errors).toEqual([])
})

test('nothing is written as long as nothing is new, but once a day', async () => {
  const memory = open().memoryOf(URL_WITH_KEY)
  memory.remember(sepolia)
  await rm(file)
  memory.remember(structuredClone(sepolia))
  await expect(readFile(file)).rejects.toThrow('ENOENT')
  now += DAY_MS
  memory.remember(sepolia)
  expect(recall()).toEqual(sepolia)
})

test('a month later it is forgotten', () => {
  open().memoryOf(URL_WITH_KEY).remember(sepolia)
  now += 29 * DAY_MS
  expect(recall()).toEqual(sepolia)
  now += DAY_MS
  expect(recall()).toBeNull()
  open().memoryOf('https://other.example.com').remember(solana)
  now -= DAY_MS
  expect(recall()).toBeNull()
})

test('of many facilitators, those heard last are kept', () => {
  const cache = open()
  for (let index = 0; index < 70; index++) {
    now += 1
    cache.memoryOf(`https://${index}.example.com`).remember(sepolia)
  }
  expect(recall('https://5.example.com')).toBeNull()
  expect(recall('https://6.example.com')).toEqual(sepolia)
  expect(recall('https://69.example.com')).toEqual(sepolia)
})

describe('a file that is not what was written', () => {
  const key = 'a'.repeat(64)
  test.each([
    ['empty', ''],
    ['cut off', '{"version":1,"facilitators":{"'],
    ['of another version', JSON.stringify({ version: 0, facilitators: {} })],
    ['without a version', JSON.stringify({ facilitators: {} })],
    ['a list', '[]'],
    ['null', 'null'],
    ['binary', '\0\x01\x02'],
    ['with a URL as a key', JSON.stringify({ version: 1, facilitators: { 'https://x': {} } })],
    ['with a time that is none', JSON.stringify({ version: 1, facilitators: { [key]: {} } })],
    ['too long', `{"version":1,"facilitators":{}}${' '.repeat(8 * 1024 * 1024)}`],
  ])('%s is ignored, told of once, and written anew', async (_, text) => {
    await mkdir(join(folder, 'data'))
    await writeFile(file, text)
    const cache = open()
    expect(cache.memoryOf(URL_WITH_KEY).recall()).toBeNull()
    expect(errors).toHaveLength(1)
    expect(errors[0]).toMatchObject({ code: 'support_cache_unusable' })
    cache.memoryOf(URL_WITH_KEY).remember(sepolia)
    expect(recall()).toEqual(sepolia)
    expect(errors).toHaveLength(1)
  })

  test('a directory in its place is ignored as well', async () => {
    await mkdir(file, { recursive: true })
    const cache = open()
    cache.memoryOf(URL_WITH_KEY).remember(sepolia)
    expect(errors.map(({ message }) => message)).toEqual([
      expect.stringContaining('ignored'),
      expect.stringContaining('cannot be written'),
    ])
    expect(await readdir(join(folder, 'data'))).toEqual(['farebox.supported.json'])
  })

  test('whatever it is, reading never throws, and only answers come out', async () => {
    await mkdir(join(folder, 'data'))
    const entry = fc.record({ heardAt: fc.integer(), supported: fc.jsonValue() })
    const almost = fc.record({
      version: fc.constantFrom(1, 2, '1'),
      facilitators: fc.dictionary(fc.constantFrom(key, 'b'.repeat(64), '__proto__'), entry),
    })
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.jsonValue(), almost), async value => {
        await writeFile(file, JSON.stringify(value))
        const recalled = open().memoryOf(URL_WITH_KEY).recall()
        expect(recalled).toBeNull()
      }),
      { numRuns: 200 },
    )
  })
})

test('an entry that is no answer is left out, and its neighbours are kept', async () => {
  open().memoryOf(URL_WITH_KEY).remember(sepolia)
  const written = JSON.parse(await readFile(file, 'utf8'))
  written.facilitators['c'.repeat(64)] = { heardAt: now, supported: { kinds: 'all' } }
  await writeFile(file, JSON.stringify(written))
  expect(recall()).toEqual(sepolia)
  expect(errors).toEqual([])
})

describe('a place that cannot be written', () => {
  // Who runs as root may write everywhere: a file where a directory should be stops root, too.
  test('is told of once, and again only after it worked in between', async () => {
    await writeFile(join(folder, 'data'), 'a file')
    const memory = open().memoryOf(URL_WITH_KEY)
    errors.length = 0
    memory.remember(sepolia)
    memory.remember(solana)
    expect(errors).toHaveLength(1)
    expect(memory.recall()).toEqual(solana)
    await rm(join(folder, 'data'))
    memory.remember(solana)
    expect(recall()).toEqual(solana)
    await rm(join(folder, 'data'), { recursive: true })
    await writeFile(join(folder, 'data'), 'a file')
    memory.remember(sepolia)
    expect(errors).toHaveLength(2)
  })

  test.skipIf(process.getuid?.() === 0)('because it is read-only', async () => {
    await mkdir(join(folder, 'data'))
    await chmod(join(folder, 'data'), 0o500)
    open().memoryOf(URL_WITH_KEY).remember(sepolia)
    expect(errors).toHaveLength(1)
    await chmod(join(folder, 'data'), 0o700)
  })
})

test('without a file, it lasts as long as the process', () => {
  const memory = open(null).memoryOf(URL_WITH_KEY)
  memory.remember(sepolia)
  expect(memory.recall()).toEqual(sepolia)
  expect(open(null).memoryOf(URL_WITH_KEY).recall()).toBeNull()
  expect(errors).toEqual([])
})

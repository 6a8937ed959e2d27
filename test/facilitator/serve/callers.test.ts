import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { CallerKeyConfig } from '../../../src/config/facilitator-service-config.ts'
import { createCallers } from '../../../src/facilitator/serve/callers.ts'

const sha256 = (key: string): string => createHash('sha256').update(key).digest('hex')
const config = (change: Partial<CallerKeyConfig> = {}): CallerKeyConfig => ({
  ...{ name: 'shop', sha256: sha256('k-1'), perMinute: 60, concurrency: 100, amountsMax: null },
  ...change,
})

describe('keys', () => {
  const callers = createCallers([config(), config({ name: 'other', sha256: sha256('k-2') })])

  test('are found by what was sent', () => {
    expect(callers.find(['Bearer k-1'])?.name).toBe('shop')
    expect(callers.find(['bearer k-2'])?.name).toBe('other')
  })

  test.each<[string, string[]]>([
    ['none', []],
    ['two', ['Bearer k-1', 'Bearer k-1']],
    ['another scheme', ['Basic k-1']],
    ['a hash', [`Bearer ${sha256('k-1')}`]],
    ['a longer one', ['Bearer k-11']],
    ['one with something behind it', ['Bearer k-1 x']],
  ])('%s is nobody', (_, values) => {
    expect(callers.find(values)).toBeNull()
  })

  test('whatever is sent, nothing is thrown', () => {
    fc.assert(fc.property(fc.string(), text => callers.find([`Bearer ${text}`]) === null))
  })
})

describe('limits', () => {
  test('a minute of requests may come at once, and then one for each that has passed', () => {
    let now = 0
    const caller = createCallers([config()], () => now).find(['Bearer k-1'])
    const admit = (): unknown => caller?.admit()
    for (let count = 0; count < 60; count++) expect(admit()).toMatchObject({ kind: 'admitted' })
    expect(admit()).toEqual({ kind: 'refused', retryAfterSeconds: 1 })
    now += 1_000
    expect(admit()).toMatchObject({ kind: 'admitted' })
    expect(admit()).toMatchObject({ kind: 'refused' })
  })

  test('requests at once are bounded, and one that ends makes room', () => {
    const caller = createCallers([config({ concurrency: 1 })]).find(['Bearer k-1'])
    const first = caller?.admit()
    expect(caller?.admit()).toEqual({ kind: 'refused', retryAfterSeconds: 1 })
    if (first?.kind === 'admitted') first.leave()
    expect(caller?.admit()).toMatchObject({ kind: 'admitted' })
  })
})

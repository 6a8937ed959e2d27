import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  formatDuration,
  formatSize,
  readDuration,
  readListenAddress,
  readSize,
  readStatusRange,
  readWholeNumber,
} from '../../src/config/values.ts'

const ANY_SIZE = { min: 0, max: Number.MAX_SAFE_INTEGER }

describe('durations', () => {
  it('reads whole numbers with a unit', () => {
    const cases = { '500ms': 500, '60s': 60_000, '2m': 120_000, '1h': 3_600_000, '1d': 86_400_000 }
    for (const [text, value] of Object.entries(cases)) {
      expect(readDuration(text)).toEqual({ kind: 'value', value })
    }
  })

  it.each(['60', '60 s', '1.5s', '-1s', '1w', 's', '', '1e3s', '６s', '60S'])(
    'refuses %j',
    text => {
      expect(readDuration(text).kind).toBe('refused')
    },
  )

  it('refuses what a timer cannot wait for, and no time at all', () => {
    expect(readDuration('0s')).toMatchObject({ kind: 'refused', message: 'is too short' })
    expect(readDuration('25h')).toMatchObject({ kind: 'refused', message: 'is too long' })
  })

  it('reads back every duration that it writes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 86_400_000 }), value => {
        expect(readDuration(formatDuration(value))).toEqual({ kind: 'value', value })
      }),
    )
  })
})

describe('sizes', () => {
  it('reads whole numbers with a binary unit', () => {
    expect(readSize('16KiB', ANY_SIZE)).toEqual({ kind: 'value', value: 16_384 })
    expect(readSize('10MiB', ANY_SIZE)).toEqual({ kind: 'value', value: 10_485_760 })
    expect(readSize('7B', ANY_SIZE)).toEqual({ kind: 'value', value: 7 })
  })

  it.each(['10MB', '10', '1.5KiB', '10 KiB', '10mib', '-1B', ''])('refuses %j', text => {
    expect(readSize(text, ANY_SIZE).kind).toBe('refused')
  })

  it('reads back every size that it writes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 35 }), value => {
        expect(readSize(formatSize(value), ANY_SIZE)).toEqual({ kind: 'value', value })
      }),
    )
  })
})

describe('whole numbers', () => {
  it('keeps to its bounds', () => {
    const bounds = { min: 1, max: 9 }
    expect(readWholeNumber('9', bounds)).toEqual({ kind: 'value', value: 9 })
    for (const text of ['0', '10', '-1', '1.0', '0x1', '']) {
      expect(readWholeNumber(text, bounds).kind).toBe('refused')
    }
  })
})

describe('listen addresses', () => {
  it.each([
    ['0.0.0.0:8402', '0.0.0.0', 8402],
    ['[::1]:8402', '::1', 8402],
    ['localhost:0', 'localhost', 0],
    [':8402', '0.0.0.0', 8402],
    ['8402', '0.0.0.0', 8402],
    ['api-1.internal:65535', 'api-1.internal', 65_535],
  ])('reads %s', (text, host, port) => {
    expect(readListenAddress(text)).toEqual({ kind: 'value', value: { host, port } })
  })

  it.each([
    '',
    'localhost',
    '::1:80',
    '[::1]',
    '[]:80',
    '1.2.3:80',
    '256.1.1.1:80',
    'a b:80',
    'x:65536',
    'http://x:80',
  ])('refuses %j', text => {
    expect(readListenAddress(text).kind).toBe('refused')
  })
})

describe('status ranges', () => {
  it.each([
    ['2xx', 200, 299],
    ['404', 404, 404],
    ['200-299', 200, 299],
  ])('reads %s', (text, from, to) => {
    expect(readStatusRange(text)).toEqual({ kind: 'value', value: { from, to } })
  })

  it.each(['1xx', '6xx', '99', '600', '299-200', '2XX', '200-', '200 - 299', ''])(
    'refuses %j',
    text => {
      expect(readStatusRange(text).kind).toBe('refused')
    },
  )
})

it('reads any text without throwing', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), text => {
      for (const reader of [readDuration, readListenAddress, readStatusRange]) reader(text)
      readSize(text, ANY_SIZE)
    }),
  )
})

import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import {
  type CircuitBreaker,
  createCircuitBreaker,
  type Operation,
} from '../../src/facilitator/circuit-breaker.ts'

let now: number
let breaker: CircuitBreaker

beforeEach(() => {
  now = 1_000_000
  breaker = createCircuitBreaker(() => unixMs(now))
})

function fail(operation: Operation, times = 1): void {
  for (let time = 0; time < times; time++) breaker.failed(operation)
}

const admitted = () => (['settle', 'verify', 'supported'] as const).filter(breaker.admit)

describe('a circuit breaker', () => {
  test('opens after three failures in a row, and not after two', () => {
    fail('verify', 2)
    expect(breaker.closed).toBe(true)
    breaker.succeeded('verify')
    fail('verify', 2)
    expect(admitted()).toEqual(['settle', 'verify', 'supported'])
    fail('verify')
    expect(breaker.closed).toBe(false)
    expect(admitted()).toEqual(['supported'])
    expect(breaker.waitMs()).toBe(1_000)
  })

  test('half-open, lets one verify find out, and never a settle', () => {
    fail('settle', 3)
    now += 999
    expect(admitted()).toEqual(['supported'])
    now += 1
    expect(breaker.admit('settle')).toBe(false)
    expect(breaker.admit('verify')).toBe(true)
    expect(breaker.admit('verify')).toBe(false)
    expect(breaker.admit('settle')).toBe(false)
    breaker.succeeded('verify')
    expect(admitted()).toEqual(['settle', 'verify', 'supported'])
  })

  test('stays open for twice as long after each probe that fails, up to half a minute', () => {
    fail('verify', 3)
    const waits = Array.from({ length: 8 }, () => {
      const wait = breaker.waitMs()
      now += wait
      expect(breaker.admit('verify')).toBe(true)
      breaker.failed('verify')
      return wait / 1000
    })
    expect(waits).toEqual([1, 2, 4, 8, 16, 30, 30, 30])
  })

  test('is closed on trial by what proves too little: the next failure opens it, for longer', () => {
    fail('settle', 3)
    now += 1_000
    breaker.succeeded('supported')
    expect(admitted()).toContain('settle')
    breaker.succeeded('verify')
    fail('settle')
    expect([breaker.closed, breaker.waitMs()]).toEqual([false, 2_000])
    now += 2_000
    breaker.succeeded('verify')
    breaker.succeeded('settle')
    fail('settle', 2)
    expect(breaker.closed).toBe(true)
    fail('settle')
    expect(breaker.waitMs()).toBe(1_000)
  })

  test('a settle that works makes up for everything; what is supported for nothing else', () => {
    fail('verify', 2)
    fail('settle', 2)
    breaker.succeeded('supported')
    breaker.succeeded('settle')
    fail('verify', 2)
    fail('settle', 2)
    expect(breaker.closed).toBe(true)
  })

  test('does not take down a facilitator for a broken /supported while it verifies', () => {
    for (let time = 0; time < 10; time++) {
      fail('supported')
      breaker.succeeded('verify')
    }
    expect(breaker.closed).toBe(true)
  })

  test('does not hear late answers to calls from before it opened', () => {
    fail('verify', 3)
    breaker.succeeded('verify')
    breaker.succeeded('settle')
    expect(breaker.closed).toBe(false)
    fail('verify', 5)
    expect([breaker.closed, breaker.waitMs()]).toEqual([false, 1_000])
  })
})

test('whatever happens, no settle goes out unless it is closed, and it is never stuck', () => {
  const operation = fc.constantFrom<Operation>('verify', 'settle', 'supported')
  const step = fc.oneof(
    fc.record({ kind: fc.constantFrom('succeeded', 'failed', 'admit'), operation }),
    fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(40_000) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      let time = 0
      const tested = createCircuitBreaker(() => unixMs(time))
      for (const next of steps) {
        if (!('operation' in next)) time += next.ms
        else if (next.kind !== 'admit') tested[next.kind as 'failed'](next.operation)
        else if (tested.admit(next.operation) && next.operation === 'settle') {
          expect(tested.closed).toBe(true)
        }
        expect(tested.waitMs()).toBeLessThanOrEqual(30_000)
      }
      time += tested.waitMs()
      expect(tested.admit('supported')).toBe(true)
      tested.succeeded('supported')
      expect(tested.admit('settle')).toBe(true)
    }),
  )
})

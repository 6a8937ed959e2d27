import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import { StoreUnavailableError } from '../../src/errors.ts'
import { startAlarm } from '../../src/flow/alarm.ts'
import { judgeChain } from '../../src/flow/judge-chain.ts'
import { keepUp } from '../../src/flow/recovery.ts'
import type { ErrorReported } from '../../src/observe/events.ts'
import { readStoredPayment } from '../../src/x402/stored-payment.ts'

describe('what the chain decides', () => {
  /** Gaps between the times of blocks, the last of which are not final. */
  const history = fc.record({
    gaps: fc.array(fc.nat(30), { minLength: 2, maxLength: 20 }),
    unfinal: fc.nat(5),
    validBefore: fc.nat(400),
    /** In which block the payment lands or is cancelled, if the chain lets it. */
    landsAt: fc.option(fc.nat(40)),
    cancelled: fc.boolean(),
  })

  test('never frees a payment that lands, now or later, on any continuation of what is final', () => {
    fc.assert(
      fc.property(
        history,
        fc.nat(20),
        ({ gaps, unfinal, validBefore, landsAt, cancelled }, seen) => {
          let time = 0
          const blocks = gaps.map((gap, index) => {
            time += gap
            return { number: BigInt(index), timestamp: time }
          })
          const block = blocks.find(
            ({ number, timestamp }) =>
              landsAt !== null && number >= BigInt(landsAt) && timestamp < validBefore,
          )
          const latest = blocks[Math.min(seen, blocks.length - 1)]
          const final = blocks[Math.max(0, Math.min(seen, blocks.length - 1) - unfinal)]
          if (latest === undefined || final === undefined) return
          const isSeen = block !== undefined && block.number <= latest.number
          const use = !isSeen
            ? null
            : cancelled
              ? ({ kind: 'voided', how: 'cancelled', block: block.number } as const)
              : ({ kind: 'transfer', transaction: '0x', block: block.number } as const)
          const { kind } = judgeChain({ latest, final, use }, validBefore)
          if (block !== undefined && !cancelled) expect(kind).not.toBe('released')
          if (kind === 'settled') expect(isSeen && !cancelled).toBe(true)
          // A cancellation that a reorganisation can still undo frees nothing either.
          if (kind === 'released' && isSeen) expect(block.number <= final.number).toBe(true)
        },
      ),
    )
  })

  test('a nonce that is used without proof stays open for ever', () => {
    const block = { number: 9n, timestamp: 10 ** 9 }
    const view = { latest: block, final: block, use: { kind: 'unproven' } as const }
    expect(judgeChain(view, 0)).toEqual({ kind: 'open', reason: 'unproven' })
  })
})

describe('a stored payment', () => {
  test('is never read from what is not one, and reading never throws', () => {
    fc.assert(
      fc.property(fc.string(), fc.json(), (text, json) => {
        for (const payload of [text, json]) {
          const row = { payload, requirements: payload, payer: '0x', amount: 1n }
          expect(readStoredPayment(row)).toBeNull()
        }
      }),
    )
  })
})

describe('an alarm', () => {
  test('runs its task at once, never twice at once, and once more for what rang meanwhile', async () => {
    let running = 0
    let runs = 0
    const gates = [0, 1, 2].map(() => Promise.withResolvers<void>())
    const began = [0, 1, 2].map(() => Promise.withResolvers<void>())
    const alarm = startAlarm(async () => {
      const run = runs++
      expect(++running).toBe(1)
      began[run]?.resolve()
      await gates[run]?.promise
      running--
      return 3_600_000
    })
    await began[0]?.promise
    for (let ring = 0; ring < 5; ring++) alarm.ring()
    gates[0]?.resolve()
    await began[1]?.promise
    gates[1]?.resolve()
    await new Promise(setImmediate)
    expect(runs).toBe(2)
    alarm.ring()
    await began[2]?.promise
    const closed = alarm.close()
    alarm.ring()
    gates[2]?.resolve()
    await closed
    await new Promise(setImmediate)
    expect([runs, running]).toEqual([3, 0])
  })

  test('runs again by itself after the time that the task asks for', async () => {
    const second = Promise.withResolvers<void>()
    let runs = 0
    const alarm = startAlarm(async () => {
      if (++runs === 2) second.resolve()
      return 1
    })
    await second.promise
    await alarm.close()
    expect(runs).toBeGreaterThan(1)
  })
})

describe('upkeep', () => {
  const clock = () => unixMs(1_000_000)
  const quiet = { errorReported: () => {} }

  test('frees what was abandoned, forgets what is old, and soon goes on when there is more', async () => {
    const asked: unknown[] = []
    let removed = 500
    let forgotten = 0
    let ended = 0
    const ledger = {
      releaseAbandoned: async () => asked.push('abandoned'),
      prune: async (ask: { readonly olderThan: number; readonly limit: number }) => {
        asked.push(ask)
        return removed
      },
      pruneResponses: async () => forgotten,
      pruneFreeRequests: async () => ended,
    }
    const parts = { ledger, clock, observer: quiet, retentionMs: () => 900_000 }
    expect(await keepUp(parts)).toBeLessThan(5_000)
    expect(asked).toEqual(['abandoned', { olderThan: 100_000, limit: 500 }])
    removed = 499
    expect(await keepUp(parts)).toBeGreaterThanOrEqual(60_000)
    forgotten = 50
    expect(await keepUp(parts)).toBeLessThan(5_000)
    forgotten = 0
    ended = 500
    expect(await keepUp(parts)).toBeLessThan(5_000)
  })

  test('that the store refuses is reported, and tried again', async () => {
    const error = new StoreUnavailableError('gone', { fix: 'find it' })
    const ledger = {
      releaseAbandoned: () => Promise.reject(error),
      prune: () => Promise.reject(error),
      pruneResponses: () => Promise.reject(error),
      pruneFreeRequests: () => Promise.reject(error),
    }
    const errors: ErrorReported[] = []
    const observer = { errorReported: (event: ErrorReported) => void errors.push(event) }
    const waitMs = await keepUp({ ledger, clock, observer, retentionMs: () => 1 })
    expect(waitMs).toBeGreaterThan(0)
    expect(errors).toEqual([{ error, requestId: null }])
  })
})

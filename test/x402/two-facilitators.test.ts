import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Payment } from '../../src/core/payment.ts'
import { unixMs } from '../../src/core/time.ts'
import { FacilitatorUnavailableError, SettlementUnknownError } from '../../src/errors.ts'
import type { Facilitator, SettleAnswer } from '../../src/facilitator/facilitator.ts'
import { guardFacilitator } from '../../src/facilitator/guarded.ts'
import { createPaymentEngine } from '../../src/x402/payment-engine.ts'
import { supportedKinds, v1Networks } from '../facilitator/clients.ts'
import { buyer } from '../support/accounts.ts'
import { createOffer, NETWORK, pay } from './payments.ts'

/** What a facilitator does with one settle, and what it tells of it. */
const SETTLE_FAULTS = {
  settles: { sends: true },
  'settles and loses the answer': { sends: true },
  'loses the request': { sends: false },
  'settles and tells nonsense': { sends: true },
  'refuses before sending': { sends: false },
  'fails without saying when': { sends: true },
  'is pending': { sends: true },
  'cannot be reached': { sends: false },
  'turns it away': { sends: false },
  'breaks in a way of its own': { sends: true },
} as const
type SettleFault = keyof typeof SETTLE_FAULTS

const VERIFY_FAULTS = ['valid', 'invalid', 'silent', 'turned away'] as const
type VerifyFault = (typeof VERIFY_FAULTS)[number]

/** After these, whoever was asked has the payment, or may have it. */
const PROVEN_NOT_SENT: readonly SettleFault[] = ['cannot be reached', 'turns it away']

const { payload, ...rest } = await pay(buyer, createOffer())
const transaction = `0x${'ab'.repeat(32)}`

interface Asked {
  readonly facilitator: string
  readonly fault: SettleFault
  readonly nonce: number
}

/** Two facilitators behind their guards, which fail as they are told to. */
function createWorld() {
  const clock = { now: 0 }
  const faults: { settle: SettleFault; verify: VerifyFault }[] = [
    { settle: 'settles', verify: 'valid' },
    { settle: 'settles', verify: 'valid' },
  ]
  const settles: Asked[] = []
  const verifies: { readonly facilitator: string; readonly nonce: number }[] = []
  const facilitators = faults.map((fault, index) => {
    const name = `facilitator ${index}`
    const facilitator: Facilitator = {
      name,
      supported: async () => supportedKinds([2, NETWORK]),
      verify: async ({ resource }) => {
        verifies.push({ facilitator: name, nonce: Number(resource.url) })
        if (fault.verify === 'silent') throw unavailable(null)
        if (fault.verify === 'turned away') throw unavailable(5)
        return { isValid: fault.verify === 'valid' }
      },
      settle: async ({ resource }) => {
        settles.push({ facilitator: name, fault: fault.settle, nonce: Number(resource.url) })
        return settleWith(fault.settle)
      },
      close: async () => {},
    }
    const options = { concurrency: 2, clock: () => unixMs(clock.now) }
    return guardFacilitator(facilitator, options)
  })
  const known = facilitators.map(facilitator => ({
    facilitator,
    supported: supportedKinds([2, NETWORK]),
  }))
  return { clock, faults, settles, verifies, engine: createPaymentEngine(known, v1Networks) }
}

function settleWith(fault: SettleFault): SettleAnswer {
  const settled = { success: true, transaction, network: NETWORK }
  const failed = { ...settled, success: false, transaction: '' }
  switch (fault) {
    case 'settles':
      return settled
    case 'settles and tells nonsense':
      return { ...settled, transaction: 'queued' }
    case 'refuses before sending':
      return { ...failed, errorReason: 'insufficient_funds' }
    case 'fails without saying when':
      return { ...failed, errorReason: 'unexpected_settle_error' }
    case 'is pending':
      return { ...failed, errorReason: 'settlement_pending', transaction }
    case 'cannot be reached':
      throw unavailable(null)
    case 'turns it away':
      throw unavailable(5)
    case 'settles and loses the answer':
    case 'loses the request':
      throw new SettlementUnknownError('?', { fix: 'Wait.' })
    case 'breaks in a way of its own':
      throw new TypeError('x is not a function')
  }
}

function unavailable(restSeconds: number | null): FacilitatorUnavailableError {
  return new FacilitatorUnavailableError('No.', { fix: 'Wait.', restSeconds })
}

const settleFault = fc.constantFrom(...(Object.keys(SETTLE_FAULTS) as SettleFault[]))
const step = fc.oneof(
  fc.record({
    kind: fc.constant('fault' as const),
    of: fc.nat(1),
    settle: settleFault,
    verify: fc.constantFrom(...VERIFY_FAULTS),
  }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(40_000) }),
  // Several at once, more than the facilitators have places for.
  fc.record({ kind: fc.constant('pay' as const), atOnce: fc.integer({ min: 1, max: 6 }) }),
  fc.record({ kind: fc.constant('settle unverified' as const) }),
)

describe('over any sequence of faults of two facilitators', () => {
  test('no settle follows one that may have been sent, and what is said of it is true', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async steps => {
        const world = createWorld()
        let nonce = 0
        const create = (): Payment => {
          nonce += 1
          return { ...rest, payload: { ...payload, resource: { url: String(nonce) } } }
        }
        for (const next of steps) {
          if (next.kind === 'wait') world.clock.now += next.ms
          else if (next.kind === 'fault') Object.assign(world.faults[next.of] ?? {}, next)
          else if (next.kind === 'settle unverified') await settleOne(create(), world)
          else {
            const payments = Array.from({ length: next.atOnce }, create)
            await Promise.all(payments.map(payment => payOne(payment, world)))
          }
        }
      }),
      { numRuns: 400 },
    )
  })

  test('a payment is settled whenever a facilitator that works may be asked', async () => {
    const broken = fc.constantFrom(...PROVEN_NOT_SENT)
    await fc.assert(
      fc.asyncProperty(broken, fc.boolean(), fc.nat(9), async (fault, isFirst, many) => {
        const world = createWorld()
        const sick = world.faults[isFirst ? 0 : 1]
        if (sick !== undefined) Object.assign(sick, { settle: fault, verify: 'silent' })
        for (let nonce = 0; nonce <= many; nonce++) {
          const payment = { ...rest, payload: { ...payload, resource: { url: String(nonce) } } }
          expect(await world.engine.verify(payment)).toEqual({ kind: 'valid' })
          expect((await world.engine.settle(payment)).kind).toBe('settled')
        }
        // The first three find out that it is down; nobody after them has to.
        const wasted = world.verifies.filter(({ facilitator }) => facilitator === 'facilitator 0')
        if (isFirst) expect(wasted.length).toBeLessThanOrEqual(3)
      }),
    )
  })
})

type World = ReturnType<typeof createWorld>

async function payOne(payment: Payment, world: World): Promise<void> {
  const verdict = await world.engine.verify(payment)
  const nonce = Number(payment.payload.resource.url)
  const asked = world.verifies.filter(one => one.nonce === nonce).length
  expect(asked).toBeLessThanOrEqual(2)
  if (verdict.kind === 'valid') await settleOne(payment, world)
}

async function settleOne(payment: Payment, world: World): Promise<void> {
  const settlement = await world.engine.settle(payment)
  const nonce = Number(payment.payload.resource.url)
  const asked = world.settles.filter(one => one.nonce === nonce)
  // Nobody is asked after one who may have it, and nobody twice.
  for (const before of asked.slice(0, -1)) expect(PROVEN_NOT_SENT).toContain(before.fault)
  expect(new Set(asked.map(({ facilitator }) => facilitator)).size).toBe(asked.length)

  const sent = asked.filter(({ fault }) => SETTLE_FAULTS[fault].sends)
  expect(sent.length).toBeLessThanOrEqual(1)
  const last = asked.at(-1)?.fault
  if (settlement.kind === 'settled') expect(last).toBe('settles')
  if (settlement.kind === 'rejected') expect(last).toBe('refuses before sending')
  if (settlement.kind === 'not-sent') expect(sent).toEqual([])
  // What may have left is never called anything less.
  if (sent.length === 1 && last !== 'settles') expect(settlement.kind).toBe('unknown')
}

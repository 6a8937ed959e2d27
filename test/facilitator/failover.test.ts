import { beforeEach, describe, expect, test } from 'vitest'
import { FacilitatorUnavailableError, SettlementUnknownError } from '../../src/errors.ts'
import type {
  Facilitator,
  KnownFacilitator,
  Supported,
  SupportedKind,
} from '../../src/facilitator/facilitator.ts'
import { createFailover } from '../../src/facilitator/failover.ts'
import { buyer } from '../support/accounts.ts'
import { createOffer, createPermit2Offer, NETWORK, pay } from '../x402/payments.ts'
import { supportedKinds, v1Networks } from './clients.ts'

const { payload, offer } = await pay(buyer, createOffer())
const { requirements } = offer
const sepolia = supportedKinds([2, NETWORK])

type Outcome = 'answers' | 'refuses' | 'gone' | 'unknown' | number
let asked: string[]
let outcomes: Record<string, Outcome>

beforeEach(() => {
  asked = []
  outcomes = {}
})

function stand(name: string, supported: Supported = sepolia, earlier?: Supported[]) {
  const perform = async <T>(operation: string, answer: T, refusal: T): Promise<T> => {
    asked.push(`${operation} ${name}`)
    const outcome = outcomes[`${operation} ${name}`] ?? outcomes[name] ?? 'answers'
    const fix = 'Wait.'
    if (outcome === 'unknown') throw new SettlementUnknownError(name, { fix })
    if (outcome === 'gone') throw new FacilitatorUnavailableError(name, { fix })
    if (typeof outcome === 'number') {
      throw new FacilitatorUnavailableError(name, { fix, retryAfterSeconds: outcome })
    }
    return outcome === 'answers' ? answer : refusal
  }
  const settled = { success: true, transaction: name, network: NETWORK }
  const facilitator: Facilitator = {
    name,
    supported: async () => supported,
    verify: () => perform('verify', { isValid: true }, { isValid: false, invalidReason: name }),
    settle: () => perform('settle', settled, { ...settled, success: false, transaction: '' }),
    close: async () => {},
  }
  return { facilitator, supported, ...(earlier && { earlier }) }
}

const over = (...known: KnownFacilitator[]) => createFailover(known, v1Networks)
const abc = () => over(stand('a'), stand('b'), stand('c'))

describe('a verify', () => {
  test('goes to the first alone when it answers', async () => {
    await abc().verify(payload, requirements)
    expect(asked).toEqual(['verify a'])
  })

  test('moves to the next until one answers, and a refusal is an answer', async () => {
    outcomes = { a: 'gone', b: 'refuses' }
    const answer = await abc().verify(payload, requirements)
    expect(answer).toEqual({ isValid: false, invalidReason: 'b' })
    expect(asked).toEqual(['verify a', 'verify b'])
  })

  test('when nobody answers, tells when the first of them may be back', async () => {
    outcomes = { a: 30, b: 2, c: 600 }
    const failed = abc().verify(payload, requirements)
    await expect(failed).rejects.toMatchObject({ retryAfterSeconds: 2 })
    expect(asked).toHaveLength(3)
  })

  test('for a kind that nobody supports is unavailable', async () => {
    const failed = over().verify(payload, requirements)
    await expect(failed).rejects.toBeInstanceOf(FacilitatorUnavailableError)
  })
})

describe('a settle', () => {
  test('moves on from whoever has not sent it, and stops at whoever may have', async () => {
    outcomes = { a: 'gone', b: 'unknown' }
    const failed = abc().settle(payload, requirements)
    await expect(failed).rejects.toBeInstanceOf(SettlementUnknownError)
    expect(asked).toEqual(['settle a', 'settle b'])
  })

  test.each(['refuses', 'answers'] as const)('stays with the first that %s', async outcome => {
    outcomes = { a: outcome }
    await abc().settle(payload, requirements)
    expect(asked).toEqual(['settle a'])
  })

  test('goes first to whoever verified it, then to the others in order', async () => {
    outcomes = { 'verify a': 'gone', 'settle b': 'gone', 'settle a': 'gone' }
    const facilitators = abc()
    await facilitators.verify(payload, requirements)
    await facilitators.settle(payload, requirements)
    expect(asked).toEqual(['verify a', 'verify b', 'settle b', 'settle a', 'settle c'])
  })

  test('that is repeated goes first to whoever has not just failed to settle', async () => {
    outcomes = { a: 'unknown' }
    const facilitators = abc()
    await facilitators.settle(payload, requirements).catch(() => {})
    await facilitators.resettle(payload, requirements)
    outcomes = { b: 'refuses' }
    await facilitators.settle(payload, requirements)
    await facilitators.resettle(payload, requirements)
    expect(asked).toEqual(['settle a', 'settle b', 'settle a', 'settle a'])

    asked.length = 0
    outcomes = { a: 'refuses' }
    await facilitators.settle(payload, requirements)
    await facilitators.resettle(payload, requirements)
    expect(asked).toEqual(['settle a', 'settle b'])
  })
})

describe('which offers are made', () => {
  test('does not depend on who is up', () => {
    outcomes = { a: 'gone', b: 'gone', c: 'gone' }
    expect(abc().bind(requirements)).toBe(requirements)
  })

  test('those that nobody supports are not', () => {
    expect(over(stand('a', supportedKinds([2, 'eip155:1']))).bind(requirements)).toBeNull()
  })

  test('Permit2 is not part of version 1', () => {
    const { requirements: permit2 } = createPermit2Offer()
    const v1 = stand('v1', supportedKinds([1, 'base-sepolia']))
    expect(over(v1).bind(requirements)).toBe(requirements)
    expect(over(v1).bind(permit2)).toBeNull()
    expect(over(v1, stand('v2')).bind(permit2)).toBe(permit2)
  })

  test('no signing domain that a facilitator advertises gets into them', () => {
    const kind = { x402Version: 2, scheme: 'exact', network: NETWORK }
    const extra = { name: 'Wrong', feePayer: '0x1', facilitatorAddress: '0x2', asset: '0x3' }
    const wrong = { ...sepolia, kinds: [{ ...kind, extra }] }
    expect(over(stand('a', wrong)).bind(requirements)).toBe(requirements)
  })
})

describe('a payment that is bound to one facilitator', () => {
  const SOLANA = 'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1'
  const tied: [name: string, requirements: typeof requirements, field: string][] = [
    ['Solana, by feePayer', { ...requirements, network: SOLANA, extra: {} }, 'feePayer'],
    ['upto, by facilitatorAddress', { ...requirements, scheme: 'upto' }, 'facilitatorAddress'],
  ]

  test.each(tied)('%s: is settled by that one or by nobody', async (_, asking, field) => {
    const kind = (value: string): SupportedKind => ({
      x402Version: 2,
      scheme: asking.scheme,
      network: asking.network,
      extra: { [field]: value, name: 'ignored' },
    })
    const by = (value: string) => ({ ...sepolia, kinds: [kind(value)] })
    const facilitators = over(
      stand('a', by('of-a')),
      stand('b', by('of-b'), [by('once-of-b')]),
      stand('c', by('of-a')),
      stand('d', supportedKinds([2, asking.network, asking.scheme])),
    )
    const bound = facilitators.bind(asking)
    expect(bound).toEqual({ ...asking, extra: { ...asking.extra, [field]: 'of-a' } })
    if (bound === null) throw new Error('It was not bound.')

    // The same value from two places is the same account; nobody else gets it.
    outcomes = { a: 'gone', c: 'gone' }
    for (const operation of ['verify', 'settle', 'resettle'] as const) {
      asked.length = 0
      const failed = facilitators[operation](payload, bound)
      await expect(failed).rejects.toBeInstanceOf(FacilitatorUnavailableError)
      expect(asked.map(call => call.slice(-1))).toEqual(['a', 'c'])
    }
    expect(facilitators.bind(asking)).toEqual(bound)

    for (const value of ['of-b', 'once-of-b']) {
      asked.length = 0
      await facilitators.settle(payload, { ...bound, extra: { [field]: value } })
      expect(asked).toEqual(['settle b'])
    }
    const stranger = facilitators.settle(payload, { ...bound, extra: { [field]: 'of-nobody' } })
    await expect(stranger).rejects.toBeInstanceOf(FacilitatorUnavailableError)
  })
})

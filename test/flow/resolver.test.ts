import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { atomicAmount } from '../../src/core/amount.ts'
import type { Settlement } from '../../src/core/payment.ts'
import { type UnixMs, unixMs } from '../../src/core/time.ts'
import { StoreUnavailableError } from '../../src/errors.ts'
import { createResolver, type Resolver, type ResolverOptions } from '../../src/flow/resolver.ts'
import type { ClaimId, ClaimRequest, Ledger } from '../../src/ledger/ledger.ts'
import { openSqliteLedger } from '../../src/ledger/sqlite.ts'
import {
  type ChainReader,
  ChainUnavailableError,
  type ChainView,
  type NonceUse,
} from '../../src/networks/chain-reader.ts'
import type { ClaimResolved, ErrorReported } from '../../src/observe/events.ts'
import type { StoredPayment } from '../../src/x402/stored-payment.ts'
import { claimedAs, claimRequest, HOLD_MS, movableClock } from '../ledger/claim-fixtures.ts'

const TRANSACTION = `0x${'cd'.repeat(32)}`
const SETTLED: NonceUse = { kind: 'transfer', transaction: TRANSACTION, block: 7n }
const VALID_SECONDS = 120
const YOUNG_NONCE = `0x${'2'.repeat(64)}`

const payload = {
  x402Version: 2,
  payload: {
    signature: '0xabcd',
    authorization: {
      from: '0x209693Bc6afc0C5328bA36FaF03C514EF312287C',
      to: '0x209693Bc6afc0C5328bA36FaF03C514EF312287C',
      value: '1000',
      validAfter: '0',
      validBefore: '1800000060',
      nonce: `0x${'1'.repeat(64)}`,
    },
  },
}
const requirements = {
  scheme: 'exact',
  network: 'eip155:84532',
  amount: '1000',
  asset: '0x036CbD53842c5426634e7929541eC2318f3dCF7e',
  payTo: '0x209693Bc6afc0C5328bA36FaF03C514EF312287C',
  maxTimeoutSeconds: 120,
  extra: {},
}

let time: ReturnType<typeof movableClock>
let ledger: Ledger
let resolver: Resolver
let seen: ClaimResolved[]
let errors: ErrorReported[]
/** Looks and repeats, oldest first. */
let looks: { readonly nonce: string; readonly transaction: string | null }[]
let repeats: StoredPayment[]
/** What the chain and the facilitator say. */
let chain: () => Promise<ChainView>
let facilitator: () => Promise<Settlement | { kind: 'not-sent' }>

const seconds = (): number => Math.floor(time.clock() / 1000)
const later = (milliseconds: number): UnixMs => unixMs(time.clock() + milliseconds)

/** A chain whose newest block is of now, and whose final one is `finalAge` seconds older. */
function view(use: NonceUse | null, finalAge = 20): ChainView {
  return {
    latest: { number: 100n, timestamp: seconds() },
    final: { number: 90n, timestamp: seconds() - finalAge },
    use,
  }
}

const reader: ChainReader = {
  async look({ nonce }, { transaction }) {
    looks.push({ nonce, transaction })
    return chain()
  },
}

function create(parts: Partial<ResolverOptions> = {}): Resolver {
  return createResolver({
    ledger,
    clock: time.clock,
    chain: () => reader,
    resettle: stored => {
      repeats.push(stored)
      return facilitator()
    },
    observer: {
      claimResolved: event => void seen.push(event),
      errorReported: event => void errors.push(event),
    },
    attemptMsMax: () => 60_000,
    random: () => 0,
    ...parts,
  })
}

beforeEach(async () => {
  time = movableClock()
  ledger = await openSqliteLedger({ path: ':memory:', clock: time.clock })
  seen = []
  errors = []
  looks = []
  repeats = []
  chain = async () => view(null)
  facilitator = async () => ({ kind: 'not-sent' })
  resolver = create()
})
afterEach(async () => {
  await resolver.close()
  await ledger.close()
})

function request(key = 'a', parts: Partial<ClaimRequest> = {}): ClaimRequest {
  const base = claimRequest({ key, heldUntil: later(HOLD_MS) })
  return {
    ...base,
    payload: JSON.stringify(payload),
    requirements: JSON.stringify(requirements),
    validBefore: seconds() + VALID_SECONDS,
    ...parts,
  }
}

const leaveOpen = (asked = request()): Promise<ClaimId> => claimedAs('unknown', ledger, asked)

async function sweep(one: Resolver = resolver): Promise<number> {
  const wait = await one.sweep()
  await one.idle()
  return wait
}

/** Sweeps whenever something is due, for so long on the clock. */
async function sweepFor(milliseconds: number): Promise<void> {
  const end = time.clock() + milliseconds
  while (time.clock() < end) time.advance(Math.max(1, await sweep()))
}

/** For a thousand sweeps at most. */
async function sweepUntil(isDone: () => boolean): Promise<void> {
  for (let sweeps = 0; !isDone(); sweeps++) {
    if (sweeps > 1_000) expect.unreachable('It takes too many sweeps.')
    time.advance(Math.max(1, await sweep()))
  }
}

function youngPayload(): string {
  const { authorization } = payload.payload
  const own = { ...authorization, nonce: YOUNG_NONCE }
  return JSON.stringify({ ...payload, payload: { ...payload.payload, authorization: own } })
}

const outcomes = (): string[] => seen.map(({ outcome, reason }) => `${outcome}: ${reason}`)

describe('a claim whose settlement is open', () => {
  test.each(['unknown', 'settling'] as const)(
    'and %s is settled by the proof, and redeems at once',
    async state => {
      await claimedAs(state, ledger, request())
      if (state === 'settling') {
        await sweep()
        expect(looks).toEqual([])
        time.advance(HOLD_MS)
      }
      chain = async () => view(SETTLED)
      resolver.wake()
      await sweep()
      expect(outcomes()).toEqual(['settled: chain_proved'])
      expect(seen[0]).toMatchObject({ transaction: TRANSACTION, route: 'GET /v1/weather/{city}' })
      expect(repeats).toEqual([])
      const again = await ledger.claim(request())
      expect(again).toMatchObject({
        kind: 'entitled',
        receipt: { transaction: TRANSACTION, amount: atomicAmount(1000n) },
      })
    },
  )

  test.each<[string, NonceUse | null, number]>([
    ['it expired unused', null, -VALID_SECONDS - 1],
    ['it was cancelled', { kind: 'voided', how: 'cancelled', block: 90n }, 0],
    ['its nonce went elsewhere', { kind: 'voided', how: 'other-use', block: 90n }, 0],
  ])('is released when %s, and the payment is free', async (_name, use, finalAge) => {
    await leaveOpen()
    chain = async () => view(use, finalAge)
    await sweep()
    expect(seen.map(({ outcome }) => outcome)).toEqual(['released'])
    expect((await ledger.claim(request('a', { fingerprint: request().fingerprint }))).kind).toBe(
      'claimed',
    )
  })

  test.each<[string, NonceUse | null, number]>([
    ['its last second is the final block’s', null, -VALID_SECONDS],
    ['the final block is older than its end', null, 20],
    ['its cancellation is not final', { kind: 'voided', how: 'cancelled', block: 91n }, 0],
    ['nothing proves how its nonce was used', { kind: 'unproven' }, -10 * VALID_SECONDS],
  ])('is kept while %s', async (_name, use, finalAge) => {
    await leaveOpen()
    facilitator = async () => ({ kind: 'rejected', reason: 'insufficient_funds' })
    const still = view(use, finalAge)
    chain = async () => still
    await sweepFor(20_000)
    expect(new Set(seen.map(({ outcome }) => outcome))).toEqual(new Set(['open']))
    expect(await ledger.countByState()).toMatchObject({ unknown: 1 })
  })

  test('is looked up by the hash that the facilitator named, and named since', async () => {
    const id = await claimedAs('settling', ledger, request())
    await ledger.markUnknown(id, 'timed out', TRANSACTION)
    const newer = `0x${'ef'.repeat(32)}`
    facilitator = async () => ({ kind: 'unknown', detail: 'pending', transaction: newer })
    await sweepFor(8_000)
    const named = [...new Set(looks.map(({ transaction }) => transaction))]
    expect(named).toEqual([TRANSACTION, newer])
    await resolver.close()
    const [row] = await ledger.list({ limit: 10 })
    expect(row).toMatchObject({ state: 'unknown', transaction: newer })
  })
})

describe('sending again', () => {
  test('waits for the first settle to land, then comes ever more seldom', async () => {
    await leaveOpen()
    await sweep()
    expect([looks.length, repeats.length]).toEqual([1, 0])
    await sweepFor(VALID_SECONDS * 1000 - 2_000)
    expect(repeats.length).toBeGreaterThan(3)
    expect(repeats.length).toBeLessThan(9)
    expect(repeats[0]).toMatchObject({ payload, requirements })
    expect(JSON.stringify(repeats[0]?.payload)).toBe(JSON.stringify(payload))
  })

  test('does not happen once the chain refuses the payment, nor when it was used', async () => {
    await leaveOpen(request('a', { validBefore: seconds() }))
    await sweepFor(60_000)
    chain = async () => view({ kind: 'unproven' })
    await leaveOpen(request('b'))
    await sweepFor(60_000)
    expect(repeats).toEqual([])
  })

  test('ends with what the chain says, whatever the facilitator says', async () => {
    await leaveOpen()
    facilitator = async () => {
      chain = async () => view(SETTLED)
      return { kind: 'rejected', reason: 'insufficient_funds' }
    }
    await sweepFor(3_000)
    expect(outcomes().at(-1)).toBe('settled: chain_proved')
  })

  test('never happens to what no chain makes unique', async () => {
    await leaveOpen(request('a', { payload: '{"x402Version":2,"payload":{"transaction":"AQ=="}}' }))
    await leaveOpen(request('b', { payload: 'not JSON' }))
    resolver = create({ chain: () => null })
    await sweepFor(60_000)
    expect(repeats).toEqual([])
    expect(new Set(outcomes())).toEqual(new Set(['open: unreadable']))
  })
})

describe('without a node', () => {
  beforeEach(() => {
    resolver = create({ chain: () => null })
  })

  test('only a success ends a claim', async () => {
    await leaveOpen()
    const expired = 'invalid_exact_evm_payload_authorization_valid_before'
    facilitator = async () => ({ kind: 'rejected', reason: expired })
    await sweepFor(3_600_000)
    expect(await ledger.countByState()).toMatchObject({ unknown: 1 })
    const { network, payer, amount } = request()
    const receipt = { transaction: TRANSACTION, network, payer, amount }
    facilitator = async () => ({ kind: 'settled', receipt })
    await sweepFor(3_600_000)
    expect(outcomes().at(-1)).toBe('settled: facilitator_proved')
  })
})

// Its nonce is Circle's: the token would call it unused forever, and the time for it past.
describe('a payment from a balance at Circle Gateway', () => {
  const wallet = {
    ...requirements,
    extra: {
      name: 'GatewayWalletBatched',
      version: '1',
      verifyingContract: `0x${'77'.repeat(20)}`,
    },
  }
  const leave = () => leaveOpen(request('a', { requirements: JSON.stringify(wallet) }))

  test.each<[string, NonceUse | null]>([
    ['unused, and long expired', null],
    ['cancelled', { kind: 'voided', how: 'cancelled', block: 7n }],
    ['used for a transfer', SETTLED],
  ])('is never judged by what its chain says of the token: %s', async (_, use) => {
    await leave()
    chain = async () => view(use, -VALID_SECONDS * 1_000)
    facilitator = async () => ({ kind: 'rejected', reason: 'invalid_signature' })
    await sweepFor(3_600_000)
    expect(looks).toEqual([])
    expect(new Set(outcomes())).toEqual(new Set(['open: not_on_chain']))
    expect(repeats.length).toBeGreaterThan(1)
    expect(await ledger.countByState()).toMatchObject({ unknown: 1 })
  })

  test('is settled when Circle says so, asked for the same bytes again', async () => {
    await leave()
    const receipt = {
      ...{ transaction: '7ad1e5a0-0000-4000-8000-000000000000', network: 'eip155:84532' as const },
      ...{ payer: payload.payload.authorization.from, amount: atomicAmount(1_000n) },
    }
    facilitator = async () => ({ kind: 'settled', receipt })
    await sweepFor(5_000)
    expect(outcomes().at(-1)).toBe('settled: facilitator_proved')
    expect(repeats.map(({ requirements: sent }) => sent)).toEqual([wallet])
    expect(looks).toEqual([])
  })
})

describe('two at once', () => {
  test('never work on one claim: not in one gateway, however often it sweeps', async () => {
    await leaveOpen()
    const answer = Promise.withResolvers<ChainView>()
    chain = () => answer.promise
    for (let round = 0; round < 5; round++) {
      resolver.wake()
      await resolver.sweep()
      time.advance(1_000)
    }
    expect(looks).toHaveLength(1)
    answer.resolve(view(SETTLED))
    await resolver.idle()
    expect(outcomes()).toEqual(['settled: chain_proved'])
  })

  test('never work on one claim: not two gateways', async () => {
    await Promise.all(Array.from({ length: 30 }, (_, index) => leaveOpen(request(`${index}`))))
    const other = create()
    chain = async () => view(SETTLED)
    for (let round = 0; round < 10; round++) await Promise.all([sweep(), sweep(other)])
    expect(looks).toHaveLength(30)
    expect(await ledger.countByState()).toMatchObject({ settled: 30, unknown: 0 })
    await other.close()
  })

  test('are few: attempts at the same time have a bound', async () => {
    await Promise.all(Array.from({ length: 30 }, (_, index) => leaveOpen(request(`${index}`))))
    const answer = Promise.withResolvers<ChainView>()
    chain = () => answer.promise
    await resolver.sweep()
    expect(looks).toHaveLength(8)
    answer.resolve(view(SETTLED))
    for (let round = 0; round < 10; round++) await sweep()
    expect(await ledger.countByState()).toMatchObject({ settled: 30 })
  })
})

describe('what fails', () => {
  test('at the node is said once in a while, and tried again', async () => {
    await leaveOpen()
    chain = () => Promise.reject(new ChainUnavailableError('base-sepolia', 'HttpRequestError 503'))
    await sweepFor(25_000)
    expect(looks.length).toBeGreaterThan(5)
    expect(errors).toHaveLength(1)
    expect(new Set(outcomes())).toEqual(new Set(['open: chain_unavailable']))
    chain = async () => view(SETTLED)
    await sweepFor(60_000)
    expect(outcomes().at(-1)).toBe('settled: chain_proved')
  })

  test('in the store is tried again, and nothing is lost', async () => {
    const id = await leaveOpen()
    chain = async () => view(SETTLED)
    let works = false
    const flaky: ResolverOptions['ledger'] = {
      takeUnresolved: ask => (works ? ledger.takeUnresolved(ask) : down()),
      markSettled: (...step) => (works ? ledger.markSettled(...step) : down()),
      markUnknown: (...step) => ledger.markUnknown(...step),
      endHold: step => ledger.endHold(step),
      release: (...step) => ledger.release(...step),
    }
    resolver = create({ ledger: flaky })
    expect(await sweep()).toBeGreaterThan(0)
    works = true
    time.advance(10_000)
    await resolver.sweep()
    works = false
    await resolver.idle()
    works = true
    await sweepFor(60_000)
    expect(await ledger.list({ limit: 10 })).toMatchObject([{ id, state: 'settled' }])
    expect(errors.length).toBeGreaterThan(0)
  })

  test('because somebody else has finished the claim is no error', async () => {
    const id = await leaveOpen()
    chain = async () => {
      await ledger.release(id, 'by another')
      return view(SETTLED)
    }
    await sweepFor(60_000)
    expect([errors, seen]).toEqual([[], []])
    expect(looks).toHaveLength(1)
  })

  const down = () =>
    Promise.reject(new StoreUnavailableError('The disk is gone.', { fix: 'Find it.' }))
})

describe('time', () => {
  test('what has been open for days is looked at about every hour', async () => {
    await leaveOpen()
    chain = async () => view({ kind: 'unproven' })
    await sweepFor(12 * 3_600_000)
    const before = looks.length
    await sweepFor(12 * 3_600_000)
    expect(looks.length - before).toBeGreaterThan(6)
    expect(looks.length - before).toBeLessThan(14)
  })

  test('what has been open for long does not keep the rest waiting', async () => {
    const many = Array.from({ length: 300 }, (_, index) => leaveOpen(request(`old ${index}`)))
    await Promise.all(many)
    chain = async () => view({ kind: 'unproven' })
    await sweepFor(120_000)
    await leaveOpen(request('young'))
    looks.length = 0
    chain = async () => view(SETTLED)
    resolver.wake()
    await sweepFor(15_000)
    const rows = await ledger.list({ limit: 1000 })
    expect(rows.find(({ key }) => key.endsWith('young'))?.state).toBe('settled')
  })

  test('a young one does not wait for ten thousand that stay open, and each of them gets its turn', async () => {
    const asked = Array.from({ length: 10_000 }, (_, index) => request(`old ${index}`))
    for (let at = 0; at < asked.length; at += 500) {
      await Promise.all(asked.slice(at, at + 500).map(leaveOpen))
    }
    time.advance(60_000)
    await leaveOpen(request('young', { payload: youngPayload() }))
    let atOnce = 0
    let atOnceMax = 0
    const own: ChainReader = {
      async look({ nonce }, { transaction }) {
        atOnceMax = Math.max(atOnceMax, ++atOnce)
        await Promise.resolve()
        atOnce--
        looks.push({ nonce, transaction })
        return view(nonce === YOUNG_NONCE ? SETTLED : { kind: 'unproven' })
      },
    }
    resolver = create({ chain: () => own })
    const began = time.clock()
    await sweepUntil(() => looks.some(({ nonce }) => nonce === YOUNG_NONCE))
    expect(time.clock() - began).toBeLessThan(1_000)
    expect(looks.length).toBeLessThan(300)
    await sweepUntil(() => looks.length > 9_900)
    expect(time.clock() - began).toBeLessThan(30_000)
    // All that old ones may have, and the young one.
    expect(atOnceMax).toBe(7)
    expect(outcomes()).toContain('settled: chain_proved')
  }, 60_000)

  test('a young one does not wait for old ones whose nodes hang, whatever there is of them', async () => {
    const many = Array.from({ length: 400 }, (_, index) => leaveOpen(request(`old ${index}`)))
    await Promise.all(many)
    time.advance(60_000)
    const hanging = Promise.withResolvers<ChainView>()
    chain = () => hanging.promise
    await resolver.sweep()
    expect(looks).toHaveLength(6)
    for (const name of ['young', 'younger']) {
      await leaveOpen(request(name, { payload: youngPayload() }))
      resolver.wake()
      await resolver.sweep()
    }
    expect(looks.filter(({ nonce }) => nonce === YOUNG_NONCE)).toHaveLength(2)
    hanging.resolve(view(SETTLED))
  })

  test('a network whose nodes are down does not keep those of another waiting', async () => {
    const many = Array.from({ length: 1_000 }, (_, index) =>
      leaveOpen(request(`old ${index}`, { network: 'eip155:8453' })),
    )
    await Promise.all(many)
    time.advance(60_000)
    await leaveOpen(request('young'))
    // A node that hangs, for all who ask at the same time, until the time-out.
    let hanging: Promise<void> | null = null
    const down: ChainReader = {
      async look() {
        hanging ??= new Promise(resolve => setImmediate(resolve)).then(() => {
          time.advance(3_000)
          hanging = null
        })
        await hanging
        throw new ChainUnavailableError('base', 'no answer')
      },
    }
    chain = async () => view(SETTLED)
    resolver = create({ chain: network => (network === 'eip155:8453' ? down : reader) })
    const began = time.clock()
    await sweepUntil(() => outcomes().includes('settled: chain_proved'))
    expect(time.clock() - began).toBeLessThan(60_000)
    const rows = await ledger.list({ limit: 1000, states: ['settled'] })
    expect(rows.map(({ key }) => key.endsWith('young'))).toEqual([true])
  })

  test('closing waits for the attempt that runs, and lets the next gateway go on at once', async () => {
    await leaveOpen()
    const answer = Promise.withResolvers<ChainView>()
    chain = () => answer.promise
    await resolver.sweep()
    const closed = resolver.close()
    answer.resolve(view(null))
    await closed
    const next = create()
    chain = async () => view(SETTLED)
    await sweep(next)
    expect(outcomes().at(-1)).toBe('settled: chain_proved')
    await next.close()
  })
})

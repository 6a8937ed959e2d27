import { EventEmitter, once } from 'node:events'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import type { GuardedFacilitator, Supported } from '../../src/facilitator/facilitator.ts'
import { guardFacilitator } from '../../src/facilitator/guarded.ts'
import { type SupportWatch, watchSupport } from '../../src/facilitator/support.ts'
import { buyer } from '../support/accounts.ts'
import {
  answerWith,
  type StubFacilitator,
  startStubFacilitator,
} from '../support/stub-facilitator.ts'
import { createOffer, pay } from '../x402/payments.ts'
import { connect, supportedKinds } from './clients.ts'

const sepolia = supportedKinds([2, 'eip155:84532'])
const mainnet = supportedKinds([2, 'eip155:8453'])

const guard = { concurrency: 8, clock: () => unixMs(Date.now()) }
const unremembered = (facilitator: GuardedFacilitator) => ({
  facilitator,
  memory: { recall: () => null, remember: () => {} },
})
const silent = (watched: SupportWatch) => watched.silent().map(({ name }) => name)

let first: StubFacilitator
let second: StubFacilitator
let facilitators: GuardedFacilitator[]
let changes: EventEmitter
let watches: SupportWatch[]

beforeEach(async () => {
  first = await startStubFacilitator(answerWith(sepolia))
  second = await startStubFacilitator(answerWith(mainnet))
  facilitators = [
    guardFacilitator(connect(first.url, { name: 'first' }), guard),
    guardFacilitator(connect(second.url, { name: 'second' }), guard),
  ]
  changes = new EventEmitter()
  watches = []
})
afterEach(async () => {
  vi.useRealTimers()
  for (const watched of watches) watched.close()
  await Promise.all([...facilitators, first, second].map(one => one.close()))
})

function watch(): SupportWatch {
  const watched = watchSupport(facilitators.map(unremembered), () => changes.emit('change'))
  watches.push(watched)
  return watched
}

const networks = (watched: SupportWatch) =>
  watched.known().map(({ supported }) => supported.kinds[0]?.network)

test('knows all that answered, in the configured order, however fast each was', async () => {
  const watched = watch()
  await watched.firstRound
  expect(networks(watched)).toEqual(['eip155:84532', 'eip155:8453'])
  expect(watched.known().map(({ facilitator }) => facilitator.name)).toEqual(['first', 'second'])
  expect(silent(watched)).toEqual([])
})

test('one that is down does not keep the first round from ending', async () => {
  first.answer = { kind: 'reset' }
  const watched = watch()
  await watched.firstRound
  expect(networks(watched)).toEqual(['eip155:8453'])
  expect(silent(watched)).toEqual(['first'])
})

test('with all of them down, the first round ends too', async () => {
  first.answer = second.answer = answerWith({ error: 'busy' }, 503)
  const watched = watch()
  await watched.firstRound
  expect(watched.known()).toEqual([])
  expect(silent(watched)).toEqual(['first', 'second'])
})

test('one that comes up later is asked again, and its coming up is told', async () => {
  first.answer = { kind: 'reset' }
  const watched = watch()
  await watched.firstRound
  const cameUp = once(changes, 'change')
  first.answer = answerWith(sepolia)
  await cameUp
  expect(networks(watched)).toEqual(['eip155:84532', 'eip155:8453'])
  expect(silent(watched)).toEqual([])
})

test('one that is down is asked less and less often, and never given up', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const asked: number[] = []
  const down = {
    ...facilitators[0],
    name: 'down',
    supported: () => {
      asked.push(Date.now())
      return Promise.reject(new Error('down'))
    },
  } as GuardedFacilitator // the others are never called
  const watched = watchSupport([unremembered(down)], () => {})
  watches.push(watched)
  await watched.firstRound
  const waits: number[] = []
  for (let round = 0; round < 9; round++) {
    const before = asked.length
    let waited = 0
    while (asked.length === before) {
      await vi.advanceTimersByTimeAsync(500)
      waited += 500
    }
    waits.push(waited)
  }
  expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
})

test('a refresh that brings nothing new is not told; a new kind is', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  facilitators.splice(1).map(facilitator => facilitator.close())
  let supported = { ...sepolia, kinds: [...sepolia.kinds] }
  const told: unknown[] = []
  const asked: unknown[] = []
  const changing = {
    ...facilitators[0],
    name: 'first',
    supported: async () => {
      asked.push(supported)
      return supported
    },
  } as GuardedFacilitator // the others are never called
  const watched = watchSupport([unremembered(changing)], () => told.push(supported))
  watches.push(watched)
  await watched.firstRound
  told.length = 0
  await vi.advanceTimersByTimeAsync(10 * 60_000)
  expect([asked.length, told.length]).toEqual([2, 0])
  supported = mainnet
  await vi.advanceTimersByTimeAsync(10 * 60_000)
  expect([asked.length, told.length]).toEqual([3, 1])
  expect(networks(watched)).toEqual(['eip155:8453'])
})

test('one that fails a refresh keeps its last answer', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  let asked = 0
  const flaky = {
    ...facilitators[0],
    name: 'flaky',
    supported: async () => {
      asked += 1
      if (asked > 1) throw new Error('down')
      return sepolia
    },
  } as GuardedFacilitator // the others are never called
  const watched = watchSupport([unremembered(flaky)], () => {})
  watches.push(watched)
  await watched.firstRound
  await vi.advanceTimersByTimeAsync(10 * 60_000)
  expect(asked).toBe(2)
  expect(networks(watched)).toEqual(['eip155:84532'])
  expect(silent(watched)).toEqual([])
})

test('after close nobody is asked and nothing is told, even by an answer on its way', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const answers: ((supported: typeof sepolia) => void)[] = []
  const slow = {
    ...facilitators[0],
    name: 'slow',
    supported: () => new Promise(resolve => answers.push(resolve)),
  } as GuardedFacilitator // the others are never called
  let told = 0
  const watched = watchSupport([unremembered(slow)], () => {
    told += 1
  })
  watched.close()
  answers[0]?.(sepolia)
  await watched.firstRound
  expect(told).toBe(0)
  expect(vi.getTimerCount()).toBe(0)
})

test('close ends the timers', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const ready = {
    ...facilitators[0],
    name: 'ready',
    supported: async () => sepolia,
  } as GuardedFacilitator // see above
  const watched = watchSupport([unremembered(ready)], () => {})
  await watched.firstRound
  expect(vi.getTimerCount()).toBe(1)
  watched.close()
  expect(vi.getTimerCount()).toBe(0)
})

describe('what an earlier process has heard', () => {
  const remembered = (facilitator: GuardedFacilitator, supported: Supported) => {
    const kept: Supported[] = []
    const memory = { recall: () => supported, remember: (said: Supported) => void kept.push(said) }
    return { entry: { facilitator, memory }, kept }
  }

  test('is known at once, and the first round does not wait for it', async () => {
    first.answer = { kind: 'hang' }
    const [one] = facilitators
    if (one === undefined) return expect.unreachable()
    const watched = watchSupport([remembered(one, sepolia).entry], () => {})
    watches.push(watched)
    expect(networks(watched)).toEqual(['eip155:84532'])
    expect(silent(watched)).toEqual(['first'])
    await watched.firstRound
    expect(first.requests).toEqual([])
  })

  test('is confirmed without a word, or replaced and told of, and kept for bound payments', async () => {
    first.answer = answerWith(mainnet)
    const entries = facilitators.map(one =>
      remembered(one, one.name === 'first' ? sepolia : mainnet),
    )
    const changed = once(changes, 'change')
    let told = 0
    const watched = watchSupport(
      entries.map(({ entry }) => entry),
      () => {
        told += 1
        changes.emit('change')
      },
    )
    watches.push(watched)
    await changed
    await expect.poll(() => silent(watched)).toEqual([])
    expect(networks(watched)).toEqual(['eip155:8453', 'eip155:8453'])
    expect(told).toBe(1)
    expect(entries.map(({ kept }) => kept)).toEqual([[mainnet], [mainnet]])
    expect(watched.known().map(({ earlier }) => earlier)).toEqual([[sepolia], []])
  })
})

test('of what was said before, only the last few are kept', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  let round = 0
  const changing = {
    ...facilitators[0],
    name: 'changing',
    supported: async () => supportedKinds([2, `eip155:${++round}`]),
  } as GuardedFacilitator // the others are never called
  const watched = watchSupport([unremembered(changing)], () => {})
  watches.push(watched)
  await vi.advanceTimersByTimeAsync(11 * 10 * 60_000)
  const [known] = watched.known()
  expect(known?.supported).toEqual(supportedKinds([2, `eip155:${round}`]))
  const earlier = Array.from({ length: 8 }, (_, age) => [`eip155:${round - 1 - age}`])
  expect(known?.earlier?.map(({ kinds }) => kinds.map(({ network }) => network))).toEqual(earlier)
})

test('one that traffic has found to be down is asked when it may be back, not at the refresh', async () => {
  const watched = watch()
  await watched.firstRound
  const [one] = facilitators
  first.answer = { kind: 'reset' }
  const { payload, offer } = await pay(buyer, createOffer())
  for (let time = 0; time < 3; time++) {
    await one?.verify(payload, offer.requirements).catch(() => {})
  }
  expect(one?.condition().kind).toBe('down')
  first.answer = answerWith(sepolia)
  await expect.poll(() => one?.condition().kind).toBe('up')
})

import { setImmediate as turnEnd } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { Turnstile } from '../../src/ledger/turnstile.ts'

const UNAVAILABLE = { code: 'store_unavailable' }

function create(insideMax: number, { waitingMax = 10, waitMs = 10_000 } = {}): Turnstile {
  return new Turnstile({ insideMax, waitingMax, waitMs })
}

/** Enters, and notes the name when it is in. */
async function enter(turnstile: Turnstile, name: string, inside: string[]): Promise<void> {
  await turnstile.enter()
  inside.push(name)
}

it('lets only so many in, and the others in the order in which they came', async () => {
  const turnstile = create(2)
  const inside: string[] = []
  const all = ['a', 'b', 'c', 'd'].map(name => enter(turnstile, name, inside))
  await turnEnd()
  expect(inside).toEqual(['a', 'b'])
  turnstile.leave()
  await turnEnd()
  expect(inside).toEqual(['a', 'b', 'c'])
  turnstile.leave()
  await Promise.all(all)
  expect(inside).toEqual(['a', 'b', 'c', 'd'])
})

it('refuses one more than may wait, and still serves those', async () => {
  const turnstile = create(1, { waitingMax: 1 })
  await turnstile.enter()
  const waiting = turnstile.enter()
  await expect(turnstile.enter()).rejects.toMatchObject(UNAVAILABLE)
  turnstile.leave()
  await waiting
})

it('refuses one that waited too long', async () => {
  const turnstile = create(1, { waitMs: 5 })
  await turnstile.enter()
  await expect(turnstile.enter()).rejects.toMatchObject(UNAVAILABLE)
  turnstile.leave()
  await turnstile.enter()
})

it('lets fewer in when told to, and more again, but never more than at first', async () => {
  const turnstile = create(2)
  const inside: string[] = []
  turnstile.allow(0)
  const all = ['a', 'b', 'c'].map(name => enter(turnstile, name, inside))
  await turnEnd()
  expect(inside).toEqual(['a'])
  turnstile.allow(99)
  await turnEnd()
  expect(inside).toEqual(['a', 'b'])
  turnstile.leave()
  await Promise.all(all)
})

it('is empty when everyone who came before has left, and lets nobody in after', async () => {
  const turnstile = create(1)
  await turnstile.enter()
  const waiting = turnstile.enter()
  let empty = false
  const drained = turnstile.drain(new Error('closed')).then(() => {
    empty = true
  })
  await expect(turnstile.enter()).rejects.toThrow('closed')
  turnstile.leave()
  await waiting
  await turnEnd()
  expect(empty).toBe(false)
  turnstile.leave()
  await drained
})

import { expect, test } from 'vitest'
import type { Reply } from '../../src/flow/exchange.ts'
import { createHoldBack } from '../../src/flow/hold-back.ts'

const reply: Reply = { status: 429, headers: [], body: Buffer.alloc(0), outcome: 'x' }

function holdBack(heldMax: number) {
  const timers = new Set<() => void>()
  const waits: number[] = []
  const leaving: (() => void)[] = []
  const answered: Reply[] = []
  const held = createHoldBack((callback, milliseconds) => {
    timers.add(callback)
    waits.push(milliseconds)
    return () => timers.delete(callback)
  }, heldMax)
  const exchange = {
    onClientGone(callback: () => void) {
      leaving.push(callback)
      return () => void leaving.splice(leaving.indexOf(callback), 1)
    },
  }
  return {
    timers,
    waits,
    leaving,
    answered,
    send: () => held.wait(reply, exchange).then(got => answered.push(got)),
  }
}

test('answers after a while', async () => {
  const { send, timers, answered } = holdBack(10)
  const sent = send()
  await Promise.resolve()
  expect(answered).toEqual([])
  for (const ring of timers) ring()
  await sent
  expect(answered).toEqual([reply])
})

test('has nothing to tell a client that goes later', async () => {
  const { send, timers, leaving } = holdBack(10)
  const sent = send()
  expect(leaving).toHaveLength(1)
  for (const ring of timers) ring()
  await sent
  expect(leaving).toHaveLength(0)
})

test('holds each longer the more are held, so that no more answers leave in a second', () => {
  const { send, waits } = holdBack(10_000)
  for (let count = 0; count < 2_000; count++) void send()
  expect(waits.slice(0, 250)).toEqual(Array.from({ length: 250 }, () => 1_000))
  expect(waits.at(499)).toBe(2_000)
  expect(waits.at(1_999)).toBe(8_000)
})

test('forgets whoever has gone, and has room for others then', async () => {
  const { send, timers, leaving, answered } = holdBack(1)
  const first = send()
  // No room: at once.
  await send()
  expect(answered).toHaveLength(1)
  for (const leave of leaving) leave()
  await first
  expect(timers.size).toBe(0)
  void send()
  expect(timers.size).toBe(1)
})

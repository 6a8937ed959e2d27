import { expect, test } from 'vitest'
import type { Reply } from '../../src/flow/exchange.ts'
import { createHoldBack } from '../../src/flow/hold-back.ts'

const reply: Reply = { status: 429, headers: [], body: Buffer.alloc(0), outcome: 'x' }

function holdBack(heldMax: number) {
  const timers = new Set<() => void>()
  const leaving: (() => void)[] = []
  const answered: Reply[] = []
  const held = createHoldBack(callback => {
    timers.add(callback)
    return () => timers.delete(callback)
  }, heldMax)
  const exchange = {
    onClientGone(callback: () => void) {
      leaving.push(callback)
      return () => undefined
    },
  }
  return {
    timers,
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

import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { atomicAmount } from '../../src/core/amount.ts'
import { paymentKey, type Receipt } from '../../src/core/payment.ts'
import type { Purchase } from '../../src/flow/purchase.ts'
import { replay } from '../../src/flow/replay.ts'
import { createRoom } from '../../src/flow/room.ts'

const BODY = Buffer.from('what was paid for')
const receipt: Receipt = {
  ...{ transaction: '0xab', network: 'eip155:84532', payer: '0xA', amount: atomicAmount(1n) },
}
const nothingSaid = JSON.stringify([
  ['authorization', []],
  ['cookie', []],
])
const known = {
  kind: 'stored',
  ...{ id: null, receipt, key: paymentKey('a'), bodyBytes: BODY.length },
  response: {
    ...{ status: 200, headers: [], trailers: [] },
    variant: createHash('sha256').update(nothingSaid).digest('base64url'),
  },
} as const

/** @param roomBytes What is left for responses that are given again. */
function ask(readBody: () => Promise<Uint8Array | null>, roomBytes: number) {
  const replayRoom = createRoom(roomBytes)
  const exchange = { method: 'GET', headerValues: () => [] }
  const visit = { exchange, house: { ledger: { readBody }, replayRoom } }
  const purchase = { visit, payment: { offer: { v1Network: null } }, version: 2 }
  const reply = replay(purchase as unknown as Purchase, known) // all that is looked at
  return { reply, isRoomFree: () => replayRoom.take(roomBytes) }
}

test('the memory of a body is taken before it is read, and given back with its delivery', async () => {
  const { reply, isRoomFree } = ask(async () => BODY, BODY.length)
  const { outcome, afterDelivery } = await reply
  expect(outcome).toBe('replayed')
  expect(isRoomFree()).toBe(false)
  await afterDelivery?.('aborted')
  expect(isRoomFree()).toBe(true)
})

test('where there is no memory for a body it is not read, and the client comes again', async () => {
  const { reply } = ask(() => Promise.reject(new Error('was read')), BODY.length - 1)
  expect(await reply).toMatchObject({ status: 409, outcome: 'payment_in_progress' })
})

test('a body that has gone meanwhile, or cannot be read, costs no memory', async () => {
  const gone = ask(async () => null, BODY.length)
  expect(await gone.reply).toMatchObject({ status: 409, outcome: 'payment_in_progress' })
  expect(gone.isRoomFree()).toBe(true)
  const broken = ask(() => Promise.reject(new Error('disk')), BODY.length)
  await expect(broken.reply).rejects.toThrow('disk')
  expect(broken.isRoomFree()).toBe(true)
})

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { unixMs } from '../../../src/core/time.ts'
import { createGuesses } from '../../../src/facilitator/serve/guesses.ts'
import { type Chain, startChain } from '../../support/chain.ts'
import {
  type ServedFacilitator,
  SHOP_KEY,
  startServedFacilitator,
} from '../../support/served-facilitator.ts'

describe('who guesses keys at a served facilitator', () => {
  let chain: Chain
  let served: ServedFacilitator
  beforeAll(async () => {
    chain = await startChain()
    served = await startServedFacilitator(chain)
  })
  afterAll(async () => {
    await served.close()
    await chain.close()
  })

  const ask = (authorization?: string) =>
    fetch(`${served.url}/supported`, { headers: authorization ? { authorization } : {} })

  test('gets 401 twenty times and then 429, and stops nobody who has a key', async () => {
    const statuses: number[] = []
    for (let guess = 0; guess < 20; guess++) {
      statuses.push(
        (await ask(guess % 2 === 0 ? `Bearer guess-${guess}-0123456789` : undefined)).status,
      )
    }
    expect(statuses).toEqual(Array(20).fill(401))
    const limited = await ask('Bearer guess-21-0123456789')
    expect(limited.status).toBe(429)
    const seconds = Number(limited.headers.get('retry-after'))
    expect(seconds).toBeGreaterThan(30)
    expect(seconds).toBeLessThanOrEqual(60)
    expect(await limited.json()).toMatchObject({ code: 'rate_limited' })
    expect((await ask()).status).toBe(429)
    expect((await ask(`Bearer ${SHOP_KEY}`)).status).toBe(200)
  })
})

describe('the count of guesses', () => {
  let at = 0
  const countTimes = (guesses: ReturnType<typeof createGuesses>, address: string, times: number) =>
    Array.from({ length: times }, () => guesses.count(address)).at(-1)
  const newGuesses = () => createGuesses(() => unixMs(at))

  test('is of one address, and over after a minute', () => {
    const guesses = newGuesses()
    expect(countTimes(guesses, '192.0.2.1', 20)).toBeNull()
    at += 59_500
    expect(guesses.count('192.0.2.1')).toBe(1)
    expect(guesses.count('192.0.2.2')).toBeNull()
    at += 500
    expect(guesses.count('192.0.2.1')).toBeNull()
  })

  test('is of a whole /64, of which one guesser has every address', () => {
    const guesses = newGuesses()
    countTimes(guesses, '2001:db8::1', 20)
    expect(guesses.count('2001:db8::2')).toBe(60)
    expect(guesses.count('2001:db8:0:1::1')).toBeNull()
  })
})

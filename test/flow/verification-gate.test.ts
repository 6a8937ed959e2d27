import { describe, expect, test } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import { createRateCounters } from '../../src/flow/rate-counters.ts'
import { createVerificationGate } from '../../src/flow/verification-gate.ts'

const LIMITS = {
  strangers: { requests: 20, perMs: 1000 },
  newcomers: { requests: 5, perMs: 1000 },
  smartWallets: { requests: 2, perMs: 1000 },
  refused: { requests: 10, perMs: 60_000 },
  payerMax: 2,
  addressMax: 3,
}

function openGate(limits: Partial<typeof LIMITS> = {}, sharers = 1) {
  let now = 1_800_000_000_000
  const clock = () => unixMs(now)
  const rates = createRateCounters({ clock })
  const gate = createVerificationGate({
    ...{ clock, rates, sharers },
    limits: () => ({ ...LIMITS, ...limits }),
  })
  /** One payment asked about from beginning to end: what the facilitator found, or the barrier. */
  const ask = (
    payer: string,
    {
      from = 'home',
      found = 'invalid' as 'valid' | 'invalid' | 'unavailable',
      signature = 'recovered' as 'recovered' | 'not-recovered',
    } = {},
  ): string => {
    const entry = gate.enter(from, { payer, signature })
    if (entry.kind === 'barred') return entry.by
    entry.leave(found)
    return found
  }
  return {
    gate,
    ask,
    pays: (payer: string, from = 'home') => gate.paid(from, { payer, signature: 'recovered' }),
    mayLook: (payer: string | null, from = 'home') => gate.look(from, payer).kind === 'worth-it',
    wait: (ms: number) => {
      now += ms
    },
  }
}

/** An address with a wallet for each payment, none of which has money. */
function flood({ ask }: ReturnType<typeof openGate>, from: string, count = 1000): string[] {
  return Array.from({ length: count }, (_, index) => ask(`0x${from}${index}`, { from }))
}

const asked = (outcomes: readonly string[]): number =>
  outcomes.filter(outcome => outcome === 'invalid').length

test('empty wallets cost no more than the budget, from however many addresses', () => {
  const open = openGate()
  const outcomes = Array.from({ length: 500 }, (_, index) => flood(open, `a${index}`, 2)).flat()
  expect(asked(outcomes)).toBe(5)
  open.wait(1000)
  expect(asked(flood(open, 'b'))).toBe(5)
})

test('newcomers that are worth something use nothing up', () => {
  const { ask } = openGate()
  const honest = Array.from({ length: 100 }, (_, index) => ask(`0x${index}`, { found: 'valid' }))
  expect(honest.filter(outcome => outcome === 'valid')).toHaveLength(100)
})

test('an address whose payments are refused is not asked for again before its window ends', () => {
  const open = openGate({ newcomers: { requests: 1000, perMs: 1000 } })
  expect(asked(flood(open, 'home'))).toBe(10)
  expect(open.ask('0xnew')).toBe('refused_address')
  expect(open.ask('0xnew', { from: 'elsewhere', found: 'valid' })).toBe('valid')
  open.wait(60_000)
  expect(open.ask('0xnew', { found: 'valid' })).toBe('valid')
})

test('whoever has paid goes on behind the same address as a flood, and past a spent budget', () => {
  const open = openGate({ newcomers: { requests: 10, perMs: 60_000 } })
  open.pays('0xAbC')
  flood(open, 'home')
  expect(open.mayLook('0xabc')).toBe(true)
  expect(open.mayLook('0xother')).toBe(false)
  expect(open.mayLook(null)).toBe(false)
  expect(open.ask('0xAbC', { found: 'valid' })).toBe('valid')
})

test('a name is not used up by those who cannot sign for it', () => {
  const open = openGate()
  open.pays('0xabc')
  const forged = Array.from({ length: 100 }, () =>
    open.ask('0xabc', { from: 'attacker', signature: 'not-recovered' }),
  )
  expect(asked(forged)).toBe(2)
  expect(open.ask('0xabc', { found: 'valid' })).toBe('valid')
})

test('a payer is held back by refusals of its own, which only its key can have earned', () => {
  const open = openGate()
  open.pays('0xabc')
  const outcomes = Array.from({ length: 20 }, () => open.ask('0xabc'))
  expect(asked(outcomes)).toBe(10)
  expect(outcomes.at(-1)).toBe('refused_payer')
  // And its neighbours are not.
  expect(open.ask('0xneighbour', { found: 'valid' })).toBe('valid')
})

describe('looking into payments', () => {
  const looks = ({ mayLook }: ReturnType<typeof openGate>, name: string | null, count = 100) =>
    Array.from({ length: count }, (_, index) => mayLook(name, `a${index}`)).filter(Boolean).length

  test('costs no more than the budget, from however many addresses', () => {
    const open = openGate()
    expect(looks(open, '0xnobody')).toBe(20)
    expect(open.gate.look('home', null)).toMatchObject({ by: 'strangers' })
    open.wait(500)
    expect(looks(open, null)).toBe(10)
  })

  test('is never refused to who has paid, where it has paid from', () => {
    const open = openGate()
    open.pays('0xAbC')
    looks(open, '0xnobody')
    looks(open, '0xabc')
    expect(looks(open, '0xabc')).toBe(0)
    for (let count = 0; count < 1000; count++) expect(open.mayLook('0xabc')).toBe(true)
  })

  test('says when the next stranger is looked into', () => {
    const { gate } = openGate({ strangers: { requests: 2, perMs: 3_600_000 } })
    gate.look('home', null)
    gate.look('home', null)
    expect(gate.look('home', null)).toMatchObject({ by: 'strangers', retryAfterMs: 1_800_000 })
  })

  test('is still open to who has paid elsewhere when strangers have spent theirs', () => {
    const open = openGate()
    open.pays('0xabc')
    looks(open, '0xnobody')
    expect(open.mayLook('0xabc', 'abroad')).toBe(true)
  })

  test('takes nothing from the budget for what is worth something', () => {
    const open = openGate()
    for (let count = 0; count < 100; count++) {
      expect(open.mayLook(`0x${count}`)).toBe(true)
      open.ask(`0x${count}`, { found: 'valid' })
    }
  })

  test('under the name of a payer whose neighbour sends junk has a budget, and leaves it a part', () => {
    const open = openGate()
    open.pays('0xabc')
    for (let refused = 0; refused < 10; refused++) open.gate.refused('home')
    const forge = () => {
      if (!open.mayLook('0xabc')) return false
      open.ask('0xabc', { signature: 'not-recovered' })
      return true
    }
    expect(Array.from({ length: 1000 }, forge).filter(Boolean)).toHaveLength(20)
    open.wait(100)
    expect(open.mayLook('0xabc')).toBe(true)
    expect(open.ask('0xabc', { found: 'valid' })).toBe('valid')
    // And elsewhere nothing is contested.
    open.pays('0xabc', 'office')
    expect(open.mayLook('0xabc', 'office')).toBe(true)
  })

  test('takes nothing from the budget for what is owed, whose payer is at home from then on', () => {
    const open = openGate()
    for (let count = 0; count < 100; count++) {
      expect(open.mayLook(`0x${count}`)).toBe(true)
      open.gate.owed('home', { payer: `0x${count}`, signature: 'recovered' })
    }
    looks(open, '0xnobody')
    expect(open.mayLook('0x7')).toBe(true)
    expect(open.mayLook('0xother')).toBe(false)
  })

  test('of forgeries under the name of a neighbour comes to be bounded', () => {
    const open = openGate()
    open.pays('0xabc')
    let looked = 0
    while (looked < 1000 && open.mayLook('0xabc')) {
      looked++
      open.ask('0xabc', { signature: 'not-recovered' })
    }
    expect(looked).toBe(10 + 20)
  })
})

test('so many verifications run at once for a payer, and for the newcomers of an address', () => {
  const { gate } = openGate()
  const enter = (payer: string, from = 'home') =>
    gate.enter(from, { payer, signature: 'recovered' })
  const first = enter('0xa')
  enter('0xa')
  expect(enter('0xa')).toMatchObject({ kind: 'barred', by: 'payer_concurrency' })
  expect(enter('0xb').kind).toBe('entered')
  expect(enter('0xc')).toMatchObject({ kind: 'barred', by: 'address_concurrency' })
  expect(enter('0xc', 'elsewhere').kind).toBe('entered')
  if (first.kind === 'entered') first.leave('valid')
  expect(enter('0xa').kind).toBe('entered')
})

test('gateways that share a budget have a part of it each', () => {
  expect(asked(flood(openGate({}, 2), 'a'))).toBe(2)
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { paymentKey } from '../../src/core/payment.ts'
import { preferredWaitSeconds } from '../../src/flow/await-settlement.ts'
import { createSettlementWatch } from '../../src/flow/settlement-watch.ts'

describe('how long a client says that it waits', () => {
  test.each<[readonly string[], number]>([
    [[], 5],
    [['respond-async'], 5],
    [['wait=10'], 10],
    [['wait=0'], 0],
    [['respond-async, WAIT = "7" ; foo=bar'], 7],
    [['handling=lenient', 'wait=3'], 3],
    [['wait=3, wait=4'], 3],
    [['wait=99999'], 25],
    [['wait=-1'], 5],
    [['wait=1.5'], 5],
    [['await=3'], 5],
    [['wait'], 5],
  ])('%j is %d seconds', (prefer, seconds) => {
    expect(preferredWaitSeconds(prefer)).toBe(seconds)
  })

  test('never more than we go along with, whatever it says', () => {
    const values = fc.array(
      fc.oneof(
        fc.string(),
        fc.nat().map(seconds => `wait=${seconds}`),
      ),
    )
    fc.assert(
      fc.property(values, prefer => {
        const seconds = preferredWaitSeconds(prefer)
        expect(Number.isInteger(seconds) && seconds >= 0 && seconds <= 25).toBe(true)
      }),
    )
  })
})

describe('waiting for a settlement', () => {
  const key = paymentKey('a')
  const NEVER_MS = 2_000_000

  test('ends when it is told, also when it was told just before', async () => {
    const watch = createSettlementWatch()
    const waiting = watch.enter(key)
    watch.tell(paymentKey('b'))
    watch.tell(key)
    await waiting?.news(NEVER_MS)
    const news = waiting?.news(NEVER_MS)
    watch.tell(key)
    await news
    // Nobody tells: it looks again by itself.
    await waiting?.news(20)
  })

  test('is for so many at most, and one for each payment', () => {
    const watch = createSettlementWatch(2)
    const first = watch.enter(key)
    expect(watch.enter(key)).toBeNull()
    expect(watch.enter(paymentKey('b'))).not.toBeNull()
    expect(watch.enter(paymentKey('c'))).toBeNull()
    first?.leave()
    expect(watch.enter(paymentKey('c'))).not.toBeNull()
  })

  test('ends for everybody when it is closed', async () => {
    const watch = createSettlementWatch()
    const waiting = watch.enter(key)
    const news = waiting?.news(NEVER_MS)
    watch.close()
    await news
    expect(waiting?.isOver).toBe(true)
    expect(watch.enter(paymentKey('b'))).toBeNull()
  })
})

import { setImmediate as turnEnd } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { BatchQueue } from '../../src/ledger/batch-queue.ts'

function queueOf(batchMax: number) {
  const batches: (readonly number[])[] = []
  const queue = new BatchQueue<number, string>({
    send: batch => batches.push(batch),
    waitingMax: 100,
    batchMax,
    stallMs: 60_000,
  })
  return { queue, batches }
}

function answersTo(batch: readonly number[] | undefined): string[] {
  return (batch ?? []).map(call => `answer ${call}`)
}

it('sends what one turn of the event loop brings as one batch', async () => {
  const { queue, batches } = queueOf(10)
  const answers = Promise.all([1, 2, 3].map(call => queue.submit(call)))
  expect(batches).toEqual([])
  await turnEnd()
  expect(batches).toEqual([[1, 2, 3]])
  queue.settle(answersTo(batches[0]), [])
  expect(await answers).toEqual(['answer 1', 'answer 2', 'answer 3'])
})

it('keeps one batch away at a time, none larger than allowed, all in order', async () => {
  const { queue, batches } = queueOf(2)
  const answers = Promise.all([1, 2, 3, 4, 5].map(call => queue.submit(call)))
  for (let away = 0; away < 3; away += 1) {
    await turnEnd()
    await turnEnd()
    expect(batches.length).toBe(away + 1)
    queue.settle(answersTo(batches[away]), [])
  }
  expect(batches).toEqual([[1, 2], [3, 4], [5]])
  expect(await answers).toEqual([1, 2, 3, 4, 5].map(call => `answer ${call}`))
})

it('fails one call of a batch without the others', async () => {
  const { queue } = queueOf(10)
  const outcomes = Promise.allSettled([1, 2, 3].map(call => queue.submit(call)))
  await turnEnd()
  queue.settle(['one', 'ignored', 'three'], [[1, new Error('no')]])
  expect((await outcomes).map(({ status }) => status)).toEqual([
    ...['fulfilled', 'rejected', 'fulfilled'],
  ])
})

it('goes on after a batch that failed', async () => {
  const { queue, batches } = queueOf(1)
  const [first, second] = [queue.submit(1), queue.submit(2)]
  await turnEnd()
  queue.reject(new Error('not committed'))
  await expect(first).rejects.toThrow('not committed')
  await turnEnd()
  queue.settle(answersTo(batches[1]), [])
  expect(await second).toBe('answer 2')
})

it('is drained only when the last answer is there', async () => {
  const { queue, batches } = queueOf(1)
  const answers = Promise.all([queue.submit(1), queue.submit(2)])
  let drained = false
  const draining = queue.drain(new Error('closed')).then(() => {
    drained = true
  })
  await expect(queue.submit(3)).rejects.toThrow('closed')
  await turnEnd()
  queue.settle(answersTo(batches[0]), [])
  await turnEnd()
  expect(drained).toBe(false)
  queue.settle(answersTo(batches[1]), [])
  await draining
  expect(await answers).toEqual(['answer 1', 'answer 2'])
})

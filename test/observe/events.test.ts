import { expect, test } from 'vitest'
import { combineObservers, type ErrorReported } from '../../src/observe/events.ts'

const event: ErrorReported = { error: new Error('x'), requestId: null }

test('every observer is told what it cares for, in order', () => {
  const told: string[] = []
  const combined = combineObservers(
    { errorReported: () => told.push('first') },
    { configReloaded: () => told.push('other event') },
    { errorReported: () => told.push('second') },
  )
  combined.errorReported(event)
  expect(told).toEqual(['first', 'second'])
})

test('an observer keeps its `this`', () => {
  class Counting {
    count = 0
    errorReported(): void {
      this.count++
    }
  }
  const counting = new Counting()
  combineObservers(counting).errorReported(event)
  expect(counting.count).toBe(1)
})

test('one that throws keeps nobody from going on, and is warned of once', async () => {
  const warnings: Error[] = []
  const listen = (warning: Error): void => void warnings.push(warning)
  process.on('warning', listen)
  const told: unknown[] = []
  const combined = combineObservers(
    {
      errorReported() {
        throw new Error('broken observer')
      },
    },
    { errorReported: seen => told.push(seen) },
  )
  combined.errorReported(event)
  combined.errorReported(event)
  await new Promise(resolve => setImmediate(resolve))
  process.off('warning', listen)
  expect(told).toEqual([event, event])
  expect(warnings.filter(({ message }) => message === 'broken observer')).toHaveLength(1)
})

import { beforeEach, describe, expect, it } from 'vitest'
import { WriteTurns } from '../../src/ledger/write-turns.ts'

const WAIT_MS = 2_000
const BUSY = Object.assign(new Error('database is locked'), { errcode: 5 })

let now: number
/** What was done, in order: tries for the lock, and pauses. */
let done: string[]
/** How often the file is still found locked; each time costs what SQLite waits by itself. */
let locked: number
let error: Error
let ownWaitMs: number
let turns: WriteTurns

beforeEach(() => {
  now = 1_000
  done = []
  locked = 0
  error = BUSY
  ownWaitMs = WAIT_MS
  turns = new WriteTurns(WAIT_MS, {
    now: () => now,
    pause(milliseconds) {
      done.push(`left for ${milliseconds}`)
      now += milliseconds
    },
  })
})

const database = {
  exec(sql: string): void {
    const [, limit] = /^PRAGMA busy_timeout = (\d+)$/.exec(sql) ?? []
    if (limit !== undefined) {
      ownWaitMs = Number(limit)
      return
    }
    expect(sql).toBe('BEGIN IMMEDIATE')
    if (locked === 0) {
      done.push('began')
      return
    }
    locked--
    now += ownWaitMs
    done.push(`locked for ${ownWaitMs}`)
    throw error
  },
}

/** One transaction that takes 5 ms. */
function write(): void {
  turns.begin(database)
  now += 5
}

function writeTimes(count: number): string[] {
  done = []
  for (let written = 0; written < count; written++) write()
  return done.filter(what => what !== 'began')
}

describe('a process that is alone', () => {
  it('never leaves the file to anybody', () => {
    expect(writeTimes(1_000)).toEqual([])
  })

  it('leaves the waiting for other locks as it was', () => {
    write()
    expect(ownWaitMs).toBe(WAIT_MS)
  })
})

describe('a process among others', () => {
  it('tries again and again after short pauses, and not after ever longer ones', () => {
    locked = 20
    expect(writeTimes(1)).toEqual(['locked for 0', ...Array(19).fill('locked for 3')])
    expect(ownWaitMs).toBe(WAIT_MS)
  })

  it('leaves the file to them after its turn, and once in each', () => {
    locked = 1
    write()
    expect(writeTimes(3)).toEqual([])
    expect(writeTimes(8)).toEqual(['left for 4', 'left for 4'])
  })

  it('begins its turn when the others let it in', () => {
    locked = 1
    write()
    writeTimes(3)
    locked = 10
    expect(writeTimes(4)).toHaveLength(11)
    expect(writeTimes(1)).toEqual(['left for 4'])
  })

  it('is alone again once it has not met them for a second', () => {
    locked = 1
    write()
    now += 1_000
    expect(writeTimes(100)).toEqual([])
  })
})

describe('a file that cannot be had', () => {
  it('is given up after the time that others are waited for', () => {
    locked = Number.POSITIVE_INFINITY
    const askedAt = now
    expect(write).toThrow(BUSY)
    expect(now - askedAt).toBeGreaterThanOrEqual(WAIT_MS)
    expect(now - askedAt).toBeLessThan(WAIT_MS + 10)
    expect(ownWaitMs).toBe(WAIT_MS)
  })

  it('is not asked for twice where nobody is waited for', () => {
    turns = new WriteTurns(0, { now: () => now, pause: () => expect.unreachable() })
    locked = Number.POSITIVE_INFINITY
    expect(write).toThrow(BUSY)
    expect(done).toEqual(['locked for 0'])
  })

  it('is not asked for again when something else is wrong with it', () => {
    error = Object.assign(new Error('disk I/O error'), { errcode: 10 })
    locked = Number.POSITIVE_INFINITY
    expect(write).toThrow('disk I/O error')
    expect(done).toHaveLength(1)
  })
})

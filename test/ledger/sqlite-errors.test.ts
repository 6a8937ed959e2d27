import { expect, it } from 'vitest'
import { diagnose } from '../../src/ledger/sqlite-errors.ts'

function sqliteError(errcode: number): Error {
  return Object.assign(new Error('from SQLite'), { code: 'ERR_SQLITE_ERROR', errcode })
}

/** Codes are from https://sqlite.org/rescode.html; the low byte is the kind. */
it.each([
  ['a busy database', 5, 'roll-back', 'locked'],
  ['a busy snapshot', 517, 'roll-back', 'locked'],
  ['a full disk', 13, 'roll-back', 'room'],
  ['a failed fsync', 1034, 'reopen', 'reliably'],
  ['a failed write', 778, 'reopen', 'reliably'],
  ['a file that became read-only', 8, 'reopen', 'writing'],
  ['a file that was moved away', 1032, 'reopen', 'writing'],
  ['a file that does not open', 14, 'reopen', 'writing'],
  ['a damaged page', 11, 'give-up', 'damaged'],
  ['a damaged index', 779, 'give-up', 'damaged'],
  ['something else', 26, 'give-up', 'damaged'],
  ['memory that ran out', 7, 'reopen', 'unexpected'],
])('treats %s (%d) with %s', (_what, code, remedy, word) => {
  const { remedy: chosen, failure } = diagnose(sqliteError(code), '/data/farebox.db')
  expect(chosen).toBe(remedy)
  expect(failure).toMatchObject({
    kind: 'unavailable',
    message: expect.stringContaining(word),
    fix: expect.stringMatching(/\.$/),
  })
})

it.each([19, 2067, 20, 18])('blames only the call for code %d', code => {
  expect(diagnose(sqliteError(code), 'f.db').remedy).toBe('refuse-call')
})

it('blames only the call for a value that cannot be bound', () => {
  const error = Object.assign(new TypeError('bad'), { code: 'ERR_INVALID_ARG_TYPE' })
  expect(diagnose(error, 'f.db').remedy).toBe('refuse-call')
})

it.each([new Error('a bug'), 'a string', null])('trusts nothing after %s', thrown => {
  expect(diagnose(thrown, 'f.db').remedy).toBe('reopen')
})

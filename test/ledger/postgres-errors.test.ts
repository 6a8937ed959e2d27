import { describe, expect, it } from 'vitest'
import { diagnosePostgres } from '../../src/ledger/postgres-errors.ts'

const culprit = { name: 'db:5432/farebox', password: 's3cr/t' }

function fromServer(code: string, message = 'from PostgreSQL'): Error {
  return Object.assign(new Error(message), { code, severity: 'ERROR' })
}

function fromNode(code: string, message = `connect ${code}`): Error {
  return Object.assign(new Error(message), { code })
}

/** Codes are from the PostgreSQL documentation, appendix A. */
it.each([
  ['a duplicate', '23505'],
  ['a failed check', '23514'],
  ['a number out of range', '22003'],
  ['a character that it has not', '22021'],
  ['a key that is too long', '54000'],
])('blames only the call for %s (%s)', (_what, code) => {
  const { remedy, error } = diagnosePostgres(fromServer(code), culprit)
  expect(remedy).toBe('refuse-call')
  expect(error.code).toBe('ledger_value')
})

it.each([
  ['a deadlock', '40P01', 'try-again', 'undone'],
  ['a serialization failure', '40001', 'try-again', 'undone'],
  ['a statement time-out', '57014', 'keep-connection', 'in time'],
  ['a lock time-out', '55P03', 'keep-connection', 'in time'],
  ['a full disk', '53100', 'keep-connection', 'room'],
  ['a crowd', '53300', 'drop-connection', 'no connection left'],
  ['a wrong password', '28P01', 'drop-connection', 'let us in'],
  ['a missing rule', '28000', 'drop-connection', 'let us in'],
  ['a missing database', '3D000', 'drop-connection', 'no such database'],
  ['a missing right', '42501', 'drop-connection', 'allow'],
  ['a missing table', '42P01', 'drop-connection', 'lost'],
  ['a standby', '25006', 'drop-connection', 'no writes'],
  ['a shutdown', '57P01', 'drop-connection', 'ended'],
  ['a start', '57P03', 'drop-connection', 'cannot be reached'],
  ['a broken connection', '08006', 'drop-connection', 'ended'],
  ['anything else', 'XX000', 'drop-connection', 'unexpected'],
])('treats %s (%s) with %s', (_what, code, remedy, word) => {
  const diagnosis = diagnosePostgres(fromServer(code), culprit)
  expect(diagnosis.remedy).toBe(remedy)
  expect(diagnosis.crowded).toBe(code === '53300')
  expect(diagnosis.error).toMatchObject({
    code: 'store_unavailable',
    message: expect.stringContaining(word),
    fix: expect.stringMatching(/\.$/),
  })
})

it.each([
  [fromNode('ECONNREFUSED'), 'cannot be reached'],
  [fromNode('ENOTFOUND'), 'cannot be reached'],
  [new AggregateError([fromNode('ECONNREFUSED', 'refused twice')]), 'refused twice'],
  [fromNode('DEPTH_ZERO_SELF_SIGNED_CERT'), 'prove'],
  [fromNode('ERR_TLS_CERT_ALTNAME_INVALID'), 'prove'],
  [fromNode('EPIPE'), 'ended'],
  [new Error('Query read timeout'), 'in time'],
  [new Error('Connection terminated due to connection timeout'), 'in time'],
  [new Error('Connection terminated unexpectedly'), 'ended'],
  [new Error('a bug'), 'unexpected'],
  ['a string', 'unexpected'],
  [null, 'unexpected'],
])('drops the connection after %s', (thrown, word) => {
  const { remedy, error } = diagnosePostgres(thrown, culprit)
  expect(remedy).toBe('drop-connection')
  expect(error.message).toContain(word)
  expect(error.message).toContain(culprit.name)
})

describe('a secret', () => {
  it.each(['s3cr/t', 's3cr%2Ft'])('is taken out of a message that has it as %s', secret => {
    const thrown = fromServer('28P01', `no entry for "${secret}"`)
    const { error } = diagnosePostgres(Object.assign(thrown, { client: culprit }), culprit)
    expect(error.message).toContain('***')
    expect(error.message).not.toContain(secret)
    expect(error.cause).toBeUndefined()
  })
})

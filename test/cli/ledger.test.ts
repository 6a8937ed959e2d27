import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fingerprint, paymentKey } from '../../src/core/payment.ts'
import { unixMs } from '../../src/core/time.ts'
import type { ClaimState, Ledger } from '../../src/ledger/ledger.ts'
import { claimedAs, claimRequest, RECEIPT, STATES } from '../ledger/claim-fixtures.ts'
import { jsonLines, type LedgerFixture, ledgerFixture } from './ledger-fixture.ts'
import { errorOf, runCli } from './run-cli.ts'

const SIGNATURE = `0x${'5e'.repeat(65)}`
const OTHER_PAYER = '0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913'
const HOUR_MS = 3_600_000

let fixture: LedgerFixture
let ledger: Ledger
let now = 0

/** One row in each state, an hour apart, the newest an hour ago; the last two of other things. */
beforeAll(async () => {
  fixture = await ledgerFixture()
  const end = Date.now()
  ledger = await fixture.open({ clock: () => unixMs(now) })
  for (const [index, state] of STATES.entries()) {
    now = end - (STATES.length - index) * HOUR_MS
    await add(state, index === 4 ? { payer: OTHER_PAYER } : {}, index)
  }
})

afterAll(async () => {
  await ledger.close()
  await fixture.close()
})

async function add(state: ClaimState, parts: { payer?: string; route?: string }, index: number) {
  const request = claimRequest({ heldUntil: unixMs(now + 1000), key: `${index}`, ...parts })
  const payload = JSON.stringify({
    x402Version: 2,
    payload: { signature: SIGNATURE, authorization: { nonce: '0x01' } },
    extensions: { gas: { info: { Signature: SIGNATURE } } },
  })
  await claimedAs(state, ledger, {
    ...request,
    payload,
    route: state === 'unknown' ? '/v1/=1+1,"x"' : request.route,
    key: paymentKey('test', `${index}`),
    fingerprint: fingerprint('same'),
  })
}

const ledgerVerb = (...words: string[]) =>
  runCli(['ledger', ...words, '-c', fixture.configFile], {})

describe('list', () => {
  test('is one line of JSON for each row, oldest first, with exact amounts', async () => {
    const outcome = await ledgerVerb('list')
    expect(outcome).toMatchObject({ code: 0, stderr: '' })
    const rows = jsonLines(outcome.stdout)
    expect(rows.map(({ state }) => state)).toEqual(STATES)
    expect(rows[3]).toMatchObject({
      ...{ amountTokens: '0.001', amountAtomic: '1000', symbol: 'USDC' },
      ...{ network: 'eip155:84532', networkName: 'base-sepolia' },
      explorer: `https://sepolia.basescan.org/tx/${RECEIPT.transaction}`,
      ...{ transaction: RECEIPT.transaction, validBefore: '2027-01-15T08:01:00.000Z' },
    })
    expect(rows[0]).toMatchObject({ settledAt: null, transaction: null, explorer: null })
    expect(Date.parse(rows[3].createdAt)).toBeLessThan(Date.now() - 2 * HOUR_MS)
    expect(outcome.stdout).not.toContain(SIGNATURE)
  })

  test.each<[string[], ClaimState[]]>([
    [
      ['--since', '150m'],
      ['released', 'unknown'],
    ],
    [['--until', '330m'], ['forwarded']],
    [
      ['--since', '330m', '--until', '210m'],
      ['settling', 'settled'],
    ],
    [
      ['--state', 'settled', '--state', 'unknown'],
      ['settled', 'unknown'],
    ],
    [['--payer', OTHER_PAYER.toLowerCase()], ['released']],
    [['--route', '/v1/=1+1,"x"'], ['unknown']],
    [
      ['--limit', '2'],
      ['released', 'unknown'],
    ],
    [['--limit', '1', '--until', '150m'], ['delivered']],
    [['--since', '2001-01-01', '--until', '2001-01-02T00:00:00Z'], []],
  ])('%j leaves %j', async (words, states) => {
    const { code, stdout } = await ledgerVerb('list', ...words)
    expect(code).toBe(0)
    expect(jsonLines(stdout).map(({ state }) => state)).toEqual(states)
  })

  test.each([
    ['--since', 'yesterday'],
    ['--since', '2026-01-31T09:00'],
    ['--until', '2026-02-30'],
    ['--limit', '0'],
    ['--limit', '1001'],
    ['--state', 'paid'],
    ['--payer', '0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02914'],
  ])('%s %s is refused', async (option, value) => {
    const outcome = await ledgerVerb('list', option, value)
    expect(outcome).toMatchObject({ code: 2, stdout: '' })
    expect(errorOf(outcome).fix).not.toBe('')
  })

  test('is a table at a terminal, with the transaction cut short', async () => {
    const words = ['ledger', 'list', '-c', fixture.configFile]
    const { stdout } = await runCli(words, {}, { terminal: true })
    const lines = stdout.split('\n')
    expect(lines[0]).toMatch(/^ID +TIME +STATE +ROUTE +AMOUNT +PAYER +TRANSACTION$/)
    expect(lines[3]).toMatch(
      /^\d+ +20\S+Z +settled +GET \/v1\/\S+ +0\.001 USDC +0x2096\S+ +0xabababab…abab$/,
    )
    const none = await runCli([...words, '--since', '1s'], {}, { terminal: true })
    expect(none).toMatchObject({ code: 0, stdout: 'No payment passes these filters.\n' })
  })
})

describe('show', () => {
  test('finds a row by its id and by its transaction, and never tells a signature', async () => {
    const byHash = await ledgerVerb('show', RECEIPT.transaction.toUpperCase().replace('X', 'x'))
    const found = jsonLines(byHash.stdout)
    expect(found.map(({ state }) => state)).toEqual(['settled', 'delivered'])
    expect(found[0]).not.toHaveProperty('payload')

    const byId = await ledgerVerb('show', String(found[0].id), '--payload')
    const [row] = jsonLines(byId.stdout)
    expect(row).toMatchObject({
      ...{ id: found[0].id, requirements: { scheme: 'exact' } },
      payload: { payload: { signature: '(not shown)', authorization: { nonce: '0x01' } } },
    })
    expect(byId.stdout).not.toContain(SIGNATURE)
  })

  test('says so when there is none', async () => {
    for (const wanted of ['999999', '0', `0x${'00'.repeat(32)}`]) {
      const outcome = await ledgerVerb('show', wanted)
      expect(outcome.code).toBe(1)
      expect(errorOf(outcome).code).toBe('no_such_row')
    }
  })

  test('is a list of facts at a terminal', async () => {
    const words = ['ledger', 'show', '1', '--payload', '-c', fixture.configFile]
    const { stdout } = await runCli(words, {}, { terminal: true })
    expect(stdout).toMatch(/^id +1\n/)
    expect(stdout).toMatch(/^state +forwarded$/m)
    expect(stdout).toMatch(/^payload +\{.*\(not shown\)/m)
  })
})

describe('export', () => {
  test('writes CSV that no spreadsheet calculates', async () => {
    const { code, stdout } = await ledgerVerb('export', '--state', 'unknown', '--state', 'settled')
    expect(code).toBe(0)
    const [header, settled, unknown, end, ...rest] = stdout.split('\r\n')
    expect([end, ...rest]).toEqual([''])
    expect(header).toBe(
      'id,createdAt,state,route,payer,payTo,network,networkName,symbol,amountTokens,' +
        'amountAtomic,asset,transaction,explorer,settledAt,deliveredAt,updatedAt,validBefore,detail,key',
    )
    expect(settled).toContain(
      `,USDC,0.001,1000,${'0x036CbD53842c5426634e7929541eC2318f3dCF7e'},0xab`,
    )
    expect(unknown).toContain(',"/v1/=1+1,""x""",')
  })

  test('writes JSON lines to a file that only its owner reads, and says how many', async () => {
    const file = join(fixture.folder, 'rows.jsonl')
    const outcome = await ledgerVerb('export', '--format', 'jsonl', '-o', file, '--limit', '4')
    expect(outcome).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(outcome.stdout)).toEqual({ rows: 4, file })
    const rows = jsonLines(await readFile(file, 'utf8'))
    expect(rows.map(({ state }) => state)).toEqual(STATES.slice(0, 4))
  })

  test('says so when the file cannot be written', async () => {
    const outcome = await ledgerVerb('export', '-o', join(fixture.folder, 'missing', 'rows.csv'))
    expect(outcome.code).toBe(1)
    expect(errorOf(outcome)).toMatchObject({ code: 'export_not_written' })
  })
})

describe('a ledger that cannot be read', () => {
  test('is not made: a wrong path must not look like a ledger without payments', async () => {
    const empty = await ledgerFixture()
    const outcome = await runCli(['ledger', 'list', '-c', empty.configFile])
    expect(outcome).toMatchObject({ code: 2, stdout: '' })
    expect(errorOf(outcome).code).toBe('no_ledger')
    await expect(readFile(empty.storeFile)).rejects.toThrow('ENOENT')
    await empty.close()
  })

  test('a bad configuration is told as "check" tells it', async () => {
    const broken = await ledgerFixture('acepts: []')
    const outcome = await runCli(['ledger', 'reconcile', '-c', broken.configFile])
    expect(outcome.code).toBe(2)
    expect(JSON.parse(outcome.stdout)).toMatchObject({ valid: false })
    await broken.close()
  })
})

import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Answer } from '../support/facilitator.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { pay } from '../support/payments.ts'
import { SOLANA_DEVNET } from '../support/solana-chain.ts'
import {
  feePayer,
  type SolanaWorld,
  signedBy,
  signOnSolana,
  solanaBuyer,
  solanaYaml,
  startSolanaWorld,
} from '../support/solana-world.ts'
import { jsonLines } from './ledger-fixture.ts'
import { runCli } from './run-cli.ts'

/** Longer ago than any settle takes. */
const LONG_AGO = Date.now() - 3_600_000

let world: SolanaWorld
let gateway: TestGateway
/** What the facilitator makes of a settle. */
let settle: (next: () => Promise<Answer>, transaction: string) => Promise<Answer>

beforeAll(async () => {
  world = await startSolanaWorld({
    intercept: (operation, next, body) =>
      operation === 'settle' ? settle(next, transactionIn(body)) : next(),
  })
  gateway = await startTestGateway(yamlWith(world.chain.rpcUrl))
})
afterAll(async () => {
  await gateway.close()
  await world.close()
})

beforeEach(async () => {
  settle = next => next()
  alter('DELETE FROM claims')
  await gateway.write(yamlWith(world.chain.rpcUrl))
  world.chain.expireBlockhash()
  world.chain.setTime(Math.floor(Date.now() / 1000))
  world.chain.fund(solanaBuyer.address, 1_000_000_000n)
})

function yamlWith(rpcUrl: string | null): string {
  const top = rpcUrl === null ? '' : `networks: {solana-devnet: {rpc: ["${rpcUrl}"]}}`
  return solanaYaml(world, { top })
}

function transactionIn(body: unknown): string {
  return String(Object(Object(Object(body).paymentPayload).payload).transaction)
}

/** As if a facilitator had settled it by this transaction. */
function settledBy(transaction: string): Answer {
  const receipt = { success: true, transaction, network: SOLANA_DEVNET, payer: solanaBuyer.address }
  return { status: 200, body: receipt }
}

/** Buys a forecast, and gives the signature of what the chain executed last. */
async function buy(city: string): Promise<string> {
  const url = `${gateway.url}/v1/weather/${city}`
  const reply = await pay(url, await signOnSolana(world.chain, url))
  expect(reply.status).toBe(200)
  await expect.poll(() => gateway.states().at(-1)).toBe('delivered')
  return world.chain.executed[0]?.signature ?? ''
}

/** Changes the newest row behind the gateway's back; it is as old as if nobody worked on it. */
function change(columns: string, ...values: SQLInputValue[]): void {
  const newest = 'id = (SELECT max(id) FROM claims)'
  alter(`UPDATE claims SET ${columns}, updated_at = ? WHERE ${newest}`, ...values, LONG_AGO)
}

function alter(sql: string, ...values: SQLInputValue[]): void {
  const database = new DatabaseSync(gateway.storeFile, { timeout: 5_000 })
  database.prepare(sql).run(...values)
  database.close()
}

async function reconcile(...words: string[]) {
  const parameters = ['ledger', 'reconcile', '-c', gateway.configFile, ...words]
  const { code, stdout } = await runCli(parameters)
  const lines = jsonLines(stdout)
  return { code, lines: lines.slice(0, -1), summary: lines.at(-1)?.summary }
}

test('rows whose messages the chain has executed are what they say', async () => {
  await buy('paris')
  await buy('rome')
  expect(await reconcile()).toEqual({
    ...{ code: 0, lines: [] },
    summary: { rows: 2, compared: 2, inFlight: 0, differences: 0 },
  })
})

test('a row that names another transaction is told of, and which one paid it', async () => {
  const other = await buy('paris')
  const own = await buy('rome')
  change('transaction_hash = ?', other)
  const { code, lines } = await reconcile()
  expect([code, lines]).toMatchObject([1, [{ difference: 'transaction_other', transaction: own }]])
})

test('a row of another amount than was signed for was not paid what it says', async () => {
  const own = await buy('paris')
  change('amount = ?', '2000')
  expect(await reconcile()).toMatchObject({
    ...{ code: 1 },
    lines: [{ difference: 'transfer_missing', transaction: own }],
  })
})

describe('a facilitator that says that it settled', () => {
  test('what never reached the chain is found out, once that cannot be on its way any more', async () => {
    const elsewhere = await buy('paris')
    settle = async () => settledBy(elsewhere)
    await buy('rome')
    expect(await reconcile()).toMatchObject({ code: 0, summary: { compared: 2, inFlight: 1 } })
    change('route = route')
    expect(await reconcile()).toMatchObject({
      ...{ code: 1, summary: { differences: 1 } },
      lines: [{ difference: 'transaction_missing', transaction: elsewhere }],
    })
  })

  test('what failed on the chain is found out', async () => {
    settle = async (_next, transaction) => {
      world.chain.fund(solanaBuyer.address, 0n)
      const signature = world.chain.send(signedBy(feePayer, transaction))
      return settledBy(signature)
    }
    const failed = await buy('paris')
    expect(world.chain.executed[0]).toMatchObject({ signature: failed, failed: true })
    expect(await reconcile()).toMatchObject({
      ...{ code: 1 },
      lines: [{ difference: 'transaction_reverted', transaction: failed }],
    })
  })
})

describe('a row that was not paid', () => {
  test('and whose message was executed is told of', async () => {
    const own = await buy('paris')
    change("state = 'released'")
    expect(await reconcile()).toMatchObject({
      ...{ code: 1 },
      lines: [{ difference: 'paid_not_recorded', transaction: own }],
    })
  })

  test('and whose message nobody executed is what it says', async () => {
    const elsewhere = await buy('paris')
    settle = async () => settledBy(elsewhere)
    await buy('rome')
    change("state = 'released'")
    expect(await reconcile()).toMatchObject({ code: 0, summary: { compared: 2, differences: 0 } })
  })
})

describe('what cannot be compared', () => {
  test('has no node', async () => {
    await buy('paris')
    await gateway.write(yamlWith(null))
    expect(await reconcile()).toMatchObject({
      ...{ code: 2 },
      lines: [{ notCompared: { networkName: 'solana-devnet', reason: 'no_rpc', rows: 1 } }],
    })
  })

  test('has a node that is down', async () => {
    await buy('paris')
    await gateway.write(yamlWith('http://127.0.0.1:9'))
    expect(await reconcile()).toMatchObject({
      ...{ code: 2 },
      lines: [{ notCompared: { reason: 'chain_unavailable', rows: 1 } }],
    })
  })

  test('has a payload that is no transaction', async () => {
    await buy('paris')
    change('payload = ?', '{}')
    expect(await reconcile()).toMatchObject({
      ...{ code: 2 },
      lines: [{ notCompared: { reason: 'payload_unreadable', rows: 1 } }],
    })
  })

  test('are transfers that no row knows', async () => {
    await buy('paris')
    const { code, lines, summary } = await reconcile('--from-block', 'solana-devnet:1')
    expect([code, summary]).toMatchObject([2, { compared: 1, differences: 0 }])
    expect(lines).toMatchObject([{ notCompared: { reason: 'not_evm', rows: 0 } }])
  })
})

/**
 * One gateway's ledger and nothing around it. Says when it is open, works from the moment that it is
 * told to, and reports how often it did what in that time.
 *
 *     node claimer.ts STORE_URL claims|payments CALLERS MILLISECONDS
 */
import { randomBytes } from 'node:crypto'
import { atomicAmount } from '../../src/core/amount.ts'
import { fingerprint, paymentKey } from '../../src/core/payment.ts'
import { unixMs } from '../../src/core/time.ts'
import type { ClaimRequest, Ledger } from '../../src/ledger/ledger.ts'
import { openPostgresLedger } from '../../src/ledger/postgres.ts'
import { openSqliteLedger } from '../../src/ledger/sqlite.ts'

/** What a claimer reports, as one line of JSON. */
export interface Claimed {
  readonly done: number
  readonly failed: number
  readonly p50Ms: number
  readonly p99Ms: number
}

const [url = '', work = '', callers = '', milliseconds = ''] = process.argv.slice(2)

const ledger = url.startsWith('postgres')
  ? await openPostgresLedger({ url })
  : await openSqliteLedger({ path: url.slice('sqlite:'.length) })
// The first use of a connection opens it.
await Promise.all(Array.from({ length: 16 }, () => perform(ledger)))
process.stdout.write('ready\n')
process.stdin.once('data', () => {
  void run().then(async claimed => {
    process.stdout.write(`${JSON.stringify(claimed)}\n`)
    await ledger.close()
    process.exit()
  })
})

async function run(): Promise<Claimed> {
  const until = performance.now() + Number(milliseconds)
  const latenciesMs: number[] = []
  let failed = 0
  const caller = async (): Promise<void> => {
    while (performance.now() < until) {
      const begin = performance.now()
      const worked = await perform(ledger).then(
        () => true,
        () => false,
      )
      if (worked) latenciesMs.push(performance.now() - begin)
      else failed += 1
    }
  }
  await Promise.all(Array.from({ length: Number(callers) }, caller))
  latenciesMs.sort((one, other) => one - other)
  const at = (share: number): number => latenciesMs[Math.floor(latenciesMs.length * share)] ?? 0
  return { done: latenciesMs.length, failed, p50Ms: at(0.5), p99Ms: at(0.99) }
}

/** A claim, or all that the ledger does for a payment in the default mode. */
async function perform(ledger: Ledger): Promise<void> {
  const request = claimRequest()
  if (work === 'payments') await ledger.recall(request)
  const claim = await ledger.claim(request)
  if (claim.kind !== 'claimed') throw new Error('A new payment was known already.')
  if (work === 'claims') return
  await ledger.markSettling(claim.id)
  const { network, payer, amount } = request
  const transaction = `0x${randomBytes(32).toString('hex')}`
  await ledger.markSettled(claim.id, { transaction, network, payer, amount })
  await ledger.markDelivered(claim.id)
}

/** As long as a real one: the payload and the requirements are most of a row. */
function claimRequest(): ClaimRequest {
  const nonce = `0x${randomBytes(32).toString('hex')}`
  const now = Date.now()
  return {
    key: paymentKey('eip155:84532', 'nonce', nonce),
    fingerprint: fingerprint(nonce),
    route: 'GET /v1/weather/{city}',
    payer: '0x209693Bc6afc0C5328bA36FaF03C514EF312287C',
    network: 'eip155:84532',
    asset: '0x036CbD53842c5426634e7929541eC2318f3dCF7e',
    payTo: '0x209693Bc6afc0C5328bA36FaF03C514EF312287C',
    amount: atomicAmount(1000n),
    validBefore: Math.floor(now / 1000) + 60,
    identifier: null,
    payload: JSON.stringify({ x402Version: 2, payload: 'x'.repeat(900) }),
    requirements: JSON.stringify({ scheme: 'exact', extra: 'x'.repeat(300) }),
    next: 'forwarded',
    heldUntil: unixMs(now + 120_000),
    redeemableMs: 86_400_000,
  }
}

/**
 * One of several processes that race for the same payment. Says "ready", waits for a line on stdin,
 * then claims the payment many times at once, and says how many of each outcome it got.
 *
 *     node claim-at-a-signal.ts POSTGRES_URL KEY TIMES
 */
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { unixMs } from '../../src/core/time.ts'
import { openPostgresLedger } from '../../src/ledger/postgres.ts'
import { claimRequest, tally } from './claim-fixtures.ts'

const [, , url = '', key = '', times = '1'] = process.argv
const ledger = await openPostgresLedger({ url })
await ledger.countByState()
const lines = createInterface({ input: process.stdin })
process.stdout.write('ready\n')
await once(lines, 'line')
const request = claimRequest({ key, heldUntil: unixMs(Date.now() + 60_000) })
const claims = Array.from({ length: Number(times) }, () => ledger.claim(request))
process.stdout.write(`${JSON.stringify(tally(await Promise.all(claims)))}\n`)
lines.close()
await ledger.close()

/**
 * One of several processes that race for the same free requests. Says "ready", waits for a line on
 * stdin, then takes as many at once as it is told to, and says what it had left after each.
 *
 *     node take-free-at-a-signal.ts STORE_URL REQUESTS TIMES UNTIL
 */
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { unixMs } from '../../src/core/time.ts'
import { openPostgresLedger } from '../../src/ledger/postgres.ts'
import { openSqliteLedger } from '../../src/ledger/sqlite.ts'

const [, , url = '', requests = '1', times = '1', until = '0'] = process.argv
const ledger = await (url.startsWith('postgres:')
  ? openPostgresLedger({ url })
  : openSqliteLedger({ path: url }))
await ledger.countByState()
const lines = createInterface({ input: process.stdin })
process.stdout.write('ready\n')
await once(lines, 'line')
const asked = { name: 'one', until: unixMs(Number(until)), requests: Number(requests) }
const taken = Array.from({ length: Number(times) }, () => ledger.takeFreeRequest(asked))
process.stdout.write(`${JSON.stringify(await Promise.all(taken))}\n`)
lines.close()
await ledger.close()
